"""A session without disk, threads and torch: everything happens in memory, events are emitted at once.

It is a real `SessionView`: patches, classes and queue are the engine's own; only its servants are missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from engine.annotate.annotation import Annotation
from engine.annotate.classes import UNLABELLED, ClassTable
from engine.annotate.geometry import Box
from engine.annotate.journal import History, RecordKind
from engine.annotate.patch import Patch
from engine.config import Device, TrainingConfig
from engine.errors import EngineError
from engine.learn.checkpoint_files import CheckpointInfo
from engine.messages import (
    AnnotationSetAside,
    AnnotationStored,
    CandidateJudged,
    CheckpointsChanged,
    Command,
    CommandFailed,
    ComparisonReady,
    Event,
    ExportDone,
    ImageFailed,
    ImageLoaded,
    ImagesRelinked,
    PoolItem,
    Prediction,
    PredictionReady,
    PredictionSource,
    Problem,
    StateChanged,
    ThumbnailReady,
    TrainingStopped,
    WorkerState,
    WriteFailed,
)
from engine.project.manifest import ImageRecord, ImageStatus, Manifest, OrderKind, Split
from engine.project.project import Project
from engine.project.pyramid import build_pyramid
from engine.project.store import LoadedAnnotation
from engine.session.candidates import CandidateControl
from engine.session.inspection import InspectionControl, Shown
from engine.session.view import SessionView

SHARES = {PredictionSource.QUICK: 0.0, PredictionSource.JOINT: 0.5}
"""The network's, of what each source predicts."""

CLASSES = ClassTable().add("sky").add("building").add("road").add("tree")


@dataclass
class FakeProject:
    """Stands where a project on disk stands."""

    manifest: Manifest
    images_folder: Path = Path("/fake/images")
    read_only: bool = False
    read_only_reason: str = ""
    notes: tuple[str, ...] = ()
    missing: dict[str, ImageRecord] = field(default_factory=dict)
    home: Path | None = None

    @property
    def folder(self) -> Path:
        return (self.home or self.images_folder) / "maskloop"

    def image_path(self, image_id: str) -> Path:
        return self.images_folder / image_id


@dataclass
class Stored:
    """What the "disk" of the fake holds about one image."""

    annotation: Annotation
    history: History = field(default_factory=History)


class FakeWorker:
    """Keeps what inspection asks of the worker; tests answer by hand."""

    def __init__(self, session: "FakeSession") -> None:
        self.session = session
        self.asked: list[Command] = []
        self.is_started = False
        self.awaits_network = False
        self.step = 0

    def ask(self, command: Command) -> None:
        self.asked.append(command)

    def of(self, kind: type) -> list[Any]:
        """Return what was asked of one kind, oldest first."""
        return [command for command in self.asked if isinstance(command, kind)]

    def pool_items(self, sizes: Mapping[str, tuple[int, int]]) -> tuple[PoolItem, ...]:
        records = [record for record in self.session.images if record.split is not Split.NONE and record.size]
        return tuple(
            PoolItem(
                image_id=record.image_id,
                image_path=str(self.session.project.image_path(record.image_id)),
                size=record.size,
                split=record.split,
                revision=record.revision,
            )
            for record in records
            if record.size
        )


class FakeSession(SessionView):
    """Records every intention in `calls`; `emit` is the bridge's."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        *,
        images: Mapping[str, NDArray[np.uint8]],
        classes: ClassTable = CLASSES,
        folder: Path = Path("/fake/images"),
        read_only: bool = False,
        notes: tuple[str, ...] = (),
        missing: tuple[str, ...] = (),
        home: Path | None = None,
    ) -> None:
        records = {
            name: ImageRecord(image_id=name, size=picture.shape[:2]) for name, picture in images.items()
        }
        reason = "another window works on it." if read_only else ""
        project = FakeProject(Manifest(classes=classes, images=records), folder, read_only, reason)
        project.notes = notes
        project.home = home
        project.missing = {name: ImageRecord(image_id=name, revision=1) for name in missing}
        super().__init__(cast(Project, project))
        self.emit = emit
        self.worker = FakeWorker(self)
        self.inspection = InspectionControl(cast(Shown, self))
        self.candidates = CandidateControl(cast(Project, project), self.worker.ask, self._take)
        self.pictures = dict(images)
        self.disk = {name: Stored(Annotation(picture.shape[:2])) for name, picture in images.items()}
        self.failing: dict[str, Problem] = {}
        self.damaged: dict[str, Problem] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.pending = 0
        self.holds_writes = False
        self.holds_exports = False
        self.flush_answers: list[bool] = []
        self.refusal: str | None = "Nothing painted yet. Paint a little of two classes."
        self.known_checkpoints: tuple[CheckpointInfo, ...] = ()
        self.state = WorkerState.STOPPED
        self.predicted: dict[str, NDArray[np.uint8]] = {}
        self.closed = False

    @property
    def saved(self) -> bool:
        return self.pending == 0

    def handle(self, event: Event) -> None:
        self.inspection.handle(event)
        self.queue.handle(event)
        self.worth.handle(event)
        if isinstance(event, CandidateJudged | CheckpointsChanged | ComparisonReady):
            self.candidates.handle(event)
        if isinstance(event, ImageLoaded):
            self._sizes[event.image_id] = event.size
            self._opened.loaded(event)
        elif isinstance(event, ImageFailed):
            self._opened.fail(event.image_id, event.problem)
        elif isinstance(event, PredictionReady):
            self._predictions.add(event.prediction)
        elif isinstance(event, AnnotationStored):
            self.pending = max(0, self.pending - 1)
        elif isinstance(event, WriteFailed):
            self.save_problem = event.problem

    # --- looking

    def show(self, image_id: str) -> None:
        self.calls.append(("show", image_id))
        self.current = image_id
        self._opened.touch(image_id)
        if image_id in self.failing:
            self.emit(ImageFailed(image_id=image_id, problem=self.failing[image_id]))
            return
        stored = self.disk[image_id]
        damaged = self.damaged.get(image_id)
        loaded = None if damaged else LoadedAnnotation(annotation=stored.annotation, history=stored.history)
        self.emit(
            ImageLoaded(
                image_id=image_id,
                size=self.pictures[image_id].shape[:2],
                pyramid=build_pyramid(self.pictures[image_id]),
                annotation=loaded,
                annotation_problem=damaged,
                annotation_damaged=damaged is not None,
            )
        )

    def remember_order(self, kind: OrderKind) -> None:
        self.project.manifest = replace(self.manifest, order=kind)

    def load_thumbnails(self, image_ids: Sequence[str]) -> None:
        for image_id in image_ids:
            if image_id not in self.failing:
                self.emit(ThumbnailReady(image_id=image_id, thumbnail=self.pictures[image_id][::4, ::4]))

    def request_prediction(self, visible: Box | None = None) -> None:
        self.calls.append(("request_prediction", visible))
        if self.current in self.predicted:
            self.predict(self.current, self.predicted[self.current])

    def predict(
        self,
        image_id: str,
        label_map: NDArray[np.uint8],
        confidence: float | NDArray[np.float32] = 0.9,
        source: PredictionSource = PredictionSource.NETWORK,
        share: float | None = None,
        step: int = 10,
    ) -> None:
        """Let a prediction of the whole image arrive."""
        self.emit(
            PredictionReady(
                request_id=1,
                prediction=Prediction(
                    image_id=image_id,
                    size=label_map.shape,
                    box=Box(0, 0, *label_map.shape),
                    label_map=label_map,
                    confidence=np.full(label_map.shape, confidence, np.float32),
                    step=0 if source is PredictionSource.QUICK else step,
                    checkpoint="",
                    source=source,
                    share=SHARES.get(source, 1.0) if share is None else share,
                ),
                complete=True,
            )
        )

    # --- editing

    def apply(self, patch: Patch) -> None:
        opened = self._shown()
        if opened is None or opened.annotation is None:
            raise EngineError("No image is open for annotation.")
        opened.annotation.apply(patch)

    def commit(self, patch: Patch, kind: RecordKind = RecordKind.PATCH) -> None:
        assert self.current is not None
        self.calls.append(("commit", self.current, kind))
        stored = self.disk[self.current]
        stored.history = stored.history.after(kind, patch.encode() if kind is RecordKind.PATCH else b"")
        record = self.manifest.images[self.current]
        seen = set(np.unique(patch.after[patch.mask]).tolist()) - {UNLABELLED}
        status = ImageStatus.STARTED if record.status is ImageStatus.NEW else record.status
        split = Split.TRAIN if record.split is Split.NONE else record.split
        labelled = tuple(sorted(set(record.labelled) | seen))
        revision = record.revision + 1
        self._put(replace(record, status=status, split=split, labelled=labelled, revision=revision))
        self.pending += 1
        if not self.holds_writes:
            self.emit(AnnotationStored(image_id=self.current, revision=revision))

    def set_reviewed(self, image_id: str, reviewed: bool) -> None:
        status = ImageStatus.REVIEWED if reviewed else ImageStatus.STARTED
        self._put(replace(self.manifest.images[image_id], status=status))

    def _take(self, manifest: Manifest) -> None:
        self.project.manifest = manifest

    def _put(self, record: ImageRecord) -> None:
        self.project.manifest = self.manifest.with_record(record)

    # --- classes

    def set_classes(self, classes: ClassTable) -> None:
        self.calls.append(("set_classes", classes.names))
        self.project.manifest = replace(self.manifest, classes=classes)

    def delete_class(self, index: int, merge_into: int | None) -> None:
        self.calls.append(("delete_class", index, merge_into))

    # --- repairs

    def find_renamed(self) -> None:
        self.calls.append(("find_renamed",))

    def relink(self, pairs: Mapping[str, str]) -> None:
        self.calls.append(("relink", dict(pairs)))
        self.project.missing = {n: r for n, r in self.project.missing.items() if n not in pairs}
        self.emit(ImagesRelinked(pairs=pairs))

    def start_anew(self) -> None:
        assert self.current is not None
        self.calls.append(("start_anew", self.current))
        del self.damaged[self.current]
        self._opened.forget(self.current)
        self.emit(AnnotationSetAside(image_id=self.current, folder="/fake/set-aside/1"))

    # --- training

    def can_train(self) -> str | None:
        return self.refusal

    def start_training(self) -> None:
        self.calls.append(("start_training",))
        self.emit(StateChanged(state=WorkerState.TRAINING))

    def stop_training(self) -> None:
        self.calls.append(("stop_training",))
        self.emit(StateChanged(state=WorkerState.IDLE))
        self.emit(TrainingStopped(reason="Stopped by you at step 10."))

    def set_training(self, training: TrainingConfig) -> None:
        self.calls.append(("set_training", training))
        self.project.manifest = replace(self.manifest, training=training)

    def choose_network(self, network: Any, loss: Any) -> None:
        self.calls.append(("choose_network", network, loss))
        self.project.manifest = replace(self.manifest, network=network, loss=loss)

    def restart_network(self) -> None:
        self.calls.append(("restart_network",))
        self.emit(StateChanged(state=WorkerState.IDLE))

    def save_checkpoint(self, name: str | None = None) -> None:
        self.calls.append(("save_checkpoint", name))

    def checkpoints(self) -> tuple[CheckpointInfo, ...]:
        return self.known_checkpoints

    def load_checkpoint(self, path: Path) -> None:
        self.calls.append(("load_checkpoint", path))

    # --- exchange and the end

    def export(self, format_name: str, folder: Path, *, fill_with_prediction: bool) -> None:
        self.calls.append(("export", format_name, folder, fill_with_prediction))
        if not self.holds_exports:
            self.emit(ExportDone(folder=str(folder), files=3, notes=()))

    def cancel_export(self) -> None:
        self.calls.append(("cancel_export",))
        problem = Problem(message="The export was cancelled.", hint="")
        self.emit(CommandFailed(command="Export", problem=problem))

    def cancel_import(self) -> None:
        self.calls.append(("cancel_import",))

    def flush(self, timeout: float = 30.0) -> bool:
        self.calls.append(("flush", timeout))
        return self.flush_answers.pop(0) if self.flush_answers else True

    def close(self, timeout: float = 30.0) -> bool:
        self.closed = True
        return True


def pictures(count: int = 3, size: tuple[int, int] = (60, 80)) -> dict[str, NDArray[np.uint8]]:
    """Return plain pictures, each of another grey."""
    return {
        f"image_{number:02}.png": np.full((*size, 3), 40 + 150 * number // max(1, count), np.uint8)
        for number in range(count)
    }


class Opener:
    """What a bridge opens sessions with; keeps them in `sessions`."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.sessions: list[FakeSession] = []
        self.errors: list[EngineError] = []
        self.opened: list[tuple[Path, bool, Device]] = []

    def __call__(
        self,
        folder: Path,
        *,
        emit: Callable[[Event], None],
        read_only: bool = False,
        device: Device = Device.AUTO,
    ) -> FakeSession:
        self.opened.append((folder, read_only, device))
        if self.errors:
            raise self.errors.pop(0)
        options = {"images": pictures(), **self.options}
        session = FakeSession(emit, folder=folder, read_only=read_only, **options)
        self.sessions.append(session)
        return session
