"""What the colours of a picture of numbers mean."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QImage, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import Look
from app.theme.ramps import SEQUENTIAL, STEPS, Ramp

_BAR = 10.0


def short(value: float) -> str:
    """Return a number as short as it can be read: three digits that count."""
    if not math.isfinite(value):
        return "–"
    if value == 0 or abs(value) < 5e-5:
        return "0"
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")


class ColorBar(QWidget):
    """A ramp with its lowest and highest value, and a mark where the value under the cursor lies.

    Args:
        look: Gives the colours of the words.
    """

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._ramp = SEQUENTIAL
        self._low, self._high, self._unit = 0.0, 1.0, ""
        self._value: float | None = None
        self._bound: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look.changed.connect(self.update)

    def set_range(self, ramp: Ramp, low: float, high: float, unit: str = "") -> None:
        """Show another ramp."""
        self._ramp, self._low, self._high, self._unit = ramp, low, high, unit
        self.setAccessibleName(f"Colours from {short(low)} to {short(high)} {unit}".strip())
        self.update()

    def set_value(self, value: float | None) -> None:
        """Mark the value under the cursor, or none."""
        if value != self._value:
            self._value = value
            self.update()

    def set_bound(self, bound: float | None) -> None:
        """Mark a threshold, or none."""
        self._bound = bound
        self.update()

    def sizeHint(self) -> QSize:
        """Return the height of the ramp and a line of text."""
        return QSize(220, round(_BAR + QFontMetricsF(self.font()).height() + 14))

    def minimumSizeHint(self) -> QSize:
        """Return the same height at the least width."""
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw ramp, mark and words."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        run = QRectF(6, 9, self.width() - 12, _BAR)
        colors = np.ascontiguousarray(self._ramp.rgb())
        image = QImage(colors.data, STEPS, 1, STEPS * 3, QImage.Format.Format_RGB888)
        painter.drawImage(run, image)
        painter.setPen(QPen(self._look.color("line"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(run)
        if self._bound is not None:
            place = self._place(run, self._bound)
            painter.setPen(QPen(self._look.color("text"), 2))
            painter.drawLine(QPointF(place, run.top() - 3), QPointF(place, run.bottom() + 3))
        metrics = QFontMetricsF(self.font())
        words = QRectF(6, run.bottom() + 3, run.width(), metrics.height() + 2)
        painter.setPen(self._look.color("muted"))
        painter.drawText(words, Qt.AlignmentFlag.AlignLeft, short(self._low))
        right = f"{short(self._high)} {self._unit}".strip()
        painter.drawText(words, Qt.AlignmentFlag.AlignRight, right)
        if self._value is not None:
            self._draw_value(painter, run, words)
        painter.end()

    def _draw_value(self, painter: QPainter, run: QRectF, words: QRectF) -> None:
        value = self._value
        if value is None:
            return
        place = self._place(run, value)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._look.color("text"))
        top = run.top() - 1
        painter.drawPolygon(
            QPolygonF([QPointF(place, top), QPointF(place - 5, top - 7), QPointF(place + 5, top - 7)])
        )
        painter.setPen(self._look.color("text"))
        painter.drawText(words, Qt.AlignmentFlag.AlignHCenter, f"here {short(value)}")

    def _place(self, run: QRectF, value: float) -> float:
        share = (value - self._low) / (self._high - self._low) if self._high > self._low else 0.0
        return float(run.left() + run.width() * min(max(share, 0.0), 1.0))
