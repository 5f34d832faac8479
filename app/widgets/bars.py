"""Numbers with names as horizontal bars: shares, or what speaks for and against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme import Look
from app.widgets.own_keys import claims

ROW = 22
_SWATCH = 10.0
_GAP = 6.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One row.

    Attributes:
        name: What it is about.
        colors: Swatches before the name; two are drawn with an arrow between them.
        value: Length of the bar, negative to the left.
        text: The value as it is written.
        tip: Said when the pointer rests on it.
    """

    name: str
    colors: tuple[QColor, ...]
    value: float
    text: str
    tip: str = ""


class BarList(QWidget):
    """Rows of bars.

    Attributes:
        chosen: The number of a row that was clicked, or chosen with Return.

    Args:
        look: Gives the colours.
        signed: Zero lies in the middle and the sign is a direction; else bars begin at the left.
        clickable: Rows can be chosen with the mouse and the arrow keys.
        whole: The value of a full bar, such as 1 for shares; without one the longest bar is full.
    """

    chosen = Signal(int)

    def __init__(
        self,
        look: Look,
        *,
        signed: bool = False,
        clickable: bool = False,
        whole: float | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._look = look
        self._whole = whole
        self._signed = signed
        self._clickable = clickable
        self._bars: tuple[Bar, ...] = ()
        self._current = -1
        self.setMouseTracking(clickable)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        if clickable:
            self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        look.changed.connect(self.update)

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The rows shown."""
        return self._bars

    def set_bars(self, bars: Sequence[Bar]) -> None:
        """Show other rows."""
        if len(bars) != len(self._bars):
            self._bars = tuple(bars)
            self.updateGeometry()
        self._bars = tuple(bars)
        self._current = min(self._current, len(bars) - 1)
        self.setAccessibleDescription("; ".join(f"{bar.name} {bar.text}" for bar in bars))
        self.update()

    def set_signed(self, signed: bool) -> None:
        """Lay zero in the middle, or at the left."""
        self._signed = signed
        self.update()

    def sizeHint(self) -> QSize:
        """Return the height of all rows."""
        return QSize(220, ROW * len(self._bars))

    def minimumSizeHint(self) -> QSize:
        """Return the same height at the least width."""
        return QSize(120, ROW * len(self._bars))

    def row_at(self, y: float) -> int:
        """Return the row at a height, or -1."""
        row = int(y // ROW)
        return row if 0 <= row < len(self._bars) else -1

    # --- hands ------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light up the row under the pointer."""
        self._set_current(self.row_at(event.position().y()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a row."""
        row = self.row_at(event.position().y())
        if self._clickable and row >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(row)

    def leaveEvent(self, _event: QEvent) -> None:
        """Put the light out."""
        self._set_current(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go up and down, choose with Return."""
        steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}
        key = Qt.Key(event.key())
        if self._clickable and key in steps and self._bars:
            self._set_current(min(max(self._current + steps[key], 0), len(self._bars) - 1))
        elif self._clickable and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._current >= 0:
            self.chosen.emit(self._current)
        else:
            super().keyPressEvent(event)

    def _set_current(self, row: int) -> None:
        if row != self._current and self._clickable:
            self._current = row
            self.setCursor(Qt.CursorShape.PointingHandCursor if row >= 0 else Qt.CursorShape.ArrowCursor)
            self.update()

    def event(self, event: QEvent) -> bool:
        """Take the keys of this view, and say more about a row."""
        if self._clickable and claims(event):
            return True
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            row = self.row_at(event.pos().y())
            bar = self._bars[row] if row >= 0 else None
            text = "" if bar is None else bar.tip or f"{bar.name}: {bar.text}"
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    # --- drawing ----------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the rows."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetricsF(self.font())
        values = max((metrics.horizontalAdvance(bar.text) for bar in self._bars), default=0.0)
        names = min(
            max((metrics.horizontalAdvance(bar.name) + _swatches(bar) for bar in self._bars), default=0.0),
            self.width() * (0.6 if any(len(bar.colors) > 1 for bar in self._bars) else 0.46),
        )
        run = QRectF(names + 8, 0, max(12.0, self.width() - names - values - 18), ROW)
        largest = self._whole or max((abs(bar.value) for bar in self._bars), default=0.0) or 1.0
        for number, bar in enumerate(self._bars):
            row = QRectF(0, number * ROW, self.width(), ROW)
            if number == self._current:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(self._look.color("raised"))
                painter.drawRoundedRect(row.adjusted(0, 1, 0, -1), 4, 4)
            left = self._draw_swatches(painter, bar, row)
            painter.setPen(self._look.color("text"))
            name = metrics.elidedText(bar.name, Qt.TextElideMode.ElideRight, names - left)
            middle = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(left, row.top(), names - left + 2, ROW), middle, name)
            self._draw_run(painter, bar, run.translated(0, row.top()), largest)
            painter.setPen(self._look.color("text"))
            painter.drawText(row.adjusted(0, 0, -1, 0), middle | Qt.AlignmentFlag.AlignRight, bar.text)
        painter.end()

    def _draw_swatches(self, painter: QPainter, bar: Bar, row: QRectF) -> float:
        left = 1.0
        for number, color in enumerate(bar.colors):
            if number:
                painter.setPen(QPen(self._look.color("muted"), 1.2))
                middle = QPointF(left + 3.5, row.center().y())
                painter.drawLine(middle - QPointF(2.5, 0), middle + QPointF(3, 0))
                painter.drawLine(middle + QPointF(3, 0), middle + QPointF(0.5, -2.5))
                painter.drawLine(middle + QPointF(3, 0), middle + QPointF(0.5, 2.5))
                left += 10
            painter.setPen(QPen(QColor(128, 128, 128, 150), 1))
            painter.setBrush(color)
            top = row.center().y() - _SWATCH / 2
            painter.drawRoundedRect(QRectF(left, top, _SWATCH, _SWATCH), 2.5, 2.5)
            left += _SWATCH + 3
        return left + (_GAP - 3 if bar.colors else 0)

    def _draw_run(self, painter: QPainter, bar: Bar, run: QRectF, largest: float) -> None:
        zero = run.center().x() if self._signed else run.left()
        length = min(bar.value / largest, 1.0) * (run.width() / 2 if self._signed else run.width())
        painter.setPen(Qt.PenStyle.NoPen)
        ground = self._look.color("line")
        ground.setAlpha(110)
        painter.setBrush(ground)
        painter.drawRoundedRect(run.adjusted(0, 7, 0, -7), 2, 2)
        painter.setBrush(bar.colors[-1] if bar.colors else self._look.color("accent"))
        painter.setPen(QPen(QColor(128, 128, 128, 130), 0.8))
        begin, end = sorted((zero, zero + length))
        painter.drawRoundedRect(QRectF(begin, run.top() + 5, max(end - begin, 1.0), ROW - 10), 2, 2)
        if self._signed:
            painter.setPen(QPen(self._look.color("muted"), 1))
            painter.drawLine(QPointF(zero, run.top() + 2), QPointF(zero, run.bottom() - 2))


def _swatches(bar: Bar) -> float:
    """Return the width of the swatches before a name."""
    count = len(bar.colors)
    return count * (_SWATCH + 3) + max(0, count - 1) * 10 + (_GAP if count else 0) + 2
