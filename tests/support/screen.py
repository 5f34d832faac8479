"""A canvas on a screen of a chosen pixel ratio, and what a person does to it with keys and wheel."""

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QKeyEvent,
    QPaintEvent,
    QPointingDevice,
    QRegion,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.canvas.view import CanvasView
from engine.project.pyramid import build_pyramid
from tests.support.canvas import (
    grey_image,
    three_classes,
)

SIZE = (300, 400)
ALT = Qt.KeyboardModifier.AltModifier
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton
RIGHT = Qt.MouseButton.RightButton
MIDDLE = Qt.MouseButton.MiddleButton
PLAIN = Qt.KeyboardModifier.NoModifier


class Screen(CanvasView):
    """A canvas on a screen of a chosen pixel ratio, which remembers what it repainted."""

    ratio = 1.0

    def __init__(self) -> None:
        self.painted = QRegion()
        super().__init__()

    @property
    def pixel_ratio(self) -> float:
        return self.ratio

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QPaintEvent):
            self.painted += event.region()
        return super().event(event)


class Clock:
    """Time that passes only when a test says so, however busy the machine is."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def open_screen(qtbot: QtBot) -> Screen:
    """Shows a grey image at 200 %, three classes, the first of them in the hand, a brush of radius 6."""
    view = Screen()
    qtbot.addWidget(view)
    view.resize(800, 600)
    view.set_classes(three_classes())
    view.set_image(build_pyramid(grey_image(SIZE)), SIZE)
    view.set_active_class(0)
    view.set_brush_radius(6.0)
    view.show()
    qtbot.waitExposed(view)
    return view


def color_at(view: CanvasView, y: float, x: float) -> tuple[int, int, int]:
    """The colour on screen at an image point."""
    pixel = view.grab().toImage().pixelColor(view.widget_point(y, x).toPoint())
    return pixel.red(), pixel.green(), pixel.blue()


def key(view: CanvasView, kind: QEvent.Type, code: Qt.Key, modifiers: Qt.KeyboardModifier = PLAIN) -> bool:
    """Sends a key event; returns whether it was accepted."""
    event = QKeyEvent(kind, code, modifiers)
    event.ignore()
    QApplication.sendEvent(view, event)
    return event.isAccepted()


def tap_key(view: CanvasView, code: Qt.Key) -> None:
    key(view, QEvent.Type.KeyPress, code)
    key(view, QEvent.Type.KeyRelease, code)


def wheel(
    view: CanvasView,
    position: QPointF,
    notches: float = 0,
    modifiers: Qt.KeyboardModifier = PLAIN,
    *,
    pixels: QPoint | None = None,
    device: QPointingDevice | None = None,
) -> None:
    arguments = [
        position,
        QPointF(view.mapToGlobal(position.toPoint())),
        pixels or QPoint(),
        QPoint(0, round(120 * notches)),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    ]
    if device is not None:
        arguments += [Qt.MouseEventSource.MouseEventNotSynthesized, device]
    QApplication.sendEvent(view, QWheelEvent(*arguments))
