"""Cutting a large image into overlapping tiles and fading them into each other (torch-free)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box


def tile_starts(extent: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Return where tiles start along one axis: evenly spread, overlapping by at least `overlap`.

    Args:
        extent: Length of the axis, at least 1.
        tile: Length of a tile.
        overlap: Smallest overlap of neighbours; less than `tile`.
    """
    if extent <= tile:
        return (0,)
    count = math.ceil((extent - overlap) / (tile - overlap))
    last = extent - tile
    return tuple(round(number * last / (count - 1)) for number in range(count))


def plan_tiles(size: tuple[int, int], tile: int, overlap: int, visible: Box | None = None) -> tuple[Box, ...]:
    """Return boxes that cover an image, those on screen first, from its middle outwards.

    The others follow row by row, so that few tiles wait for a neighbour at any time.

    Args:
        size: (H, W).
        tile: Edge of a tile; images smaller than that give smaller tiles.
        overlap: Smallest overlap of neighbours, less than `tile`.
        visible: Part on screen, or None.
    """
    height, width = size
    overlap = min(overlap, tile // 2)
    boxes = [
        Box(top, left, min(top + tile, height), min(left + tile, width))
        for top in tile_starts(height, tile, overlap)
        for left in tile_starts(width, tile, overlap)
    ]
    if visible is None:
        return tuple(boxes)
    y, x = (visible.top + visible.bottom) / 2, (visible.left + visible.right) / 2

    def order(box: Box) -> tuple[bool, float]:
        if not touches(box, visible):
            return True, 0.0
        return False, math.hypot((box.top + box.bottom) / 2 - y, (box.left + box.right) / 2 - x)

    return tuple(sorted(boxes, key=order))


def touches(box: Box, other: Box) -> bool:
    """Whether two boxes share a pixel."""
    return max(box.top, other.top) < min(box.bottom, other.bottom) and max(box.left, other.left) < min(
        box.right, other.right
    )


def fade(box: Box, size: tuple[int, int], overlap: int) -> NDArray[np.float32]:
    """Return the (h, w) float32 weight of a tile, in (0, 1].

    It is 1 inside and falls towards edges that neighbours overlap. The border of the image is no such
    edge: there the tile is all there is.
    """
    height, width = size
    rows = _ramp(box.height, overlap, start=box.top > 0, end=box.bottom < height)
    columns = _ramp(box.width, overlap, start=box.left > 0, end=box.right < width)
    return rows[:, None] * columns[None, :]


def _ramp(length: int, overlap: int, *, start: bool, end: bool) -> NDArray[np.float32]:
    weight = np.ones(length, np.float32)
    span = min(overlap, length)
    if span == 0:
        return weight
    rise = (np.arange(span, dtype=np.float32) + 1.0) / (span + 1.0)
    if start:
        weight[:span] *= rise
    if end:
        weight[-span:] *= rise[::-1]
    return weight
