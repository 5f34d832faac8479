"""What a pressed mouse button does until it comes up: use a tool, pan, change the brush size, open a menu."""

from collections.abc import Callable

from PySide6.QtCore import QPointF, Qt

from app.canvas.tool import Pointer, Tool

TAP_DISTANCE = 4.0
"""Logical pixels a press may wander and still be a tap."""


class Drag:
    """One button from press to release. GUI thread only."""

    def __init__(self, button: Qt.MouseButton) -> None:
        """Notes the button that was pressed; the release of another one does not end the drag."""
        self.button = button

    def move(self, position: QPointF) -> None:
        """The pointer moved to a logical widget position."""

    def finish(self, position: QPointF | None) -> None:
        """The button came up, or (None) was lost."""

    def cancel(self) -> None:
        """What was done is to be taken back."""


class ToolDrag(Drag):
    """The tool in the hand is at work."""

    def __init__(self, button: Qt.MouseButton, tool: Tool, pointer: Callable[[QPointF], Pointer]) -> None:
        """Takes the tool and the way from a position to its pointer."""
        super().__init__(button)
        self._tool = tool
        self._pointer = pointer

    def move(self, position: QPointF) -> None:
        """Hands the point on."""
        self._tool.move(self._pointer(position))

    def finish(self, position: QPointF | None) -> None:
        """Ends the tool's gesture."""
        self._tool.release(None if position is None else self._pointer(position))

    def cancel(self) -> None:
        """Takes the tool's gesture back."""
        self._tool.cancel()


class PanDrag(Drag):
    """The image follows the hand in whole device pixels; what is left over is carried to the next move."""

    def __init__(
        self, button: Qt.MouseButton, start: QPointF, ratio: float, pan: Callable[[int, int], None]
    ) -> None:
        """Takes the start, the device pixel ratio and what moves the image by (rows, columns)."""
        super().__init__(button)
        self._ratio = ratio
        self._pan = pan
        self._row, self._column = round(start.y() * ratio), round(start.x() * ratio)

    def move(self, position: QPointF) -> None:
        """Moves the image by what the hand moved."""
        row, column = round(position.y() * self._ratio), round(position.x() * self._ratio)
        rows, columns = row - self._row, column - self._column
        self._row, self._column = row, column
        if rows or columns:
            self._pan(rows, columns)


class SizeDrag(Drag):
    """Right and up makes the brush larger, left and down smaller, doubling every 100 logical pixels."""

    def __init__(
        self, button: Qt.MouseButton, start: QPointF, radius: float, resize: Callable[[float], None]
    ) -> None:
        """Takes the start, the radius there and what sets a new one."""
        super().__init__(button)
        self._start = start
        self._radius = radius
        self._resize = resize

    def move(self, position: QPointF) -> None:
        """Sets the radius."""
        way = (position.x() - self._start.x()) - (position.y() - self._start.y())
        self._resize(self._radius * 2.0 ** (way / 100))

    def cancel(self) -> None:
        """Gives the old radius back."""
        self._resize(self._radius)


class MenuTap(Drag):
    """A tap opens the context menu; a drag does nothing."""

    def __init__(self, button: Qt.MouseButton, start: QPointF, tapped: Callable[[QPointF], None]) -> None:
        """Takes the start and what is called with the position of a tap."""
        super().__init__(button)
        self._start = start
        self._tapped = tapped
        self._moved = False

    def move(self, position: QPointF) -> None:
        """Notes whether the hand wandered."""
        self._moved |= (position - self._start).manhattanLength() > TAP_DISTANCE

    def finish(self, position: QPointF | None) -> None:
        """Reports the tap."""
        if position is not None and not self._moved:
            self._tapped(position)
