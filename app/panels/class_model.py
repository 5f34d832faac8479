"""The class table as a Qt model: rename inline, drag to reorder, click eye, lock and colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import (
    QAbstractListModel,
    QByteArray,
    QEvent,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.theme import Look
from engine.annotate.classes import ClassSpec, ClassTable

SPEC_ROLE = Qt.ItemDataRole.UserRole + 1
SHARE_ROLE = Qt.ItemDataRole.UserRole + 2
ROW_HEIGHT = 34
_MIME = "application/x-maskloop-class"

Index = QModelIndex | QPersistentModelIndex


class ClassModel(QAbstractListModel):
    """Rows are classes in list order. It never changes the table itself; it asks.

    Attributes:
        rename_wanted: (class index, new name).
        move_wanted: (class index, new position).
        hide_wanted, lock_wanted, recolor_wanted: The class index whose eye, lock or colour was clicked.
    """

    rename_wanted = Signal(int, str)
    move_wanted = Signal(int, int)
    hide_wanted = Signal(int)
    lock_wanted = Signal(int)
    recolor_wanted = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._classes = ClassTable()
        self._specs: tuple[ClassSpec, ...] = ()
        self._shares = np.zeros(256)

    def set_classes(self, classes: ClassTable) -> None:
        """Show another table."""
        same_rows = self._classes.indices == classes.indices
        if not same_rows:
            self.beginResetModel()
        self._classes, self._specs = classes, tuple(classes)
        if not same_rows:
            self.endResetModel()
        elif self._specs:
            self.dataChanged.emit(self.index(0), self.index(len(self._specs) - 1))

    def set_shares(self, shares: Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]) -> None:
        """Show which share of the image each of the 256 label values covers."""
        self._shares = np.asarray(shares, np.float64)
        if self._specs:
            self.dataChanged.emit(self.index(0), self.index(len(self._specs) - 1), [SHARE_ROLE])

    def spec_at(self, row: int) -> ClassSpec:
        """Return the class of a row."""
        return self._specs[row]

    def row_of(self, class_index: int) -> int:
        """Return the row of a class, or -1."""
        return next((row for row, spec in enumerate(self._specs) if spec.index == class_index), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """Return the number of classes."""
        return 0 if parent.isValid() else len(self._specs)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a row shows."""
        if not index.isValid() or not 0 <= index.row() < len(self._specs):
            return None
        spec = self._specs[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return spec.name
        if role == SPEC_ROLE:
            return spec
        if role == SHARE_ROLE:
            return float(self._shares[spec.index])
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return _words(spec, index.row())
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Ask for another name."""
        name = str(value).strip()
        if role != Qt.ItemDataRole.EditRole or not index.isValid() or not name:
            return False
        spec = self._specs[index.row()]
        if name != spec.name:
            self.rename_wanted.emit(spec.index, name)
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Rows can be chosen, renamed and dragged; the gaps between them take drops."""
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        flag = Qt.ItemFlag
        return flag.ItemIsEnabled | flag.ItemIsSelectable | flag.ItemIsEditable | flag.ItemIsDragEnabled

    # --- drag to reorder --------------------------------------------------------------------------------

    def supportedDropActions(self) -> Qt.DropAction:
        """Rows are moved, never copied."""
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        """Return the one kind of data that is dragged."""
        return [_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """Return the dragged class."""
        data = QMimeData()
        data.setData(_MIME, QByteArray(str(self._specs[indexes[0].row()].index).encode()))
        return data

    def dropMimeData(
        self, data: QMimeData, _action: Qt.DropAction, row: int, _column: int, parent: Index
    ) -> bool:
        """Ask for another order. Returns False so that the view removes nothing by itself."""
        if not data.hasFormat(_MIME):
            return False
        class_index = int(bytes(data.data(_MIME).data()))
        target = row if row >= 0 else (parent.row() if parent.isValid() else len(self._specs))
        source = self.row_of(class_index)
        if source < 0:
            return False
        self.move_wanted.emit(class_index, target - 1 if target > source else target)
        return False


def _words(spec: ClassSpec, row: int) -> str:
    key = f" Key {(row + 1) % 10}." if row < 10 else ""
    hidden = " Hidden." if spec.hidden else ""
    locked = " Locked: painting leaves it alone." if spec.locked else ""
    return f"{spec.name}.{key}{hidden}{locked} Double-click renames or recolours; drag reorders."


class ClassDelegate(QStyledItemDelegate):
    """Draws a class: digit, colour, name, share, eye and lock; takes clicks on eye, lock and colour."""

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """Return the same size for every row."""
        return QSize(160, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw one row."""
        spec = index.data(SPEC_ROLE)
        if not isinstance(spec, ClassSpec):
            return
        area: QRect = option.rect
        state: QStyle.StateFlag = option.state
        selected = bool(state & QStyle.StateFlag.State_Selected)
        hovered = bool(state & QStyle.StateFlag.State_MouseOver)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected or hovered:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._look.color("fill" if selected else "raised"))
            painter.drawRoundedRect(area.adjusted(4, 1, -4, -1), 6, 6)
        text = self._look.color("on_fill" if selected else "text")
        quiet = self._look.color("on_fill" if selected else "muted")
        vertical = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(quiet)
        if index.row() < 10:
            digit = QRect(area.left() + 10, area.top(), 14, area.height())
            painter.drawText(digit, Qt.AlignmentFlag.AlignHCenter | vertical, str((index.row() + 1) % 10))
        places = parts(area)
        painter.setPen(QPen(QColor(255, 255, 255, 120), 1))
        painter.setBrush(QColor(*spec.color))
        painter.drawRoundedRect(places["color"], 4, 4)
        share = float(index.data(SHARE_ROLE) or 0.0)
        painter.setPen(quiet)
        painter.drawText(places["share"], Qt.AlignmentFlag.AlignRight | vertical, share_text(share))
        painter.setPen(quiet if spec.hidden else text)
        name = painter.fontMetrics().elidedText(
            spec.name, Qt.TextElideMode.ElideRight, places["name"].width()
        )
        painter.drawText(places["name"], Qt.AlignmentFlag.AlignLeft | vertical, name)
        quiet_token = "on_fill" if selected else "muted"
        self._mark(
            painter, places["eye"], "eye-off" if spec.hidden else "eye", quiet_token, strong=spec.hidden
        )
        self._mark(
            painter, places["lock"], "lock" if spec.locked else "unlock", quiet_token, strong=spec.locked
        )
        painter.restore()

    def _mark(self, painter: QPainter, place: QRect, name: str, quiet: str, *, strong: bool) -> None:
        ratio = painter.device().devicePixelRatioF()
        shown = "warn" if strong and quiet == "muted" else quiet
        painter.setOpacity(1.0 if strong else 0.55)
        painter.drawPixmap(place.topLeft(), self._look.pixmap(name, shown, 17, ratio))
        painter.setOpacity(1.0)

    def editorEvent(self, event: QEvent, model: Any, option: QStyleOptionViewItem, index: Index) -> bool:
        """Take a click on eye or lock, and a double click on the colour."""
        is_click = isinstance(event, QMouseEvent) and event.button() == Qt.MouseButton.LeftButton
        if is_click and isinstance(event, QMouseEvent) and isinstance(model, ClassModel):
            places = parts(option.rect)
            point = event.position().toPoint()
            index_of_class = model.spec_at(index.row()).index
            for kind, name, wanted in (
                (QEvent.Type.MouseButtonRelease, "eye", model.hide_wanted),
                (QEvent.Type.MouseButtonRelease, "lock", model.lock_wanted),
                (QEvent.Type.MouseButtonDblClick, "color", model.recolor_wanted),
            ):
                if event.type() == kind and places[name].adjusted(-4, -8, 4, 8).contains(point):
                    wanted.emit(index_of_class)
                    return True
        return super().editorEvent(event, model, option, index)

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, _index: Index) -> None:
        """Lay the rename field over the name only."""
        area: QRect = option.rect
        editor.setGeometry(parts(area)["name"].adjusted(-8, 2, 50, -2))


def share_text(share: float) -> str:
    """Return a share of pixels for people: nothing, less than one per cent, or whole per cents."""
    if share <= 0:
        return "–"
    return "<1 %" if share < 0.01 else f"{share * 100:.0f} %"


def parts(area: QRect) -> dict[str, QRect]:
    """Return where the parts of a row lie."""
    top = area.center().y() - 8
    right = area.right() - 10
    return {
        "color": QRect(area.left() + 30, area.center().y() - 8, 17, 17),
        "name": QRect(area.left() + 58, area.top(), max(20, right - 104 - area.left() - 58), area.height()),
        "share": QRect(right - 100, area.top(), 46, area.height()),
        "eye": QRect(right - 43, top, 17, 17),
        "lock": QRect(right - 18, top, 17, 17),
    }
