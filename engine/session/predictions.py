"""Predictions of the images a person looks at, put together from the parts the worker sends.

Owner thread only. Parts of one request arrive visible tiles first; until the last part has come, the older
prediction stays visible where the new one has not arrived yet.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.messages import Prediction


class PredictionCache:
    """Whole-image predictions by image id, bounded by bytes; the least recently used leaves first.

    Args:
        byte_budget: Upper bound of the arrays kept, in bytes. The newest prediction is always kept.
    """

    def __init__(self, byte_budget: int = 256 * 2**20) -> None:
        self._byte_budget = byte_budget
        self._whole: OrderedDict[str, Prediction] = OrderedDict()

    def get(self, image_id: str) -> Prediction | None:
        """Return the newest prediction of an image, or None."""
        prediction = self._whole.get(image_id)
        if prediction is not None:
            self._whole.move_to_end(image_id)
        return prediction

    def add(self, part: Prediction) -> Prediction:
        """Take in one part and return the whole-image prediction that now holds."""
        height, width = part.size
        if part.box != Box(0, 0, height, width):
            part = self._merged(part)
        self._whole[part.image_id] = part
        self._whole.move_to_end(part.image_id)
        self._shrink()
        return part

    def clear(self) -> None:
        """Forget everything: another network speaks now, or the class table lost a class."""
        self._whole.clear()

    def _merged(self, part: Prediction) -> Prediction:
        height, width = part.size
        old = self._whole.get(part.image_id)
        if old is not None and old.size == part.size:
            label_map, confidence = old.label_map.copy(), old.confidence.copy()
        else:
            label_map = np.full(part.size, UNLABELLED, np.uint8)
            confidence = np.zeros(part.size, np.float32)
        label_map[part.box.slices] = part.label_map
        confidence[part.box.slices] = part.confidence
        label_map.setflags(write=False)
        confidence.setflags(write=False)
        return Prediction(
            image_id=part.image_id,
            size=part.size,
            box=Box(0, 0, height, width),
            label_map=label_map,
            confidence=confidence,
            step=part.step,
            checkpoint=part.checkpoint,
        )

    def _shrink(self) -> None:
        used = sum(kept.label_map.nbytes + kept.confidence.nbytes for kept in self._whole.values())
        while used > self._byte_budget and len(self._whole) > 1:
            _, oldest = self._whole.popitem(last=False)
            used -= oldest.label_map.nbytes + oldest.confidence.nbytes
