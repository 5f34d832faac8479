"""Training on every graphics card of this computer, by a child process the window starts and may stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QProcess, QTimer

from app.actions import Act
from app.widgets.notices import Level, NoticeAction
from engine.learn import launch
from engine.learn.checkpoint_files import CHECKPOINTS_FOLDER

if TYPE_CHECKING:
    from app.window.main_window import MainWindow

TASK = "Training on all graphics cards"
SECONDS = 600.0
"""How long the child trains."""

_FILE = "all-cards.pt"
_FLUSH_S = 5.0
_PATIENCE_MS = 5000
_LAST_LINES = 20
_SHOWN = 60
"""Characters of a line that have room beside the title."""


class AllCards(QObject):
    """Starts, follows and stops the child. GUI thread; the child is only listened to, never waited for.

    Args:
        window: The window it works for.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._process: QProcess | None = None
        self._written = Path()
        self._lines: list[str] = []
        self._rest = ""
        self._given_up = False
        window.bridge.session_changed.connect(self._take_session)
        self.refresh()

    @property
    def is_running(self) -> bool:
        """Whether there is a child."""
        return self._process is not None

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
            self.stop()
            return
        refusal = self.refusal()
        if refusal is None and window.long_work.running:
            refusal = "Wait for the export or import to end first."
        if refusal is not None or session is None:
            window.status.say(refusal or "")
            return
        session.flush(_FLUSH_S)
        folder = session.project.folder / CHECKPOINTS_FOLDER
        self._written = folder / _FILE
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            self._tell_failure(f"“{folder}” cannot be written: {error.strerror or error}.")
            return
        newest = next((info.path for info in session.checkpoints() if info.better), None)
        self._start(
            launch.training_command(
                session.folder,
                self._written,
                cards=launch.local_cards(),
                seconds=SECONDS,
                start_from=newest,
            )
        )

    def stop(self) -> None:
        """Ask the child to end, and make it end if it does not; nothing of it is kept."""
        process = self._process
        if process is None:
            return
        self._given_up = True
        process.terminate()
        QTimer.singleShot(_PATIENCE_MS, process, process.kill)

    def _start(self, command: list[str]) -> None:
        process = QProcess(self)
        process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        process.readyReadStandardOutput.connect(self._listen)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._not_started)
        self._process, self._lines, self._rest, self._given_up = process, [], "", False
        self._window.long_work.begin(TASK, TASK, self.stop)
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
            self._window.status.say("Training on all graphics cards was stopped; nothing has changed.")
        elif code == 0 and status is QProcess.ExitStatus.NormalExit:
            self._window.notices.post(
                TASK,
                "Training on all graphics cards is done.",
                hint="Use its network, or keep the one you have.",
                action=NoticeAction("Use it", self._adopt),
            )
        else:
            self._tell_failure(last, report)
        self._window.area.place()

    def _end(self) -> None:
        if self._process is not None:
            self._process.deleteLater()
        self._process = None
        self._window.long_work.end(TASK)
        self.refresh()

    def _tell_failure(self, reason: str, report: str = "") -> None:
        self._window.notices.post(
            TASK,
            f"Training on all graphics cards failed: {reason or 'it ended without a word.'}",
            hint="What you have has not changed.",
            level=Level.BAD,
            report=report,
        )

    def _adopt(self) -> None:
        """Go over to what the child has learnt, and save it under a name of its own."""
        session, written = self._window.bridge.session, self._written
        if session is None or session.project.folder != written.parent.parent:
            self._window.status.say("Open the folder it was trained on first.")
            return

        def adopt() -> None:
            session.load_checkpoint(written)
            session.save_checkpoint("all cards")

        self._window.bridge.attempt("The checkpoint could not be used", adopt)
        self._window.details.refresh()

    def _take_session(self) -> None:
        """A child must not outlive the folder it learns from."""
        process = self._process
        if process is not None:
            self._given_up = True
            process.terminate()
            if not process.waitForFinished(_PATIENCE_MS):
                process.kill()
                process.waitForFinished(_PATIENCE_MS)
        self.refresh()


def _text(window: MainWindow) -> str:
    return window.actions_table.specs[Act.TRAIN_ON_ALL_CARDS].text
