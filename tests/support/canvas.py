"""What canvas tests share: pictures, predictions, a host that really paints, and mouse events."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from app.canvas.view import CanvasView
from engine.annotate.classes import UNLABELLED, ClassTable
from engine.annotate.geometry import Box
from engine.annotate.raster import rasterise_polygon, rasterise_stroke
from engine.annotate.stroke import Stroke
from engine.messages import Prediction

LEFT = Qt.MouseButton.LeftButton
NONE = Qt.MouseButton.NoButton
PLAIN = Qt.KeyboardModifier.NoModifier


def three_classes() -> ClassTable:
    """Classes 0 red, 1 green, 2 blue."""
    table = ClassTable()
    for name, color in (("red", (255, 0, 0)), ("green", (0, 255, 0)), ("blue", (0, 0, 255))):
        table = table.add(name, color)
    return table


def grey_image(size: tuple[int, int], value: int = 100) -> NDArray[np.uint8]:
    """An evenly grey RGB image."""
    return np.full((*size, 3), value, dtype=np.uint8)


def noise_image(size: tuple[int, int]) -> NDArray[np.uint8]:
    """An RGB image of which no two neighbours look alike."""
    return np.random.default_rng(7).integers(0, 256, (*size, 3), dtype=np.uint8)


def predicted(
    size: tuple[int, int], label: int | NDArray[np.uint8], *, confidence: float = 1.0, box: Box | None = None
) -> Prediction:
    """A prediction of one class, or of a label map, in `box` (default: everywhere)."""
    box = box or Box(0, 0, *size)
    labels = np.empty(box.size, dtype=np.uint8)
    labels[...] = label
    sure = np.full(box.size, confidence, dtype=np.float32)
    return Prediction(
        image_id="a.png", size=size, box=box, label_map=labels, confidence=sure, step=1, checkpoint=""
    )


class PaintingHost:
    """A host that paints what it is told into `label_map` and notes every call."""

    def __init__(self, view: CanvasView, size: tuple[int, int]) -> None:
        self.view = view
        self.label_map = np.full(size, UNLABELLED, dtype=np.uint8)
        self.calls: list[str] = []
        self.segments: list[Stroke] = []
        self.polygons: list[tuple[tuple[float, float], ...]] = []
        self.picked: list[tuple[float, float]] = []
        self.relabelled: list[tuple[float, float]] = []
        self.refuses = False
        view.set_annotation(self.label_map)
        view.set_host(self)

    def begin(self, *, erase: bool) -> bool:
        self.calls.append("erase" if erase else "begin")
        return not self.refuses

    def extend(self, segment: Stroke) -> None:
        self.calls.append("extend")
        self.segments.append(segment)
        self._paint(
            *rasterise_stroke(segment.points, segment.radius, self.label_map.shape), segment.class_index
        )

    def finish(self) -> None:
        self.calls.append("finish")

    def cancel(self) -> None:
        self.calls.append("cancel")

    def polygon(self, points: Sequence[tuple[float, float]], *, erase: bool) -> None:
        self.calls.append("polygon")
        self.polygons.append(tuple(points))
        self._paint(*rasterise_polygon(points, self.label_map.shape), UNLABELLED if erase else 0)

    def relabel(self, y: float, x: float, *, erase: bool) -> None:
        self.calls.append("unlabel" if erase else "relabel")
        self.relabelled.append((y, x))

    def pick(self, y: float, x: float) -> None:
        self.calls.append("pick")
        self.picked.append((y, x))

    def _paint(self, box: Box, mask: NDArray[np.bool_], class_index: int) -> None:
        if box.is_empty:
            return
        self.label_map[box.slices][mask] = class_index
        self.view.annotation_changed(box)


def mouse(
    view: CanvasView,
    kind: QEvent.Type,
    position: QPointF,
    *,
    button: Qt.MouseButton = LEFT,
    buttons: Qt.MouseButton | None = None,
    modifiers: Qt.KeyboardModifier = PLAIN,
) -> None:
    """Sends a mouse event at a sub-pixel position, which QTest cannot."""
    if kind == QEvent.Type.MouseMove:
        held, button = button if buttons is None else buttons, NONE
    else:
        held = (NONE if kind == QEvent.Type.MouseButtonRelease else button) if buttons is None else buttons
    there = QPointF(view.mapToGlobal(position.toPoint()))
    QApplication.sendEvent(view, QMouseEvent(kind, position, there, button, held, modifiers))


def press(
    view: CanvasView, position: QPointF, button: Qt.MouseButton = LEFT, modifiers: Qt.KeyboardModifier = PLAIN
) -> None:
    """Presses a button."""
    mouse(view, QEvent.Type.MouseButtonPress, position, button=button, modifiers=modifiers)


def drag(
    view: CanvasView, position: QPointF, button: Qt.MouseButton = LEFT, modifiers: Qt.KeyboardModifier = PLAIN
) -> None:
    """Moves with the button held."""
    mouse(view, QEvent.Type.MouseMove, position, button=button, modifiers=modifiers)


def hover(view: CanvasView, position: QPointF, modifiers: Qt.KeyboardModifier = PLAIN) -> None:
    """Moves without a button."""
    mouse(view, QEvent.Type.MouseMove, position, button=NONE, modifiers=modifiers)


def release(
    view: CanvasView, position: QPointF, button: Qt.MouseButton = LEFT, modifiers: Qt.KeyboardModifier = PLAIN
) -> None:
    """Releases a button."""
    mouse(view, QEvent.Type.MouseButtonRelease, position, button=button, modifiers=modifiers)


def stroke(
    view: CanvasView, points: Sequence[tuple[float, float]], modifiers: Qt.KeyboardModifier = PLAIN
) -> None:
    """Drags the left button through image points."""
    places = [view.widget_point(y, x) for y, x in points]
    press(view, places[0], modifiers=modifiers)
    for place in places[1:]:
        drag(view, place, modifiers=modifiers)
    release(view, places[-1], modifiers=modifiers)
