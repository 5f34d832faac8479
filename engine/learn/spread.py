"""Spreading strokes to the edges around them: weak labels for training (torch-free).

An image is cut into cells that follow its edges (a watershed from a regular grid of seeds, as the waterpixels
of Machairas et al., IEEE TIP 2015, with seeds at the flattest place of their square). A cell in which strokes
say one class only, on enough of it, lends that class to its unlabelled pixels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, VOID, Provenance
from engine.opencv import cv2

SPREAD: Final = 200
"""Provenance of a label that was spread; in training only, never on disk."""

_SPACING = 12
_SHARE = 0.1


def cells(image: NDArray[np.uint8], spacing: int = _SPACING) -> NDArray[np.int32]:
    """Return (H, W) int32 cell numbers from 1; 0 on the lines between cells.

    Args:
        image: (H, W, 3) uint8 RGB.
        spacing: Edge of the squares of the seeds, in pixels.
    """
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0)
    grey = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY)
    slope = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    height, width = grey.shape
    seeds = np.zeros((height, width), np.int32)
    number = 0
    for top in range(0, height, spacing):
        for left in range(0, width, spacing):
            square = np.asarray(slope)[top : top + spacing, left : left + spacing]
            y, x = np.unravel_index(int(square.argmin()), square.shape)
            number += 1
            seeds[top + int(y), left + int(x)] = number
    found = np.asarray(cv2.watershed(np.asarray(smooth, np.uint8), seeds), np.int32)
    return np.maximum(found, 0)


def spread(
    label_map: NDArray[np.uint8], provenance: NDArray[np.uint8], cell_of: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return label map and provenance with strokes spread over their cells; the arguments are not changed.

    Args:
        label_map: (H, W) uint8 permanent class indices.
        provenance: (H, W) uint8.
        cell_of: (H, W) int32, see `cells`.
    """
    painted = (provenance == Provenance.STROKE) & (label_map < VOID) & (cell_of > 0)
    count = int(cell_of.max()) + 1
    size = np.bincount(cell_of.reshape(-1), minlength=count)
    said = np.bincount(cell_of[painted], minlength=count)
    low, high = np.full(count, 255, np.uint8), np.zeros(count, np.uint8)
    np.minimum.at(low, cell_of[painted], label_map[painted])
    np.maximum.at(high, cell_of[painted], label_map[painted])
    agreed = (said >= np.maximum(1, _SHARE * size)) & (low == high)
    agreed[0] = False
    weak = agreed[cell_of] & (label_map == UNLABELLED) & (provenance == Provenance.NOBODY)
    return (
        np.where(weak, low[cell_of], label_map).astype(np.uint8),
        np.where(weak, np.uint8(SPREAD), provenance).astype(np.uint8),
    )
