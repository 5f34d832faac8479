"""Normalisation over several processes; here a group of one, which must equal no group at all."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from models.blocks import BatchNorm, unmoved
from models.processes import apart, are_several, gathered, own, process_count, summed
from tests.support.group import group_of_one


@pytest.fixture
def group() -> Iterator[None]:
    with group_of_one():
        yield


def _values(seed: int = 0) -> torch.Tensor:
    # A mean far above the deviation: squares of the values would lose the variance.
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 5, 6, generator=generator) + torch.tensor([0.0, 50.0, -300.0])[:, None, None]


def test_values_gradients_and_statistics_equal_torch_s(group: None) -> None:
    ours, torch_s = BatchNorm(3), nn.BatchNorm2d(3)
    for layer in (ours, torch_s):
        nn.init.uniform_(layer.weight, generator=torch.Generator().manual_seed(1))
        nn.init.uniform_(layer.bias, generator=torch.Generator().manual_seed(2))
    upstream = torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(3))
    inputs = [_values().requires_grad_() for _ in range(2)]
    for layer, values in zip((ours, torch_s), inputs, strict=True):
        (layer(values) * upstream).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-3, atol=1e-4)
    for name in ("weight", "bias"):
        mine, theirs = getattr(ours, name).grad, getattr(torch_s, name).grad
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)
    assert ours.state_dict().keys() == torch_s.state_dict().keys()
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, torch_s.state_dict()[name])


def test_sixteen_bits_stay_sixteen_bits(group: None) -> None:
    assert BatchNorm(3)(_values().bfloat16()).dtype is torch.bfloat16


def test_statistics_stay_where_they_are_when_asked(group: None) -> None:
    layer = BatchNorm(3)
    with unmoved(layer):
        layer(_values())
    torch.testing.assert_close(layer.running_mean, torch.zeros(3))


def test_one_value_per_channel_survives(group: None) -> None:
    assert BatchNorm(3)(torch.ones(1, 3, 1, 1)).isfinite().all()


def test_apart_a_process_is_alone(group: None) -> None:
    assert are_several()
    values = torch.arange(4.0)
    torch.testing.assert_close(gathered(values), values)
    torch.testing.assert_close(own(gathered(values)), values)
    torch.testing.assert_close(summed(values.clone()), values)
    with apart():
        assert not are_several()
        assert process_count() == 1
    assert are_several()
