"""From features to a label map of the image: probabilities on the grid, enlarged, in parts.

H W size of the image, h w cells of its grid, K classes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.opencv import cv2
from engine.quick.features import LIGHTNESS, FeatureGrid, working_size
from engine.quick.head import Readout
from engine.quick.joint import Opinion
from engine.quick.samples import Cells

_STRIP_CELLS = 2**16
"""Cells predicted at once: about a tenth of a second."""
_RADIUS, _EDGE = 8, 0.05
"""Half a window of smoothing in cells, and the variance of lightness that counts as an edge."""
_HALO = 2 * _RADIUS + 1

_T = TypeVar("_T", np.uint8, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What the quick model sees in a box.

    Attributes:
        box: Part of the image.
        label_map: (h, w) uint8 permanent class indices of the box, read-only.
        confidence: (h, w) float32 largest probability, in [0, 1], read-only.
        complete: Whether this is the last part.
    """

    box: Box
    label_map: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    complete: bool


def parts(
    grid: FeatureGrid, readout: Readout, visible: Box | None, said: Cells | None = None
) -> Iterator[Part]:
    """Yield an image in bands of rows, those on screen first.

    Args:
        grid: Features of the image.
        readout: The model.
        visible: Box on screen, or None.
        said: Labelled cells of this image that stand as they are, and draw what is like them around them.
    """
    bands = _bands(grid, visible)
    seeds = None if said is None else _seeds(grid, readout, said)
    rows = _Rows(grid, readout, seeds)
    for number, (top, bottom) in enumerate(bands):
        yield _band(rows, (top, bottom), complete=number == len(bands) - 1)


def opinion(grid: FeatureGrid, readout: Readout, said: Cells | None = None) -> Opinion:
    """Return what the model says of an image, for others to take into account. Arguments as `parts`."""
    seeds = None if said is None else _seeds(grid, readout, said)
    chances = _Rows(grid, readout, seeds).smooth(0, grid.cells[0])
    return Opinion.of(readout.classes, chances, grid.size, readout.expected)


def _seeds(grid: FeatureGrid, readout: Readout, said: Cells) -> NDArray[np.int16]:
    """Return (h, w) int16: the channel of every labelled cell, -1 elsewhere."""
    channel_of = np.full(256, -1, np.int16)
    channel_of[readout.classes] = np.arange(len(readout.classes))
    seeds = np.full(grid.cells, -1, np.int16)
    seeds.reshape(-1)[said.places] = channel_of[said.labels]
    return seeds


def _bands(grid: FeatureGrid, visible: Box | None) -> list[tuple[int, int]]:
    """Return rows of cells, from and to, of every band."""
    height, width = grid.cells
    count = max(1, math.ceil(height * width / _STRIP_CELLS))
    edges = [round(number * height / count) for number in range(count + 1)]
    bands = [(top, bottom) for top, bottom in itertools.pairwise(edges) if bottom > top]
    if visible is None:
        return bands
    middle = (visible.top + visible.bottom) / 2 / grid.size[0] * height
    return sorted(bands, key=lambda band: abs((band[0] + band[1]) / 2 - middle))


class _Rows:
    """Probabilities of an image's cells, worked out once for each row although bands reach into each other.

    Args:
        grid: Features of the image.
        readout: The model.
        seeds: (h, w) int16 channels of cells that are certain, -1 elsewhere, or None.
    """

    def __init__(self, grid: FeatureGrid, readout: Readout, seeds: NDArray[np.int16] | None) -> None:
        self.grid = grid
        self.readout = readout
        self._seeds = seeds
        self._known = np.zeros(grid.cells[0], np.bool_)
        self._probabilities = np.empty((len(readout.classes), *grid.cells), np.float32)

    def smooth(self, first: int, last: int) -> NDArray[np.float32]:
        """Return (K, last - first, w) float32 smoothed probabilities."""
        self._learn(first, last)
        light = self.grid.values[first:last, :, LIGHTNESS].astype(np.float32)
        smooth = _smoothed(self._probabilities[:, first:last], light)
        if self._seeds is not None:
            _sow(smooth, self._seeds[first:last])
        return smooth

    def _learn(self, first: int, last: int) -> None:
        """Work out rows that are not known yet: at most what is above and what is below the known ones."""
        new = np.flatnonzero(~self._known[first:last]) + first
        for run in np.split(new, np.flatnonzero(np.diff(new) > 1) + 1):
            if not len(run):
                continue
            top, bottom = int(run[0]), int(run[-1]) + 1
            self._probabilities[:, top:bottom] = self.readout.over(self.grid, top, bottom)
            if self._seeds is not None:
                _sow(self._probabilities[:, top:bottom], self._seeds[top:bottom])
            self._known[top:bottom] = True


def _band(rows: _Rows, rows_of_cells: tuple[int, int], *, complete: bool) -> Part:
    grid = rows.grid
    top, bottom = rows_of_cells
    height = grid.cells[0]
    # More rows on both sides: cells are smoothed with their neighbours, so that bands fit together.
    first, last = max(0, top - _HALO), min(height, bottom + _HALO)
    working = working_size(grid.size)
    start, end = _pixels(top, height, working[0]), _pixels(bottom, height, working[0])
    channel, confidence = _enlarged(rows.smooth(first, last), first, (start, end), working, grid.cells)
    box = Box(_pixels(top, height, grid.size[0]), 0, _pixels(bottom, height, grid.size[0]), grid.size[1])
    label_map = rows.readout.classes[channel]
    if working != grid.size:
        places = np.arange(box.top, box.bottom) * working[0] // grid.size[0] - start
        places = np.clip(places, 0, end - start - 1)
        label_map = _repeated(label_map, places, grid.size[1])
        confidence = _repeated(confidence, places, grid.size[1])
    label_map.setflags(write=False)
    confidence.setflags(write=False)
    return Part(box, label_map, confidence, complete)


def _repeated(plane: NDArray[_T], rows: NDArray[np.int64], width: int) -> NDArray[_T]:
    """Return (len(rows), width): those rows of (h, w), each pixel as often as it is wider then."""
    wide = cv2.resize(plane, (width, plane.shape[0]), interpolation=cv2.INTER_NEAREST)
    found: NDArray[_T] = np.take(wide, rows, axis=0)
    return found


def _sow(probabilities: NDArray[np.float32], seeds: NDArray[np.int16]) -> None:
    """Make (K, h, w) probabilities certain at the (h, w) seeds, in place."""
    rows, columns = np.nonzero(seeds >= 0)
    probabilities[:, rows, columns] = 0
    probabilities[seeds[rows, columns], rows, columns] = 1


def _smoothed(probabilities: NDArray[np.float32], light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities averaged over windows, but not across edges of lightness.

    He, Sun, Tang: Guided Image Filtering, ECCV 2010, equations 5, 6 and 8.

    Args:
        probabilities: (K, h, w) float32.
        light: (h, w) float32, the guide.
    """
    mean = _box(light)
    spread = _box(light * light) - np.square(mean) + np.float32(_EDGE)
    result = np.empty_like(probabilities)
    for plane, smooth in zip(probabilities, result, strict=True):
        average = _box(plane)
        slope = (_box(light * plane) - mean * average) / spread
        rest = _box(np.subtract(average, slope * mean, dtype=np.float32))
        np.add(_box(slope) * light, rest, out=smooth)
    return result


def _box(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    edge = 2 * _RADIUS + 1
    return np.asarray(cv2.boxFilter(plane, -1, (edge, edge), borderType=cv2.BORDER_REPLICATE), np.float32)


def _pixels(cells: int, of: int, pixels: int) -> int:
    """Return the first row of pixels of a row of cells."""
    return round(cells * pixels / of)


def _enlarged(
    probabilities: NDArray[np.float32],
    first: int,
    rows: tuple[int, int],
    working: tuple[int, int],
    cells: tuple[int, int],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return class channel and probability of rows of the reduced image, cells blended bilinearly."""
    down, across = cells[0] / working[0], cells[1] / working[1]
    back = np.array(
        [[across, 0, across / 2 - 0.5], [0, down, (rows[0] + 0.5) * down - 0.5 - first]], np.float64
    )
    size = (working[1], rows[1] - rows[0])
    best = np.full((size[1], size[0]), -1, np.float32)
    channel = np.zeros(best.shape, np.uint8)
    for number, cell_plane in enumerate(probabilities):
        plane = cv2.warpAffine(
            cell_plane,
            back,
            size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        np.maximum(channel, (plane > best).view(np.uint8) * np.uint8(number), out=channel)
        np.maximum(best, plane, out=best)
    return channel, np.clip(best, 0, 1, out=best)
