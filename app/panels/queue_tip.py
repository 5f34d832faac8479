"""A word below the list of images: the next one looks like one that was painted, and others teach more."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.widgets.marks import label


class OrderTip(QWidget):
    """Shown while it holds, until somebody takes it or says not now.

    Signals:
        taken: The most useful image shall come first.
    """

    taken = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_put_off = False
        words = label("The next image looks like one you painted: others teach more.", kind="muted")
        words.setWordWrap(True)
        self.take = QPushButton("Most useful first")
        self.take.setToolTip("Let N and Enter go to images unlike those you painted.")
        self.put_off = QPushButton("Not now")
        self.put_off.setToolTip("Stay in folder order, and say no more about it in this folder.")
        row = QHBoxLayout()
        for button in (self.take, self.put_off):
            button.setProperty("narrow", True)
            row.addWidget(button, 1)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 4)
        body.setSpacing(6)
        body.addWidget(words)
        body.addLayout(row)
        self.take.clicked.connect(lambda _checked=False: self.taken.emit())
        self.put_off.clicked.connect(lambda _checked=False: self._put_off())
        self.hide()

    def begin(self) -> None:
        """Another folder is open: nobody has put anything off there."""
        self._is_put_off = False
        self.hide()

    def show_while(self, holds: bool) -> None:
        """Say whether the next image looks like one that was painted."""
        self.setVisible(holds and not self._is_put_off)

    def _put_off(self) -> None:
        self._is_put_off = True
        self.hide()
