"""What every tool is to the canvas, and what the canvas wants from whoever changes the annotation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Protocol

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from engine.annotate.stroke import Stroke

ToWidget = Callable[[float, float], QPointF]
"""From an image point (y, x) to its logical widget position."""


class ToolKind(Enum):
    """The tools a hand can hold."""

    BRUSH = "brush"
    ERASER = "eraser"
    POLYGON = "polygon"
    FILL = "fill"
    PICK = "pick"
    MOVE = "move"
    PROBE = "probe"


class ToolHost(Protocol):
    """Makes and applies what the tools ask for; called on the GUI thread, during the mouse event.

    A stroke is `begin`, `extend` for every segment (the first is the dab under the press), then exactly one
    of `finish` and `cancel`. Whatever changes the annotation calls `CanvasView.annotation_changed(box)`.
    """

    def begin(self, *, erase: bool) -> bool:
        """A stroke begins. False refuses it (nothing more is called); the class may be chosen here."""

    def extend(self, segment: Stroke) -> None:
        """Paints one more segment: its points in image coordinates, radius, and class (255 erases)."""

    def finish(self) -> None:
        """The stroke is complete."""

    def cancel(self) -> None:
        """The stroke is to be taken back."""

    def polygon(self, points: Sequence[tuple[float, float]], *, erase: bool) -> None:
        """A polygon of at least three points (y, x) was closed."""

    def relabel(self, y: float, x: float, *, erase: bool) -> None:
        """The shown region under an image point gets the active class, or becomes unlabelled."""

    def pick(self, y: float, x: float) -> None:
        """The class shown at an image point becomes the active one."""


@dataclass(slots=True)
class Hand:
    """What the hand holds, shared by the canvas and its tools. GUI thread only.

    Attributes:
        host: Whoever changes the annotation; None: nobody, tools do nothing.
        class_index: Active class; None while none is chosen.
        class_name: Its name, "" without one.
        color: Its colour.
        radius: Radius of the brush in image pixels.
        pressure: How hard a pen is pressed, 0 … 1; 1 for a mouse.
    """

    host: ToolHost | None = None
    class_index: int | None = None
    class_name: str = ""
    color: QColor = field(default_factory=lambda: QColor(255, 255, 255))
    radius: float = 12.0
    pressure: float = 1.0


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where the pointer is and how it is meant.

    Attributes:
        y: Image row, sub-pixel; pixel 0 covers [0, 1).
        x: Image column, likewise.
        erase: The momentary eraser (Alt) is held.
        step: Image pixels per logical pixel of the screen, for distances that the eye judges.
    """

    y: float
    x: float
    erase: bool
    step: float


class Tool:
    """Turns pointer and keys into intentions of the user; this one has none. GUI thread only.

    The canvas calls `press`, then `move` any number of times, then exactly one of `release` and `cancel`.
    """

    kind: ClassVar[ToolKind]
    cursor: ClassVar[Qt.CursorShape] = Qt.CursorShape.CrossCursor
    has_radius: ClassVar[bool] = False
    """Whether Shift+wheel and the brackets change a radius."""

    def __init__(self, hand: Hand) -> None:
        """Takes the hand the tool is held in."""
        self.hand = hand

    def press(self, at: Pointer) -> None:
        """The left button went down."""

    def move(self, at: Pointer) -> None:
        """The pointer moved with the button down."""

    def release(self, at: Pointer | None) -> None:
        """The button came up; None when it was lost (focus gone) and the last point stands."""

    def cancel(self) -> None:
        """Takes back what is in progress."""

    def hover(self, at: Pointer | None) -> None:
        """The pointer moved with no button down, or left the canvas (None)."""

    def double_click(self, at: Pointer) -> None:
        """The second press of a double click; a press like any other where it means nothing."""
        self.press(at)

    def takes_key(self, key: Qt.Key) -> bool:
        """Returns whether `press_key` would do something now; shortcuts do not get such a key then."""
        del key
        return False

    def press_key(self, key: Qt.Key, *, erase: bool) -> None:
        """A key for which `takes_key` is true went down."""

    def paint(self, painter: QPainter, to_widget: ToWidget) -> None:
        """Draws the tool's own lines in logical widget coordinates."""

    def reach(self, to_widget: ToWidget) -> QRectF:
        """Returns the rectangle that `paint` draws in, in logical widget coordinates; empty for nothing."""
        del to_widget
        return QRectF()

    def what_next(self, *, erase: bool) -> str:
        """Returns what the next click does, for the status line."""
        del erase
        return ""

    def target(self, *, erase: bool) -> str:
        """Returns how the status line names what is painted."""
        if erase:
            return "nothing (unlabelled)"
        return self.hand.class_name or "a class it asks for first"
