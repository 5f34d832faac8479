"""3 x 3 convolutions with fewer multiplications, against those of torch."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models import wide_conv
from models.blocks import conv_norm_act
from models.wide_conv import WideConv, wide_convolution


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(4, 4), (7, 9), (1, 6), (12, 5)])
def test_values_and_gradients_are_those_of_a_convolution(
    size: tuple[int, int], layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 5, *size, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    weight = torch.randn(3, 5, 3, 3, dtype=torch.float64, requires_grad=True)
    found, expected = wide_convolution(values, weight), F.conv2d(values, weight, padding=1)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)
    change = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * change).sum(), (values, weight)),
        torch.autograd.grad((expected * change).sum(), (values, weight)),
    )


@pytest.mark.parametrize("by_values", [False, True])
def test_channels_by_the_few_are_those_of_a_convolution(
    by_values: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More channels than are transformed at once, and more than are multiplied at once; a rest of both."""
    monkeypatch.setattr(wide_conv, "_BYTES", 1)
    monkeypatch.setattr(wide_conv, "_LEAST_STEP", 4)
    torch.manual_seed(0)
    values = torch.randn(2, 9, 7, 9, dtype=torch.float64, requires_grad=by_values)
    weight = torch.randn(5, 9, 3, 3, dtype=torch.float64, requires_grad=True)
    found, expected = wide_convolution(values, weight), F.conv2d(values, weight, padding=1)
    torch.testing.assert_close(found, expected)
    change = torch.randn_like(expected)
    inputs = (values, weight) if by_values else (weight,)
    torch.testing.assert_close(
        torch.autograd.grad((found * change).sum(), inputs),
        torch.autograd.grad((expected * change).sum(), inputs),
    )


def test_gradients_are_those_of_differences() -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 2, 5, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(wide_convolution, (values, weight))


def test_rounding_stays_small() -> None:
    torch.manual_seed(0)
    values, weight = torch.randn(2, 64, 16, 16).relu(), WideConv(64, 32).weight.detach()
    exact = F.conv2d(values.double(), weight.double(), padding=1)
    assert (wide_convolution(values, weight) - exact).norm() < 1e-5 * exact.norm()


def test_it_is_chosen_for_training_of_wide_maps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, _, _ = conv_norm_act(512, 512)
    assert isinstance(layer, WideConv)
    calls = []
    monkeypatch.setattr(wide_conv, "wide_convolution", lambda *inputs: calls.append(inputs))
    wide, small = torch.zeros(1, 512, 64, 64), torch.zeros(1, 512, 8, 8)
    layer(wide)
    assert len(calls) == 1
    layer(small)
    with torch.no_grad():
        layer(small)
        assert not layer._gains(wide)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not layer._gains(wide)
    assert not layer._gains(wide.double())
    assert layer._gains(wide)
    assert len(calls) == 1


def test_its_state_is_that_of_a_convolution() -> None:
    theirs, ours = nn.Conv2d(4, 3, 3, padding=1, bias=False), WideConv(4, 3)
    ours.load_state_dict(theirs.state_dict())
    values = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(ours(values), theirs(values))
