"""What a published checkpoint does not tell, for a person to say: its name, its classes, single settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.widgets.form import ConfigForm
from app.widgets.marks import label
from engine.annotate.class_files import read_class_file
from engine.annotate.classes import ClassTable
from engine.catalog import ConfigError
from engine.errors import EngineError


class CheckpointSettings(QWidget):
    """Name, class list and settings, and a button to read the file again with them.

    Attributes:
        asked: The file shall be read again.
        changed: Somebody said something that holds from the next reading on.
        classes: Class table chosen, or None.

    Args:
        file: Published checkpoint.
    """

    asked = Signal()
    changed = Signal()

    def __init__(self, file: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.classes: ClassTable | None = None
        self._form: ConfigForm | None = None
        self._is_edited = False
        self.name = QLineEdit(file.name)
        self.name.setAccessibleName("Published name of the file")
        self.name.setToolTip(
            "If the file was renamed: data set and some settings hang on its published name."
        )
        self.name.textEdited.connect(self._rename)
        self.list_button = QPushButton("Class list…")
        self.list_button.setToolTip("Names of its classes, in the order of its channels: .json or .txt")
        self.list_button.clicked.connect(self._choose_list)
        self.list_name = label("by the name of the file", kind="muted")
        self.again = QPushButton("Read again")
        self.again.clicked.connect(self._ask)
        self.problem = label()
        self.problem.setWordWrap(True)
        self.problem.hide()
        chosen = QHBoxLayout()
        chosen.addWidget(self.list_button)
        chosen.addWidget(self.list_name, 1)
        top = QFormLayout()
        top.addRow(label("Published name"), self.name)
        top.addRow(label("Classes"), chosen)
        self._place = QScrollArea()
        self._place.setWidgetResizable(True)
        self._place.setFrameShape(QFrame.Shape.NoFrame)
        self._place.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._place.setMinimumHeight(180)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self._place, 1)
        layout.addWidget(self.problem)
        layout.addWidget(self.again, 0, Qt.AlignmentFlag.AlignLeft)

    @property
    def form(self) -> ConfigForm | None:
        """The settings of the network that was read; None before."""
        return self._form

    def show_network(self, network: Any) -> None:
        """Show the configuration with which the file was read."""
        self._form = ConfigForm(network)
        self._form.edited.connect(self._edited)
        self._place.setWidget(self._form)

    def network(self) -> Any:
        """Return the configuration a person changed, or None where nobody changed any.

        Raises:
            ConfigError: A value is out of bounds.
        """
        return self._form.value() if self._form is not None and self._is_edited else None

    def published_name(self) -> str:
        """Return what the authors called the file."""
        return self.name.text().strip()

    def _edited(self) -> None:
        self._is_edited = True
        self.changed.emit()

    def _rename(self) -> None:
        # Another name tells other settings: those typed before were for a file taken for something else.
        self._is_edited = False
        self.changed.emit()

    def _choose_list(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Class list", "", "Class lists (*.json *.txt)")
        if not chosen:
            return
        try:
            self.classes = read_class_file(Path(chosen))
        except EngineError as error:
            self._tell(f"{error.message} {error.hint}".strip())
            return
        self.list_name.setText(f"{len(self.classes)} of “{Path(chosen).name}”")
        self._tell("")
        self.changed.emit()

    def _ask(self) -> None:
        try:
            self.network()
        except ConfigError as error:
            self._tell(f"{error.field.replace('_', ' ').capitalize()} must be {error.bounds}.")
            return
        self._tell("")
        self.asked.emit()

    def _tell(self, text: str) -> None:
        self.problem.setText(text)
        self.problem.setVisible(bool(text))
