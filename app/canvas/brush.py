"""Brush and eraser: a stroke is handed over segment by segment while the hand moves."""

from typing import ClassVar

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from app.canvas.tool import Hand, Pointer, Tool, ToolKind, ToWidget
from engine.annotate.classes import UNLABELLED
from engine.annotate.stroke import Stroke

SMALLEST_RADIUS = 0.5
LARGEST_RADIUS = 2000.0


class BrushTool(Tool):
    """Paints the active class; with Alt it erases to unlabelled."""

    kind: ClassVar[ToolKind] = ToolKind.BRUSH
    has_radius: ClassVar[bool] = True
    always_erases: ClassVar[bool] = False

    def __init__(self, hand: Hand) -> None:
        """Takes the hand the tool is held in."""
        super().__init__(hand)
        self._last: tuple[float, float] | None = None  # end of the stroke in progress
        self._painted: int | None = None  # class index of that stroke, kept when another class is chosen
        self._hover: Pointer | None = None

    def press(self, at: Pointer) -> None:
        """Begins a stroke and paints its first dab at once."""
        host = self.hand.host
        erase = at.erase or self.always_erases
        if host is None or not host.begin(erase=erase):
            return
        self._painted = UNLABELLED if erase else self.hand.class_index
        self._last = (at.y, at.x)
        self._extend(((at.y, at.x),))

    def move(self, at: Pointer) -> None:
        """Paints from the last point to here."""
        self._hover = at
        here = (at.y, at.x)
        if self._last is None or self._last == here:
            return
        segment, self._last = (self._last, here), here
        self._extend(segment)

    def release(self, at: Pointer | None) -> None:
        """Ends the stroke."""
        if at is not None:
            self.move(at)
        if self._last is not None and self.hand.host is not None:
            self._last = None
            self.hand.host.finish()

    def cancel(self) -> None:
        """Takes the stroke back."""
        if self._last is not None and self.hand.host is not None:
            self._last = None
            self.hand.host.cancel()

    def hover(self, at: Pointer | None) -> None:
        """Moves the outline."""
        self._hover = at

    def _extend(self, points: tuple[tuple[float, float], ...]) -> None:
        if self._painted is not None and self.hand.host is not None:
            radius = max(SMALLEST_RADIUS, self.hand.radius * self.hand.pressure)
            segment = Stroke(points=points, radius=radius, class_index=self._painted)
            self.hand.host.extend(segment)

    def paint(self, painter: QPainter, to_widget: ToWidget) -> None:
        """Draws the outline of the brush between dark lines: in the class colour, white when it erases."""
        if self._hover is None:
            return
        erase = self._hover.erase or self.always_erases
        circle = self._circle(to_widget)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        # Lines of width 1, not a wide one under a thin one: Qt draws them twenty times as fast.
        dark = QColor(0, 0, 0, 190)
        light = QColor(255, 255, 255) if erase else self.hand.color
        for inset, color in ((-1.0, dark), (2.0, dark), (1.0, light), (0.0, light)):
            if inset <= 0 or circle.width() > 6:
                painter.setPen(QPen(color, 1.0))
                painter.drawEllipse(circle.adjusted(inset, inset, -inset, -inset))

    def reach(self, to_widget: ToWidget) -> QRectF:
        """Returns the outline with the width of its pen."""
        if self._hover is None:
            return QRectF()
        return self._circle(to_widget).adjusted(-3, -3, 3, 3)

    def _circle(self, to_widget: ToWidget) -> QRectF:
        centre = to_widget(self._hover.y, self._hover.x) if self._hover is not None else QPointF()
        radius = to_widget(0.0, self.hand.radius).x() - to_widget(0.0, 0.0).x()
        return QRectF(centre.x() - radius, centre.y() - radius, 2 * radius, 2 * radius)

    def what_next(self, *, erase: bool) -> str:
        """Returns what the next click does."""
        erase = erase or self.always_erases
        if erase:
            return "left-click erases to unlabelled · Shift+wheel size · Space accepts the region"
        target = self.target(erase=False)
        return f"left-click paints {target} · Alt erases · Shift+wheel size · Space accepts the region"


class EraserTool(BrushTool):
    """Takes back what a person said: pixels become unlabelled and the prediction shows again."""

    kind: ClassVar[ToolKind] = ToolKind.ERASER
    always_erases: ClassVar[bool] = True
