"""Connected regions of one value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.opencv import cv2


def region_at(
    label_map: NDArray[np.uint8], y: int, x: int, *, connectivity: int = 4, limit: Box | None = None
) -> tuple[Box, NDArray[np.bool_]]:
    """Return the connected pixels that have the value of one pixel.

    Args:
        label_map: (H, W) uint8; read only.
        y: Row of the pixel.
        x: Column of the pixel.
        connectivity: 4, or 8 to go across corners too.
        limit: Look no further than this box; left out, the whole map.

    Returns:
        The box around the region and its (h, w) bool mask.

    Raises:
        ValueError: the pixel lies outside the map or the limit, or connectivity is neither 4 nor 8.
    """
    height, width = label_map.shape
    whole = Box(0, 0, height, width)
    view = whole if limit is None else limit.intersect(whole)
    if not view.holds(y, x):
        raise ValueError(f"the pixel ({y}, {x}) is not inside {view}")
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity is 4 or 8, not {connectivity}")
    # OpenCV takes writable memory only, although it does not write to it here.
    values = np.array(label_map[view.slices], order="C")
    seen = np.zeros((view.height + 2, view.width + 2), np.uint8)
    flags = connectivity | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    _, _, _, (left, top, columns, rows) = cv2.floodFill(
        values, seen, (x - view.left, y - view.top), 0, 0, 0, flags
    )
    mask = seen[1 + top : 1 + top + rows, 1 + left : 1 + left + columns] == 1
    box = Box(view.top + top, view.left + left, view.top + top + rows, view.left + left + columns)
    return box, mask


def largest_regions(mask: NDArray[np.bool_], count: int) -> list[tuple[int, int, int]]:
    """Return a pixel of each of the largest connected regions of a mask, and how many pixels it has.

    Args:
        mask: (h, w) bool.
        count: At most so many regions, largest first.

    Returns:
        (y, x, pixels): the pixel of the region that is nearest to its centre of gravity.
    """
    number, labels, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    found = []
    for place in np.argsort(-sizes, kind="stable")[:count]:
        left, top, width, height = stats[place + 1, :4]
        rows, columns = np.nonzero(labels[top : top + height, left : left + width] == place + 1)
        along, down = centres[place + 1]
        best = int(np.argmin((rows + top - down) ** 2 + (columns + left - along) ** 2))
        found.append((int(rows[best] + top), int(columns[best] + left), int(sizes[place])))
    return found if number > 1 else []
