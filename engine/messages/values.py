"""Values that several messages carry. Sizes are (height, width); boxes are half-open."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.errors import EngineError
from engine.project.manifest import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong, for a person.

    Attributes:
        message: What happened and why, one or two sentences.
        hint: What to do about it; may be empty.
        report: Full traceback where it is a bug of ours, empty where the world is at fault.
    """

    message: str
    hint: str
    report: str = ""

    @classmethod
    def from_error(cls, error: EngineError) -> Problem:
        """Make the problem of an error the user can act on."""
        return cls(message=error.message, hint=error.hint)


class PredictionSource(Enum):
    """Who predicted."""

    NETWORK = "network"
    QUICK = "quick"
    """The quick model, which learns from a stroke at once."""
    JOINT = "joint"
    """Both together."""
    MEMORY = "memory"
    """The network, with a class memory that has taken in the newest strokes already."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What the network, the quick model before it, or both together see in a box of an image.

    Attributes:
        image_id: The image.
        size: (H, W) of the whole image.
        box: Part of the image this prediction covers; the whole image where it covers `size`.
        label_map: (h, w) uint8 permanent class indices of the box.
        confidence: (h, w) float32, largest softmax probability, in [0, 1].
        step: Training step of the weights that predicted; 0 of the quick model.
        checkpoint: Name of the checkpoint the weights came from, "" where they were never saved.
        source: Who predicted.
        share: The network's share of it, in [0, 1]: 0 is the quick model alone, 1 the network alone.
    """

    image_id: str
    size: tuple[int, int]
    box: Box
    label_map: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    step: int
    checkpoint: str
    source: PredictionSource = PredictionSource.NETWORK
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolItem:
    """One annotated image, as the pool and the evaluation know it.

    Attributes:
        image_id: The image.
        image_path: File to read the image from.
        size: (H, W) of the image.
        split: TRAIN images are learned from, VAL images measured on, NONE images neither.
        revision: Revision of the annotation this item stands for.
    """

    image_id: str
    image_path: str
    size: tuple[int, int]
    split: Split
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportItem:
    """One image to export.

    `size` is (H, W), or None where nobody opened the image yet: it is then read from the file.
    """

    image_id: str
    image_path: str
    size: tuple[int, int] | None = None


class WorkerState(Enum):
    """What the worker is doing; the transitions are drawn in `engine.worker`."""

    STARTING = "starting"
    IDLE = "idle"
    TRAINING = "training"
    FAULTED = "faulted"
    STOPPED = "stopped"
