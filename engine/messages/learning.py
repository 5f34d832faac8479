"""Messages about candidates: weights that have been trained but are not shown unless they are no worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class Objection(Enum):
    """Why a candidate is not shown by itself."""

    NONE = "none"
    """Nothing speaks against it."""
    NOT_FINITE = "not finite"
    """It answers with values that are no numbers."""
    ONE_CLASS = "one class"
    """It answers with one class everywhere, where the shown weights do not."""
    HELD_OUT = "held-out"
    """It is worse on the held-out images."""
    FLIPS = "flips"
    """It is wrong about too many painted or accepted pixels that the shown weights are right about."""


# ------------------------------------------------------------------------------------- to the worker


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteCandidate:
    """Show a candidate although it was not found better. Answered by `CandidateJudged`.

    A running training goes on from its own weights; what is shown changes at once.

    Attributes:
        path: Checkpoint file of the candidate; "" for the weights being trained now.
    """

    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameCheckpoint:
    """Give a checkpoint a name: it is then never pruned. Answered by `CheckpointsChanged`.

    An empty name takes the name away.
    """

    path: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteCheckpoints:
    """Delete checkpoint files; the one in use stays. Answered by `CheckpointsChanged`."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareCheckpoints:
    """Predict some images with two checkpoints. Answered by one `ComparisonReady` per image.

    A newer comparison replaces it; training goes on between images.

    Attributes:
        request_id: Comes back in every answer.
        before: Checkpoint file; "" for the weights shown now.
        after: Checkpoint file; "" for the weights being trained now.
        images: Image files by image id.
        edge: Longest edge of the pictures that come back, in pixels.
    """

    request_id: int
    before: str
    after: str
    images: Mapping[str, str]
    edge: int = 240


# ----------------------------------------------------------------------------------- from the worker


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateJudged:
    """The weights of now were compared with those that are shown, together with the quick model's word.

    Attributes:
        step: Training step of the candidate.
        miou: Mean intersection over union of what would be shown with it, on the sample of held-out
            corrections; None without one.
        shown_miou: The same for what is shown now.
        flipped: Share of the sampled painted or accepted pixels that are right in what is shown now and would
            be wrong with it, in [0, 1]; None where there was nothing to compare.
        promoted: Whether it is shown from now on.
        reason: One sentence for a person.
        checkpoint: File it was kept in, "" if it was not kept in one.
        objection: What spoke against it; stays even where a person promoted it anyway.
        limit: Largest share of flipped pixels allowed, in [0, 1].
    """

    step: int
    miou: float | None
    shown_miou: float | None
    flipped: float | None
    promoted: bool
    reason: str
    checkpoint: str = ""
    objection: Objection = Objection.NONE
    limit: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointsChanged:
    """Checkpoint files were renamed or deleted: new path by old path, "" for those that are gone."""

    moved: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparisonReady:
    """What two checkpoints say about one image.

    Attributes:
        request_id: Of the `CompareCheckpoints`.
        image_id: The image.
        image: (h, w, 3) uint8 RGB, small.
        before: (h, w) uint8 permanent class indices by the first checkpoint, small.
        after: (h, w) uint8 permanent class indices by the second.
        changed: Share of the pixels of the whole image on which they differ, in [0, 1].
    """

    request_id: int
    image_id: str
    image: NDArray[np.uint8]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    changed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownScored:
    """What is shown was held against what people painted on held-out images, which it has not learnt from.

    Quick model and network as they are on screen, in the network's share of now; the quick model that is
    asked has never seen these images.

    Attributes:
        share: The network's share of what is shown, in [0, 1].
        miou: Mean intersection over union of the classes painted or predicted there, in [0, 1].
        images: Number of images asked about, those changed last.
        pixels: Number of pixels that the places asked about stand for.
    """

    share: float
    miou: float
    images: int
    pixels: int


LearningCommand = PromoteCandidate | NameCheckpoint | DeleteCheckpoints | CompareCheckpoints
LearningEvent = CandidateJudged | CheckpointsChanged | ComparisonReady | ShownScored
