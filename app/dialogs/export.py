"""Export: which format, where to, with or without predictions, and what the result will look like."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QImage, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.dialogs.frame import PlainDialog
from app.widgets.marks import label, swatch_icon
from engine.annotate.classes import UNLABELLED, ClassTable
from engine.catalog import formats
from engine.project.manifest import ImageStatus, Split
from engine.session import Session

PREVIEW = QSize(380, 240)


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """What a person decided."""

    format_name: str
    folder: Path
    fill_with_prediction: bool


class ExportDialog(PlainDialog):
    """Choices on the left, the result on the right.

    Args:
        session: The project to export.
        last_folder: Folder of the last export, or ""; this one is proposed beside it.
        parent: The window.
    """

    def __init__(self, session: Session, last_folder: str, parent: QWidget | None = None) -> None:
        super().__init__("Export masks", "Export", parent)
        self._session = session
        self._formats = formats()
        self.format = QComboBox()
        for exporter in self._formats:
            self.format.addItem(exporter.title)
        self.help = label(kind="muted")
        self.help.setWordWrap(True)
        # Beside the last export, but never in it: that one may be of another folder of images.
        beside = Path(last_folder).parent if last_folder else session.folder.parent
        self.folder = QLineEdit(str(beside / f"{session.folder.name}-masks"))
        self.folder.setAccessibleName("Folder to write to")
        browse = QPushButton("Choose…")
        browse.clicked.connect(self._browse)
        self.fill = QCheckBox("Fill what nobody painted with predictions")
        self.fill.setToolTip("Exports every image; otherwise only those you painted or accepted.")
        self.summary = label(kind="muted")
        self.summary.setWordWrap(True)
        self.warning = label()
        self.warning.setProperty("level", "warn")
        self.warning.setWordWrap(True)
        self.picture = label()
        self.picture.setFixedSize(PREVIEW)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.legend = QTableWidget(0, 4)
        self.body.addLayout(self._lay_out(browse))
        self.format.currentIndexChanged.connect(self._refresh)
        self.fill.toggled.connect(self._refresh)
        self.folder.textChanged.connect(self._refresh)
        self._fill_legend(session.classes)
        self._refresh()
        self.resize(900, 560)

    def _lay_out(self, browse: QPushButton) -> QHBoxLayout:
        where = QHBoxLayout()
        where.addWidget(self.folder, 1)
        where.addWidget(browse)
        left = QVBoxLayout()
        left.setSpacing(8)
        left.addWidget(label("Format", kind="subheading"))
        left.addWidget(self.format)
        left.addWidget(self.help)
        left.addSpacing(8)
        left.addWidget(label("Folder", kind="subheading"))
        left.addLayout(where)
        left.addSpacing(8)
        left.addWidget(self.fill)
        left.addWidget(self.summary)
        left.addWidget(self.warning)
        left.addStretch(1)
        right = QVBoxLayout()
        right.setSpacing(8)
        right.addWidget(label("This is what the image on screen becomes", kind="subheading"))
        right.addWidget(self.picture)
        right.addWidget(self.legend, 1)
        row = QHBoxLayout()
        row.setSpacing(28)
        row.addLayout(left, 1)
        row.addLayout(right, 1)
        return row

    def choice(self) -> ExportChoice:
        """Return what is chosen."""
        name = self._formats[self.format.currentIndex()].name
        return ExportChoice(name, Path(self.folder.text().strip()).expanduser(), self.fill.isChecked())

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder to write to", self.folder.text())
        if chosen:
            self.folder.setText(chosen)

    def _refresh(self) -> None:
        session = self._session
        self.help.setText(self._formats[self.format.currentIndex()].help)
        records = session.images
        painted = [record for record in records if record.split is not Split.NONE]
        reviewed = sum(record.status is ImageStatus.REVIEWED for record in records)
        exported = len(records) if self.fill.isChecked() else len(painted)
        self.summary.setText(
            f"{exported} of {len(records)} images are exported; {reviewed} are reviewed."
            + ("" if self.fill.isChecked() else " Images nobody painted are left out.")
        )
        problem = self._why_not(exported)
        self.warning.setText(problem)
        self.warning.setVisible(bool(problem))
        self.accept_button.setEnabled(not problem)
        self._show_picture()

    def _why_not(self, exported: int) -> str:
        text = self.folder.text().strip()
        if not text:
            return "Choose a folder to write to."
        if Path(text).expanduser() == self._session.folder:
            return "Choose another folder: masks among the images would be taken for images."
        if exported == 0:
            return "Nothing is painted yet. Paint something, or fill with predictions."
        return ""

    def _show_picture(self) -> None:
        session = self._session
        annotation = session.annotation
        if annotation is None or session.current is None:
            self.picture.setText("No image on screen.")
            return
        prediction = session.prediction(session.current) if self.fill.isChecked() else None
        fits = prediction is not None and prediction.label_map.shape == annotation.label_map.shape
        predicted = prediction.label_map if prediction is not None and fits else None
        step = max(1, min(annotation.label_map.shape) // PREVIEW.height())
        small = annotation.label_map[::step, ::step]
        shown = small if predicted is None else final_label_map_of(small, predicted[::step, ::step])
        pixmap = colored(shown, session.classes)
        self.picture.setPixmap(
            pixmap.scaled(
                PREVIEW, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.FastTransformation
            )
        )

    def _fill_legend(self, classes: ClassTable) -> None:
        self.legend.setHorizontalHeaderLabels(["Id", "Class", "Colour", "Images"])
        self.legend.verticalHeader().hide()
        self.legend.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.legend.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.legend.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.legend.setShowGrid(False)
        header = self.legend.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        counts = Counter(index for record in self._session.images for index in record.labelled)
        rows = [(spec.index, spec.name, spec.color, str(counts[spec.index])) for spec in classes]
        rows.append((UNLABELLED, "unlabelled and void", (0, 0, 0), "–"))
        self.legend.setRowCount(len(rows))
        for row, (index, name, color, count) in enumerate(rows):
            items = [
                QTableWidgetItem(text)
                for text in (str(index), name, "#{:02x}{:02x}{:02x}".format(*color), count)
            ]
            items[2].setIcon(swatch_icon(QColor(*color)))
            for column, item in enumerate(items):
                self.legend.setItem(row, column, item)


def final_label_map_of(labels: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return labels with the prediction where nobody said anything; arrays of the same shape."""
    return np.where(labels == UNLABELLED, predicted, labels).astype(np.uint8)


def colored(labels: NDArray[np.uint8], classes: ClassTable) -> QPixmap:
    """Return an (h, w) label map in class colours; unlabelled pixels are black."""
    colors = np.zeros((256, 3), np.uint8)
    for spec in classes:
        colors[spec.index] = spec.color
    rgb = np.ascontiguousarray(colors[labels])
    height, width = labels.shape
    return QPixmap.fromImage(QImage(rgb.data, width, height, 3 * width, QImage.Format.Format_RGB888))
