"""1 x 1 convolutions as matrix products.

On CPUs, torch convolves 1 x 1 by a path that copies, fills and multiplies image by image, forward and twice
backward; one product of matrices says the same and costs up to several times less. Elsewhere, and where
numbers are shorter than float32, the convolution is left to the kernels made for it.

B batch, C channels of the input, O channels of the output, h w size of a feature map, P = h * w.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PointConv(nn.Conv2d):
    """`nn.Conv2d` of 1 x 1 with stride 1, with the same names in the state dict."""

    def __init__(self, channels: int, width: int, *, bias: bool = True) -> None:
        super().__init__(channels, width, 1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of the overridden method
        """Maps (B, C, h, w) to (B, O, h, w)."""
        return pointwise(input, self.weight, self.bias)


def pointwise(
    values: Tensor, weight: Tensor, bias: Tensor | None = None, factors: Tensor | None = None
) -> Tensor:
    """Returns what a 1 x 1 convolution returns, (B, O, h, w) in the memory format of `values`.

    Args:
        values: (B, C, h, w) floating point.
        weight: (O, C, 1, 1).
        bias: (O,), or None.
        factors: (B, C, 1, 1), by which channels of each image are multiplied before; None for 1. Products
            take them into the weights, so that no second map of C channels is made and kept; their result is
            contiguous.
    """
    if not _by_products(values):
        return F.conv2d(values if factors is None else values * factors, weight, bias)
    matrix = weight.flatten(1)
    is_last = not values.is_contiguous() and values.is_contiguous(memory_format=torch.channels_last)
    if is_last and factors is None:
        return F.linear(values.permute(0, 2, 3, 1), matrix, bias).permute(0, 3, 1, 2)
    # Expanded by hand: left to itself, torch.matmul would copy the features to turn them over.
    matrices = matrix.expand(len(values), -1, -1) if factors is None else matrix * factors[:, None, :, 0, 0]
    if is_last:
        # With pixels as its rows, so that their gradient has channels last too: what a ReLU before does with
        # a gradient that lies otherwise takes eight times as long.
        pixels, turned = values.permute(0, 2, 3, 1).flatten(1, 2), matrices.transpose(1, 2)
        product = pixels @ turned if bias is None else torch.baddbmm(bias, pixels, turned)
        product = product.transpose(1, 2).contiguous()
    else:
        pixels = values.flatten(2)
        product = matrices @ pixels if bias is None else torch.baddbmm(bias[:, None], matrices, pixels)
    result: Tensor = product.unflatten(2, values.shape[2:])
    return result


def _by_products(values: Tensor) -> bool:
    exact = values.dtype in (torch.float32, torch.float64)
    return values.device.type == "cpu" and exact and not torch.is_autocast_enabled("cpu")
