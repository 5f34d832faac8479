"""Strokes and polygons to masks, in coordinates of the image only: the zoom of the window cannot matter.

A pixel belongs to a shape when its centre does. Both functions work out, row by row, where the shape begins
and ends, for all its parts at once; so a mask is exact to the last pixel, symmetric, and costs what its box
costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.opencv import cv2

Points = Sequence[tuple[float, float]]
_Floats = NDArray[np.float64]

PENCIL_RADIUS: Final = 0.5**0.5
"""Below this radius a stroke is a chain of single pixels: a disc so small can miss every centre."""

# Centres that lie on the edge belong to the shape on either side of it, whatever rounding does.
_TOLERANCE: Final = 1e-9
_FAR: Final = float(2**30)


def rasterise_stroke(points: Points, radius: float, size: tuple[int, int]) -> tuple[Box, NDArray[np.bool_]]:
    """Return the pixels a round brush covers on its way.

    Args:
        points: (y, x) in image coordinates; the centre of the first pixel is (0.5, 0.5). At least one point;
            they may lie outside the image.
        radius: Radius in pixels, > 0. Below 0.7071, one point paints the one pixel it lies in.
        size: (H, W) of the image.

    Returns:
        The box on the image, empty where the stroke misses it, and its (h, w) bool mask.

    Raises:
        ValueError: no points, or a value that is not finite, or a radius that is not positive.
    """
    path = _checked(points)
    if not (np.isfinite(radius) and radius > 0):
        raise ValueError(f"radius {radius} is not positive")
    if radius < PENCIL_RADIUS:
        return _pencil(path, size)
    radius = min(radius, _FAR)
    low, high = path.min(axis=0) - radius, path.max(axis=0) + radius
    box = _box_around(low, high).clip(size)
    if box.is_empty:
        return _nothing()
    steps = np.zeros((box.height, box.width + 1), np.int32)
    starts, ends = (path[:-1], path[1:]) if len(path) > 1 else (path, path)
    upper, lower = np.minimum(starts, ends)[:, 0], np.maximum(starts, ends)[:, 0]
    rows, segments = _rows_of(upper - radius, lower + radius, box)
    left, right = _spans(rows + np.float64(box.top + 0.5), starts[segments], ends[segments], radius)
    _mark_spans(steps, rows, left - box.left, right - box.left)
    return box, _filled(steps) > 0


def rasterise_polygon(points: Points, size: tuple[int, int]) -> tuple[Box, NDArray[np.bool_]]:
    """Return the pixels whose centre lies inside a closed polygon (even-odd rule).

    Polygons that share an edge share no pixel and leave none out between them.

    Args:
        points: (y, x) corners in image coordinates; the last is joined to the first. They may lie outside the
            image.
        size: (H, W) of the image.

    Returns:
        The box on the image, empty where the polygon misses it, and its (h, w) bool mask.

    Raises:
        ValueError: no points, or a value that is not finite.
    """
    corners = _checked(points)
    box = _box_around(corners.min(axis=0), corners.max(axis=0)).clip(size)
    if box.is_empty:
        return _nothing()
    starts, ends = corners, np.roll(corners, -1, axis=0)
    # From top to bottom, so that the edge two polygons share is computed the same way in both.
    down = (starts[:, 0] <= ends[:, 0])[:, None]
    upper, lower = np.where(down, starts, ends), np.where(down, ends, starts)
    rows, edges = _rows_of(upper[:, 0], lower[:, 0], box)
    first, last, centres = upper[edges], lower[edges], rows + (box.top + 0.5)
    crossed = (first[:, 0] <= centres) & (centres < last[:, 0])
    rows, first, last, centres = rows[crossed], first[crossed], last[crossed], centres[crossed]
    share = (centres - first[:, 0]) / (last[:, 0] - first[:, 0])
    columns = np.ceil(first[:, 1] + share * (last[:, 1] - first[:, 1]) - 0.5) - box.left
    # One byte overflows, but what counts is odd or even.
    steps = np.zeros((box.height, box.width + 1), np.uint8)
    np.add.at(steps, (rows, np.clip(columns, 0, box.width).astype(np.intp)), 1)
    return box, (_filled(steps) & 1).astype(np.bool_)


def _checked(points: Points) -> _Floats:
    path = np.array(points, np.float64).reshape(-1, 2)
    if not len(path):
        raise ValueError("a shape needs at least one point")
    if not np.isfinite(path).all():
        raise ValueError("a point is not finite")
    # Beyond every image; keeps sums of coordinates exact enough.
    return np.clip(path, -_FAR, _FAR)


def _nothing() -> tuple[Box, NDArray[np.bool_]]:
    return Box(0, 0, 0, 0), np.zeros((0, 0), np.bool_)


def _box_around(low: _Floats, high: _Floats) -> Box:
    """Return the box of all pixels whose centre can lie within two corners."""
    top, left = np.floor(low - 0.5).astype(int).tolist()
    bottom, right = np.ceil(high + 0.5).astype(int).tolist()
    return Box(top, left, bottom, right)


def _rows_of(low: _Floats, high: _Floats, box: Box) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return every (row of the box, part) where a part reaches from `low` to `high`; both (N,)."""
    first = np.clip(np.floor(low) - box.top, 0, box.height).astype(np.intp)
    stop = np.clip(np.ceil(high) - box.top, 0, box.height).astype(np.intp)
    counts = np.maximum(stop - first, 0)
    parts = np.repeat(np.arange(len(counts)), counts)
    begins = np.cumsum(counts) - counts
    return np.arange(len(parts)) - begins[parts] + first[parts], parts


def _spans(centres: _Floats, starts: _Floats, ends: _Floats, radius: float) -> tuple[_Floats, _Floats]:
    """Return where capsules begin and end on rows, (N,) each; `left > right` where a capsule misses its row.

    A capsule is all discs on the way from start to end. On a row, the disc that reaches furthest to the right
    stands where the row crosses the capsule's right edge, or else at one of the ends.
    """
    dy, dx = (ends - starts).T
    length = np.hypot(dy, dx)
    lean = np.divide(dx * np.sign(dy), length, out=np.zeros_like(length), where=length > 0)
    reach = []
    for side in (-1.0, 1.0):
        flat = np.where(side * dx > 0, 1.0, 0.0)
        place = np.divide(centres - starts[:, 0] + side * radius * lean, dy, out=flat, where=dy != 0)
        place = np.clip(place, 0.0, 1.0)
        above = centres - starts[:, 0] - place * dy
        square = (radius + _TOLERANCE) ** 2 - above**2
        half = np.sqrt(np.maximum(square, 0.0))
        reach.append(np.where(square >= 0, starts[:, 1] + place * dx + side * half, -side * np.inf))
    return reach[0], reach[1]


def _mark_spans(steps: NDArray[np.int32], rows: NDArray[np.intp], left: _Floats, right: _Floats) -> None:
    """Add +1 where a span begins and -1 behind its end; columns are relative to the box."""
    width = steps.shape[1] - 1
    begin = np.clip(np.ceil(left - 0.5), 0, width)
    stop = np.clip(np.floor(right - 0.5) + 1, 0, width)
    some = begin < stop
    rows, begin, stop = rows[some], begin[some].astype(np.intp), stop[some].astype(np.intp)
    np.add.at(steps, (rows, begin), 1)
    np.add.at(steps, (rows, stop), -1)


def _filled(steps: NDArray[Any]) -> NDArray[Any]:
    return np.cumsum(steps[:, :-1], axis=1, dtype=steps.dtype)


def _pencil(path: _Floats, size: tuple[int, int]) -> tuple[Box, NDArray[np.bool_]]:
    """Return a chain of single pixels through the pixels the points lie in."""
    pixels = np.floor(path).astype(np.int64)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    box = Box(int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1).clip(size)
    if box.is_empty:
        return _nothing()
    canvas = np.zeros(box.size, np.uint8)
    # A chain of one point would draw nothing.
    pixels = np.concatenate((pixels, pixels[-1:]))
    chain = (pixels[:, ::-1] - (box.left, box.top)).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [chain], isClosed=False, color=1, thickness=1, lineType=cv2.LINE_8)
    return box, canvas.astype(np.bool_)
