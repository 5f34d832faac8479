"""A word below the list of images: the next one looks like one that was labelled, and others teach more."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.widgets.marks import label


class OrderTip(QWidget):
    """Shown while it holds, until somebody takes it or says not now.

    Its buttons take no focus: N and Enter, pressed next, are meant for the images.

    Attributes:
        is_put_off: Whether somebody said not now.

    Signals:
        taken: The most useful image shall come first.
    """

    taken = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.is_put_off = False
        words = label("The next image looks like one you labelled; others teach more.", kind="muted")
        words.setWordWrap(True)
        self.take = QPushButton("Most useful first")
        self.take.setToolTip("Let N and Enter go to images unlike those you labelled.")
        self.put_off = QPushButton("Not now")
        self.put_off.setToolTip(
            "Stay in folder order, and say no more about it until the folder is opened again."
        )
        row = QHBoxLayout()
        for button in (self.take, self.put_off):
            button.setProperty("narrow", True)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
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
        """A folder was opened: nobody has put anything off there."""
        self.is_put_off = False
        self.hide()

    def _put_off(self) -> None:
        self.is_put_off = True
        self.hide()
