"""Pinned images: what they look like before and after, and what changed, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.bridge import Bridge
from app.widgets.marks import label
from engine.annotate.classes import ClassTable
from engine.messages import CommandFailed, CompareCheckpoints, ComparisonReady

_WIDTH = 150
_OPACITY = 0.6
_SHOWN, _NEWEST = "the weights shown now", "the newest weights"
_TITLES = ("before", "after", "changed")


def pictures_of(event: ComparisonReady, classes: ClassTable) -> tuple[NDArray[np.uint8], ...]:
    """Return three (h, w, 3) uint8 RGB pictures: before and after over the image, and what changed.

    What changed shows the new class on a dimmed image.
    """
    colors = np.zeros((256, 3), np.float32)
    for spec in classes:
        colors[spec.index] = spec.color
    image = event.image.astype(np.float32)
    before, after = ((1 - _OPACITY) * image + _OPACITY * colors[part] for part in (event.before, event.after))
    grey = np.repeat(image.mean(-1, keepdims=True), 3, -1) * 0.5
    changed = np.where((event.before != event.after)[..., None], colors[event.after], grey)
    return tuple(np.clip(part, 0, 255).astype(np.uint8) for part in (before, after, changed))


class PinnedPictures(QWidget):
    """One row per pinned image: before, after, changed.

    Attributes:
        pins_changed: An image was pinned, or let go.

    Args:
        bridge: Where the pictures come from.
    """

    pins_changed = Signal()

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._sides = (_SHOWN, _NEWEST)
        self.pin_button = QPushButton("Pin this image")
        self.pin_button.setToolTip("See here what training changes on it.")
        self.hint = label(kind="muted")
        self.hint.setWordWrap(True)
        self.pictures: dict[str, tuple[QLabel, ...]] = {}
        self._rows = QWidget()
        self._grid = QGridLayout(self._rows)
        self._grid.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(self._rows)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.addWidget(self.hint)
        layout.addWidget(area, 1)
        layout.addWidget(self.pin_button, 0, Qt.AlignmentFlag.AlignLeft)
        self.pin_button.clicked.connect(self._toggle)
        bridge.session_changed.connect(self.refresh)
        bridge.current_changed.connect(lambda _image: self._describe())
        bridge.comparison_ready.connect(self._show)
        bridge.command_failed.connect(self._failed)
        self.refresh()

    def refresh(self) -> None:
        """Lay out a row for each pinned image."""
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = None if item is None else item.widget()
            if widget is not None:
                widget.deleteLater()
        self.pictures.clear()
        session = self._bridge.session
        for row, name in enumerate(() if session is None else session.candidates.pinned):
            title = label(Path(name).name, kind="muted")
            title.setToolTip(name)
            self._grid.addWidget(title, row, 0)
            cells = []
            for column, kind in enumerate(_TITLES, 1):
                cell = label(kind, kind="muted")
                cell.setAccessibleName(f"{Path(name).name}, {kind}")
                self._grid.addWidget(cell, row, column)
                cells.append(cell)
            self.pictures[name] = tuple(cells)
        if session is not None:
            for event in session.candidates.pictures.values():
                self._show(event)
        self._describe()

    def compare(self, before: Path | None, after: Path | None) -> None:
        """Ask for pictures of two checkpoints.

        Args:
            before: The file; None for what is shown now.
            after: The file; None for the weights being trained.
        """
        session = self._bridge.session
        if session is not None:
            self._sides = (
                _SHOWN if before is None else before.name,
                _NEWEST if after is None else after.name,
            )
            self._bridge.compare_checkpoints(before, after)
            self.hint.setText("Predicting the pinned images…")

    def _show(self, event: ComparisonReady) -> None:
        session, cells = self._bridge.session, self.pictures.get(event.image_id)
        if session is None or cells is None:
            return
        for cell, pixels, title in zip(cells, pictures_of(event, session.classes), _TITLES, strict=True):
            height, width = pixels.shape[:2]
            image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
            ready = QPixmap.fromImage(image.copy())
            cell.setPixmap(ready.scaledToWidth(_WIDTH, Qt.TransformationMode.SmoothTransformation))
            cell.setToolTip(f"{title}: {100 * event.changed:.1f} % of the pixels differ")
        self.hint.setText("Before: {}. After: {}.".format(*self._sides))

    def _failed(self, event: CommandFailed) -> None:
        if event.command == CompareCheckpoints.__name__:
            self.hint.setText(f"{event.problem.message} {event.problem.hint}".strip())

    def _toggle(self) -> None:
        session = self._bridge.session
        if session is not None and session.current is not None:
            is_pinned = session.current in session.candidates.pinned
            session.candidates.pin(session.current, not is_pinned)
            self.refresh()
            self.pins_changed.emit()

    def _describe(self) -> None:
        session = self._bridge.session
        current = None if session is None else session.current
        self.pin_button.setEnabled(current is not None and session is not None and not session.read_only)
        is_pinned = session is not None and current in session.candidates.pinned
        self.pin_button.setText("Unpin this image" if is_pinned else "Pin this image")
        if not self.pictures:
            self.hint.setText("Pin a few images to see what a checkpoint changes on them.")
