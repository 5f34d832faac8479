"""3 x 3 convolutions of many channels with a quarter of the multiplications, for training on CPUs.

The two convolutions on a backbone's features are half of a head's training step. Lavin, Gray: Fast Algorithms
for Convolutional Neural Networks, CVPR 2016: 4 x 4 outputs follow from 36 products per pair of channels
instead of 144 (section 4.1), because input tiles, filters and outputs are transformed by small matrices
before and after. All of it is matrix products here, and so are both gradients, with the same saving.

Rounding grows: 3e-6 of the output's norm, where the plain convolution has 3e-7. Prediction therefore keeps
the plain one.

B batch, C channels of the input, O channels of the output, h w size of a feature map, t = ceil(h / 4) and
u = ceil(w / 4) tiles along an axis.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_EDGE, _REACH = 4, 6
"""Edge of a tile's output, and of the input it depends on."""
_COUNT = _REACH * _REACH
_BYTES = 20 * 2**20
"""Of the tiles made at once; beyond 32 MiB, the C library fetches memory from the system anew each time."""
_LEAST_STEP = 64
"""Channels; products of fewer are slow."""
_CACHED = 2**20
"""Bytes of the tiles that are transformed at once."""
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
    result: Tensor = _WideConvolution.apply(values, weight)
    return result


class _WideConvolution(torch.autograd.Function):
    """Some channels of the input at a time.

    Tiles hold more than twice as many numbers as what they are made of. A few channels' are made in memory
    that the last few have left, and made once more for the backward pass, which costs less than fetching
    memory for all of them and keeping them.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor) -> Tensor:
        """Arguments and result as in `wide_convolution`."""
        ctx.save_for_backward(values, weight)
        (to_rows, from_rows), (to_columns, from_columns) = _of_axes(values)
        products = values.new_empty(_COUNT, len(weight), _tile_count(values))
        for some in _steps(values):
            tiles = _tiles(values[:, some], to_rows, to_columns)
            products.baddbmm_(_filters(weight[:, some]), tiles, beta=int(some.start > 0))
        result = values.new_empty(len(values), len(weight), *values.shape[2:])
        _put_maps(products, from_rows, from_columns, result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Returns the gradients of both arguments, as far as they are needed."""
        values, weight = ctx.saved_tensors
        of_values, of_weight = ctx.needs_input_grad
        (to_rows, from_rows), (to_columns, from_columns) = _of_axes(values)
        change = _tiles(gradients[0], from_rows.T, from_columns.T)
        by_values = torch.empty_like(values) if of_values else None
        by_weight = torch.empty_like(weight) if of_weight else None
        for some in _steps(values):
            if by_values is not None:
                tiles = _filters(weight[:, some]).transpose(1, 2) @ change
                _put_maps(tiles, to_rows.T, to_columns.T, by_values[:, some])
            if by_weight is not None:
                tiles = _tiles(values[:, some], to_rows, to_columns)
                filters = (change @ tiles.transpose(1, 2)).flatten(1).T @ _by_filter(weight)
                by_weight[:, some] = filters.view(len(weight), -1, *weight.shape[2:])
        return by_values, by_weight


def _steps(values: Tensor) -> Iterator[slice]:
    """Cuts the channels of (B, C, h, w) into pieces of a power of two, whose tiles take `_BYTES` at most."""
    channel = _COUNT * _tile_count(values) * values.element_size()
    step = max(_LEAST_STEP, 1 << (max(1, _BYTES // channel).bit_length() - 1))
    return _pieces(values.shape[1], step)


def _pieces(length: int, step: int) -> Iterator[slice]:
    for start in range(0, length, step):
        yield slice(start, min(length, start + step))


def _tile_count(values: Tensor) -> int:
    batch, _, height, width = values.shape
    return batch * -(-height // _EDGE) * -(-width // _EDGE)


def _tiles(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Returns (36, C, B * t * u) of (B, C, h, w), transformed by (6t, h) and (6u, w) matrices."""
    tall, wide = len(rows) // _REACH, len(columns) // _REACH
    shape = (_REACH, _REACH, values.shape[1], len(values), tall, wide)
    result = values.new_empty(shape)
    for image, some in _cached(result):
        maps = _transformed(values[image, some], rows, columns)
        part = maps.view(-1, _REACH, tall, _REACH, wide).permute(1, 3, 0, 2, 4)
        result[:, :, some, image] = part
    return result.view(_COUNT, values.shape[1], -1)


def _put_maps(tiles: Tensor, rows: Tensor, columns: Tensor, result: Tensor) -> None:
    """Puts what (36, C, B * t * u) becomes by (h, 6t) and (w, 6u) matrices into (B, C, h, w)."""
    tall, wide = rows.shape[1] // _REACH, columns.shape[1] // _REACH
    tiles = tiles.view(_REACH, _REACH, result.shape[1], len(result), tall, wide)
    for image, some in _cached(tiles):
        part = tiles[:, :, some, image].permute(2, 0, 3, 1, 4)
        part = part.reshape(-1, _REACH * tall, _REACH * wide)
        result[image, some] = _transformed(part, rows, columns)


def _cached(tiles: Tensor) -> Iterator[tuple[int, slice]]:
    """Yields images and channels of (6, 6, C, B, t, u) so few that they stay in the cache."""
    channel = _COUNT * tiles.shape[4] * tiles.shape[5] * tiles.element_size()
    for image in range(tiles.shape[3]):
        for some in _pieces(tiles.shape[2], max(1, _CACHED // channel)):
            yield image, some


def _transformed(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Returns (C, h', w') of (C, h, w), by (h', h) and (w', w) matrices."""
    # Expanded by hand: left to itself, torch.matmul would copy the maps to turn them over.
    return torch.bmm(rows.expand(len(maps), -1, -1), maps @ columns.T)


def _filters(weight: Tensor) -> Tensor:
    """Returns (36, O, C) of (O, C, 3, 3)."""
    filters = _by_filter(weight) @ weight.reshape(-1, _by_filter(weight).shape[1]).T
    return filters.view(_COUNT, *weight.shape[:2])


def _by_filter(like: Tensor) -> Tensor:
    """Returns (36, 9): both axes of a filter at once, in the precision of `like`."""
    matrix = torch.tensor(_FILTER, dtype=torch.float64)
    return torch.kron(matrix, matrix).to(like.dtype)


def _of_axes(values: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Returns the transforms to tiles and from tiles of the rows, and of the columns, of (B, C, h, w)."""
    return _transforms(values.shape[2], values.dtype), _transforms(values.shape[3], values.dtype)


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
