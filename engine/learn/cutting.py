"""Cutting square windows out of images, also beyond their edges (torch-free)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2


def start_of(centre: float, window: int, extent: int) -> int:
    """Return where a window starts: inside the image where it fits, else with the image in its middle."""
    if window >= extent:
        return -((window - extent) // 2)
    return int(min(max(0, round(centre - window / 2)), extent - window))


def window_of(
    array: NDArray[np.uint8], top: int, left: int, window: int, outside: int | None
) -> NDArray[np.uint8]:
    """Cut a square; outside the image it is filled with a value, or mirrored where `outside` is None.

    Args:
        array: (H, W) or (H, W, 3) uint8.
        top: First row, below 0 where the square begins above the image.
        left: First column, likewise.
        window: Edge of the square in pixels.
        outside: Value of what lies outside the image, or None.

    Returns:
        (window, window) or (window, window, 3) uint8; a view of `array` where it lies inside.
    """
    height, width = array.shape[:2]
    inner = array[max(0, top) : top + window, max(0, left) : left + window]
    before_y, before_x = max(0, -top), max(0, -left)
    after_y, after_x = max(0, top + window - height), max(0, left + window - width)
    if not (before_y or before_x or after_y or after_x):
        return inner
    way = cv2.BORDER_REFLECT if outside is None else cv2.BORDER_CONSTANT
    value = (0 if outside is None else outside,) * 4
    padded = cv2.copyMakeBorder(inner, before_y, after_y, before_x, after_x, way, value=value)
    return np.asarray(padded, np.uint8)
