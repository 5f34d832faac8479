"""The program's open work on one project: every user intention is a method of `Session`.

Threads: a session belongs to the thread that opened it (the window's, or the command line's main thread).
Its three servants, the writer, the loader and the worker, run on their own threads and speak through
`emit`; whoever owns the session passes each event to `Session.handle` on the owner thread before anybody
else looks at it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.annotate.classes import ClassTable
from engine.annotate.geometry import Box
from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch
from engine.config import Device, TrainingConfig
from engine.errors import EngineError, TrainingRefusedError
from engine.learn.checkpoint_files import CHECKPOINTS_FOLDER, CheckpointInfo, list_checkpoints
from engine.loader import Loader
from engine.messages import (
    AnnotationSetAside,
    AnnotationStored,
    CandidateJudged,
    CheckpointSaved,
    CheckpointsChanged,
    ClassDeleted,
    ComparisonReady,
    Event,
    ExportItem,
    ImageFailed,
    ImageLoaded,
    ImagesRelinked,
    MasksImported,
    PredictedAhead,
    PredictionReady,
    WriteFailed,
    WriteRecovered,
)
from engine.project.manifest import ImageRecord, ImageStatus, Manifest, OrderKind, Split
from engine.project.project import Project
from engine.session import class_changes, repairs, review
from engine.session.candidates import CandidateControl
from engine.session.inspection import InspectionControl
from engine.session.masks import MaskImports
from engine.session.training import TrainingControl
from engine.writer import Writer
from models.configs import LossConfig, NetworkConfig


class Session(MaskImports):
    """One open project. Use `Session.open`; see the module text for threads."""

    def __init__(
        self, project: Project, *, emit: Callable[[Event], None], device: Device = Device.AUTO
    ) -> None:
        super().__init__(project, emit)
        self._writer = Writer(emit)
        self._loader = Loader(emit)
        self._waiting: dict[str, int] = {}
        self._start_due = False
        self._closing = threading.Event()
        self.worker = TrainingControl(project, emit, device)
        self.inspection = InspectionControl(self)
        self.candidates = CandidateControl(project, self.worker.ask, self._update)
        self._writer.start()
        if (manifest := repairs.manifest_opened(project)) is not None:
            self._update(manifest)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        emit: Callable[[Event], None],
        read_only: bool = False,
        device: Device = Device.AUTO,
    ) -> Session:
        """Open a folder of images, and the project in it if there is one.

        Nothing is written yet, but for what the last time left undone (after a crash, or a hasty end).

        Raises:
            ProjectLockedError: Another instance works on it; open it with `read_only=True` to look.
            ProjectError: The folder is gone or is no folder.
        """
        return cls(Project.open(folder, read_only=read_only), emit=emit, device=device)

    @property
    def saved(self) -> bool:
        """Whether everything the person did is on disk."""
        return self._writer.pending == 0

    # --- events -------------------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Take in one event from the writer, the loader or the worker. Call this first for each event."""
        self.worker.heard(event)
        self.inspection.handle(event)
        self.queue.handle(event)
        self.worth.handle(event)
        match event:
            case ImageLoaded():
                self._image_loaded(event)
            case ImageFailed():
                self._opened.fail(event.image_id, event.problem)
            case AnnotationStored():
                self._annotation_stored(event)
            case PredictionReady() | PredictedAhead():
                self._predictions.add(event.prediction)
            case CheckpointSaved() | CandidateJudged() | CheckpointsChanged() | ComparisonReady():
                if not self.worker.awaits_network:
                    self.candidates.handle(event)
            case ClassDeleted() | MasksImported() | AnnotationSetAside() | ImagesRelinked():
                self._replaced(event)
            case WriteFailed():
                self.save_problem = event.problem
                self._start_if_stored()
            case WriteRecovered():
                self.save_problem = None
            case _:
                self.worker.handle(event)

    def _replaced(self, event: ClassDeleted | MasksImported | AnnotationSetAside | ImagesRelinked) -> None:
        """Follow a change of annotations that is larger than a patch."""
        match event:
            case ClassDeleted():
                self._class_deleted(event)
            case MasksImported():
                self._masks_imported(event)
            case AnnotationSetAside():
                self._annotation_set_aside(event)
            case ImagesRelinked():
                self._images_relinked(event)

    def _image_loaded(self, event: ImageLoaded) -> None:
        self._sizes[event.image_id] = event.size
        self._opened.loaded(event)

    def _annotation_stored(self, event: AnnotationStored) -> None:
        left = self._waiting.get(event.image_id, 1) - 1
        self._waiting[event.image_id] = max(left, 0)
        if left <= 0:
            self._opened.unpin(event.image_id)
            record = self.manifest.images.get(event.image_id)
            if record is not None:
                self.worker.annotation_changed(record)
        self._start_if_stored()

    # --- looking ------------------------------------------------------------------------------------------

    def show(self, image_id: str) -> None:
        """Bring an image on screen; `ImageLoaded` or `ImageFailed` follows. Neighbours are decoded ahead."""
        self.current = image_id
        self._opened.touch(image_id)
        self._loader.load(image_id, self.project.image_path(image_id), self.project.store, self.classes)
        self.queue.looked(image_id)
        self.worth.worked()
        order = self.queue.ids
        ahead = [review.neighbour(order, image_id, offset) for offset in (1, -1, 2)]
        for name in ahead:
            if name is not None:
                self._loader.prefetch(name, self.project.image_path(name))

    def load_thumbnails(self, image_ids: Sequence[str]) -> None:
        """Ask for thumbnails; `ThumbnailReady` follows for each, in this order."""
        self._loader.thumbnails([(name, self.project.image_path(name)) for name in image_ids])

    def request_prediction(self, visible: Box | None = None) -> None:
        """Ask for a prediction of the image on screen, its visible part first."""
        if self.current is not None:
            self.worker.predict(self.current, visible)

    # --- editing ------------------------------------------------------------------------------------------

    def apply(self, patch: Patch) -> None:
        """Change the annotation on screen in memory: live while the button is down, and by undo and redo.

        Raises:
            EngineError: No annotation is on screen.
        """
        opened = self._shown()
        if opened is None or opened.annotation is None:
            raise EngineError("No image is open for annotation.", "Wait until the image is shown.")
        opened.annotation.apply(patch)

    def commit(self, patch: Patch, kind: RecordKind = RecordKind.PATCH) -> None:
        """Journal a change that `apply` made: at mouse-up, and after an undo or redo. Returns at once.

        Args:
            patch: For `PATCH` the whole gesture; for `UNDO` and `REDO` the step taken back or redone.
            kind: What the journal shall say.
        """
        opened = self._shown()
        image_id = self.current
        if opened is None or opened.annotation is None or image_id is None:
            raise EngineError("No image is open for annotation.", "Wait until the image is shown.")
        if not self.project.exists_on_disk:
            self.project.ensure()
        self.worth.worked()
        opened.revision += 1
        self._waiting[image_id] = self._waiting.get(image_id, 0) + 1
        self._opened.pin(image_id)
        self._writer.append(
            self.project.store, image_id, kind, opened.revision, patch if kind is RecordKind.PATCH else None
        )
        self._writer.snapshot(self.project.store, image_id, opened.annotation.size)
        record = review.record_after(self.manifest.images, image_id, patch)
        self._update_record(replace(record, size=opened.annotation.size, revision=opened.revision))

    def set_reviewed(self, image_id: str, reviewed: bool) -> None:
        """Mark an image as reviewed, or as not reviewed again."""
        self.worth.worked()
        status = ImageStatus.REVIEWED if reviewed else ImageStatus.STARTED
        self._update_record(replace(self.manifest.images[image_id], status=status))

    def set_split(self, image_id: str, split: Split) -> None:
        """Say whether an image trains or is held out."""
        self._update_record(replace(self.manifest.images[image_id], split=split))

    def _update_record(self, record: ImageRecord) -> None:
        self._update(replace(self.manifest, images={**self.manifest.images, record.image_id: record}))

    def _update(self, manifest: Manifest) -> None:
        if self.read_only:
            return
        self.project.update(manifest)
        self.project.ensure()
        self._writer.manifest(self.project, manifest)

    def remember_order(self, kind: OrderKind) -> None:
        """Keep the order of the queue; a folder without a project gets none for that alone."""
        manifest = replace(self.manifest, order=kind)
        if self.project.folder.is_dir():
            self._update(manifest)
        elif not self.read_only:
            self.project.update(manifest)

    # --- classes ------------------------------------------------------------------------------------------

    def set_classes(self, classes: ClassTable) -> None:
        """Replace the class table by one that adds, renames, recolours, reorders, hides or locks classes."""
        before = self.classes
        self._update(replace(self.manifest, classes=classes))
        if [(spec.index, spec.name) for spec in before] != [(spec.index, spec.name) for spec in classes]:
            self.worker.classes_changed(classes)

    def delete_class(self, index: int, merge_into: int | None) -> None:
        """Delete a class in every image: its pixels become unlabelled or another class. Backed up first.

        Returns at once; the disk thread does the work. `Progress` and at last `ClassDeleted` follow; until
        then nothing can be painted, and the class is still in the table.
        """
        if self.read_only:
            return
        spec = self.classes.by_index(index)
        self._busy = f"Deleting {spec.name if spec else 'a class'} from all images; a moment."
        self._writer.run(self._busy, class_changes.deletion(self.project, index, merge_into, self._emit))

    def _class_deleted(self, event: ClassDeleted) -> None:
        self._busy = ""
        self._opened.forget_all()
        self._predictions.clear()
        self._update(class_changes.manifest_without(self.manifest, event.index, event.merge_into))
        self.worker.classes_changed(self.classes)

    # --- repairs ------------------------------------------------------------------------------------------

    def find_renamed(self) -> None:
        """Look for the `missing` images under other names; `RenamedFound` follows, from another thread."""
        if self.missing:
            repairs.search_renamed(self.project, self._emit, self._closing)

    def relink(self, pairs: Mapping[str, str]) -> None:
        """Give annotations of missing images to the files that were found; `ImagesRelinked` follows.

        Returns at once; until the disk thread is done nothing can be painted.
        """
        if not self.read_only:
            self._busy = "Giving annotations to renamed images; a moment."
            self._writer.run("annotations", repairs.relinking(self.project.store, pairs, self._emit))

    def _images_relinked(self, event: ImagesRelinked) -> None:
        self._busy = ""
        self._opened.forget_all()
        manifest = repairs.manifest_relinked(self.manifest, self.project.missing, event.pairs)
        self.project.found_again(event.pairs)
        self._update(manifest)

    def start_anew(self) -> None:
        """Move the damaged annotation on screen away, deleting nothing; `AnnotationSetAside` follows."""
        if self.current is not None and self.annotation_damaged:
            work = repairs.setting_aside(self.project.store, self.current, self._emit)
            self._writer.run(f"annotation of “{self.current}”", work)

    def _annotation_set_aside(self, event: AnnotationSetAside) -> None:
        self._opened.forget(event.image_id)
        self._update(repairs.manifest_set_aside(self.manifest, event.image_id))

    # --- training -----------------------------------------------------------------------------------------

    def can_train(self) -> str | None:
        """Return why training cannot start, or None if it can."""
        return self.worker.refusal()

    def start_training(self) -> None:
        """Start training from every annotated image, as soon as every stroke so far is on disk.

        Raises:
            TrainingRefusedError: Nothing can be learnt yet; the message says what to do.
        """
        refusal = self.worker.refusal()
        if refusal is not None:
            raise TrainingRefusedError(refusal, "")
        self._start_due = True
        self._start_if_stored()

    def _start_if_stored(self) -> None:
        """The worker reads strokes from the disk; where that refuses, it learns from what is there."""
        stored = self.save_problem is not None or not any(self._waiting.values())
        if self._start_due and stored:
            self._start_due = False
            self.worker.start(self._sizes)

    def stop_training(self) -> None:
        """Stop at the next step boundary; what was learned stays and is saved as a checkpoint."""
        self._start_due = False
        self.worker.stop()

    def set_training(self, training: TrainingConfig) -> None:
        """Change how training is done, from the next start on."""
        self._update(replace(self.manifest, training=training))

    def choose_network(self, network: NetworkConfig, loss: LossConfig) -> None:
        """Use another network or loss; annotations, classes and older checkpoints stay."""
        self._update(replace(self.manifest, network=network, loss=loss, checkpoint=None))
        self._predictions.clear()
        self.restart_network()

    def restart_network(self) -> None:
        """Open the project's network anew, from its checkpoint: after an error stopped it."""
        if self.worker.is_started:
            self.worker.open_network()
        else:
            self.worker.ensure_started()

    def save_checkpoint(self, name: str | None = None) -> None:
        """Ask for a checkpoint file now; a project that was not on disk yet is made."""
        if not self.read_only:
            self.project.ensure()
        self.worker.save_checkpoint(name)

    def checkpoints(self) -> tuple[CheckpointInfo, ...]:
        """Return the project's checkpoints, newest first. Reads file names only."""
        return list_checkpoints(self.project.folder / CHECKPOINTS_FOLDER)

    def load_checkpoint(self, path: Path) -> None:
        """Go over to another checkpoint."""
        self._predictions.clear()
        self.worker.load_checkpoint(path)

    # --- exchange and the end -----------------------------------------------------------------------------

    def export(self, format_name: str, folder: Path, *, fill_with_prediction: bool) -> None:
        """Write masks in a foreign format, every stroke so far included; `ExportDone` follows."""
        chosen = [record for record in self.images if fill_with_prediction or record.split is not Split.NONE]
        items = tuple(
            ExportItem(image_id=r.image_id, image_path=str(self.project.image_path(r.image_id)), size=r.size)
            for r in chosen
        )
        self.worker.ensure_started()
        self._writer.run(
            "export", lambda: self.worker.export(items, format_name, folder, fill=fill_with_prediction)
        )

    def cancel_export(self) -> None:
        """End a running export; what an earlier one wrote stays. `CommandFailed` says so."""
        self._writer.run("export", self.worker.cancel_export)  # after the order itself, wherever that is

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything is on disk; False if it is not after `timeout` seconds."""
        return self._writer.flush(timeout)

    def close(self, timeout: float = 30.0) -> bool:
        """Stop the worker, save everything, release the lock; return whether all was saved in time."""
        self._closing.set()
        self._loader.stop()
        self.worker.close(timeout)
        for event in self.worker.late_events():  # what was learned last is found again
            self.handle(event)
        saved = self._writer.flush(timeout)
        self._writer.stop()
        self.project.close()
        return saved
