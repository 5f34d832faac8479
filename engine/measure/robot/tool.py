"""What the robot needs of a tool under test; it knows nothing of the tool's inside."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.config import Voice
from engine.measure.actions import Action
from engine.measure.annotator import Sight
from engine.measure.regions import Truth

LabelMap = NDArray[np.uint8]
"""(H, W) uint8 of class indices."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guess:
    """A predicted label map (H, W) uint8 of class indices, and its confidence (H, W) float32, 0 … 1."""

    label_map: LabelMap
    confidence: NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Images with their truth.

    Attributes:
        classes: class table of the truth.
        folder: the images to annotate, by id.
        held_out: images nobody annotates, by id; ids differ from those of ``folder``.
        read_truth: (H, W) uint8 of class indices of an image of either kind, 255 where nobody knows.
        reference: a sentence for the report: where the images come from.
    """

    classes: ClassTable
    folder: Mapping[str, Path]
    held_out: Mapping[str, Path]
    read_truth: Callable[[str], LabelMap]
    reference: str = ""

    def truth(self, image_id: str) -> Truth:
        """What the person knows about an image; worked out anew at each call."""
        from engine.measure.regions import know

        return know(self.read_truth(image_id))


class AnnotatedTool(Protocol):
    """A tool a person annotates with while it learns. One thread.

    Attributes:
        title: Name for people.
        accepts: Whether predictions can be accepted and regions relabelled.
        refreshes: User times at which the picture of the image on screen was renewed.
    """

    title: str
    accepts: bool
    refreshes: list[float]

    @property
    def updates(self) -> int:
        """How many models became visible so far."""
        ...

    def open(self, image_id: str) -> float:
        """Bring an image on screen; return the seconds the person had to wait for it."""
        ...

    def sight(self) -> Sight:
        """What is shown of the image on screen now."""
        ...

    def perform(self, action: Action) -> float:
        """Do what the person does; return the seconds they had to wait."""
        ...

    def advance(self, seconds: float) -> float:
        """Let user time pass while the tool learns; return the seconds it blocked in addition."""
        ...

    def predict(
        self, image_ids: Sequence[str], *, voice: Voice = Voice.SHOWN
    ) -> Iterator[tuple[str, Guess | None]]:
        """Predict images as they would be shown now; user time and learning stand still.

        Args:
            image_ids: Which.
            voice: Whose word is wanted; None for every image where whose it is knows nothing yet.
        """
        ...

    def suggest(self, candidates: Sequence[str]) -> str | None:
        """Which of these images the tool would like to see annotated next, or None where it cannot tell."""
        ...

    def settle(self) -> None:
        """Learn from everything said so far, in no user time, and show the result."""
        ...

    def close(self) -> Mapping[str, object]:
        """End the work; return facts for the report, such as steps and device."""
        ...
