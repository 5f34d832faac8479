"""Parts of a prediction put together before anybody sees them. Worker thread.

What the quick model says of an image is there within a third of a second, in a dozen parts. The window is
better served with one whole: it takes that over as it is, where every part would have to be copied and drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.predict.predictor import PredictedPart

MOST_PIXELS = 2**25
"""Larger images are sent in parts: two layers of them would be too much to have twice."""


class Assembly:
    """Collects the parts of one prediction.

    Args:
        size: (H, W) of the image.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._whole = Box.of_size(size)
        self._label_map: NDArray[np.uint8] = np.full(size, UNLABELLED, np.uint8)
        self._confidence: NDArray[np.float32] = np.zeros(size, np.float32)

    def add(self, part: PredictedPart) -> PredictedPart | None:
        """Take in a part; return the whole with the last one, read-only from then on, and None before."""
        self._label_map[part.box.slices] = part.label_map
        self._confidence[part.box.slices] = part.confidence
        if not part.complete:
            return None
        self._label_map.setflags(write=False)
        self._confidence.setflags(write=False)
        return PredictedPart(
            box=self._whole, label_map=self._label_map, confidence=self._confidence, complete=True
        )
