"""Events from the worker, the writer and the loader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.messages.inspection import InspectionEvent
from engine.messages.learning import LearningEvent
from engine.messages.queue import QueueEvent
from engine.messages.values import Prediction, Problem, WorkerState
from engine.project.pyramid import ImagePyramid
from engine.project.store import LoadedAnnotation

EXPORT_TASK: Final = "Export"
"""Task of an export's `Progress`."""

IMPORT_TASK: Final = "Import"
"""Task of an import's `Progress`."""

# ---------------------------------------------------------------------------------- from the worker


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """The worker entered a state; `problem` says why where something went wrong."""

    state: WorkerState
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Long work goes on: `done` of `total` pieces; `total` 0 where it is not known."""

    task: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsDone:
    """Training went on; at most ten of these a second.

    Attributes:
        step: Updates since the network was new.
        losses: Named weighted terms of the loss, means since the last event; their sum is the total.
        steps_per_second: Speed since the last event.
        learning_rate: Learning rate of the last step.
        first_step: Updates there were when this run began.
        images: Images that are learnt from.
    """

    step: int
    losses: Mapping[str, float]
    steps_per_second: float
    learning_rate: float
    first_step: int = 0
    images: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationDone:
    """Agreement with the human-labelled pixels of the held-out images.

    Attributes:
        step: Training step of the weights measured.
        miou: Mean intersection over union of the classes present, in [0, 1]; None where no pixel counts.
        iou_per_class: By class name; None for a class neither labelled nor predicted there.
        pixel_accuracy: Share of right pixels, in [0, 1]; None where no pixel counts.
        images: Number of images measured.
        pixels: Number of pixels that counted.
    """

    step: int
    miou: float | None
    iou_per_class: Mapping[str, float | None]
    pixel_accuracy: float | None
    images: int
    pixels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionReady:
    """A part of a prediction; `complete` with the last part of a request."""

    request_id: int
    prediction: Prediction
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """A checkpoint is on disk.

    `miou` is the last held-out figure of these weights, or None; `better` is False where they are kept but
    not shown, see `engine.learn.promotion`.
    """

    path: str
    step: int
    miou: float | None
    is_best: bool
    better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOpened:
    """The network stands.

    Attributes:
        title: Name of the network for people.
        parameters: Number of trainable values.
        device: Where it runs, for people.
        checkpoint: File the weights came from, or None where they are fresh.
        notices: Sentences worth reading: fallbacks, what a checkpoint did not fit.
        step: Training step of the weights.
    """

    title: str
    parameters: int
    device: str
    checkpoint: str | None
    notices: tuple[str, ...] = ()
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportDone:
    """An export is complete: number of files written and notes worth reading."""

    folder: str
    files: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStopped:
    """Training ended, what it learnt is saved and its memory given back; one sentence why it ended."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something worth a line on screen; nothing failed."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailed:
    """A command could not be done. `command` is the class name of the command."""

    command: str
    problem: Problem


# ---------------------------------------------------------------------------------- from the writer


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationStored:
    """The journal of an image holds this revision, flushed to disk."""

    image_id: str
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotStored:
    """The annotation files of an image hold this revision."""

    image_id: str
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDeleted:
    """No annotation on disk holds the class any more.

    Its pixels are `merge_into` now, or unlabelled where that is None.
    """

    index: int
    merge_into: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MasksImported:
    """Masks were written into annotations.

    Everything is by image id: permanent class indices now labelled, size (H, W), revision.
    """

    labelled: Mapping[str, tuple[int, ...]]
    sizes: Mapping[str, tuple[int, int]]
    revisions: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationSetAside:
    """The damaged annotation of an image lies in `folder` now; the image can be annotated anew."""

    image_id: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesRelinked:
    """Annotations of renamed images belong to the new names: present image id by missing image id.

    `notes` says which could not be given.
    """

    pairs: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestStored:
    """The manifest is on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFailed:
    """Something could not be written; it is kept and tried again. `target` names it for people."""

    target: str
    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRecovered:
    """What could not be written before is on disk now."""

    target: str


# ---------------------------------------------------------------------------------- from the loader


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageLoaded:
    """An image is ready to be shown.

    Attributes:
        image_id: The image.
        size: (H, W).
        pyramid: The image in falling sizes.
        annotation: What is stored about it; None without a project or where it is damaged.
        annotation_problem: Why the annotation cannot be read; None where it can.
        annotation_damaged: The files of the annotation are there and cannot be used; they can be set aside.
        notes: Remarks of the reader, such as "16 bit, shown as 8 bit".
    """

    image_id: str
    size: tuple[int, int]
    pyramid: ImagePyramid
    annotation: LoadedAnnotation | None = None
    annotation_problem: Problem | None = None
    annotation_damaged: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFailed:
    """An image cannot be read."""

    image_id: str
    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamedFound:
    """The search for missing annotated images is over: present image id by missing image id."""

    found: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThumbnailReady:
    """A small picture for the queue. `thumbnail` is (h, w, 3) uint8 RGB."""

    image_id: str
    thumbnail: NDArray[np.uint8]


WorkerEvent = (
    StateChanged
    | Progress
    | StepsDone
    | EvaluationDone
    | PredictionReady
    | CheckpointSaved
    | NetworkOpened
    | ExportDone
    | TrainingStopped
    | Notice
    | CommandFailed
    | InspectionEvent
    | LearningEvent
    | QueueEvent
)
WriterEvent = (
    AnnotationStored
    | SnapshotStored
    | ManifestStored
    | ClassDeleted
    | MasksImported
    | AnnotationSetAside
    | ImagesRelinked
    | WriteFailed
    | WriteRecovered
)
LoaderEvent = ImageLoaded | ImageFailed | ThumbnailReady | RenamedFound
Event = WorkerEvent | WriterEvent | LoaderEvent
