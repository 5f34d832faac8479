"""A question a dialog asks a thread of its own, because the answer takes longer than a frame."""

from __future__ import annotations

import threading
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal

from engine.errors import EngineError


class Question(QObject):
    """Asks on a thread and brings the answer to the thread it was made on.

    It belongs to both, the dialog and the thread, so a thread that ends late can still speak through it when
    the dialog is gone. `came` carries the answer and "", or None and the reason why there is none.

    Args:
        name: Name of the thread.
        ask: What to call there; raises `EngineError` where the world is at fault.
        answer: Gets what came.
    """

    came = Signal(object, str)

    def __init__(self, name: str, ask: Callable[[], object], answer: Callable[[object, str], None]) -> None:
        super().__init__()
        self.came.connect(answer, Qt.ConnectionType.QueuedConnection)
        self._thread = threading.Thread(target=_speak, args=(self, ask), name=name, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread has said its last word."""
        self._thread.join()


def _speak(question: Question, ask: Callable[[], object]) -> None:
    try:
        question.came.emit(ask(), "")
    except EngineError as error:
        question.came.emit(None, f"{error.message} {error.hint}".strip())
