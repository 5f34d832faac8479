"""Asks what becomes of the pixels of a class that is deleted."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor
from PySide6.QtWidgets import QComboBox, QRadioButton, QWidget

from app.dialogs.frame import PlainDialog
from app.widgets.marks import label, swatch_icon
from engine.annotate.classes import ClassTable


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a person decided.

    Attributes:
        merge_into: Class index that takes the pixels over; None: they become unlabelled.
    """

    merge_into: int | None


class DeleteClassDialog(PlainDialog):
    """Two choices: unlabelled, or another class."""

    def __init__(self, classes: ClassTable, index: int, parent: QWidget | None = None) -> None:
        spec = classes.by_index(index)
        name = spec.name if spec else str(index)
        super().__init__(f"Delete “{name}”?", "Delete class", parent)
        text = label("This goes through every image of the project and cannot be undone; a backup is kept.")
        text.setWordWrap(True)
        self._others = [other for other in classes if other.index != index]
        self.unlabelled = QRadioButton("Its pixels become unlabelled")
        self.unlabelled.setChecked(True)
        self.merge = QRadioButton("Its pixels become another class:")
        self.target = QComboBox()
        for other in self._others:
            self.target.addItem(swatch_icon(QColor(*other.color)), other.name)
        self.merge.setEnabled(bool(self._others))
        self.target.setEnabled(False)
        self.merge.toggled.connect(self.target.setEnabled)
        for widget in (text, self.unlabelled, self.merge, self.target):
            self.body.addWidget(widget)

    def decision(self) -> Deletion:
        """Return what is chosen."""
        if self.merge.isChecked() and self._others:
            return Deletion(self._others[self.target.currentIndex()].index)
        return Deletion(None)


def ask_delete_class(classes: ClassTable, index: int, parent: QWidget) -> Deletion | None:
    """Ask, and return the decision, or None if the class shall stay."""
    dialog = DeleteClassDialog(classes, index, parent)
    dialog.setMinimumWidth(420)
    return dialog.decision() if dialog.exec() else None
