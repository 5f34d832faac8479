"""Commands to the worker."""

from __future__ import annotations

from dataclasses import dataclass

from engine.annotate.classes import ClassTable
from engine.annotate.geometry import Box
from engine.config import Device, PredictConfig, TrainingConfig, Voice
from engine.messages.inspection import InspectionCommand
from engine.messages.learning import LearningCommand
from engine.messages.queue import ScoreImages
from engine.messages.values import ExportItem, PoolItem
from models.configs import LossConfig, NetworkConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenNetwork:
    """Build a network and make it the worker's own. Answered by `NetworkOpened` or `CommandFailed`.

    Attributes:
        network: What to build.
        loss: What it learns by.
        classes: Class table; its order is the order of the output channels.
        store_folder: Project folder with annotations, checkpoints and runs; "" for a network without
            a project, which can predict but neither train nor save.
        images_folder: Folder the image ids are relative to.
        checkpoint: File to take weights from, or None for fresh weights.
        device: Where to run.
        predict: How to predict.
        quick_head: Whether a quick model learns from every stroke and predicts, later with the network.
        quick_mirrors: Whether what is painted teaches it the same as if the image were mirrored.
    """

    network: NetworkConfig
    loss: LossConfig
    classes: ClassTable
    store_folder: str
    images_folder: str
    checkpoint: str | None = None
    device: Device = Device.AUTO
    predict: PredictConfig = PredictConfig()
    quick_head: bool = False
    quick_mirrors: bool = True


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

    A network that has learnt nothing yet (no step, no checkpoint) stays silent instead of showing
    noise; the request is remembered and answered as soon as there is something to show.

    Attributes:
        image_id: The image.
        image_path: File to read the image from.
        request_id: Comes back in every `PredictionReady` of this request.
        visible: Box of the image on screen, or None for no preference.
        inspect: Ask the network for its inner state as well.
        voice: Whose word is wanted; others than what is shown are for measuring.
    """

    image_id: str
    image_path: str
    request_id: int
    visible: Box | None = None
    inspect: bool = False
    voice: Voice = Voice.SHOWN


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
    """Write final label maps in a foreign format; answered by `ExportDone`.

    `CancelExport`, `Shutdown` or a newer `Export` ends it before its time; files of an earlier export
    then stay as they were.

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
class CancelExport:
    """End a running export, which then answers `CommandFailed`. Ignored when nothing is exported."""


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
    | CancelExport
    | Shutdown
    | InspectionCommand
    | LearningCommand
    | ScoreImages
)
