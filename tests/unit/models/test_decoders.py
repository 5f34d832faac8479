"""What turns features into logits, against its layers one by one."""

import pytest
import torch
from torch import nn

from models.decoders import decoded, decoder


@pytest.mark.parametrize("training", [True, False])
def test_dropout_in_the_classifier_is_dropout_of_features(training: bool) -> None:
    torch.manual_seed(0)
    layers = decoder(6, 8, 5, dropout=0.5).double().train(training)
    values = torch.randn(2, 6, 4, 3, dtype=torch.float64)
    torch.manual_seed(1)
    expected = layers(values)
    torch.manual_seed(1)
    found = decoded(layers, values)
    torch.testing.assert_close(found, expected)
    changes = [
        torch.autograd.grad(result.square().sum(), tuple(layers.parameters())) for result in (found, expected)
    ]
    torch.testing.assert_close(*changes)
    assert isinstance(layers[3], nn.Dropout2d)
    assert torch.equal(found, decoded(layers, values)) is not training
