"""The session's side of the network thread: opening it lazily, feeding it, and remembering what it said.

Owner thread only. The worker starts with the first intention that needs it, so that a window opens without
torch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from engine.annotate.classes import ClassTable
from engine.annotate.geometry import Box
from engine.config import Device, Voice
from engine.messages import (
    AnnotationChanged,
    CancelExport,
    CheckpointSaved,
    ClassesChanged,
    Command,
    CommandFailed,
    EvaluationDone,
    Event,
    Export,
    ExportItem,
    LoadCheckpoint,
    NetworkOpened,
    OpenNetwork,
    PoolItem,
    Predict,
    Problem,
    SaveCheckpoint,
    Shutdown,
    StartTraining,
    StateChanged,
    StepsDone,
    StopTraining,
    WorkerState,
)
from engine.project.manifest import ImageRecord, Split
from engine.project.project import Project
from engine.worker import Worker

_TOLD = 64
"""Annotations told to a worker that starts, spread over the project."""


class TrainingControl:
    """Talks to the worker for one session.

    Args:
        project: The open project; its manifest names network, loss and training configuration.
        emit: Where the worker's events go; called on the worker thread.
        device: Where the network shall live.
    """

    def __init__(self, project: Project, emit: Callable[[Event], None], device: Device) -> None:
        self._project = project
        self._emit = emit
        self._device = device
        self._worker: Worker | None = None
        self._request_id = 0
        self._wanted: Predict | None = None
        self._told: set[str] = set()
        self.state = WorkerState.STOPPED
        self.problem: Problem | None = None
        self._opening = 0
        self._unheard: deque[Event] = deque()
        self.step = 0
        self.losses: Mapping[str, float] = {}
        self.opened: NetworkOpened | None = None
        self.evaluation: EvaluationDone | None = None

    @property
    def is_training(self) -> bool:
        """Whether optimizer steps are being made."""
        return self.state is WorkerState.TRAINING

    @property
    def is_started(self) -> bool:
        """Whether the worker thread was started."""
        return self._worker is not None

    def ensure_started(self) -> None:
        """Start the worker and open the project's network, once. Without classes there is no network yet."""
        if self._worker is None and len(self._project.manifest.classes):
            self._worker = Worker(self._tell)
            self.state = WorkerState.STARTING
            self._worker.start()
            self.open_network()
            if self._wanted is not None:
                self._post(self._wanted)

    def open_network(self, checkpoint: str | None = None) -> None:
        """Open the manifest's network, from its checkpoint if it has one."""
        manifest = self._project.manifest
        chosen = checkpoint or manifest.checkpoint
        path = self._project.folder / chosen if chosen else None
        self._post(
            OpenNetwork(
                network=manifest.network,
                loss=manifest.loss,
                classes=manifest.classes,
                store_folder=str(self._project.folder),
                images_folder=str(self._project.images_folder),
                checkpoint=str(path) if path and path.is_file() else None,
                device=self._device,
                quick_head=manifest.training.quick_head,
                quick_mirrors=manifest.training.augment.flip,
            )
        )
        self._tell_annotations()
        self._opening += 1
        self.evaluation = None

    def _tell_annotations(self) -> None:
        """Tell the worker what is annotated already: the quick model learns from some of it."""
        records = [
            record
            for record in self._project.manifest.images.values()
            if record.split is not Split.NONE and record.labelled and record.size is not None
        ]
        for record in records[:: -(-len(records) // _TOLD) or 1]:
            self.annotation_changed(record)

    def refusal(self) -> str | None:
        """Return why training cannot start now, in words that say what to do; None if it can."""
        if self._project.read_only:
            return f"This project is open read-only: {self._project.read_only_reason}"
        records = [record for record in self._project.manifest.images.values() if record.split is Split.TRAIN]
        if not records:
            return "Nothing painted yet. Paint a little of two classes, then training can start."
        present = {index for record in records for index in record.labelled}
        named = [spec.name for spec in self._project.manifest.classes if spec.index in present]
        if len(named) < 2:
            only = f"All strokes are '{named[0]}'" if named else "No class is painted yet"
            other = f"Paint anything that is not {named[0]}" if named else "Paint a little of two classes"
            return f"{only}. {other}, then training can start."
        return None

    def start(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        """Start training from every annotated image. Call `refusal` first."""
        self.ensure_started()
        self._post(StartTraining(config=self._project.manifest.training, items=self.pool_items(sizes)))

    def stop(self) -> None:
        """Ask training to stop at the next step boundary."""
        self._post(StopTraining())

    def pool_items(self, sizes: Mapping[str, tuple[int, int]]) -> tuple[PoolItem, ...]:
        """Return every annotated image that takes part in training or evaluation."""
        records = self._project.manifest.images
        return tuple(
            self._pool_item(record, record.size or sizes[name])
            for name, record in records.items()
            if record.split is not Split.NONE and (record.size or name in sizes)
        )

    def _pool_item(self, record: ImageRecord, size: tuple[int, int]) -> PoolItem:
        return PoolItem(
            image_id=record.image_id,
            image_path=str(self._project.image_path(record.image_id)),
            size=size,
            split=record.split,
            revision=record.revision,
        )

    def annotation_changed(self, record: ImageRecord) -> None:
        """Tell the worker that an annotation on disk has a new revision."""
        if self._worker is not None and record.size is not None:
            self._told.add(record.image_id)
            self._post(AnnotationChanged(item=self._pool_item(record, record.size)))

    def classes_changed(self, classes: ClassTable) -> None:
        """Tell the worker that the class table changed; what it learned about the other classes stays."""
        if self._worker is None:
            self.ensure_started()
        elif len(classes):
            self._post(ClassesChanged(classes=classes))

    def predict(self, image_id: str, visible: Box | None, *, voice: Voice = Voice.SHOWN) -> int:
        """Ask for a prediction of an image, visible part first; return the request id. The newest wins.

        Args:
            image_id: The image.
            visible: Box on screen, or None.
            voice: Whose word is wanted.
        """
        self.ensure_started()
        self._request_id += 1
        # Kept for a worker that cannot start yet: the first class makes it answer.
        self._wanted = Predict(
            image_id=image_id,
            image_path=str(self._project.image_path(image_id)),
            request_id=self._request_id,
            visible=visible,
            inspect=False,
            voice=voice,
        )
        record = self._project.manifest.images.get(image_id)
        if record is not None and record.labelled and image_id not in self._told:
            self.annotation_changed(record)
        self._post(self._wanted)
        return self._request_id

    def save_checkpoint(self, name: str | None) -> None:
        """Ask for a checkpoint file now, with a name if given (named ones are never pruned)."""
        self._post(SaveCheckpoint(name=name))

    def load_checkpoint(self, path: Path) -> None:
        """Go back (or over) to a checkpoint file."""
        self.ensure_started()
        self._post(LoadCheckpoint(path=str(path)))

    def export(self, items: tuple[ExportItem, ...], format_name: str, folder: Path, *, fill: bool) -> None:
        """Ask the worker to write the project's label maps in a foreign format. Safe on any thread."""
        self._post(
            Export(
                items=items,
                classes=self._project.manifest.classes,
                format=format_name,
                folder=str(folder),
                fill_with_prediction=fill,
                store_folder=str(self._project.folder),
            )
        )

    def cancel_export(self) -> None:
        """End a running export."""
        self._post(CancelExport())

    @property
    def awaits_network(self) -> bool:
        """Whether another network was asked for and does not stand yet: checkpoints are of the old one."""
        return self._opening > 0

    def late_events(self) -> Iterator[Event]:
        """Return what the ended worker said about networks and checkpoints and nobody has handled yet."""
        while self._unheard:
            yield self._unheard[0]

    def _tell(self, event: Event) -> None:
        """Pass an event on; worker thread."""
        if isinstance(event, CheckpointSaved | NetworkOpened | CommandFailed):
            self._unheard.append(event)
        self._emit(event)

    def heard(self, event: Event) -> None:
        """Note that the owner handles an event now. Call it first for each."""
        if self._unheard and self._unheard[0] is event:
            self._unheard.popleft()
        is_failure = isinstance(event, CommandFailed) and event.command == OpenNetwork.__name__
        if isinstance(event, NetworkOpened) or is_failure:
            self._opening = max(0, self._opening - 1)

    def handle(self, event: Event) -> None:
        """Remember what the worker said."""
        match event:
            case StateChanged():
                self.state, self.problem = event.state, event.problem
            case StepsDone():
                self.step, self.losses = event.step, event.losses
            case EvaluationDone():
                self.evaluation = event
            case NetworkOpened():
                self.opened = event
                self.step = event.step
            case _:
                pass

    def close(self, timeout: float) -> bool:
        """Shut the worker down and wait for it; return whether it ended in time."""
        if self._worker is None:
            return True
        self._worker.post(Shutdown())
        return self._worker.join(timeout)

    def ask(self, command: Command) -> None:
        """Pass a command on, starting the worker where it does not run yet."""
        self.ensure_started()
        self._post(command)

    def _post(self, command: Command) -> None:
        if self._worker is not None:
            self._worker.post(command)
