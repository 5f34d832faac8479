"""What a baseline's method does; the lane around it keeps the time and holds the annotations."""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.measure.robot.tool import Guess, LabelMap

Image = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marked:
    """New marks on an image.

    Attributes:
        image_id: the image.
        image: (H, W, 3) uint8 RGB.
        annotation: (H, W) uint8, everything said about the image so far, these marks included.
        mask: (H, W) bool, the new marks.
    """

    image_id: str
    image: Image
    annotation: LabelMap
    mask: NDArray[np.bool_]


Model = Callable[[str, Image], Guess]
"""Predicts an image (id, RGB); never changes once it is handed out."""


class Learner(Protocol):
    """A method that learns from marks, piece by piece.

    Attributes:
        title: name for people.
    """

    title: str

    def mark(self, marked: Marked) -> None:
        """Take note of new marks; the work is done later."""
        ...

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to do now."""
        ...

    def work(self) -> Model | None:
        """Do one piece of work; return a model that may be shown from now on, or None."""
        ...

    def settle(self) -> Model | None:
        """Learn to the end from everything marked so far; return the model, or None without one."""
        ...

    def facts(self) -> dict[str, object]:
        """What is worth knowing about the run."""
        ...
