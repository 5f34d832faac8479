"""A map of classes and strokes: squares are what is remembered, dots are what people painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme import Look
from app.widgets.own_keys import claims

Place = tuple[float, float]

_MARGIN = 16.0
_REACH = 9.0
"""Logical pixels around a dot that count as hitting it."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One point of the map.

    Attributes:
        color: Its class colour.
        place: Where it is now.
        before: Where it was on the map before, or None where it is new.
        is_home: It stands for a class (square), not for a stroke (dot).
        is_odd: It deserves a second look (ringed).
        tip: Said when the pointer rests on it.
    """

    color: QColor
    place: Place
    before: Place | None = None
    is_home: bool = False
    is_odd: bool = False
    tip: str = ""


class ScatterView(QWidget):
    """Draws dots; they can be chosen, and move from where they were to where they are.

    Attributes:
        chosen: The number of a dot that was clicked, or chosen with Return.

    Args:
        look: Gives the colours of ground and rings.
    """

    chosen = Signal(int)

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._dots: tuple[Dot, ...] = ()
        self._time = 1.0
        self._current = -1
        self._pointed: frozenset[int] = frozenset()
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setAccessibleName("Map of class memory and strokes")
        look.changed.connect(self.update)

    @property
    def dots(self) -> tuple[Dot, ...]:
        """What is shown."""
        return self._dots

    @property
    def current(self) -> int:
        """Number of the dot under the pointer or the keys, or -1."""
        return self._current

    def set_dots(self, dots: Sequence[Dot]) -> None:
        """Show other dots."""
        self._dots = tuple(dots)
        self._current = -1
        self._pointed = frozenset()
        odd = sum(dot.is_odd for dot in dots)
        self.setAccessibleDescription(f"{len(dots)} points, {odd} of them ringed")
        self.update()

    @property
    def pointed(self) -> frozenset[int]:
        """Numbers of the dots that belong to the cursor of the image."""
        return self._pointed

    def set_pointed(self, numbers: frozenset[int]) -> None:
        """Frame the dots that belong to the cursor of the image."""
        if numbers != self._pointed:
            self._pointed = numbers
            self.update()

    def set_time(self, time: float) -> None:
        """Show the way from before (0) to now (1)."""
        self._time = time
        self.update()

    def hasHeightForWidth(self) -> bool:
        """Say that the height follows the width."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return a height that leaves room for both axes."""
        return round(min(width * 0.9, 420))

    def sizeHint(self) -> QSize:
        """Return a size that fits the dock."""
        return QSize(280, 250)

    def minimumSizeHint(self) -> QSize:
        """Return the least that can be read."""
        return QSize(160, 140)

    # --- geometry ---------------------------------------------------------------------------------------

    def point(self, number: int) -> QPointF:
        """Return where a dot is drawn."""
        dot = self._dots[number]
        if dot.before is None:
            return self._on_widget(dot.place)
        now, before, time = dot.place, dot.before, self._time
        return self._on_widget(
            (before[0] + (now[0] - before[0]) * time, before[1] + (now[1] - before[1]) * time)
        )

    def _on_widget(self, place: Place) -> QPointF:
        bounds = self._bounds()
        room = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        # One scale for both axes: distances on the map mean something.
        scale = min(room.width() / bounds.width(), room.height() / bounds.height())
        middle, centre = bounds.center(), room.center()
        return QPointF(
            centre.x() + (place[0] - middle.x()) * scale, centre.y() - (place[1] - middle.y()) * scale
        )

    def _bounds(self) -> QRectF:
        places = [dot.place for dot in self._dots]
        places += [dot.before for dot in self._dots if dot.before is not None]
        if not places:
            return QRectF(-1, -1, 2, 2)
        left, right = min(x for x, _ in places), max(x for x, _ in places)
        low, high = min(y for _, y in places), max(y for _, y in places)
        return QRectF(left, low, max(right - left, 1e-6), max(high - low, 1e-6))

    def nearest(self, position: QPointF) -> int:
        """Return the dot at a position, strokes before classes, or -1."""
        best, found = _REACH, -1
        for number, dot in enumerate(self._dots):
            way = self.point(number) - position
            distance = (way.x() ** 2 + way.y() ** 2) ** 0.5 + (2.0 if dot.is_home else 0.0)
            if distance < best:
                best, found = distance, number
        return found

    # --- hands ------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light up the dot under the pointer."""
        self._go(self.nearest(event.position()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a dot."""
        number = self.nearest(event.position())
        if number >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(number)

    def leaveEvent(self, _event: QEvent) -> None:
        """No dot is looked at."""
        self._go(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and Right go through the ringed dots (all strokes where none is ringed), Return chooses."""
        steps = {Qt.Key.Key_Right: 1, Qt.Key.Key_Down: 1, Qt.Key.Key_Left: -1, Qt.Key.Key_Up: -1}
        key = Qt.Key(event.key())
        odd = [number for number, dot in enumerate(self._dots) if dot.is_odd]
        stops = odd or [number for number, dot in enumerate(self._dots) if not dot.is_home]
        if key in steps and stops:
            at = stops.index(self._current) + steps[key] if self._current in stops else 0
            self._go(stops[at % len(stops)])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._current >= 0:
            self.chosen.emit(self._current)
        else:
            super().keyPressEvent(event)

    def _go(self, number: int) -> None:
        if number != self._current:
            self._current = number
            pointing = number >= 0 and not self._dots[number].is_home
            self.setCursor(Qt.CursorShape.PointingHandCursor if pointing else Qt.CursorShape.ArrowCursor)
            self.setToolTip("")
            self.update()

    def event(self, event: QEvent) -> bool:
        """Take the keys of this view, and say what a dot is."""
        if claims(event):
            return True
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            number = self.nearest(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), self._dots[number].tip if number >= 0 else "", self)
            return True
        return super().event(event)

    # --- drawing ----------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw ground and dots: strokes first, classes over them, what is odd on top."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._look.color("line"), 1))
        painter.setBrush(self._look.color("window"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        order = sorted(range(len(self._dots)), key=lambda n: (self._dots[n].is_odd, self._dots[n].is_home))
        for number in order:
            dot = self._dots[number]
            if dot.before is None and self._time < 1.0 and not dot.is_home:
                painter.setOpacity(self._time)
            self._draw(painter, dot, self.point(number), current=number == self._current)
            painter.setOpacity(1.0)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(self._look.color("accent"), 2))
        for number in self._pointed:
            at = self.point(number)
            painter.drawRect(QRectF(at.x() - 9, at.y() - 9, 18, 18))
        painter.end()

    def _draw(self, painter: QPainter, dot: Dot, at: QPointF, *, current: bool) -> None:
        edge = self._look.color("text") if current else QColor(128, 128, 128, 190)
        painter.setPen(QPen(edge, 2.0 if current else 1.0))
        painter.setBrush(dot.color)
        if dot.is_home:
            painter.drawRoundedRect(QRectF(at.x() - 5.5, at.y() - 5.5, 11, 11), 2, 2)
        else:
            painter.drawEllipse(at, 3.6, 3.6)
        if dot.is_odd:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(self._look.color("bad"), 1.5))
            painter.drawEllipse(at, 6.5, 6.5)
