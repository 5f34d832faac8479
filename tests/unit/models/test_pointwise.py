"""1 x 1 convolutions as matrix products, against those of torch."""

import pytest
import torch
import torch.nn.functional as F

from models.pointwise import PointConv, pointwise


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("has_bias", [False, True])
def test_values_and_gradients_are_those_of_a_convolution(layout: torch.memory_format, has_bias: bool) -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 5, 3, 4, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    weight = torch.randn(6, 10, 1, 1, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(6, dtype=torch.float64, requires_grad=True) if has_bias else None
    leaves = [leaf for leaf in (values, weight, bias) if leaf is not None]
    part = weight[:, 3:8]
    found, expected = pointwise(values, part, bias), F.conv2d(values, part, bias)
    assert found.is_contiguous(memory_format=layout)
    torch.testing.assert_close(found, expected)
    change = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * change).sum(), leaves),
        torch.autograd.grad((expected * change).sum(), leaves),
    )


def test_short_numbers_stay_short() -> None:
    layer, values = PointConv(4, 3), torch.randn(1, 4, 2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(values).dtype == torch.bfloat16
    assert layer.bfloat16()(values.bfloat16()).dtype == torch.bfloat16


def test_its_state_is_that_of_a_convolution() -> None:
    theirs = torch.nn.Conv2d(4, 3, 1)
    ours = PointConv(4, 3)
    ours.load_state_dict(theirs.state_dict())
    values = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(ours(values), theirs(values))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("has_bias", [False, True])
def test_channels_of_an_image_are_multiplied_in_the_weights(
    layout: torch.memory_format, has_bias: bool
) -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 5, 3, 4, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    weight = torch.randn(6, 5, 1, 1, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(6, dtype=torch.float64, requires_grad=True) if has_bias else None
    factors = torch.rand(2, 5, 1, 1, dtype=torch.float64)
    leaves = [leaf for leaf in (values, weight, bias) if leaf is not None]
    found, expected = pointwise(values, weight, bias, factors), F.conv2d(values * factors, weight, bias)
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected)
    change = torch.randn_like(expected)
    (by_values,) = torch.autograd.grad((found * change).sum(), values, retain_graph=True)
    assert by_values.is_contiguous(memory_format=layout)
    torch.testing.assert_close(
        torch.autograd.grad((found * change).sum(), leaves),
        torch.autograd.grad((expected * change).sum(), leaves),
    )
