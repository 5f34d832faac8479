"""Tools of one click: relabel a region, pick its class, look inside; and the one that only moves the view."""

from collections.abc import Callable
from typing import ClassVar

from PySide6.QtCore import Qt

from app.canvas.tool import Hand, Pointer, Tool, ToolKind


class FillTool(Tool):
    """Gives the shown region under the pointer the active class."""

    kind: ClassVar[ToolKind] = ToolKind.FILL
    cursor: ClassVar[Qt.CursorShape] = Qt.CursorShape.PointingHandCursor

    def press(self, at: Pointer) -> None:
        """Relabels at once."""
        if self.hand.host is not None:
            self.hand.host.relabel(at.y, at.x, erase=at.erase)

    def what_next(self, *, erase: bool) -> str:
        """Returns what the next click does."""
        if erase:
            return "left-click makes the region under the cursor unlabelled"
        target = self.target(erase=False)
        return f"left-click makes the region under the cursor {target} · Alt makes it unlabelled"


class PickTool(Tool):
    """Makes the class under the pointer the active one."""

    kind: ClassVar[ToolKind] = ToolKind.PICK
    cursor: ClassVar[Qt.CursorShape] = Qt.CursorShape.PointingHandCursor

    def press(self, at: Pointer) -> None:
        """Picks at once."""
        if self.hand.host is not None:
            self.hand.host.pick(at.y, at.x)

    def what_next(self, *, erase: bool) -> str:
        """Returns what the next click does."""
        del erase
        return "left-click chooses the class under the cursor"


class MoveTool(Tool):
    """Left-drag moves the view; the canvas does that by itself."""

    kind: ClassVar[ToolKind] = ToolKind.MOVE
    cursor: ClassVar[Qt.CursorShape] = Qt.CursorShape.OpenHandCursor

    def what_next(self, *, erase: bool) -> str:
        """Returns what the next drag does."""
        del erase
        return "left-drag moves the image · wheel zooms · Space accepts the region"


class ProbeTool(Tool):
    """Pins the pixel that inspection explains; changes nothing."""

    kind: ClassVar[ToolKind] = ToolKind.PROBE
    cursor: ClassVar[Qt.CursorShape] = Qt.CursorShape.WhatsThisCursor

    def __init__(self, hand: Hand, probe: Callable[[float, float], None]) -> None:
        """Takes the hand, and whom to tell the image point (y, x)."""
        super().__init__(hand)
        self._probe = probe

    def press(self, at: Pointer) -> None:
        """Pins at once."""
        self._probe(at.y, at.x)

    def what_next(self, *, erase: bool) -> str:
        """Returns what the next click does."""
        del erase
        return "left-click pins the pixel that INSPECT explains · click it again to let go"
