"""Going from image to image: showing, accepting, predicting what is on screen, and the words around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from app.actions import Act
from app.panels.inspect.probe import FAILURES
from app.widgets.notices import Level, NoticeAction
from app.window.repairs import named
from engine.annotate.classes import UNLABELLED
from engine.messages import (
    ClassDeleted,
    CommandFailed,
    ExportDone,
    ImageFailed,
    ImageLoaded,
    MasksImported,
    NetworkOpened,
    Notice,
    PredictionReady,
    Problem,
    StateChanged,
    TrainingStopped,
    WorkerState,
    WriteFailed,
    WriteRecovered,
)
from engine.project.manifest import ImageStatus

if TYPE_CHECKING:
    from app.window.main_window import MainWindow


_POINTER_MS = 40
FAILED = {
    "Export": "The export failed",
    "ImportMasks": "The import failed",
    "OpenNetwork": "The network could not be opened",
    "ClassesChanged": "The network could not take the new classes",
    "StartTraining": "Training could not start",
    "Predict": "The image could not be predicted",
    "Evaluate": "The held-out images could not be measured",
    "SaveCheckpoint": "The checkpoint could not be saved",
    "LoadCheckpoint": "The checkpoint could not be loaded",
    "PromoteCandidate": "The checkpoint could not be shown",
    "NameCheckpoint": "The checkpoint could not be named",
    "DeleteCheckpoints": "Checkpoints could not be deleted",
    "CompareCheckpoints": "The checkpoints could not be compared",
    "ScoreImages": "The queue could not be ordered",
    "training": "Training could not go on",
}
"""What did not work, for people, by the name of the command."""


class Review(QObject):
    """Connects what the engine says about images to the canvas, the status line and the notices.

    Args:
        window: The window it works for.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._bridge = window.bridge
        self._view = window.area.view
        self._unreadable: dict[str, Problem] = {}
        bridge = window.bridge
        bridge.session_changed.connect(self._opened)
        bridge.current_changed.connect(self._show_position)
        bridge.image_loaded.connect(self._image_loaded)
        bridge.image_failed.connect(self._image_failed)
        bridge.image_status_changed.connect(lambda _image_id: self._show_position())
        bridge.prediction_ready.connect(self._predicted)
        bridge.network_opened.connect(self._network_opened)
        bridge.state_changed.connect(self._state_changed)
        bridge.training_stopped.connect(self._training_stopped)
        bridge.command_failed.connect(self._command_failed)
        bridge.export_done.connect(self._exported)
        bridge.masks_imported.connect(self._imported)
        bridge.class_deleted.connect(self._class_deleted)
        bridge.notice.connect(self._noticed)
        bridge.write_failed.connect(self._write_failed)
        bridge.write_recovered.connect(self._write_recovered)
        self._pointer_timer = QTimer(self)
        self._pointer_timer.setSingleShot(True)
        self._pointer_timer.setInterval(_POINTER_MS)
        self._pointer_timer.timeout.connect(self._show_pointer)
        self._view.cursor_moved.connect(self._pointer_moved)
        self._view.zoom_changed.connect(window.status.set_zoom)

    # --- going from image to image ----------------------------------------------------------------------

    def _opened(self) -> None:
        session = self._bridge.session
        self._unreadable.clear()
        self._view.set_image(None)
        self._window.area.banner.say("")
        self._window.status.set_image("")
        self._window.status.set_zoom(None)
        self._window.status.set_pointer(None, "")
        if session is None:
            return
        if session.read_only:
            self._window.area.banner.say(f"Open read-only: {session.read_only_reason}")
        first = session.next_unreviewed() or next(iter(session.order), None)
        if first is not None:
            self._bridge.show(first)
        else:
            self._window.notices.post(
                "no images",
                f"No images in “{session.folder.name}”.",
                hint="Drop another folder, or add images to this one and open it again.",
                level=Level.WARN,
            )

    def go(self, image_id: str | None, otherwise: str) -> None:
        """Show an image, or say why there is none to show."""
        if image_id is None:
            self._window.status.say(otherwise)
        else:
            self._bridge.show(image_id)

    def next_image(self) -> None:
        """Go on without accepting."""
        session = self._bridge.session
        if session is not None:
            self.go(session.neighbour(1), "This is the last image.")

    def previous_image(self) -> None:
        """Go back."""
        session = self._bridge.session
        if session is not None:
            self.go(session.neighbour(-1), "This is the first image.")

    def next_unreviewed(self, *, backwards: bool = False) -> None:
        """Go to the next image that is not reviewed."""
        session = self._bridge.session
        if session is not None:
            self.go(session.next_unreviewed(backwards=backwards), self._all_done())

    def accept_image(self) -> None:
        """Accept the prediction, mark the image reviewed and go on."""
        session = self._bridge.session
        if session is None or session.current is None:
            return
        current = session.current
        if not self._window.editing.accept_image():
            return
        annotation = session.annotation
        if annotation is None or bool((annotation.label_map == UNLABELLED).all()):
            self._window.status.say(
                "Nothing to accept: nothing is painted and nothing predicted yet. D goes on."
            )
            return
        self._bridge.set_reviewed(current, True)
        following = session.next_unreviewed()
        self.go(following, self._all_done())
        if following is not None:
            self._window.status.say(self._counted())

    def toggle_reviewed(self) -> None:
        """Mark the image on screen as reviewed or not, and stay."""
        session = self._bridge.session
        if session is not None and session.current is not None:
            reviewed = session.status_of(session.current) is ImageStatus.REVIEWED
            self._bridge.set_reviewed(session.current, not reviewed)

    def _counted(self) -> str:
        session = self._bridge.session
        records = session.images if session else ()
        done = sum(record.status is ImageStatus.REVIEWED for record in records)
        return f"{done} of {len(records)} reviewed"

    def _all_done(self) -> str:
        return f"All images are reviewed ({self._counted()}). Ctrl+E exports the masks."

    def _show_position(self, _image_id: str = "") -> None:
        session = self._bridge.session
        if session is None or session.current is None:
            return
        order = session.order
        current = session.current
        self._window.status.set_image(f"{current}   {order.index(current) + 1} / {len(order)}")
        reviewed = session.status_of(current) is ImageStatus.REVIEWED
        self._window.actions_table.set_checked(Act.TOGGLE_REVIEWED, reviewed)

    # --- what the engine says about images --------------------------------------------------------------

    def _image_loaded(self, event: ImageLoaded) -> None:
        session = self._bridge.session
        if session is None or event.image_id != session.current:
            return
        if self._unreadable.pop(event.image_id, None) is not None:
            self._list_unreadable()
        self._view.set_image(event.pyramid, event.size)
        self._window.editing.show_annotation(event)
        self._say_banner()
        for note in event.notes:
            self._window.notices.post(f"note {note}", f"“{event.image_id}”: {note}")
        known = session.prediction(event.image_id)
        if known is not None:
            self._view.update_prediction(known)
        self._request_prediction()
        self._window.area.place()

    def _say_banner(self) -> None:
        session = self._bridge.session
        problem = session.annotation_problem if session else None
        if session is None:
            self._window.area.banner.say("")
        elif session.read_only:
            self._window.area.banner.say(f"Open read-only: {session.read_only_reason}")
        elif problem is not None:
            text = f"{problem.message} {problem.hint}".strip()
            self._window.area.banner.say(text, self._window.repairs.banner_actions(session))
        else:
            self._window.area.banner.say("")

    def _image_failed(self, event: ImageFailed) -> None:
        self._tell_unreadable(event)
        session = self._bridge.session
        if session is not None and event.image_id == session.current:
            self._view.set_image(None)
            text = f"{event.problem.message} {event.problem.hint} D goes on to the next."
            self._window.area.banner.say(text)

    def _tell_unreadable(self, event: ImageFailed) -> None:
        """Keep one notice about all images that cannot be read, however many come."""
        if event.image_id not in self._unreadable:
            self._unreadable[event.image_id] = event.problem
            self._list_unreadable()

    def _list_unreadable(self) -> None:
        problems = tuple(self._unreadable.values())
        self._window.notices.withdraw("unreadable images")
        if not problems:
            return
        text, hint, report = problems[0].message, problems[0].hint, problems[0].report
        if len(problems) > 1:
            text = f"{len(problems)} images cannot be read: {named(tuple(self._unreadable))}."
            hint = "The details say why, and what to do."
            report = "\n\n".join(f"{p.message} {p.hint}\n{p.report}".strip() for p in problems)
        self._window.notices.post("unreadable images", text, hint=hint, level=Level.WARN, report=report)

    def _request_prediction(self) -> None:
        session = self._bridge.session
        if session is not None and session.current is not None and session.annotation is not None:
            self._bridge.request_prediction(self._view.visible_box())

    def _predicted(self, event: PredictionReady) -> None:
        session = self._bridge.session
        if session is not None and event.prediction.image_id == session.current:
            self._view.update_prediction(event.prediction)
            self._pointer_moved()

    def _pointer_moved(self) -> None:
        """Writes place and class a little later: a label laid out anew costs as much as a piece of stroke."""
        if not self._pointer_timer.isActive():
            self._pointer_timer.start()

    def _show_pointer(self) -> None:
        point = self._view.pointer_point()
        session = self._bridge.session
        if session is None or point is None:
            self._window.status.set_pointer(None, "")
            return
        index = session.class_at(*point)
        spec = session.classes.by_index(index) if index is not None else None
        self._window.status.set_pointer(point, spec.name if spec else "unlabelled")

    # --- what the engine says about everything else -----------------------------------------------------

    def _network_opened(self, event: NetworkOpened) -> None:
        self._view.clear_prediction()
        for text in event.notices:
            self._window.notices.post(f"network {text}", text)
        self._request_prediction()

    def _state_changed(self, event: StateChanged) -> None:
        training = event.state is WorkerState.TRAINING
        fell = event.state is WorkerState.FAULTED
        action = self._window.actions_table[Act.TRAIN]
        action.setText("Stop training" if training else "Restart the network" if fell else "Start training")
        action.setIcon(self._window.look.icon("stop" if training else "play"))
        if event.problem is not None:
            restart = NoticeAction("Restart", self._window.intentions.restart_network) if fell else None
            self._window.tell_problem("The network stopped", event.problem, restart)

    def _training_stopped(self, event: TrainingStopped) -> None:
        self._window.status.say(event.reason)

    def _command_failed(self, event: CommandFailed) -> None:
        if event.command in FAILURES:
            return  # the tab that asked says so, where the answer would stand
        if self._window.long_work.failed(event):
            self._window.notices.post(f"cancelled {event.command}", event.problem.message)
        else:
            self._window.tell_problem(FAILED.get(event.command, event.command), event.problem)

    def _exported(self, event: ExportDone) -> None:
        text = f"{event.files} files written to “{event.folder}”."
        self._window.notices.post("export", text, hint=" ".join(event.notes))

    def _imported(self, event: MasksImported) -> None:
        text = f"Masks of {len(event.labelled)} images were imported."
        self._window.notices.post("import", text, hint=" ".join(event.notes))

    def _class_deleted(self, _event: ClassDeleted) -> None:
        self._window.notices.post("class deleted", "The class is deleted from every image; a backup is kept.")

    def _noticed(self, event: Notice) -> None:
        self._window.notices.post(event.text, event.text)

    def _write_failed(self, event: WriteFailed) -> None:
        self._window.notices.post(
            "not saved",
            event.problem.message,
            hint=event.problem.hint or "Your work is kept in memory, and saving is tried again.",
            level=Level.BAD,
            report=event.problem.report,
        )

    def _write_recovered(self, _event: WriteRecovered) -> None:
        self._window.notices.withdraw("not saved")
        self._window.area.card.hide()
        self._window.status.say("Saved again: everything is on disk.")
        session = self._bridge.session
        if session is not None and session.current in self._unreadable:
            self._bridge.show(session.current)  # the folder was gone, and is back
