"""How much of what the person said a prediction says too, and how much of it no more."""

import numpy as np

from engine.annotate.classes import UNLABELLED
from engine.measure.robot.tool import LabelMap


class Agreement:
    """Counts over the images of one measurement.

    Args:
        said: The person's label maps by image, 255 where they said nothing.
        agreed: Of the measurement before, where it agreed: (H, W) label maps by image, 255 elsewhere. It is
            brought up to date.
    """

    def __init__(self, said: dict[str, LabelMap], agreed: dict[str, LabelMap]) -> None:
        self._said = said
        self._agreed = agreed
        self._pixels = self._same = self._lost = 0

    def add(self, name: str, found: LabelMap | None) -> None:
        """Count an image; ``None`` where there is no model yet."""
        if found is None:
            return
        said = self._said[name]
        known = said != UNLABELLED
        same = known & (found == said)
        earlier = self._agreed.get(name, np.full(said.shape, UNLABELLED, np.uint8))
        self._pixels += int(known.sum())
        self._same += int(same.sum())
        self._lost += int((known & (earlier == said) & ~same).sum())
        self._agreed[name] = np.where(same, said, np.uint8(UNLABELLED))

    @property
    def share(self) -> float | None:
        """Share of the person's pixels the model agrees with."""
        return self._same / self._pixels if self._pixels else None

    @property
    def flipped(self) -> float | None:
        """Share of them the model agreed with at the last measurement and does not now."""
        return self._lost / self._pixels if self._pixels else None
