"""An image in falling sizes, in the memory layout that a screen takes as it is."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2

SMALLEST_EDGE: Final = 256
"""Halving stops once the longest side is at most this many pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImagePyramid:
    """An image and its halves, quarters and so on.

    Attributes:
        levels: (h, w, 4) uint8 arrays, read-only, bytes blue, green, red, 255. Level 0 is the image; pixel
            (y, x) of level k is the mean of the rows y·2^k … (y+1)·2^k − 1 and the columns likewise, border
            pixels repeated.
    """

    levels: tuple[NDArray[np.uint8], ...]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        height, width = self.levels[0].shape[:2]
        return height, width

    @property
    def nbytes(self) -> int:
        """Memory that the levels take, in bytes."""
        return sum(level.nbytes for level in self.levels)


def build_pyramid(rgb: NDArray[np.uint8]) -> ImagePyramid:
    """Make the pyramid of an image.

    Args:
        rgb: (H, W, 3) uint8 RGB.
    """
    levels = [np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA), dtype=np.uint8)]
    while max(levels[-1].shape[:2]) > SMALLEST_EDGE:
        levels.append(_halved(levels[-1]))
    for level in levels:
        level.setflags(write=False)
    return ImagePyramid(levels=tuple(levels))


def _halved(level: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean of 2 × 2 pixels; odd sides are padded, so that levels stay aligned to the pixel."""
    height, width = level.shape[:2]
    if height % 2 or width % 2:
        level = np.asarray(cv2.copyMakeBorder(level, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE))
    size = (level.shape[1] // 2, level.shape[0] // 2)
    return np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
