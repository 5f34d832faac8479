"""Predictions of the images a person looks at, put together from the parts the worker sends.

Owner thread only. Parts of one request arrive visible tiles first; until the last part has come, the older
prediction stays visible where the new one has not arrived yet.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.messages import Prediction

T = TypeVar("T", bound=np.generic)


@dataclass(slots=True)
class _Canvas:
    """Arrays of a whole image that parts are written into; `prediction` shows them read-only."""

    label_map: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    prediction: Prediction

    @property
    def size_in_bytes(self) -> int:
        return self.label_map.nbytes + self.confidence.nbytes


class PredictionCache:
    """Whole-image predictions by image id, bounded by bytes; the least recently used leaves first.

    A part costs what its box costs: it is written into the arrays of the whole image, so a prediction handed
    out earlier changes with it.

    Args:
        byte_budget: Upper bound of the arrays kept, in bytes. The newest prediction is always kept.
    """

    def __init__(self, byte_budget: int = 256 * 2**20) -> None:
        self._byte_budget = byte_budget
        self._whole: OrderedDict[str, _Canvas] = OrderedDict()

    def get(self, image_id: str) -> Prediction | None:
        """Return the newest prediction of an image, or None."""
        canvas = self._whole.get(image_id)
        if canvas is None:
            return None
        self._whole.move_to_end(image_id)
        return canvas.prediction

    def add(self, part: Prediction) -> Prediction:
        """Take in one part and return the whole-image prediction that now holds."""
        whole = Box(0, 0, *part.size)
        if part.box == whole:
            canvas = _Canvas(part.label_map, part.confidence, part)
        else:
            canvas = self._ready_for(part)
            canvas.label_map[part.box.slices] = part.label_map
            canvas.confidence[part.box.slices] = part.confidence
            canvas.prediction = replace(
                part, box=whole, label_map=_shown(canvas.label_map), confidence=_shown(canvas.confidence)
            )
        self._whole[part.image_id] = canvas
        self._whole.move_to_end(part.image_id)
        self._shrink()
        return canvas.prediction

    def clear(self) -> None:
        """Forget everything: another network speaks now, or the class table lost a class."""
        self._whole.clear()

    def _ready_for(self, part: Prediction) -> _Canvas:
        """Return arrays to write a part into: those there are, or new ones."""
        old = self._whole.get(part.image_id)
        if old is None or old.prediction.size != part.size:
            return _Canvas(np.full(part.size, UNLABELLED, np.uint8), np.zeros(part.size, np.float32), part)
        if not old.label_map.flags.writeable:  # it came whole from the worker, and is frozen
            return _Canvas(old.label_map.copy(), old.confidence.copy(), old.prediction)
        return old

    def _shrink(self) -> None:
        used = sum(kept.size_in_bytes for kept in self._whole.values())
        while used > self._byte_budget and len(self._whole) > 1:
            _, oldest = self._whole.popitem(last=False)
            used -= oldest.size_in_bytes


def _shown(array: NDArray[T]) -> NDArray[T]:
    view = array.view()
    view.flags.writeable = False
    return view
