"""Cross-entropy of logits that are smaller than the target, without enlarging them as a whole.

Enlarged logits of many classes are the largest tensors of a training step: written, read and kept for the
backward pass several times over. Here they are made band by band, and the gradient with respect to the small
logits is summed up in the same sweep, so that no more than a band ever exists. On CPUs a band is small enough
to stay in the cache from its first operation to its last. Values and gradients are those of bilinear
enlargement (half-pixel centres) followed by cross-entropy, up to rounding.

B batch, K classes, H W size of the target, h w size of the logits. Inside, rows come first: (h, B, K, w).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import floor
from typing import Any

import torch
from torch import Tensor

from models.enlarged import weights_along
from models.precision import as_given

_BAND_BYTES = {"cpu": 3 * 2**18}
_ELSEWHERE = 256 * 2**20
_LEAST_EXPONENT = -60.0
_NEAR = -48.0


class _WeightedSum(torch.autograd.Function):
    """Sum over pixels of weight times cross-entropy; the gradient is computed with it."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what `enlarged_sum` returns, but at all pixels."""
        found = torch.zeros_like(logits)
        each = logits.new_empty(target.shape)
        for strip in _strips(logits, target):
            counts = strip.part(weights).to(logits.dtype)[:, :, None]
            gradient = torch.zeros_like(strip.wide)
            by_cell = gradient.flatten(1)
            weighed = zip(strip.cut(counts), strip.cut(-counts), strict=True)
            for band, (count, less) in zip(strip.bands(each), weighed, strict=True):
                change = band.parts.mul_(count / band.whole).scatter_add_(2, band.places, less)
                by_cell[band.slope.cells].addmm_(band.slope.turned, change.flatten(1))
            found[strip.images, ..., strip.cells] += (gradient @ strip.across).permute(1, 2, 0, 3)
        ctx.save_for_backward(found)
        ctx.mark_non_differentiable(each)
        return (each * weights.to(each.dtype)).sum(), each

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        """Scales what `forward` found."""
        (found,) = ctx.saved_tensors
        return gradients[0] * found, None, None


class _Reach(Enum):
    """How far below 0 logits reach, none of which is above."""

    NEAR = auto()
    """Not far: neither an exponential nor a sum of them at a pixel comes near to underflow."""
    SOME_FAR = auto()
    """Some classes are so far off everywhere that their exponentials would."""
    ANY = auto()
    """Nothing is known, not even that none is above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slope:
    """How rows of cells make the rows of a band.

    Attributes:
        cells: which rows of the small logits.
        shares: (rows, cells) weights.
        turned: the same, (cells, rows).
    """

    cells: slice
    shares: Tensor
    turned: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Band:
    """Some rows of a strip.

    Attributes:
        slope: from cells to these rows.
        parts: (rows, images, K, columns) exponentials; the next band is made in their place.
        whole: (rows, images, 1, columns), their sums.
        places: (rows, images, 1, columns) int64, the target.
    """

    slope: _Slope
    parts: Tensor
    whole: Tensor
    places: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strip:
    """Some columns of some images.

    Attributes:
        images: which.
        columns: of the target.
        cells: columns of the small logits that make them.
        across: (columns, cells) weights.
        slopes: of its bands, from the top.
        wide: (h, images, K, columns) logits, enlarged along the rows.
        target: (H, images, columns) int64, any class where nothing is known.
        reach: of the logits.
    """

    images: slice
    columns: slice
    cells: slice
    across: Tensor
    slopes: Sequence[_Slope]
    wide: Tensor
    target: Tensor
    reach: _Reach

    def part(self, values: Tensor) -> Tensor:
        """Returns (H, images, columns) of (B, H, W)."""
        return values[self.images, :, self.columns].transpose(0, 1)

    def cut(self, values: Tensor) -> tuple[Tensor, ...]:
        """Cuts (H, ...) into what belongs to the bands."""
        parts: tuple[Tensor, ...] = values.split([len(slope.shares) for slope in self.slopes])
        return parts

    def bands(self, losses: Tensor) -> Iterator[_Band]:
        """Yields bands, all made in the same place, which is in the cache.

        A band is so small that every call counts: what can be done for the whole strip, is.

        Args:
            losses: (B, H, W), where cross-entropies are left once the last band has been taken.
        """
        wide, target = self.wide.flatten(1), self.target[:, :, None]
        whole = wide.new_empty(target.shape)
        chosen = torch.empty_like(whole)
        flat = wide.new_empty(max(len(slope.shares) for slope in self.slopes), wide.shape[1])
        shaped = flat.view(-1, *self.wide.shape[1:])
        for slope, *numbers in zip(self.slopes, *map(self.cut, (target, whole, chosen)), strict=True):
            rows, (places, sums, known) = len(slope.shares), numbers
            torch.mm(slope.shares, wide[slope.cells], out=flat[:rows])
            parts = shaped[:rows]
            torch.gather(parts, 2, places, out=known)
            _exponentials(parts, known, self.reach)
            torch.sum(parts, 2, keepdim=True, out=sums)
            yield _Band(slope=slope, parts=parts, whole=sums, places=places)
        self.part(losses).copy_(whole.log_().sub_(chosen)[:, :, 0])


def _strips(logits: Tensor, target: Tensor) -> Iterator[_Strip]:
    """Yields images and columns so few that the rows between two cells make one band.

    Args:
        logits: (B, K, h, w).
        target: (B, H, W) int64, 0..K-1; other values where nothing is known.
    """
    (batch, classes, height, width), size = logits.shape, target.shape[1:]
    known = torch.where(target < classes, target, 0)
    down, across = weights_along(size[0], height, logits), weights_along(size[1], width, logits)
    least = -(-size[0] // height)
    logits, reach = _settled(logits)
    budget = _ELSEWHERE if torch.compiler.is_compiling() else _BAND_BYTES.get(logits.device.type, _ELSEWHERE)
    pixels = max(1, budget // (classes * logits.element_size()))
    columns = max(1, min(size[1], pixels // least))
    images = max(1, min(batch, pixels // (least * columns)))
    for some in _pieces(batch, images):
        rows_first = logits[some].permute(2, 0, 1, 3)
        for few in _pieces(size[1], columns):
            cells = _cells(few, size[1], width)
            shares = across[few, cells]
            wide = rows_first[..., cells] @ shares.T
            yield _Strip(
                images=some,
                columns=few,
                cells=cells,
                across=shares,
                slopes=_slopes(down, max(1, pixels // (wide.shape[1] * wide.shape[3]))),
                wide=wide,
                target=known[some, :, few].transpose(0, 1),
                reach=reach,
            )


def _slopes(down: Tensor, height: int) -> list[_Slope]:
    """Cuts the rows that (H, h) weights make into bands of at most `height`."""
    slopes = []
    for rows in _pieces(len(down), height):
        cells = _cells(rows, *down.shape)
        shares = down[rows, cells]
        slopes.append(_Slope(cells=cells, shares=shares, turned=shares.T))
    return slopes


def _settled(logits: Tensor) -> tuple[Tensor, _Reach]:
    """Moves the logits of every cell so that pixels need not look for the highest of theirs, where it can be.

    Enlargement is linear and softmax does not see what all classes have in common: what a cell's logits are
    moved by moves the pixels' probabilities not at all. One cell makes a quarter or more of a pixel; the
    class highest there has 3/4 of `_NEAR` or more at the pixel, if it is nowhere below `_NEAR`.

    Returns:
        (B, K, h, w) and how far they reach; where they reach too far, and away from CPUs, where to look would
        be to wait for the device, the logits as they are.
    """
    if logits.device.type != "cpu" or torch.compiler.is_compiling():
        return logits, _Reach.ANY
    moved = logits - logits.amax(dim=1, keepdim=True)
    is_near = moved.amin(dim=(2, 3)) >= _NEAR
    is_far = moved.amax(dim=(2, 3)) <= _LEAST_EXPONENT
    if bool(is_near.all()):
        return moved, _Reach.NEAR
    return (moved, _Reach.SOME_FAR) if bool((is_near | is_far).all()) else (logits, _Reach.ANY)


def _pieces(length: int, most: int) -> Iterator[slice]:
    """Cuts an axis into pieces of about equal length, none longer than `most`."""
    count = -(-length // most)
    for piece in range(count):
        yield slice(piece * length // count, (piece + 1) * length // count)


def _cells(pixels: slice, length: int, cells: int) -> slice:
    """Returns the cells from which some pixels of an axis are made."""
    first, last = ((pixel + 0.5) * cells / length - 0.5 for pixel in (pixels.start, pixels.stop - 1))
    # A centre right on a cell may fall to either side of it once it is rounded to float32.
    return slice(max(0, floor(first - 1e-3)), min(cells, floor(last + 1e-3) + 2))


def _exponentials(logits: Tensor, chosen: Tensor, reach: _Reach) -> None:
    """Turns logits into exponentials; what all of a pixel are divided by is taken off those chosen, too.

    Args:
        logits: (rows, images, K, columns), overwritten.
        chosen: (rows, images, 1, columns), the target's, overwritten.
        reach: of the logits.
    """
    if reach is _Reach.ANY:
        highest = logits.amax(dim=2, keepdim=True)
        chosen.sub_(highest)
        logits.sub_(highest)
    if reach is not _Reach.NEAR:
        # Numbers that underflow are ten times slower to reckon with, and a gradient is such an exponential by
        # the number of pixels; as small as this they count for nothing.
        logits.clamp_(min=_LEAST_EXPONENT)
    logits.exp_()


def enlarged_sum(logits: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sums weight times cross-entropy over pixels.

    Args:
        logits: (B, K, h, w) float32 or float64, enlarged to the target in effect.
        target: (B, H, W) int64, 0..K-1; other values where `weights` is 0.
        weights: (B, H, W) floating point or bool, 0 where nothing is known.

    Returns:
        The sum, a scalar, and the cross-entropy of every pixel, (B, H, W) without gradient and 0 where
        nothing is known.
    """
    with as_given(logits):
        total: Tensor
        each: Tensor
        total, each = _WeightedSum.apply(logits, target, weights)
        return total, each * (target < logits.shape[1])


@torch.no_grad()
def enlarged_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the cross-entropy of every pixel, (B, H, W), without gradient; 0 where nothing is known.

    Args:
        logits: (B, K, h, w) float of any precision, computed in float32 at least.
        target: (B, H, W) int64, 0..K-1; other values where nothing is known.
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    with as_given(logits):
        found = logits.new_empty(target.shape)
        for strip in _strips(logits, target):
            for _ in strip.bands(found):
                pass
        return found * (target < logits.shape[1])
