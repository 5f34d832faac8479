"""Import of masks: what was found, and what each value in the files shall mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from app.dialogs.frame import PlainDialog
from app.dialogs.question import Question
from app.widgets.marks import label, swatch_icon
from engine.annotate.classes import UNLABELLED, VOID
from engine.exchange.mask_files import MaskKind, MaskValue
from engine.exchange.mask_preview import ImportPreview
from engine.session import Session

KIND_TEXT = {
    MaskKind.IDS: "Pixels hold class numbers",
    MaskKind.PALETTE: "Pixels hold palette entries",
    MaskKind.COLORS: "Pixels hold colours",
}
SHOWN_PROBLEMS = 4


class ImportDialog(PlainDialog):
    """Looks through the files on a thread of its own, then shows the mapping.

    Attributes:
        preview: What was found; None until the look is over, or if nothing can be imported.

    Args:
        session: The project that gets the masks.
        folder: Folder of masks.
        parent: The window.
    """

    def __init__(self, session: Session, folder: Path, parent: QWidget | None = None) -> None:
        super().__init__("Import masks", "Import", parent)
        self._session = session
        self.preview: ImportPreview | None = None
        self._choices: list[tuple[MaskValue, QComboBox]] = []
        self.summary = label(f"Looking through “{folder.name}”…")
        self.summary.setWordWrap(True)
        self.problems = label()
        self.problems.setProperty("level", "warn")
        self.problems.setWordWrap(True)
        self.problems.hide()
        self.waiting = QProgressBar()
        self.waiting.setRange(0, 0)
        self.table = QTableWidget(0, 3)
        self.table.setHorizontalHeaderLabels(["In the files", "Pixels", "Becomes"])
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setShowGrid(False)
        header = self.table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        safe = label("What you painted by hand stays. The import can be undone image by image.", kind="muted")
        for widget in (self.summary, self.problems, self.waiting, self.table, safe):
            self.body.addWidget(widget)
        self.accept_button.setEnabled(False)
        self.resize(640, 560)
        self._question = Question("import-preview", lambda: session.preview_import(folder), self._show)

    def mapping(self) -> Mapping[MaskValue, int]:
        """Return the class index chosen for each value; 255 leaves it unlabelled, 254 makes it void."""
        return {value: int(combo.currentData()) for value, combo in self._choices}

    def _show(self, preview: object, problem: str) -> None:
        self.waiting.hide()
        if not isinstance(preview, ImportPreview):
            self.summary.setText(problem)
            return
        self.preview = preview
        values = len(preview.values)
        text = (
            f"Found {preview.found} masks, {len(preview.matched)} fit an image. {KIND_TEXT[preview.kind]}, "
        )
        text += "1 value." if values == 1 else f"{values} values."
        if preview.ignore is not None:
            text += f" {_value_text(preview.ignore)} looks like “ignore”."
        self.summary.setText(text)
        self._show_problems(preview)
        self._fill(preview)
        self.accept_button.setEnabled(bool(preview.matched))

    def _show_problems(self, preview: ImportPreview) -> None:
        lines = [problem.message for problem in preview.problems[:SHOWN_PROBLEMS]]
        more = len(preview.problems) - len(lines)
        if more > 0:
            lines.append(f"… and {more} more.")
        if preview.unmatched:
            lines.append(f"{len(preview.unmatched)} masks belong to no image and are left out.")
        self.problems.setText("\n".join(lines))
        self.problems.setVisible(bool(lines))

    def _fill(self, preview: ImportPreview) -> None:
        self.table.setRowCount(len(preview.values))
        self._choices.clear()
        for row, (value, pixels) in enumerate(preview.values.items()):
            name = QTableWidgetItem(_value_text(value))
            if isinstance(value, tuple):
                name.setIcon(swatch_icon(QColor(*value)))
            count = QTableWidgetItem(f"{pixels:,}")
            count.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            combo = QComboBox()
            combo.addItem("unlabelled", UNLABELLED)
            combo.addItem("void (no class fits)", VOID)
            for spec in preview.classes:
                combo.addItem(swatch_icon(QColor(*spec.color)), spec.name, spec.index)
            combo.setCurrentIndex(max(0, combo.findData(preview.mapping.get(value, UNLABELLED))))
            combo.setAccessibleName(f"Class of {_value_text(value)}")
            self.table.setItem(row, 0, name)
            self.table.setItem(row, 1, count)
            self.table.setCellWidget(row, 2, combo)
            self.table.setRowHeight(row, 38)
            self._choices.append((value, combo))


def _value_text(value: MaskValue) -> str:
    return f"rgb {value[0]}, {value[1]}, {value[2]}" if isinstance(value, tuple) else str(value)
