"""IDRNet's training step against one in plain loops: losses, gradients, statistics."""

import copy
from unittest.mock import patch

import pytest
import torch

from models.idrnet_configs import IdrnetConfig
from models.losses.total import total
from models.networks.idrnet import Idrnet
from tests.bench.head_step import blocks, make_head, our_losses, published_loss, set_features
from tests.bench.reference_idrnet import balanced_choice, reference_step

CHANNELS = (4, 4, 6, 8)
CONFIG = IdrnetConfig(width=12, attention_width=6, auxiliary_width=5, dropout=0.0)


@pytest.mark.parametrize("classes", [5, 23])
def test_three_steps_equal_those_in_plain_loops(classes: int) -> None:
    ours = make_head(CONFIG, classes, CHANNELS, seed=classes).double()
    theirs = copy.deepcopy(ours)
    image = torch.zeros(2, 3, 128, 128, dtype=torch.float64)
    loss = published_loss()
    generator = torch.Generator().manual_seed(1)
    chosen: list[int] = []
    for step in range(3):
        target, _ = blocks(classes, min(classes, 3), 128, 16, seed=step)
        target[:, :9] = 255
        stages = [
            torch.randn(2, count, 16, 16, generator=generator, dtype=torch.float64) for count in CHANNELS
        ]
        expected = reference_step(theirs, stages, target, balanced_choice)
        total(expected.losses).backward()
        set_features(ours, stages)
        with patch.object(Idrnet, "draw", lambda *_, deleted=expected.deleted: torch.tensor(deleted)):
            losses, output = our_losses(ours, loss, image, target)
        total(losses).backward()
        with torch.no_grad():
            ours.observe(output, target, 0.01)
        assert losses.keys() == expected.losses.keys()
        for name, value in losses.items():
            torch.testing.assert_close(value, expected.losses[name], rtol=1e-9, atol=0)
        chosen += expected.deleted
    assert len(set(chosen)) > 1
    for (name, own), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(
            own.grad, other.grad, rtol=1e-5, atol=1e-7, msg=lambda text, name=name: f"{name}: {text}"
        )
    for (name, own), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        # Per-pixel losses are float32 in ours, whatever the precision of the weights.
        torch.testing.assert_close(
            own, other, rtol=1e-5, atol=1e-7, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert not torch.equal(ours.context.relations.mean, torch.eye(classes, dtype=torch.float64))
