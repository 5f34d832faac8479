"""Exports, imports and a training child while they run: shown with a way out, and never two at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from engine.messages import EXPORT_TASK, IMPORT_TASK, CommandFailed, Progress

if TYPE_CHECKING:
    from app.window.main_window import MainWindow

_COMMANDS = {EXPORT_TASK: "Export", IMPORT_TASK: "ImportMasks"}


class LongWork(QObject):
    """Shows the progress of the work a person asked for.

    Args:
        window: The window it works for.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._card = window.area.work
        self._task = ""
        self._cancelled = False
        bridge = window.bridge
        self._card.appeared.connect(window.area.place)
        bridge.progress.connect(self._progressed)
        bridge.session_changed.connect(self._end)
        bridge.export_done.connect(lambda _event: self._end(EXPORT_TASK))
        bridge.masks_imported.connect(lambda _event: self._end(IMPORT_TASK))

    @property
    def running(self) -> str:
        """The task that is running, or ""."""
        return self._task

    def begin(self, task: str, title: str, cancel: Callable[[], object]) -> None:
        """Follow a task of `Progress` until it is done.

        Args:
            task: Its name in `Progress`.
            title: Its name for people.
            cancel: Called when the person gives up.
        """

        def give_up() -> None:
            self._cancelled = True
            cancel()

        self._task, self._cancelled = task, False
        self._card.begin(title, give_up)

    def failed(self, event: CommandFailed) -> bool:
        """Take in that a command failed; returns whether that is what the person wanted."""
        if not self._task or event.command != _COMMANDS.get(self._task):
            return False
        wanted = self._cancelled
        self._end()
        return wanted

    def say(self, task: str, line: str) -> None:
        """Show how far a task is that tells so in words."""
        if task == self._task:
            self._card.say(line)

    def end(self, task: str) -> None:
        """A task that sends no event is done."""
        self._end(task)

    def _progressed(self, event: Progress) -> None:
        if event.task == self._task:
            self._card.advance(event.done, event.total)

    def _end(self, task: str = "") -> None:
        if not task or task == self._task:
            self._task = ""
            self._card.end()
