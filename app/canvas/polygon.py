"""Polygon: corners by clicks, or a freehand outline by dragging; closed with Enter or a double click."""

from typing import ClassVar

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from app.canvas.tool import Hand, Pointer, Tool, ToolKind, ToWidget

FREEHAND_STEP = 4.0
"""Logical pixels the pointer moves, button down, before another corner is set."""
CLOSE_DISTANCE = 9.0
"""Logical pixels around the first corner within which a click closes the polygon."""
CLOSING_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class PolygonTool(Tool):
    """Outlines an area; closing it hands the outline over."""

    kind: ClassVar[ToolKind] = ToolKind.POLYGON

    def __init__(self, hand: Hand) -> None:
        """Takes the hand the tool is held in."""
        super().__init__(hand)
        self._points: list[tuple[float, float]] = []
        self._tip: Pointer | None = None  # loose end of the rubber band
        self._drawn = 0  # corners set by the drag in progress

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """Corners (y, x) set so far, image coordinates."""
        return tuple(self._points)

    def press(self, at: Pointer) -> None:
        """Sets a corner, or closes the polygon at its first one."""
        self._tip = at
        self._drawn = 0
        if len(self._points) >= 3 and _distance(at, self._points[0]) <= CLOSE_DISTANCE:
            self._close(erase=at.erase)
            return
        self._add(at)

    def move(self, at: Pointer) -> None:
        """Draws freehand: a corner every few pixels."""
        self._tip = at
        if self._points and _distance(at, self._points[-1]) >= FREEHAND_STEP:
            self._add(at)
            self._drawn += 1

    def release(self, at: Pointer | None) -> None:
        """Closes an outline drawn freehand that came back to where it began."""
        drawn, self._drawn = self._drawn, 0
        if at is not None and drawn >= 3 and _distance(at, self._points[0]) <= CLOSE_DISTANCE:
            self._close(erase=at.erase)

    def hover(self, at: Pointer | None) -> None:
        """Moves the loose end."""
        self._tip = at

    def double_click(self, at: Pointer) -> None:
        """Closes the polygon; the first click of the two has set its last corner."""
        if len(self._points) >= 3:
            self._close(erase=at.erase)
        else:
            self.press(at)

    def cancel(self) -> None:
        """Forgets the corners."""
        self._points.clear()

    def takes_key(self, key: Qt.Key) -> bool:
        """Returns whether the key means something for the polygon in progress."""
        if not self._points:
            return False
        return key in (*CLOSING_KEYS, Qt.Key.Key_Backspace, Qt.Key.Key_Escape)

    def press_key(self, key: Qt.Key, *, erase: bool) -> None:
        """Enter closes, Backspace takes the last corner back, Escape gives up."""
        if key in CLOSING_KEYS:
            if len(self._points) >= 3:
                self._close(erase=erase)
        elif key == Qt.Key.Key_Backspace:
            del self._points[-1:]
        elif key == Qt.Key.Key_Escape:
            self.cancel()

    def _add(self, at: Pointer) -> None:
        if not self._points or self._points[-1] != (at.y, at.x):
            self._points.append((at.y, at.x))

    def _close(self, *, erase: bool) -> None:
        points = self.points
        self._points.clear()
        if self.hand.host is not None:
            self.hand.host.polygon(points, erase=erase)

    def paint(self, painter: QPainter, to_widget: ToWidget) -> None:
        """Draws outline, corners and the rubber band to the pointer."""
        if not self._points:
            return
        corners = [to_widget(y, x) for y, x in self._points]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QColor(self.hand.color)
        area.setAlpha(60)
        loose = [to_widget(self._tip.y, self._tip.x)] if self._tip is not None else []
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(area)
        painter.drawPolygon(QPolygonF([*corners, *loose]))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(QColor(0, 0, 0, 170), 3.5), QPen(self.hand.color.lighter(130), 1.8)):
            painter.setPen(pen)
            painter.drawPolyline(QPolygonF(corners))
            pen.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.drawPolyline(QPolygonF([corners[-1], *loose, corners[0]]))
        painter.setPen(QPen(QColor(0, 0, 0), 1.0))
        painter.setBrush(QColor(255, 255, 255))
        for corner in corners if len(corners) <= 60 else corners[:1]:
            painter.drawEllipse(corner, 3.5, 3.5)

    def reach(self, to_widget: ToWidget) -> QRectF:
        """Returns the rectangle around all corners and the pointer."""
        if not self._points:
            return QRectF()
        corners = [to_widget(y, x) for y, x in self._points]
        if self._tip is not None:
            corners.append(to_widget(self._tip.y, self._tip.x))
        return QPolygonF(corners).boundingRect().adjusted(-6, -6, 6, 6)

    def what_next(self, *, erase: bool) -> str:
        """Returns what the next click does."""
        target = "unlabelled" if erase else self.target(erase=False)
        if not self._points:
            return f"left-click sets the first corner of an area of {target} · drag draws freehand"
        if len(self._points) < 3:
            return "left-click sets a corner · Backspace takes it back · Esc cancels"
        return (
            f"Enter or double-click fills with {target} · Backspace takes the last corner back · Esc cancels"
        )


def _distance(at: Pointer, corner: tuple[float, float]) -> float:
    """Returns how far apart they look, in logical pixels along the longer axis."""
    return max(abs(at.y - corner[0]), abs(at.x - corner[1])) / at.step
