"""A small live line chart, drawn by ourselves: one curve of scores over steps, and the losses behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import Look

KEPT_POINTS = 2000
_MARGIN = 6.0
_CAPTION = "held-out mIoU over steps · faint: training loss"
_RESUMED = 0.3
"""A run whose first point lies beyond this share of its last step was resumed: the plot begins there."""

Point = tuple[float, float]


def nice_ceiling(value: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below a positive value."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if value <= step * power * (1 + 1e-9))


def thinned(points: Sequence[Point], limit: int = KEPT_POINTS) -> list[Point]:
    """Return at most `limit` points; beyond it every second one goes, the newest always stays."""
    kept = list(points)
    while len(kept) > limit:
        kept = kept[-1::-2][::-1]
    return kept


class LineChart(QWidget):
    """Held-out score (0 to 1, left scale) as a line with dots, the total loss as a faint line behind it.

    Args:
        look: Gives the colours.
        compact: A sparkline without scales and words.
    """

    def __init__(self, look: Look, *, compact: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._compact = compact
        self._scores: list[Point] = []
        self._losses: list[Point] = []
        self._hover: QPointF | None = None
        self.setMouseTracking(not compact)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        look.changed.connect(self.update)
        self._describe()

    @property
    def scores(self) -> tuple[Point, ...]:
        """(step, score) of every evaluation kept."""
        return tuple(self._scores)

    @property
    def losses(self) -> tuple[Point, ...]:
        """(step, total loss) of every report kept."""
        return tuple(self._losses)

    def add_score(self, step: int, score: float) -> None:
        """Add an evaluation; a step before the last one means that an older checkpoint was loaded."""
        self._scores = thinned([*(point for point in self._scores if point[0] < step), (float(step), score)])
        self._describe()
        self.update()

    def add_loss(self, step: int, loss: float) -> None:
        """Add a loss; values that are not finite are left out."""
        if math.isfinite(loss):
            self._losses = thinned(
                [*(point for point in self._losses if point[0] < step), (float(step), loss)]
            )
            self.update()

    def clear(self) -> None:
        """Start anew."""
        self._scores.clear()
        self._losses.clear()
        self._describe()
        self.update()

    def _describe(self) -> None:
        if self._scores:
            best = max(score for _, score in self._scores)
            text = f"Held-out mIoU: now {self._scores[-1][1]:.3f}, best {best:.3f}."
        else:
            text = "Held-out mIoU: not measured yet."
        self.setAccessibleName(text)
        if self._compact:
            self.setToolTip(text + " The faint line behind is the training loss.")

    def sizeHint(self) -> QSize:
        """Return a modest size."""
        return QSize(150, 34) if self._compact else QSize(420, 180)

    def minimumSizeHint(self) -> QSize:
        """Return the least that can be read."""
        return QSize(90, 26) if self._compact else QSize(220, 120)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Show the value nearest to the pointer."""
        self._hover = event.position()
        self.update()

    def leaveEvent(self, _event: object) -> None:
        """Stop showing a value."""
        self._hover = None
        self.update()

    # --- drawing ----------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw scales, losses and scores."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        plot = self._plot(QFontMetricsF(self.font()))
        steps = self.steps
        if not self._compact:
            self._draw_scales(painter, plot, steps)
        if not self._scores and not self._losses:
            painter.setPen(self._look.color("muted"))
            text = "" if self._compact else "The curve appears with the first evaluation."
            painter.drawText(plot, Qt.AlignmentFlag.AlignCenter, text)
            painter.end()
            return
        if self._losses:
            top = nice_ceiling(max(loss for _, loss in self._losses))
            faint = QColor(self._look.color("muted"))
            faint.setAlpha(110)
            painter.setPen(QPen(faint, 1.2))
            painter.drawPolyline(QPolygonF(_curve(plot, self._losses, steps, top)))
        if self._scores:
            self._draw_scores(painter, plot, steps)
        painter.end()

    def _plot(self, metrics: QFontMetricsF) -> QRectF:
        area = QRectF(self.rect())
        if self._compact:
            return area.adjusted(3, 4, -5, -4)
        return area.adjusted(metrics.horizontalAdvance("1.00") + 12, 10, -14, -metrics.height() - 10)

    @property
    def steps(self) -> tuple[float, float]:
        """Return the first and last step of the plot: a resumed run begins where it was taken up again."""
        curves = [points for points in (self._scores, self._losses) if points]
        first = min((points[0][0] for points in curves), default=0.0)
        last = max((points[-1][0] for points in curves), default=1.0)
        return (first if first > last * _RESUMED else 0.0), max(last, 1.0)

    def _draw_scales(self, painter: QPainter, plot: QRectF, steps: tuple[float, float]) -> None:
        metrics = QFontMetricsF(self.font())
        for value in (0.0, 0.25, 0.5, 0.75, 1.0):
            y = plot.bottom() - value * plot.height()
            painter.setPen(QPen(self._look.color("line"), 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(self._look.color("muted"))
            place = QRectF(0, y - metrics.height() / 2, plot.left() - _MARGIN, metrics.height())
            painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{value:g}")
        below = QRectF(plot.left(), plot.bottom() + 4, plot.width(), metrics.height() + 2)
        first, last = steps
        span = f"{first:,.0f} … {last:,.0f}" if first not in (0, last) else f"{last:,.0f}"
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, span)
        room = below.width() - metrics.horizontalAdvance(span) - 2 * _MARGIN
        words = metrics.elidedText(_CAPTION, Qt.TextElideMode.ElideRight, room)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, words)

    def _draw_scores(self, painter: QPainter, plot: QRectF, steps: tuple[float, float]) -> None:
        accent = self._look.color("accent")
        points = _curve(plot, self._scores, steps, 1.0)
        line = QPolygonF(points)
        shade = QColor(accent)
        shade.setAlpha(36)
        below = QPolygonF(line)
        below.append(QPointF(points[-1].x(), plot.bottom()))
        below.append(QPointF(points[0].x(), plot.bottom()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(shade)
        painter.drawPolygon(below)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(accent, 1.8))
        painter.drawPolyline(line)
        painter.setBrush(accent)
        painter.setPen(Qt.PenStyle.NoPen)
        for point in points[-1:] if self._compact else points[-60:]:
            painter.drawEllipse(point, 2.8, 2.8)
        if self._hover is not None:
            self._draw_nearest(painter, points)

    def _draw_nearest(self, painter: QPainter, points: Sequence[QPointF]) -> None:
        hover = self._hover
        if hover is None:
            return
        nearest = min(range(len(points)), key=lambda index: abs(points[index].x() - hover.x()))
        step, score = self._scores[nearest]
        text = f"step {step:,.0f}: {score:.3f}"
        metrics = QFontMetricsF(self.font())
        box = QRectF(0, 0, metrics.horizontalAdvance(text) + 14, metrics.height() + 6)
        left = min(max(points[nearest].x() - box.width() / 2, 0.0), self.width() - box.width())
        above = points[nearest].y() - box.height() - 8
        box.moveTo(left, above if above > 0 else points[nearest].y() + 8)
        painter.setPen(QPen(self._look.color("line"), 1))
        painter.setBrush(self._look.color("raised"))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(self._look.color("text"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def _curve(plot: QRectF, points: Sequence[Point], steps: tuple[float, float], top: float) -> list[QPointF]:
    first, last = steps
    return [
        QPointF(
            plot.left() + plot.width() * (step - first) / max(last - first, 1.0),
            plot.bottom() - plot.height() * min(max(value / top, 0.0), 1.0),
        )
        for step, value in points
    ]
