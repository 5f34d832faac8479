"""Two small charts on plain scales: lines over steps, and how far confidence can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import Look
from app.widgets.chart import Point, nice_ceiling, thinned


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: name, name of its colour in the theme, and (step, value) points."""

    name: str
    token: str
    points: tuple[Point, ...]


class TrendChart(QWidget):
    """Lines on one scale that begins at 0, each named at its end.

    Args:
        look: Gives the colours.
    """

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._lines: tuple[Line, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look.changed.connect(self.update)

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Show other lines."""
        self._lines = tuple(Line(line.name, line.token, tuple(thinned(line.points))) for line in lines)
        said = "; ".join(f"{line.name} now {line.points[-1][1]:.2f}" for line in lines if line.points)
        self.setAccessibleName(said)
        self.update()

    def sizeHint(self) -> QSize:
        """Return a modest size."""
        return QSize(240, 96)

    def minimumSizeHint(self) -> QSize:
        """Return the least that can be read."""
        return QSize(140, 84)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw scale and lines."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetricsF(self.font())
        values = [value for line in self._lines for _, value in line.points]
        steps = [step for line in self._lines for step, _ in line.points]
        top = nice_ceiling(max(values, default=1.0))
        left = metrics.horizontalAdvance(f"{top:g}") + 8
        plot = QRectF(left, 8, self.width() - left - 8, self.height() - metrics.height() - 16)
        painter.setPen(QPen(self._look.color("line"), 1))
        for share in (0.0, 0.5, 1.0):
            y = plot.bottom() - share * plot.height()
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
        painter.setPen(self._look.color("muted"))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for share in (0.0, 1.0):
            y = plot.bottom() - share * plot.height()
            painter.drawText(
                QRectF(0, y - metrics.height() / 2, left - 6, metrics.height()), right, f"{share * top:g}"
            )
        below = QRectF(plot.left(), plot.bottom() + 5, plot.width(), metrics.height())
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "step")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{max(steps, default=0):,.0f}")
        if steps:
            self._draw_lines(painter, plot, (min(steps), max(steps)), top)
        painter.end()

    def _draw_lines(self, painter: QPainter, plot: QRectF, steps: tuple[float, float], top: float) -> None:
        metrics = QFontMetricsF(self.font())
        first, last = steps
        for line in self._lines:
            points = [
                QPointF(
                    plot.left() + plot.width() * ((step - first) / (last - first) if last > first else 1.0),
                    plot.bottom() - plot.height() * value / top,
                )
                for step, value in line.points
            ]
            if not points:
                continue
            color = self._look.color(line.token)
            painter.setPen(QPen(color, 1.8))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPolyline(QPolygonF(points))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            for point in points[-40:]:
                painter.drawEllipse(point, 2.4, 2.4)
            painter.setPen(color)
            width = metrics.horizontalAdvance(line.name)
            over = points[-1].y() - metrics.height() - 3
            y = over if over > plot.top() - 6 else points[-1].y() + 4
            painter.drawText(QRectF(plot.right() - width, y, width + 1, metrics.height()), line.name)


class ReliabilityChart(QWidget):
    """Confidence against the share that was right: on the diagonal it can be trusted as it stands.

    Args:
        look: Gives the colours.
    """

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._bins: tuple[tuple[float, float, float], ...] = ()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        look.changed.connect(self.update)

    def set_bins(self, bins: Sequence[tuple[float, float, float]]) -> None:
        """Show (mean confidence, share right, share of pixels) of each bin."""
        self._bins = tuple(bins)
        said = "; ".join(f"sure {sure:.0%}, right {right:.0%}" for sure, right, _ in bins)
        self.setAccessibleName(f"Reliability: {said}")
        self.update()

    def hasHeightForWidth(self) -> bool:
        """Say that the height follows the width."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return a height that keeps the diagonal a diagonal."""
        return round(min(width * 0.72, 240))

    def sizeHint(self) -> QSize:
        """Return a modest size."""
        return QSize(240, 172)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the diagonal, the bins, and how many pixels each holds."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetricsF(self.font())
        left = metrics.horizontalAdvance("100 %") + 8
        plot = QRectF(left, 6, self.width() - left - 10, self.height() - 2 * metrics.height() - 14)
        muted = self._look.color("muted")
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for share in (0.0, 0.5, 1.0):
            y = plot.bottom() - share * plot.height()
            painter.setPen(QPen(self._look.color("line"), 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(muted)
            place = QRectF(0, y - metrics.height() / 2, left - 6, metrics.height())
            painter.drawText(place, right, f"{share:.0%}".replace("%", " %"))
        below = QRectF(plot.left(), plot.bottom() + 3, plot.width(), metrics.height())
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "0")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, "100 %")
        under = below.translated(0, metrics.height())
        painter.drawText(under, Qt.AlignmentFlag.AlignHCenter, "confidence · height: how often right")
        painter.setPen(QPen(muted, 1.2, Qt.PenStyle.DashLine))
        painter.drawLine(plot.bottomLeft(), plot.topRight())
        self._draw_bins(painter, plot)
        painter.end()

    def _draw_bins(self, painter: QPainter, plot: QRectF) -> None:
        accent = self._look.color("accent")
        shade = QColor(accent)
        shade.setAlpha(60)
        most = max((share for _, _, share in self._bins), default=1.0) or 1.0
        points = []
        for sure, right, share in self._bins:
            x = plot.left() + sure * plot.width()
            y = plot.bottom() - right * plot.height()
            painter.fillRect(
                QRectF(
                    x - 4,
                    plot.bottom() - share / most * plot.height() * 0.3,
                    8,
                    share / most * plot.height() * 0.3,
                ),
                shade,
            )
            points.append(QPointF(x, y))
        painter.setPen(QPen(accent, 1.8))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(accent)
        for point in points:
            painter.drawEllipse(point, 3, 3)
