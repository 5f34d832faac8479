"""What the customer would take home now: a mask for every image of the folder, visited or not.

Where the person said something, that is the mask; elsewhere it is what the visible model says, on images that
were left as they are and on those nobody has opened yet.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from engine.annotate.classes import UNLABELLED
from engine.annotate.compose import final_label_map
from engine.measure.metrics import ConfusionMatrix
from engine.measure.robot.tool import LabelMap, Material


def spread(names: Sequence[str], limit: int | None) -> tuple[str, ...]:
    """Return at most so many names, evenly spread over the folder; all of them without a limit."""
    if limit is None or limit >= len(names):
        return tuple(names)
    return tuple(names[place * len(names) // limit] for place in range(limit))


class DeliveredMasks:
    """Keeps what was said about the folder's images, and measures the masks they have at a moment.

    Args:
        material: Images and truth.
        limit: Measure on so many images, evenly spread; ``None``: on all, 0: on none.
    """

    def __init__(self, material: Material, limit: int | None) -> None:
        self._material = material
        self.names = spread(list(material.folder), limit)
        self._said: dict[str, tuple[bytes, tuple[int, ...]]] = {}
        self._matrix = ConfusionMatrix(len(material.classes))
        self._channel_of = material.classes.channel_of()
        self._open: set[str] = set()

    def leave(self, image_id: str, annotation: LabelMap) -> None:
        """Take down what was said about an image that is left behind: (H, W) uint8, 255 where nothing."""
        if image_id in self.names:
            self._said[image_id] = zlib.compress(annotation.tobytes(), 1), annotation.shape

    def begin(self) -> tuple[str, ...]:
        """Begin to measure; return the images whose masks need a prediction, in folder order."""
        self._matrix = ConfusionMatrix(len(self._material.classes))
        self._open = set()
        for name in self.names:
            truth, said = self._material.read_truth(name), self._annotation(name)
            if said is None or ((said == UNLABELLED) & (truth != UNLABELLED)).any():
                self._open.add(name)
            else:
                self._matrix.update(self._channel_of[said], self._channel_of[truth])
        return tuple(name for name in self.names if name in self._open)

    def add(self, name: str, found: LabelMap | None) -> None:
        """Take in a prediction, ``None`` without a model; of images not asked for it counts nothing."""
        if name not in self._open:
            return
        self._open.remove(name)
        truth, said = self._material.read_truth(name), self._annotation(name)
        shown = final_label_map(np.full(truth.shape, UNLABELLED, np.uint8) if said is None else said, found)
        self._matrix.update(self._channel_of[shown], self._channel_of[truth])

    @property
    def miou(self) -> float | None:
        """Of all masks together, 0 … 1; None where none is measured."""
        return (self._matrix.miou() or 0.0) if self.names else None

    @property
    def pixel_accuracy(self) -> float | None:
        """Share of right pixels of all masks together, 0 … 1; None where none is measured."""
        return (self._matrix.pixel_accuracy() or 0.0) if self.names else None

    def _annotation(self, name: str) -> LabelMap | None:
        if name not in self._said:
            return None
        data, shape = self._said[name]
        return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)
