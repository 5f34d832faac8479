"""3 x 3 convolutions of many channels with a quarter of the multiplications, for training on CPUs.

The two convolutions on a backbone's features are half of a head's training step. Lavin, Gray: Fast Algorithms
for Convolutional Neural Networks, CVPR 2016: 4 x 4 outputs follow from 36 products per pair of channels
instead of 144 (section 4.1), because input tiles, filters and outputs are transformed by small matrices
before and after. All of it is matrix products here, and so are both gradients, with the same saving.

Rounding grows: 3e-6 of the output's norm, where the plain convolution has 3e-7. Prediction therefore keeps
the plain one.

B batch, C channels of the input, O channels of the output, h w size of a feature map, t = ceil(h / 4) and
u = ceil(w / 4) tiles along an axis, N = B * t * u. Channels of a tile lie side by side, so that transforms
write where products read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
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
    (1.0, 0.0, 0.0, 0.0),
    (1.0, 1.0, 1.0, 1.0),
    (1.0, -1.0, 1.0, -1.0),
    (1.0, 2.0, 4.0, 8.0),
    (1.0, -2.0, 4.0, -8.0),
    (0.0, 0.0, 0.0, 1.0),
)
"""Rows give what is multiplied, in `_INPUT` from the input of a tile, here from a change of its output."""


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
    """Returns what a convolution with padding 1 returns, (B, O, h, w), channels last in memory.

    What follows, normalisations above all, is faster on channels that lie side by side.

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
        products = values.new_empty(_COUNT, _tile_count(values), len(weight))
        for some in _steps(values):
            filters = _filters(weight[:, some]).transpose(1, 2)
            products.baddbmm_(_tiles(values[:, some], _OF_INPUT), filters, beta=int(some.start > 0))
        result = values.new_empty(len(values), *values.shape[2:], len(weight)).permute(0, 3, 1, 2)
        _put_maps(products, _OF_OUTPUT, result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Returns the gradients of both arguments, as far as they are needed."""
        values, weight = ctx.saved_tensors
        of_values, of_weight = ctx.needs_input_grad
        change = _tiles(gradients[0], _OF_OUTPUT)
        by_values = torch.empty_like(values) if of_values else None
        by_weight = torch.empty_like(weight) if of_weight else None
        for some in _steps(values):
            if by_values is not None:
                _put_maps(change @ _filters(weight[:, some]), _OF_INPUT, by_values[:, some])
            if by_weight is not None:
                products = change.transpose(1, 2) @ _tiles(values[:, some], _OF_INPUT)
                filters = products.flatten(1).T @ _by_filter(weight)
                by_weight[:, some] = filters.view(len(weight), -1, *weight.shape[2:])
        return by_values, by_weight


@dataclass(frozen=True, slots=True, kw_only=True)
class _Transform:
    """From the numbers of a map to the six that are multiplied per tile and axis.

    Attributes:
        factors: six rows, one number for each that a tile reaches.
        before: numbers beyond the border that the first tile reaches.
    """

    factors: tuple[tuple[float, ...], ...]
    before: int

    @property
    def reach(self) -> int:
        """Numbers of a map that a tile reaches along an axis."""
        return len(self.factors[0])

    def matrix(self, like: Tensor) -> Tensor:
        """Returns (6, reach), for one tile."""
        return torch.tensor(self.factors, dtype=like.dtype)


_OF_INPUT = _Transform(factors=_INPUT, before=1)
_OF_OUTPUT = _Transform(factors=_OUTPUT, before=0)


def _steps(values: Tensor) -> Iterator[slice]:
    """Cuts the channels of (B, C, h, w) into pieces of a power of two, whose tiles take `_BYTES` at most."""
    channel = _COUNT * _tile_count(values) * values.element_size()
    step = max(_LEAST_STEP, 1 << (max(1, _BYTES // channel).bit_length() - 1))
    for start in range(0, values.shape[1], step):
        yield slice(start, min(values.shape[1], start + step))


def _along(length: int) -> int:
    return -(-length // _EDGE)


def _tile_count(values: Tensor) -> int:
    batch, _, height, width = values.shape
    return batch * _along(height) * _along(width)


def _tiles(values: Tensor, transform: _Transform) -> Tensor:
    """Returns (36, N, C), what a transform makes of (B, C, h, w)."""
    batch, channels, height, width = values.shape
    tall, wide = _along(height), _along(width)
    down, across = transform.matrix(values), _across(transform, width, values.dtype)
    across = across.expand(height, -1, -1)
    tiles = values.new_empty(_REACH, _REACH, batch, tall, wide * channels)
    lines = values.new_empty(_EDGE * (tall - 1) + transform.reach, _REACH * wide, channels)
    known = lines[transform.before : transform.before + height]
    lines[: transform.before].zero_()
    lines[transform.before + height :].zero_()
    for image in range(batch):
        torch.bmm(across, values[image].permute(1, 2, 0), out=known)
        for row, part in _rows(lines, transform):
            for lines_of, tiles_of in zip(part.unbind(1), tiles[:, :, image, row].unbind(1), strict=True):
                torch.mm(down, lines_of, out=tiles_of)
    return tiles.view(_COUNT, -1, channels)


def _put_maps(tiles: Tensor, transform: _Transform, result: Tensor) -> None:
    """Puts what the transposed transform makes of (36, N, C) into (B, C, h, w) of any memory format."""
    batch, channels, height, width = result.shape
    tall, wide = _along(height), _along(width)
    down, across = transform.matrix(tiles).T, _across(transform, width, tiles.dtype)
    across = across.expand(height, -1, -1)
    tiles = tiles.view(_REACH, _REACH, batch, tall, wide * channels)
    lines = tiles.new_empty(_EDGE * (tall - 1) + transform.reach, _REACH * wide, channels)
    known = lines[transform.before : transform.before + height]
    for image in range(batch):
        lines.zero_()
        for row, part in _rows(lines, transform):
            for lines_of, tiles_of in zip(part.unbind(1), tiles[:, :, image, row].unbind(1), strict=True):
                lines_of.addmm_(down, tiles_of)
        by_place = result[image].permute(1, 2, 0)
        if by_place.is_contiguous():
            torch.bmm(across.transpose(1, 2), known, out=by_place)
        else:
            by_place.copy_(torch.bmm(known.transpose(1, 2), across).transpose(1, 2))


def _rows(lines: Tensor, transform: _Transform) -> Iterator[tuple[int, Tensor]]:
    """Yields the rows of tiles of lines (h', 6u, C), and the lines each reaches, (reach, 6, u * C)."""
    lines = lines.view(len(lines), _REACH, -1)
    for row, start in enumerate(range(0, len(lines) - transform.reach + 1, _EDGE)):
        yield row, lines[start : start + transform.reach]


def _filters(weight: Tensor) -> Tensor:
    """Returns (36, O, C) of (O, C, 3, 3)."""
    filters = _by_filter(weight) @ weight.reshape(-1, _by_filter(weight).shape[1]).T
    return filters.view(_COUNT, *weight.shape[:2])


def _by_filter(like: Tensor) -> Tensor:
    """Returns (36, 9): both axes of a filter at once, in the precision of `like`."""
    matrix = torch.tensor(_FILTER, dtype=torch.float64)
    return torch.kron(matrix, matrix).to(like.dtype)


@lru_cache(maxsize=32)
def _across(transform: _Transform, length: int, dtype: torch.dtype) -> Tensor:
    """Returns (6u, length): the transform of all tiles along an axis; the six of a tile are u rows apart."""
    tiles = _along(length)
    matrix = torch.zeros(_REACH, tiles, _EDGE * (tiles - 1) + transform.reach, dtype=dtype)
    for tile in range(tiles):
        start = _EDGE * tile
        matrix[:, tile, start : start + transform.reach] = torch.tensor(transform.factors, dtype=dtype)
    # What is beyond the border is 0.
    inside = matrix.flatten(0, 1)[:, transform.before : transform.before + length]
    return inside.contiguous()
