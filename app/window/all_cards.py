"""Training on every graphics card of this computer, by a child process the window starts and may stop."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QObject, QProcess, QTimer, Signal

from app.actions import Act
from app.widgets.notices import Level, NoticeAction
from engine.learn import launch
from engine.learn.checkpoint_files import CHECKPOINTS_FOLDER

if TYPE_CHECKING:
    from app.window.main_window import MainWindow
    from engine.session import Session

TASK = "Training on all graphics cards"
SECONDS = 600.0
"""How long the child trains."""

_FILE = "all-cards.pt"
_FLUSH_S = 5.0
_PATIENCE_MS = 1000
"""How long the child may take to end by itself. Nothing is lost if it may not: its files are always whole."""
_LAST_LINES = 20
_SHOWN = 60
"""Characters of a line that have room beside the title."""


class AllCards(QObject):
    """Starts, follows and stops the child. GUI thread; neither disk nor child are ever waited for there.

    Args:
        window: The window it works for.
    """

    _flushed = Signal(object, bool)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._saving: Session | None = None
        self._process: QProcess | None = None
        self._written = Path()
        self._began = 0.0
        self._lines: list[str] = []
        self._rest = ""
        self._given_up = False
        self._flushed.connect(self._launch)
        # A child must not outlive the folder it learns from.
        window.bridge.session_changing.connect(self.stop)
        window.bridge.session_changed.connect(self.refresh)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self._end_now)
        self.refresh()

    @property
    def is_running(self) -> bool:
        """Whether there is a child, or will be as soon as the disk has what it is to learn from."""
        return self._process is not None or self._saving is not None

    def refusal(self) -> str | None:
        """Return why no child can be started, or None if it can."""
        session = self._window.bridge.session
        cards = launch.local_cards()
        if cards < 2:
            return f"This needs two NVIDIA graphics cards at least; {cards or 'none'} found."
        if not launch.can_launch():
            return "The packed program has no Python to start; install Maskloop with pip for this."
        if session is None:
            return "Open a folder of images first."
        if session.read_only:
            return f"Open read-only: {session.read_only_reason}"
        return session.can_train()

    def refresh(self) -> None:
        """Switch the action on or off by what does not change while a folder is open, and say why."""
        action = self._window.actions_table[Act.TRAIN_ON_ALL_CARDS]
        help_text = self._window.actions_table.specs[Act.TRAIN_ON_ALL_CARDS].help
        has_cards, has_session = launch.can_launch(), self._window.bridge.session is not None
        action.setEnabled(has_cards and has_session)
        told = help_text if action.isEnabled() else self.refusal() or help_text
        action.setStatusTip(told)
        action.setToolTip(told)
        action.setText("Stop training on all graphics cards" if self.is_running else _text(self._window))

    def toggle(self) -> None:
        """Start the child, or stop it; a refusal is told with its reason."""
        window, session = self._window, self._window.bridge.session
        if self.is_running:
            if self._given_up:
                window.status.say("Training on all graphics cards is ending; a moment.")
            self.stop()
            return
        refusal = self.refusal()
        if refusal is None and window.long_work.running:
            refusal = "Wait for the export or import to end first."
        if refusal is not None or session is None:
            window.status.say(refusal or "")
            return
        self._saving = session
        window.long_work.begin(TASK, TASK, self.stop)
        window.long_work.say(TASK, "saving what is painted")
        self.refresh()
        threading.Thread(target=self._flush, args=(session,), name="all cards", daemon=True).start()

    def stop(self) -> None:
        """Ask the child to end, and make it end if it does not. Returns at once."""
        if self._saving is not None:
            self._end()
        process = self._process
        if process is None or self._given_up:
            return
        self._given_up = True
        process.terminate()
        QTimer.singleShot(_PATIENCE_MS, process, lambda: launch.kill_with_children(process.processId()))

    # --- the child ----------------------------------------------------------------------------------------

    def _flush(self, session: Session) -> None:
        """Have everything written that the child is to read; a thread of its own, as disks may be slow."""
        self._flushed.emit(session, session.flush(_FLUSH_S))

    def _launch(self, session: Session, saved: bool) -> None:
        """Start the child, unless that was given up meanwhile."""
        if session is not self._saving:
            return
        folder = session.project.folder / CHECKPOINTS_FOLDER
        self._written = folder / _FILE
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            self._end()
            self._tell_failure(f"“{folder}” cannot be written: {error.strerror or error}.")
            return
        if not saved:
            self._end()
            self._tell_failure("what is painted is not on the disk yet. Try again in a moment.")
            return
        newest = next((info.path for info in session.checkpoints() if info.better), None)
        self._saving = None
        self._start(
            launch.training_command(
                session.folder,
                self._written,
                cards=launch.local_cards(),
                seconds=SECONDS,
                start_from=newest,
            )
        )

    def _start(self, command: list[str]) -> None:
        process = QProcess(self)
        process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        process.readyReadStandardOutput.connect(self._listen)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._not_started)
        self._process, self._lines, self._rest, self._given_up = process, [], "", False
        self._began = time.time()
        process.start(command[0], command[1:])
        self.refresh()

    def _listen(self) -> None:
        """Show the last line; the child draws over a line with a carriage return."""
        process = self._process
        if process is None:
            return
        text = self._rest + bytes(process.readAllStandardOutput().data()).decode("utf-8", "replace")
        *whole, self._rest = text.replace("\r", "\n").split("\n")
        lines = [line.strip() for line in whole if line.strip()]
        self._lines = [*self._lines, *lines][-_LAST_LINES:]
        if lines:
            self._window.long_work.say(TASK, " ".join(lines[-1].split())[:_SHOWN])

    def _not_started(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self._end()
            self._tell_failure("The child process could not be started.")

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._listen()
        last = self._rest.strip() or (self._lines[-1] if self._lines else "")
        report = "\n".join([*self._lines, self._rest])
        given_up = self._given_up
        self._end()
        if given_up:
            self._tell_stopped()
        elif code == 0 and status is QProcess.ExitStatus.NormalExit:
            self._window.notices.post(
                TASK,
                "Training on all graphics cards is done.",
                hint="Use its network, or keep the one you have.",
                action=NoticeAction("Use it", lambda: self._adopt(self._written)),
            )
        else:
            self._tell_failure(f"{last or 'it said nothing.'} {_ending(code, status)}", report)
        self._window.area.place()

    def _end(self) -> None:
        if self._process is not None:
            self._process.deleteLater()
        self._process = self._saving = None
        self._given_up = False
        self._window.long_work.end(TASK)
        self.refresh()

    def _end_now(self) -> None:
        """The program ends: nobody is left to be patient, and nothing is left that could stall."""
        process = self._process
        if process is not None:
            launch.kill_with_children(process.processId())
            process.waitForFinished(_PATIENCE_MS)

    # --- what became of it --------------------------------------------------------------------------------

    def _tell_failure(self, reason: str, report: str = "") -> None:
        self._window.notices.post(
            TASK,
            f"Training on all graphics cards failed: {reason}",
            hint="What you have has not changed.",
            level=Level.BAD,
            report=report,
            action=NoticeAction("Try again", self.toggle),
        )

    def _tell_stopped(self) -> None:
        """Say that the child is gone, and offer what it had saved by then."""
        kept = launch.running_file(self._written)
        if not self._is_ours() or not kept.is_file() or kept.stat().st_mtime < self._began:
            self._window.status.say("Training on all graphics cards was stopped; nothing has changed.")
            return
        self._window.notices.post(
            TASK,
            "Training on all graphics cards was stopped.",
            hint="Use what it had learnt a minute before, or keep the network you have.",
            action=NoticeAction("Use it", lambda: self._adopt(kept)),
        )

    def _is_ours(self) -> bool:
        """Whether the folder is open that the child learns from."""
        session = self._window.bridge.session
        return session is not None and session.project.folder == self._written.parent.parent

    def _adopt(self, written: Path) -> None:
        """Go over to what the child has learnt, and save it under a name of its own."""
        session = self._window.bridge.session
        if session is None or session.project.folder != written.parent.parent:
            self._window.status.say("Open the folder it was trained on first.")
            return

        def adopt() -> None:
            self._window.bridge.load_checkpoint(written)
            session.save_checkpoint("all cards")

        self._window.bridge.attempt("The checkpoint could not be used", adopt)
        self._window.details.refresh()


def _text(window: MainWindow) -> str:
    return window.actions_table.specs[Act.TRAIN_ON_ALL_CARDS].text


def _ending(code: int, status: QProcess.ExitStatus) -> str:
    if status is QProcess.ExitStatus.CrashExit:
        return "(It was killed, or crashed.)"
    return f"(It ended with code {code}.)"
