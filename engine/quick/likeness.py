"""What an image looks like as a whole, in a few numbers: images that look alike have numbers alike.

Used to choose images that differ from those annotated already. A pure function of the pixels, so that the
first image can be chosen well before any model has learnt.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2

_ROWS, _COLUMNS = 4, 6
_EDGE = 96
_ANGLES = 4

LENGTH = _ROWS * _COLUMNS * 3 + 2 * 2 * _ANGLES + 8
"""D: numbers per image."""


def descriptor(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return colour by place, edges by direction, and how light is spread, of an image.

    Args:
        image: (H, W, 3) uint8 RGB, at least one pixel.

    Returns:
        (LENGTH,) float32, read-only, Euclidean distances count. Each of the three groups is scaled to weigh
        about as much as the others.
    """
    small = cv2.resize(np.ascontiguousarray(image), (_EDGE, _EDGE), interpolation=cv2.INTER_AREA)
    lab: NDArray[np.float32] = np.asarray(
        cv2.cvtColor(small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB), np.float32
    )
    lab *= np.array([1 / 100, 1 / 60, 1 / 60], np.float32)
    places = cv2.resize(lab, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA).ravel()
    light = np.ascontiguousarray(lab[..., 0])
    spread = np.histogram(light, bins=8, range=(0.0, 1.0))[0] / light.size
    groups = (places / np.sqrt(_ROWS * _COLUMNS), _edges(light), spread)
    found = np.concatenate(groups).astype(np.float32)
    found.setflags(write=False)
    return found


def _edges(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the energy of edges by direction in each quarter of the image."""
    dx = np.asarray(cv2.Scharr(light, cv2.CV_32F, 1, 0, scale=1 / 32), np.float32)
    dy = np.asarray(cv2.Scharr(light, cv2.CV_32F, 0, 1, scale=1 / 32), np.float32)
    strength = np.hypot(dx, dy)
    angle = np.minimum((np.arctan2(dy, dx) % np.pi) / np.pi * _ANGLES, _ANGLES - 1).astype(np.int64)
    rows = (np.arange(_EDGE) >= _EDGE // 2).astype(np.int64)
    quarter = rows[:, None] * 2 + rows[None, :]
    sums = np.bincount((quarter * _ANGLES + angle).ravel(), weights=strength.ravel(), minlength=4 * _ANGLES)
    return np.asarray(np.sqrt(sums / (_EDGE * _EDGE / 4)), np.float32)
