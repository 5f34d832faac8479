"""Everything that crosses a thread: commands to the worker, events from worker, writer and loader.

All messages are frozen, keyword-only and picklable, so that a thread can become a process without a change here.
Arrays inside are read-only. Messages that carry arrays compare by identity. No torch in this module.

Units and shapes: `size` is (height, width); boxes are half-open; label maps are uint8 of permanent class indices
with 255 = unlabelled and 254 = void; confidence is float32 in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.annotate.geometry import Box
from engine.config import Device, PredictConfig, TrainingConfig
from engine.errors import EngineError
from engine.project.manifest import Split
from engine.project.pyramid import ImagePyramid
from engine.project.store import LoadedAnnotation
from models.configs import LossConfig, NetworkConfig


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What the network sees in a box of an image.

    Attributes:
        image_id: The image.
        size: (H, W) of the whole image.
        box: Part of the image this prediction covers; the whole image where it covers `size`.
        label_map: (h, w) uint8 permanent class indices of the box.
        confidence: (h, w) float32, largest softmax probability, in [0, 1].
        step: Training step of the weights that predicted.
        checkpoint: Name of the checkpoint the weights came from, "" where they were never saved.
    """

    image_id: str
    size: tuple[int, int]
    box: Box
    label_map: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    step: int
    checkpoint: str


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
    """One image to export. `size` is (H, W)."""

    image_id: str
    image_path: str
    size: tuple[int, int]


class WorkerState(Enum):
    """What the worker is doing; the transitions are drawn in `engine.worker`."""

    STARTING = "starting"
    IDLE = "idle"
    TRAINING = "training"
    FAULTED = "faulted"
    STOPPED = "stopped"


# --------------------------------------------------------------------------------------------- commands to the worker


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenNetwork:
    """Build a network and make it the worker's own. Answered by `NetworkOpened` or `CommandFailed`.

    Attributes:
        network: What to build.
        loss: What it learns by.
        classes: Class table; its order is the order of the output channels.
        store_folder: Project folder with annotations, checkpoints and runs; "" for a network without a project, which
            can then predict but neither train nor save.
        images_folder: Folder the image ids are relative to.
        checkpoint: File to take weights from, or None for fresh weights.
        device: Where to run.
        predict: How to predict.
    """

    network: NetworkConfig
    loss: LossConfig
    classes: ClassTable
    store_folder: str
    images_folder: str
    checkpoint: str | None = None
    device: Device = Device.AUTO
    predict: PredictConfig = PredictConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassesChanged:
    """The class table changed: the network follows, classes that stay keep what they learned."""

    classes: ClassTable


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTraining:
    """Train on the annotated images until stopped. While training: take over the new config and items."""

    config: TrainingConfig
    items: tuple[PoolItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTraining:
    """Stop training; answered by `TrainingStopped`. Ignored when nothing trains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationChanged:
    """An annotation was stored or its split changed: the pool reads this one again."""

    item: PoolItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Predict:
    """Predict an image, visible tiles first; the newest request wins.

    A network that has learnt nothing yet (no step, no checkpoint) stays silent instead of showing noise; the request
    is remembered and answered as soon as there is something to show.

    Attributes:
        image_id: The image.
        image_path: File to read the image from.
        request_id: Comes back in every `PredictionReady` of this request.
        visible: Box of the image on screen, or None for no preference.
        inspect: Ask the network for its inner state as well.
    """

    image_id: str
    image_path: str
    request_id: int
    visible: Box | None = None
    inspect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """Measure the network on the human-labelled pixels of the VAL items. Answered by `EvaluationDone`."""

    items: tuple[PoolItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveCheckpoint:
    """Save the present weights; with a name they are never pruned."""

    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCheckpoint:
    """Continue from a saved checkpoint, with the network it was saved with. Leaves FAULTED."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Write final label maps in a foreign format. Answered by `ExportDone`; ended by `Shutdown` or a newer `Export`.

    Attributes:
        items: Images to export, in order.
        classes: Class table of the export.
        format: Name of the exporter.
        folder: Folder to write to.
        fill_with_prediction: Predict what nobody annotated; otherwise it stays unlabelled.
        store_folder: Project folder with the annotations.
    """

    items: tuple[ExportItem, ...]
    classes: ClassTable
    format: str
    folder: str
    fill_with_prediction: bool
    store_folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """End the worker: it stops at the next boundary, saves what a running training learnt, and goes."""


Command = (
    OpenNetwork
    | ClassesChanged
    | StartTraining
    | StopTraining
    | AnnotationChanged
    | Predict
    | Evaluate
    | SaveCheckpoint
    | LoadCheckpoint
    | Export
    | Shutdown
)


# --------------------------------------------------------------------------------------------- events from the worker


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
    """

    step: int
    losses: Mapping[str, float]
    steps_per_second: float
    learning_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationDone:
    """Agreement with the human-labelled pixels of the held-out images.

    Attributes:
        step: Training step of the weights measured.
        miou: Mean intersection over union of the classes present, in [0, 1]; None where no pixel counts.
        iou_per_class: By class name; None for a class neither labelled nor predicted there.
        pixel_accuracy: Share of right pixels, in [0, 1]; None where no pixel counts.
        images: Number of images measured.
    """

    step: int
    miou: float | None
    iou_per_class: Mapping[str, float | None]
    pixel_accuracy: float | None
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionReady:
    """A part of a prediction; `complete` with the last part of a request."""

    request_id: int
    prediction: Prediction
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """A checkpoint is on disk. `miou` is the last held-out figure of these weights, or None."""

    path: str
    step: int
    miou: float | None
    is_best: bool


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
    """Training ended; one sentence why."""

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


# --------------------------------------------------------------------------------------------- events from the writer


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


# --------------------------------------------------------------------------------------------- events from the loader


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageLoaded:
    """An image is ready to be shown.

    Attributes:
        image_id: The image.
        size: (H, W).
        pyramid: The image in falling sizes.
        annotation: What is stored about it; None without a project or where it is damaged.
        annotation_problem: Why the annotation cannot be read; None where it can.
        notes: Remarks of the reader, such as "16 bit, shown as 8 bit".
    """

    image_id: str
    size: tuple[int, int]
    pyramid: ImagePyramid
    annotation: LoadedAnnotation | None = None
    annotation_problem: Problem | None = None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFailed:
    """An image cannot be read."""

    image_id: str
    problem: Problem


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
)
WriterEvent = AnnotationStored | SnapshotStored | ManifestStored | WriteFailed | WriteRecovered
LoaderEvent = ImageLoaded | ImageFailed | ThumbnailReady
Event = WorkerEvent | WriterEvent | LoaderEvent
