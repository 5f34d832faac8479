"""A number for each pair of classes, as colours with names; rows and columns in any order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme import Look
from app.theme.ramps import SEQUENTIAL, Ramp, codes
from app.widgets.color_bar import short
from app.widgets.own_keys import claims

_SMALLEST = 7.0
_LARGEST = 26.0
_NAMES = 78.0
_HEAD = 66.0
_NAMED_FROM = 13.0
"""Cells of this size have room for names; smaller ones have swatches only."""
_MOVES = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}


class MatrixView(QWidget):
    """Draws a square matrix over classes.

    Attributes:
        hovered: (row, column) of the cell under the pointer or the keys, or None; numbers of channels.
        row_chosen: A row was clicked, or Return was pressed on it.
        column_chosen: The head of a column was clicked, or Shift+Return was pressed on it.

    Args:
        look: Gives the colours of words and lines.
    """

    hovered = Signal(object)
    row_chosen = Signal(int)
    column_chosen = Signal(int)

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._values: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._names: tuple[str, ...] = ()
        self._colors: tuple[QColor, ...] = ()
        self._ramp: Ramp = SEQUENTIAL
        self._range = (0.0, 1.0)
        self._rows: tuple[int, ...] = ()
        self._columns: tuple[int, ...] = ()
        self._marked: frozenset[int] = frozenset()
        self._pointed: int | None = None
        self._cell: tuple[int, int] | None = None  # place in the order shown, not channel
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setAccessibleName("Matrix of classes")
        look.changed.connect(self.update)

    # --- what is shown ----------------------------------------------------------------------------------

    def set_matrix(
        self,
        values: NDArray[np.float32],
        names: Sequence[str],
        colors: Sequence[QColor],
        ramp: Ramp,
        bounds: tuple[float, float],
    ) -> None:
        """Show another matrix; the order stays where it fits.

        Args:
            values: (K, K); row acts on column.
            names: Names of the K classes.
            colors: Their colours.
            ramp: Colours of the numbers.
            bounds: Values of its lowest and highest colour.
        """
        count = len(names)
        self._values, self._names, self._colors = values, tuple(names), tuple(colors)
        self._ramp, self._range = ramp, bounds
        if len(self._rows) != count:
            self._rows = self._columns = tuple(range(count))
            self._cell = None
        self.setMinimumWidth(round(_NAMES + _SMALLEST * count + 2))
        self.updateGeometry()
        self.update()

    def set_order(self, rows: Sequence[int], columns: Sequence[int]) -> None:
        """Show rows and columns in another order; channels."""
        self._rows, self._columns = tuple(rows), tuple(columns)
        self.update()

    @property
    def rows(self) -> tuple[int, ...]:
        """Channels of the rows, in their order."""
        return self._rows

    @property
    def columns(self) -> tuple[int, ...]:
        """Channels of the columns, in their order."""
        return self._columns

    def set_marked(self, rows: frozenset[int]) -> None:
        """Strike rows through: channels that are deleted."""
        self._marked = rows
        self.update()

    @property
    def pointed(self) -> int | None:
        """Channel of the framed row, or None."""
        return self._pointed

    def set_pointed(self, row: int | None) -> None:
        """Frame the row of the class under the cursor of the image: a channel, or None."""
        if row != self._pointed:
            self._pointed = row
            self.update()

    @property
    def cell(self) -> tuple[int, int] | None:
        """(row, column) under the pointer or the keys, as channels."""
        if self._cell is None:
            return None
        return self._rows[self._cell[0]], self._columns[self._cell[1]]

    def words(self, cell: tuple[int, int]) -> str:
        """Return what a cell says, for people."""
        row, column = cell
        return f"{self._names[row]} → {self._names[column]}: {short(float(self._values[row, column]))}"

    # --- geometry ---------------------------------------------------------------------------------------

    def _side(self, width: float) -> float:
        count = max(len(self._names), 1)
        return min(max((width - _NAMES - 2) / count, _SMALLEST), _LARGEST)

    def _head(self, side: float) -> float:
        return _HEAD if side >= _NAMED_FROM else 16.0

    def hasHeightForWidth(self) -> bool:
        """Say that the height follows the width."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height of all rows."""
        side = self._side(width)
        return round(self._head(side) + side * len(self._names) + 2)

    def sizeHint(self) -> QSize:
        """Return a size that shows everything."""
        return QSize(280, self.heightForWidth(280))

    def cell_rect(self, row: int, column: int) -> QRectF:
        """Return where the cell of two channels is drawn."""
        side = self._side(self.width())
        top = self._head(side) + self._rows.index(row) * side
        return QRectF(_NAMES + self._columns.index(column) * side, top, side, side)

    def _at(self, position: QPointF) -> tuple[int, int]:
        """Return (row, column) places under a position; -1 is the head or the names, -2 beyond the end."""
        side, count = self._side(self.width()), len(self._names)
        places = ((position.y() - self._head(side)) / side, (position.x() - _NAMES) / side)
        row, column = (-1 if place < 0 else int(place) if place < count else -2 for place in places)
        return row, column

    # --- hands ------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the pointer."""
        row, column = self._at(event.position())
        self._go((row, column) if row >= 0 and column >= 0 else None)
        self.setCursor(
            Qt.CursorShape.PointingHandCursor if row >= 0 or column >= 0 else Qt.CursorShape.ArrowCursor
        )

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a row, or a column by its head."""
        row, column = self._at(event.position())
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if row >= 0:
            self.row_chosen.emit(self._rows[row])
        elif row == -1 and column >= 0:
            self.column_chosen.emit(self._columns[column])

    def leaveEvent(self, _event: QEvent) -> None:
        """No cell is looked at."""
        self._go(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go from cell to cell; Return chooses the row, Shift+Return the column."""
        key, count = Qt.Key(event.key()), len(self._names)
        if key in _MOVES and count:
            row, column = self._cell or (0, 0)
            down, along = _MOVES[key] if self._cell is not None else (0, 0)
            self._go((min(max(row + down, 0), count - 1), min(max(column + along, 0), count - 1)))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._cell is not None:
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self.column_chosen.emit(self._columns[self._cell[1]])
            else:
                self.row_chosen.emit(self._rows[self._cell[0]])
        else:
            super().keyPressEvent(event)

    def _go(self, cell: tuple[int, int] | None) -> None:
        if cell != self._cell:
            self._cell = cell
            self.hovered.emit(self.cell)
            self.setAccessibleDescription("" if self.cell is None else self.words(self.cell))
            self.update()

    def event(self, event: QEvent) -> bool:
        """Take the keys of this view, and say class names and value of a cell."""
        if claims(event):
            return True
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            row, column = self._at(QPointF(event.pos()))
            text = ""
            if row >= 0 and column >= 0:
                text = self.words((self._rows[row], self._columns[column]))
            elif row >= 0 or column >= 0:
                text = self._names[self._rows[row] if row >= 0 else self._columns[column]]
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    # --- drawing ----------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw names, cells, and what is marked."""
        if not self._names:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side = self._side(self.width())
        head, count = self._head(side), len(self._names)
        ordered = np.ascontiguousarray(self._values[np.ix_(self._rows, self._columns)])
        pixels = self._ramp.table().take(codes(ordered, *self._range))
        image = QImage(pixels.data, count, count, count * 4, QImage.Format.Format_RGB32)
        body = QRectF(_NAMES, head, side * count, side * count)
        painter.drawImage(body, image)
        if side >= 10:
            painter.setPen(QPen(self._look.color("panel"), 1))
            for place in range(count + 1):
                painter.drawLine(
                    QPointF(_NAMES, head + place * side), QPointF(body.right(), head + place * side)
                )
                painter.drawLine(
                    QPointF(_NAMES + place * side, head), QPointF(_NAMES + place * side, body.bottom())
                )
        self._draw_row_names(painter, head, side)
        self._draw_column_names(painter, head, side)
        self._draw_marks(painter, body, side)
        painter.end()

    def _draw_row_names(self, painter: QPainter, head: float, side: float) -> None:
        metrics = QFontMetricsF(self.font())
        for place, channel in enumerate(self._rows):
            top = head + place * side
            swatch = min(10.0, side - 2)
            self._swatch(
                painter, channel, QRectF(_NAMES - swatch - 4, top + (side - swatch) / 2, swatch, swatch)
            )
            if side >= _NAMED_FROM:
                strong = channel == self._pointed or (self._cell is not None and self._cell[0] == place)
                gone = channel in self._marked
                painter.setPen(self._look.color("bad" if gone else "text" if strong else "muted"))
                room = QRectF(0, top, _NAMES - 18, side)
                name = metrics.elidedText(self._names[channel], Qt.TextElideMode.ElideRight, room.width())
                painter.drawText(room, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, name)

    def _draw_column_names(self, painter: QPainter, head: float, side: float) -> None:
        metrics = QFontMetricsF(self.font())
        swatch = min(10.0, side - 2)
        for place, channel in enumerate(self._columns):
            middle = _NAMES + (place + 0.5) * side
            self._swatch(painter, channel, QRectF(middle - swatch / 2, head - swatch - 3, swatch, swatch))
            if side >= _NAMED_FROM:
                strong = self._cell is not None and self._cell[1] == place
                painter.setPen(self._look.color("text" if strong else "muted"))
                painter.save()
                painter.translate(middle + side / 2, head - swatch - 7)
                painter.rotate(-90)
                length = head - swatch - 8
                name = metrics.elidedText(self._names[channel], Qt.TextElideMode.ElideRight, length)
                room = QRectF(0, -side, length, side)
                painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)
                painter.restore()

    def _swatch(self, painter: QPainter, channel: int, place: QRectF) -> None:
        painter.setPen(QPen(QColor(128, 128, 128, 150), 1))
        painter.setBrush(self._colors[channel])
        painter.drawRoundedRect(place, 2, 2)

    def _draw_marks(self, painter: QPainter, body: QRectF, side: float) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for place, channel in enumerate(self._rows):
            if channel in self._marked:
                y = body.top() + (place + 0.5) * side
                veil = self._look.color("panel")
                veil.setAlpha(150)
                painter.fillRect(QRectF(body.left(), y - side / 2, body.width(), side), veil)
                painter.setPen(QPen(self._look.color("bad"), 2))
                painter.drawLine(QPointF(body.left(), y), QPointF(body.right(), y))
        if self._pointed in self._rows:
            top = body.top() + self._rows.index(self._pointed) * side
            painter.setPen(QPen(self._look.color("accent"), 2))
            painter.drawRect(QRectF(1, top, body.right() - 2, side))
        if self._cell is not None:
            row, column = self._cell
            place_of = QRectF(body.left() + column * side, body.top() + row * side, side, side)
            for color, width in (("window", 3.0), ("text", 1.6)):
                painter.setPen(QPen(self._look.color(color), width))
                painter.drawRect(place_of)
