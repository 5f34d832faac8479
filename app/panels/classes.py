"""The classes: choose, add by typing, rename, recolour, reorder, hide, lock, delete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PySide6.QtCore import QModelIndex, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.bridge import Bridge
from app.dialogs.delete_class import ask_delete_class
from app.panels.class_model import ClassDelegate, ClassModel, share_text
from app.theme import Look
from app.widgets.marks import label
from engine.annotate.class_files import read_class_file
from engine.annotate.classes import UNLABELLED, ClassTable

SHARE_DELAY_MS = 350
SHARE_SAMPLES = 500_000


class ClassesPanel(QWidget):
    """Right dock, upper half.

    Attributes:
        chosen: The class index a person chose here.

    Args:
        bridge: Where the class table lives.
        look: Gives the colours.
    """

    chosen = Signal(int)

    def __init__(self, bridge: Bridge, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._look = look
        self.model = ClassModel(self)
        self.view = QListView()
        self._show_rows()
        self.add_line = QLineEdit()
        self.add_line.setPlaceholderText("Add a class…")
        self.add_line.setAccessibleName("Name of a new class")
        self.add_line.setMaxLength(80)
        self.load_button = QToolButton()
        self.load_button.setToolTip("Load a class list (.json or .txt); you can also drop it here.")
        self.load_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.unlabelled = label(kind="muted")
        top = QHBoxLayout()
        top.setContentsMargins(10, 2, 10, 6)
        top.addWidget(self.add_line, 1)
        top.addWidget(self.load_button)
        self._empty = label("No classes yet. Paint something: you will be asked what it is.", kind="muted")
        self._empty.setWordWrap(True)
        self._empty.setContentsMargins(12, 4, 12, 4)
        foot = QHBoxLayout()
        foot.setContentsMargins(14, 4, 12, 8)
        foot.addWidget(self.unlabelled)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self._empty)
        layout.addWidget(self.view, 1)
        layout.addLayout(foot)
        self._share_timer = QTimer(self)
        self._share_timer.setSingleShot(True)
        self._share_timer.setInterval(SHARE_DELAY_MS)
        self._share_timer.timeout.connect(self.count_shares)
        self._recolor()
        self._connect()

    def _show_rows(self) -> None:
        """Let the list show classes and be put in order by hand."""
        self.view.setModel(self.model)
        self.view.setItemDelegate(ClassDelegate(self._look, self.view))
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.view.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setAccessibleName("Classes")

    def _connect(self) -> None:
        self.add_line.returnPressed.connect(self._add_typed)
        self.view.clicked.connect(lambda index: self.chosen.emit(self.model.spec_at(index.row()).index))
        self.view.customContextMenuRequested.connect(self._menu)
        self.model.rename_wanted.connect(self.rename)
        self.model.move_wanted.connect(lambda index, to: self._edit(lambda table: table.move(index, to)))
        self.model.hide_wanted.connect(self.toggle_hidden)
        self.model.lock_wanted.connect(self.toggle_locked)
        self.model.recolor_wanted.connect(self.recolor)
        bridge = self._bridge
        bridge.session_changed.connect(self._take_classes)
        bridge.classes_changed.connect(self._take_classes)
        bridge.current_changed.connect(lambda _image_id: self._share_timer.start())
        bridge.image_loaded.connect(lambda _event: self._share_timer.start())
        bridge.annotation_changed.connect(lambda _box: self._share_timer.start())
        bridge.prediction_ready.connect(lambda _event: self._share_timer.start())
        bridge.network_opened.connect(lambda _event: self._share_timer.start())
        self._look.changed.connect(self._recolor)

    # --- what others ask for ----------------------------------------------------------------------------

    def select(self, class_index: int | None) -> None:
        """Show which class is active."""
        row = -1 if class_index is None else self.model.row_of(class_index)
        if row < 0:
            self.view.clearSelection()
            self.view.setCurrentIndex(QModelIndex())
        elif self.view.currentIndex().row() != row:
            self.view.setCurrentIndex(self.model.index(row))

    def add(self, name: str) -> int | None:
        """Add a class and choose it; a name that exists is only chosen. Returns its index."""
        known = self._classes().by_name(name)
        if known is not None:
            self.chosen.emit(known.index)
            return known.index
        index = self._classes().next_index
        if not self._edit(lambda table: table.add(name)):
            return None
        self.chosen.emit(index)
        return index

    def rename(self, index: int, name: str) -> None:
        """Give a class another name."""
        self._edit(lambda table: table.rename(index, name))

    def toggle_hidden(self, index: int) -> None:
        """Hide a class's pixels, or show them again."""
        spec = self._classes().by_index(index)
        if spec is not None:
            self._edit(lambda table: table.with_flags(index, hidden=not spec.hidden))

    def toggle_locked(self, index: int) -> None:
        """Protect a class's pixels from painting, or allow it again."""
        spec = self._classes().by_index(index)
        if spec is not None:
            self._edit(lambda table: table.with_flags(index, locked=not spec.locked))

    def recolor(self, index: int) -> None:
        """Ask for another colour."""
        spec = self._classes().by_index(index)
        if spec is None:
            return
        color = QColorDialog.getColor(QColor(*spec.color), self, f"Colour of {spec.name}")
        if color.isValid():
            self._edit(lambda table: table.recolor(index, (color.red(), color.green(), color.blue())))

    def delete(self, index: int) -> None:
        """Ask what shall become of a class's pixels, then delete it."""
        answer = ask_delete_class(self._classes(), index, self)
        if answer is not None:
            self._bridge.delete_class(index, answer.merge_into)

    def load_file(self, path: Path) -> None:
        """Add the classes of a file that are not in the table yet; colours of known ones are taken over."""

        def read() -> None:
            found = read_class_file(path)
            table = self._classes()
            if not len(table):
                self._bridge.set_classes(found)
                return
            for spec in found:
                known = table.by_name(spec.name)
                table = table.recolor(known.index, spec.color) if known else table.add(spec.name, spec.color)
            self._bridge.set_classes(table)

        self._bridge.attempt(f"“{path.name}” could not be read as a class list", read)

    # --- inside -----------------------------------------------------------------------------------------

    def _classes(self) -> ClassTable:
        session = self._bridge.session
        return session.classes if session else ClassTable()

    def _edit(self, change: Callable[[ClassTable], ClassTable]) -> bool:
        def apply() -> None:
            self._bridge.set_classes(change(self._classes()))

        return self._bridge.attempt("The classes could not be changed", apply)

    def _add_typed(self) -> None:
        name = self.add_line.text().strip()
        if name and self.add(name) is not None:
            self.add_line.clear()

    def _take_classes(self) -> None:
        classes = self._classes()
        chosen = self.view.currentIndex()
        index = self.model.spec_at(chosen.row()).index if chosen.isValid() else None
        self.model.set_classes(classes)
        self.select(index)
        self._empty.setVisible(not len(classes))
        self._share_timer.start()

    def _menu(self, point: QPoint) -> None:
        index = self.view.indexAt(point)
        if index.isValid():
            self.menu_for(index).popup(self.view.viewport().mapToGlobal(point))

    def menu_for(self, index: QModelIndex) -> QMenu:
        """Return the context menu of a row."""
        spec = self.model.spec_at(index.row())
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Rename", lambda: self.view.edit(index))
        menu.addAction("Colour…", lambda: self.recolor(spec.index))
        menu.addSeparator()
        menu.addAction("Show" if spec.hidden else "Hide", lambda: self.toggle_hidden(spec.index))
        menu.addAction("Unlock" if spec.locked else "Lock", lambda: self.toggle_locked(spec.index))
        menu.addSeparator()
        row = index.row()
        up = menu.addAction("Move up", lambda: self._edit(lambda table: table.move(spec.index, row - 1)))
        up.setEnabled(row > 0)
        down = menu.addAction("Move down", lambda: self._edit(lambda table: table.move(spec.index, row + 1)))
        down.setEnabled(row + 1 < self.model.rowCount())
        menu.addSeparator()
        menu.addAction("Delete…", lambda: self.delete(spec.index))
        return menu

    def count_shares(self) -> None:
        """Count what is on screen: annotation over prediction, sampled so that large images cost no more."""
        session = self._bridge.session
        annotation = session.annotation if session else None
        if session is None or session.current is None or annotation is None:
            self.model.set_shares(np.zeros(256))
            self.unlabelled.setText("")
            return
        labels = annotation.label_map
        step = max(1, int(np.sqrt(labels.size / SHARE_SAMPLES)))
        prediction = session.prediction(session.current)
        fits = prediction is not None and prediction.label_map.shape == labels.shape
        predicted = prediction.label_map[::step, ::step] if prediction is not None and fits else None
        values = labels[::step, ::step]
        if predicted is not None:
            values = np.where(values == UNLABELLED, predicted, values)
        shares = np.bincount(values.ravel(), minlength=256)[:256] / max(1, values.size)
        self.model.set_shares(shares)
        self.unlabelled.setText(f"unlabelled {share_text(float(shares[UNLABELLED]))}")

    def _recolor(self) -> None:
        self.load_button.setIcon(self._look.icon("import"))
        self.view.viewport().update()
