"""Long work over the image: its name, how far it is, and a way out."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.widgets.marks import label

DELAY_MS = 400
"""Work that is done sooner shows nothing."""


class ProgressCard(QFrame):
    """A floating card; hidden while nothing takes long.

    Attributes:
        appeared: The card came on screen and wants its place.
    """

    appeared = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self.text = label()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.button = QPushButton("Cancel")
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.button.clicked.connect(self._give_up)
        words = QVBoxLayout()
        words.setSpacing(6)
        words.addWidget(self.text)
        words.addWidget(self.bar)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 9, 12, 9)
        row.setSpacing(14)
        row.addLayout(words, 1)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        self._title = ""
        self._cancel: Callable[[], object] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._appear)
        self.hide()

    def begin(self, title: str, cancel: Callable[[], object]) -> None:
        """Announce work; the card comes when it takes a while.

        Args:
            title: A few words.
            cancel: Called once, when the person gives up.
        """
        self._title, self._cancel = title, cancel
        self.text.setText(f"{title}…")
        self.bar.setRange(0, 0)
        self.button.setEnabled(True)
        self._timer.start()

    def advance(self, done: int, total: int) -> None:
        """Show how far the work is."""
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)
        if self.button.isEnabled():
            self.text.setText(f"{self._title} · {done} of {total}")

    def say(self, line: str) -> None:
        """Show how far the work is where only words tell."""
        if self.button.isEnabled():
            self.text.setText(f"{self._title} · {line}")

    def end(self) -> None:
        """The work is done, or given up."""
        self._timer.stop()
        self._cancel = None
        self.hide()

    def _appear(self) -> None:
        self.show()
        self.raise_()
        self.appeared.emit()

    def _give_up(self) -> None:
        self.button.setEnabled(False)
        self.text.setText(f"{self._title}: stopping…")
        if self._cancel is not None:
            self._cancel()
