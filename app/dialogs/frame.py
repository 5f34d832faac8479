"""What all dialogs share: their margins, heading and buttons."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.widgets.marks import label


class PlainDialog(QDialog):
    """A dialog with a heading, room for a body, and one row of buttons.

    Args:
        title: Heading, also the window title.
        accept_text: Text of the main button, or "" for a dialog that only informs.
        parent: The window.
    """

    def __init__(self, title: str, accept_text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setModal(True)
        self.buttons = QDialogButtonBox()
        if accept_text:
            self.accept_button = self.buttons.addButton(accept_text, QDialogButtonBox.ButtonRole.AcceptRole)
            self.accept_button.setProperty("primary", True)
            self.accept_button.setDefault(True)
            self.buttons.addButton("Cancel", QDialogButtonBox.ButtonRole.RejectRole)
        else:
            self.accept_button = self.buttons.addButton("Close", QDialogButtonBox.ButtonRole.RejectRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.body = QVBoxLayout()
        self.body.setSpacing(12)
        heading = label(title, kind="heading")
        heading.setWordWrap(True)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(24, 20, 24, 18)
        outer.setSpacing(14)
        outer.addWidget(heading)
        outer.addLayout(self.body, 1)
        self.foot = QHBoxLayout()
        self.foot.addWidget(self.buttons)
        outer.addSpacing(4)
        outer.addLayout(self.foot)

    def add_button(self, text: str) -> QPushButton:
        """Add a button that neither accepts nor closes."""
        button: QPushButton = self.buttons.addButton(text, QDialogButtonBox.ButtonRole.ActionRole)
        return button
