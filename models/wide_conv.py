"""3 x 3 convolutions of many channels with a quarter of the multiplications, for training on CPUs.

The two convolutions on a backbone's features are half of a head's training step. Lavin, Gray: Fast Algorithms
for Convolutional Neural Networks, CVPR 2016: 4 x 4 outputs follow from 36 products per pair of channels
instead of 144 (section 4.1), because input tiles, filters and outputs are transformed by small matrices
before and after. All of it is matrix products here, so that autograd derives both gradients by itself, and
with the same saving.

Rounding grows: 3e-6 of the output's norm, where the plain convolution has 3e-7. Prediction therefore keeps
the plain one, which is as fast there: only the backward pass gains, from what forward has transformed.

B batch, C channels of the input, O channels of the output, h w size of a feature map, t = ceil(h / 4) and
u = ceil(w / 4) tiles along an axis.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

_EDGE, _REACH = 4, 6
"""Edge of a tile's output, and of the input it depends on."""
_LEAST_CHANNELS = 512
_LEAST_TILES = 256
"""Below, the transforms cost what the products save."""

_INPUT = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
_FILTER = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
_OUTPUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


class WideConv(nn.Conv2d):
    """`nn.Conv2d` of 3 x 3 with stride 1, padding 1 and no bias, with the same names in the state dict."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, width, 3, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of the overridden method
        """Maps (B, C, h, w) to (B, O, h, w)."""
        if self._gains(input):
            return wide_convolution(input, self.weight)
        return super().forward(input)

    def _gains(self, values: Tensor) -> bool:
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        exact = values.dtype is torch.float32 and not torch.is_autocast_enabled("cpu")
        if values.device.type != "cpu" or not learns or not exact or torch.compiler.is_compiling():
            return False
        batch, channels, height, width = values.shape
        tiles = batch * -(-height // _EDGE) * -(-width // _EDGE)
        return min(channels, self.out_channels) >= _LEAST_CHANNELS and tiles >= _LEAST_TILES


def wide_convolution(values: Tensor, weight: Tensor) -> Tensor:
    """Returns what a convolution with padding 1 returns, (B, O, h, w), contiguous.

    Args:
        values: (B, C, h, w) floating point.
        weight: (O, C, 3, 3).
    """
    batch, channels, height, width = values.shape
    outputs, count = len(weight), _REACH * _REACH
    (down, up), (right, left) = (_transforms(length, values.dtype) for length in (height, width))
    rows, columns = len(down) // _REACH, len(right) // _REACH

    # Expanded by hand: left to itself, torch.matmul would copy the features to turn them over.
    wide = (values @ right.T).flatten(0, 1)
    tiles = torch.bmm(down.expand(len(wide), -1, -1), wide)
    tiles = tiles.view(batch, channels, _REACH, rows, _REACH, columns)
    tiles = tiles.permute(2, 4, 1, 0, 3, 5).reshape(count, channels, batch * rows * columns)

    by_filter = torch.tensor(_FILTER, dtype=torch.float64)
    by_filter = torch.kron(by_filter, by_filter).to(values.dtype)
    filters = (by_filter @ weight.reshape(outputs * channels, 9).T).view(count, outputs, channels)

    products = torch.bmm(filters, tiles).view(_REACH, _REACH, outputs, batch, rows, columns)
    products = products.permute(3, 2, 0, 4, 1, 5).reshape(batch * outputs, _REACH * rows, _REACH * columns)
    result = torch.bmm(up.expand(len(products), -1, -1), products) @ left.T
    return result.view(batch, outputs, height, width)


@lru_cache(maxsize=32)
def _transforms(length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Returns what makes tiles along one axis, (6t, length), and what makes outputs of them, (length, 6t)."""
    tiles = -(-length // _EDGE)
    to_tiles = torch.zeros(_REACH, tiles, _EDGE * tiles + 2, dtype=dtype)
    to_outputs = torch.zeros(_EDGE * tiles, _REACH, tiles, dtype=dtype)
    for tile in range(tiles):
        start = _EDGE * tile
        to_tiles[:, tile, start : start + _REACH] = torch.tensor(_INPUT, dtype=dtype)
        to_outputs[start : start + _EDGE, :, tile] = torch.tensor(_OUTPUT, dtype=dtype)
    # The first input is the padding, which is 0, and so is all beyond the last.
    inside = to_tiles.flatten(0, 1)[:, 1 : length + 1].contiguous()
    return inside, to_outputs.flatten(1)[:length].contiguous()
