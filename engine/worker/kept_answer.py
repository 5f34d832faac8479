"""What the network says of the image on screen, kept while its weights are shown. Worker thread.

H W size of the image, h w size at which the answer is kept, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.opencv import cv2

_MOST_PIXELS = 2**21
"""Of larger images the picture after a stroke has coarser edges, until other weights answer anew."""
_MOST_BYTES = 96 * 2**20
_MOST_NUMBERS, _ENOUGH_PIXELS = 12 * 2**20, 2**18
"""With many classes, too, the picture comes within a second; but no coarser than a small image's."""
_BAND_NUMBERS = 2**18
"""Numbers of a band: a megabyte, of which a processor's cache holds a few."""


class KeptAnswer:
    """Probabilities of one image, collected tile by tile; where tiles overlap, their mean.

    Args:
        size: (H, W) of the image.
        classes: K.
    """

    def __init__(self, size: tuple[int, int], classes: int) -> None:
        self._of = size
        self.size = _kept_size(size, classes)
        self._values = np.zeros((classes, *self.size), np.float16)
        self._tiles = np.zeros(self.size, np.uint8)

    @property
    def is_whole(self) -> bool:
        """Whether every pixel is known."""
        return bool(self._tiles.all())

    def add(self, probabilities: NDArray[np.float32], box: Box) -> None:
        """Take in (K, height, width) probabilities of a box of the image."""
        top, bottom = (_place(edge, self._of[0], self.size[0]) for edge in (box.top, box.bottom))
        left, right = (_place(edge, self._of[1], self.size[1]) for edge in (box.left, box.right))
        if bottom == top or right == left:
            return
        here = slice(top, bottom), slice(left, right)
        before = self._tiles[here].astype(np.float32)
        again = bool(before.any())
        for kept, plane in zip(self._values, probabilities, strict=True):
            reduced = plane
            if plane.shape != before.shape:
                reduced = cv2.resize(plane, before.shape[::-1], interpolation=cv2.INTER_AREA)
            kept[here] = (kept[here] * before + reduced) / (before + 1) if again else reduced
        self._tiles[here] += 1

    def bands(self) -> Iterator[tuple[Box, NDArray[np.float32]]]:
        """Yield it in bands of rows that a processor's cache can hold: box, (K, height, w) float32."""
        import torch

        height, width = self.size
        rows = max(1, _BAND_NUMBERS // (width * len(self._values)))
        for top in range(0, height, rows):
            box = Box(top, 0, min(height, top + rows), width)
            # numpy would turn 16-bit numbers into others one by one.
            yield box, torch.from_numpy(self._values[:, box.top : box.bottom]).float().numpy()


def _kept_size(size: tuple[int, int], classes: int) -> tuple[int, int]:
    """Return (h, w): the image's own, or what fits."""
    count = max(1, classes)
    most = min(_MOST_PIXELS, max(_ENOUGH_PIXELS, _MOST_NUMBERS // count), _MOST_BYTES // (2 * count))
    reduction = math.sqrt(max(1.0, size[0] * size[1] / most))
    return max(1, round(size[0] / reduction)), max(1, round(size[1] / reduction))


def _place(edge: int, extent: int, kept: int) -> int:
    return round(edge * kept / extent)
