"""The only crossing between the threads of the engine and the window.

Events arrive on any thread, cross as one queued Qt signal, and are shown to the session first; then each
leaves as a typed signal of its own. The bridge also owns the session, so that views never hold a stale one.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from engine.annotate.classes import ClassTable
from engine.annotate.geometry import Box
from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch
from engine.config import Device, TrainingConfig
from engine.errors import EngineError
from engine.messages import (
    AnnotationSetAside,
    ClassDeleted,
    Event,
    ImagesRelinked,
    MasksImported,
    Problem,
    StateChanged,
    WorkerState,
)
from engine.session import Session

SAVED_CHECK_MS = 200
_LOG = logging.getLogger(__name__)

Opener = Callable[..., Session]


@dataclass(frozen=True, slots=True)
class SavedState:
    """What the "saved" dot shows.

    Attributes:
        saved: Everything is on disk.
        problem: Why it is not, where writing fails; None while it is only under way.
        since: Local time at which writing began to fail, or None.
    """

    saved: bool = True
    problem: Problem | None = None
    since: dt.datetime | None = None


class Bridge(QObject):
    """One open session as a Qt object. GUI thread only, except `receive`.

    Signals named after an event carry that event. The others say what changed; views read the rest from
    `session`. Those that end with "asked" say that the worker was asked for something that takes its time.
    """

    candidate_judged = Signal(object)
    checkpoints_changed = Signal(object)
    comparison_ready = Signal(object)
    shown_scored = Signal(object)
    state_changed = Signal(object)
    progress = Signal(object)
    steps_done = Signal(object)
    evaluation_done = Signal(object)
    prediction_ready = Signal(object)
    checkpoint_saved = Signal(object)
    network_opened = Signal(object)
    export_done = Signal(object)
    training_stopped = Signal(object)
    notice = Signal(object)
    command_failed = Signal(object)
    annotation_stored = Signal(object)
    snapshot_stored = Signal(object)
    class_deleted = Signal(object)
    masks_imported = Signal(object)
    annotation_set_aside = Signal(object)
    images_relinked = Signal(object)
    renamed_found = Signal(object)
    manifest_stored = Signal(object)
    write_failed = Signal(object)
    write_recovered = Signal(object)
    image_loaded = Signal(object)
    image_failed = Signal(object)
    thumbnail_ready = Signal(object)
    inspection_ready = Signal(object)
    pixel_explained = Signal(object)
    what_if_ready = Signal(object)
    overlay_ready = Signal(object)
    memory_mapped = Signal(object)
    calibration_fitted = Signal(object)
    label_errors_found = Signal(object)
    effect_previewed = Signal(object)
    image_scored = Signal(object)
    all_scored = Signal(object)
    predicted_ahead = Signal(object)

    session_changing = Signal()
    session_changed = Signal()
    current_changing = Signal()
    current_changed = Signal(str)
    annotations_replaced = Signal()
    annotation_changed = Signal(object)
    classes_changed = Signal()
    images_changed = Signal()
    image_status_changed = Signal(str)
    training_changed = Signal()
    saved_changed = Signal(object)
    prediction_asked = Signal()
    checkpoint_asked = Signal()
    comparison_asked = Signal()
    problem = Signal(str, object)

    _crossed = Signal(int, object)

    def __init__(self, open_session: Opener = Session.open, parent: QObject | None = None) -> None:
        """Args: `open_session` makes sessions; tests hand in their own."""
        super().__init__(parent)
        self._open_session = open_session
        self._generation = 0
        self._session: Session | None = None
        self._saved = SavedState()
        self._state = WorkerState.STOPPED
        self._crossed.connect(self._arrive, Qt.ConnectionType.QueuedConnection)
        # The last write is counted off just after its event was sent, so the state is looked at once more.
        self._saved_timer = QTimer(self)
        self._saved_timer.setInterval(SAVED_CHECK_MS)
        self._saved_timer.timeout.connect(self.refresh_saved)

    # --- the session ------------------------------------------------------------------------------------

    @property
    def session(self) -> Session | None:
        """The open session, or None on the start page."""
        return self._session

    @property
    def saved_state(self) -> SavedState:
        """What the "saved" dot shows now."""
        return self._saved

    @property
    def worker_state(self) -> WorkerState:
        """What the network thread is doing."""
        return self._state

    def open(self, folder: Path, *, read_only: bool = False, device: Device = Device.AUTO) -> None:
        """Open a folder in place of the open one. Close the open one first.

        Raises:
            ProjectLockedError: Another instance works on it.
            ProjectError: The folder is gone or is no folder.
        """
        self.session_changing.emit()
        self._generation += 1
        generation = self._generation
        session = self._open_session(
            folder,
            emit=lambda event: self.receive(generation, event),
            read_only=read_only,
            device=device,
        )
        self._session = session
        self._state = WorkerState.STOPPED
        self._saved = SavedState()
        self.session_changed.emit()
        self.saved_changed.emit(self._saved)

    def close(self, timeout: float = 30.0) -> bool:
        """Close the session, waiting for the disk; returns whether everything was saved in time."""
        session = self._session
        if session is None:
            return True
        self.session_changing.emit()
        self._generation += 1
        self._session = None
        saved = session.close(timeout)
        self._saved = SavedState()
        self.session_changed.emit()
        return saved

    # --- events -----------------------------------------------------------------------------------------

    def receive(self, generation: int, event: Event) -> None:
        """Take in an event on any thread; it is handled on the GUI thread."""
        self._crossed.emit(generation, event)

    def _arrive(self, generation: int, event: Event) -> None:
        session = self._session
        if session is None or generation != self._generation:
            return  # an event of a session that was closed meanwhile
        session.handle(event)
        if isinstance(event, StateChanged):
            self._state = event.state
        if isinstance(event, ClassDeleted | MasksImported | AnnotationSetAside | ImagesRelinked):
            self._annotations_replaced()
        signal_of(self, type(event)).emit(event)
        self.refresh_saved()

    def refresh_saved(self) -> None:
        """Tell the "saved" dot if its state changed."""
        session = self._session
        if session is None:
            self._saved_timer.stop()
            return
        problem = session.save_problem
        since = self._saved.since
        if problem is None:
            since = None
        elif since is None:
            since = dt.datetime.now().astimezone()
        state = SavedState(session.saved, problem, since)
        if state != self._saved:
            self._saved = state
            self.saved_changed.emit(state)
        if state.saved and problem is None:
            self._saved_timer.stop()
        elif not self._saved_timer.isActive():
            self._saved_timer.start()

    # --- intentions that others want to hear of ---------------------------------------------------------

    def show(self, image_id: str) -> None:
        """Bring an image on screen; `image_loaded` or `image_failed` follows."""
        if self._session is not None:
            self.current_changing.emit()
            self._session.show(image_id)
            self.current_changed.emit(image_id)

    def apply(self, patch: Patch) -> None:
        """Change the annotation on screen, in memory only."""
        if self._session is not None:
            self._session.apply(patch)
            self.annotation_changed.emit(patch.box)

    def commit(self, patch: Patch, kind: RecordKind) -> None:
        """Journal a change that `apply` made."""
        session = self._session
        if session is None or session.current is None:
            return
        self.attempt("The change could not be journalled", lambda: session.commit(patch, kind))
        self.image_status_changed.emit(session.current)
        self.training_changed.emit()
        self.refresh_saved()

    def request_prediction(self, visible: Box | None) -> None:
        """Ask for a prediction of the image on screen, its visible part first."""
        if self._session is not None:
            self._session.request_prediction(visible)
            self.prediction_asked.emit()

    def load_checkpoint(self, path: Path) -> None:
        """Go over to a checkpoint.

        Raises:
            EngineError: It cannot even be asked for.
        """
        if self._session is not None:
            self._session.load_checkpoint(path)
            self.checkpoint_asked.emit()

    def compare_checkpoints(self, before: Path | None, after: Path | None) -> None:
        """Ask for pictures of the pinned images; see `CandidateControl.compare`."""
        if self._session is not None:
            self._session.candidates.compare(before, after)
            self.comparison_asked.emit()

    def set_classes(self, classes: ClassTable) -> None:
        """Replace the class table."""
        session = self._session
        if session is not None and session.read_only:
            reason = Problem(message=session.read_only_reason, hint="")
            self.problem.emit("The classes of a read-only project stay as they are", reason)
        elif session is not None:
            self.attempt("The classes could not be changed", lambda: session.set_classes(classes))
            self.classes_changed.emit()
            self.training_changed.emit()
            self.refresh_saved()

    def delete_class(self, index: int, merge_into: int | None) -> None:
        """Delete a class in every image. Not undoable; a backup is kept. `class_deleted` follows."""
        session = self._session
        if session is not None:
            self.attempt("The class could not be deleted", lambda: session.delete_class(index, merge_into))

    def _annotations_replaced(self) -> None:
        """Something larger than a patch changed the annotations: every view reads them anew."""
        self.annotations_replaced.emit()
        self.classes_changed.emit()
        self.images_changed.emit()
        self.training_changed.emit()
        if self._session is not None and self._session.current is not None:
            self.show(self._session.current)

    def set_reviewed(self, image_id: str, reviewed: bool) -> None:
        """Mark an image as reviewed or not."""
        session = self._session
        if session is not None:
            self.attempt("The image could not be marked", lambda: session.set_reviewed(image_id, reviewed))
            self.image_status_changed.emit(image_id)
            self.refresh_saved()

    def set_training(self, training: TrainingConfig) -> None:
        """Change how training is done."""
        session = self._session
        if session is not None:
            self.attempt("The settings could not be changed", lambda: session.set_training(training))
            self.training_changed.emit()

    def attempt(self, cause: str, do: Callable[[], Any]) -> bool:
        """Do something that may fail for reasons of the world; `problem` carries cause and reason.

        Returns:
            Whether it succeeded.
        """
        try:
            do()
        except EngineError as error:
            _LOG.warning("%s: %s", cause, error)
            self.problem.emit(cause, Problem.from_error(error))
            return False
        return True


def signal_of(bridge: Bridge, event_type: type) -> Any:
    """Return the signal of an event class: its name in snake case.

    Raises:
        AttributeError: The bridge has no such signal, which is a bug.
    """
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in event_type.__name__)
    return getattr(bridge, name.lstrip("_"))
