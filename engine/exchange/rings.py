"""Regions of a label map, their outlines along pixel edges, and run lengths; numpy and OpenCV, exact.

Pixel (y, x) covers the square [x, x+1) x [y, y+1). Foreground is 4-connected, so squares that touch at a
corner only are two regions, and an outline that touches itself at a corner stays one ring.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2

_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""East, south, west, north, as (dy, dx): clockwise, with the region on the right hand."""
_AHEAD_LEFT = ((-1, 0), (0, 0), (0, -1), (-1, -1))
"""The pixel ahead on the left of a corner, for each direction."""
_AHEAD_RIGHT = ((0, 0), (0, -1), (-1, -1), (-1, 0))
"""The pixel ahead on the right of a corner, for each direction."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One 4-connected region of equal values.

    Attributes:
        value: what the pixels hold.
        top: row of the first pixel row.
        left: column of the first pixel column.
        mask: (h, w) bool, true inside, as small as possible.
        pixels: how many pixels are inside.
    """

    value: int
    top: int
    left: int
    mask: NDArray[np.bool_]
    pixels: int

    @property
    def has_holes(self) -> bool:
        """True when the outline alone does not tell the region (Euler number below one)."""
        return count_holes(self.mask) > 0


def regions_of(label_map: NDArray[np.uint8], values: tuple[int, ...]) -> Iterator[Region]:
    """The regions of the given values, value by value, each in reading order of its first pixel.

    Args:
        label_map: (H, W) uint8.
        values: which values to look at.
    """
    present = np.bincount(label_map.reshape(-1), minlength=256) > 0
    for value in values:
        if not present[value]:
            continue
        count, parts, stats, _ = cv2.connectedComponentsWithStats(
            (label_map == value).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
        )
        for part in range(1, count):
            left, top, width, height, pixels = (int(number) for number in stats[part])
            mask = parts[top : top + height, left : left + width] == part
            yield Region(value=value, top=top, left=left, mask=mask, pixels=pixels)


def count_holes(mask: NDArray[np.bool_]) -> int:
    """Number of holes of a mask that is one 4-connected region, from its 2 x 2 neighbourhoods."""
    padded = np.pad(mask, 1).astype(np.int8)
    a, b, c, d = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    total = a + b + c + d
    diagonal = (total == 2) & (a == d)
    quads = int((total == 1).sum()) - int((total == 3).sum()) + 2 * int(diagonal.sum())
    return 1 - quads // 4


def outer_ring(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Corners (y, x) of the outline of a 4-connected mask along pixel edges, clockwise from its first pixel.

    Only corners where the direction changes are listed; the ring closes itself. An outline that meets itself
    at a corner turns right there, so that it never crosses itself.

    Args:
        mask: (h, w) bool with at least one true pixel.
    """
    padded = np.pad(mask, 1)
    row = int(np.flatnonzero(padded.any(axis=1))[0])
    column = int(np.flatnonzero(padded[row])[0])
    inside = padded.tolist()
    start = (row, column)
    y, x, direction = row, column, 0
    ring = [(row - 1, column - 1)]
    while True:
        dy, dx = _AHEAD_RIGHT[direction]
        ly, lx = _AHEAD_LEFT[direction]
        if not inside[y + dy][x + dx]:
            ring.append((y - 1, x - 1))
            direction = (direction + 1) % 4
        elif inside[y + ly][x + lx]:
            ring.append((y - 1, x - 1))
            direction = (direction + 3) % 4
        step_y, step_x = _STEPS[direction]
        y, x = y + step_y, x + step_x
        if (y, x) == start:
            return ring


def column_runs(region: Region, size: tuple[int, int]) -> list[int]:
    """COCO run lengths of a region: down the columns of the whole image, starting with the number of zeros.

    Args:
        region: the region.
        size: (H, W) of the image it lies in.
    """
    height, width = size
    columns = np.pad(region.mask.T, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(columns, axis=1)
    offset = (region.left + np.arange(columns.shape[0])) * height + region.top
    start_column, start_row = np.nonzero(change == 1)
    stop_column, stop_row = np.nonzero(change == -1)
    starts = offset[start_column] + start_row
    stops = offset[stop_column] + stop_row
    joined = np.flatnonzero(starts[1:] == stops[:-1])
    starts, stops = np.delete(starts, joined + 1), np.delete(stops, joined)
    edges = np.concatenate([[0], np.stack([starts, stops], axis=1).reshape(-1), [height * width]])
    runs = [int(number) for number in np.diff(edges)]
    return runs if runs[-1] else runs[:-1]


def compressed_runs(runs: list[int]) -> str:
    """COCO's text form of run lengths: six bits a character, differences from the fourth run on."""
    characters: list[str] = []
    for index, run in enumerate(runs):
        number = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            bits = number & 0x1F
            number >>= 5
            more = number != (-1 if bits & 0x10 else 0)
            characters.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(characters)
