import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QFocusEvent,
    QImage,
    QKeyEvent,
    QNativeGestureEvent,
    QPaintEvent,
    QPointingDevice,
    QRegion,
    QTabletEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.canvas.display import FADE_MS
from app.canvas.painting import SURROUND
from app.canvas.tool import ToolKind
from app.canvas.view import CanvasView
from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.annotate.raster import rasterise_stroke
from engine.project.pyramid import build_pyramid
from tests.support.canvas import (
    PaintingHost,
    drag,
    grey_image,
    hover,
    mouse,
    noise_image,
    predicted,
    press,
    release,
    stroke,
    three_classes,
)
from tests.support.checkout import ROOT

pytestmark = pytest.mark.gui

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


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.canvas.display.perf_counter", clock)
    monkeypatch.setattr("app.canvas.view.perf_counter", clock)
    return clock


@pytest.fixture
def view(qtbot: QtBot) -> Screen:
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


@pytest.fixture
def host(view: Screen) -> PaintingHost:
    return PaintingHost(view, SIZE)


def color_at(view: CanvasView, y: float, x: float) -> tuple[int, int, int]:
    """The colour on screen at an image point."""
    pixel = view.grab().toImage().pixelColor(view.widget_point(y, x).toPoint())
    return pixel.red(), pixel.green(), pixel.blue()


def engine_mask(gesture: list[tuple[float, float]], radius: float) -> np.ndarray:
    """The label map that the engine makes of the very points, without any canvas."""
    label_map = np.full(SIZE, UNLABELLED, dtype=np.uint8)
    rounded = [(round(y * 256) / 256, round(x * 256) / 256) for y, x in gesture]
    for segment in ([rounded[0]], *pairwise(rounded)):
        box, mask = rasterise_stroke(segment, radius, SIZE)
        label_map[box.slices][mask] = 0
    return label_map


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


# Painting


def test_the_press_alone_paints_and_shows_it(view: Screen, host: PaintingHost) -> None:
    view.layers = replace(view.layers, annotation_opacity=1.0)
    press(view, view.widget_point(100.5, 200.5))
    assert host.calls == ["begin", "extend"]
    assert host.label_map[100, 200] == 0
    assert color_at(view, 100.5, 200.5) == (255, 0, 0)
    release(view, view.widget_point(100.5, 200.5))
    assert host.calls == ["begin", "extend", "finish"]


def test_every_move_is_painted_before_the_next(view: Screen, host: PaintingHost) -> None:
    press(view, view.widget_point(50, 50))
    for step in range(1, 11):
        drag(view, view.widget_point(50, 50 + 10 * step))
        assert host.label_map[50, 50 + 10 * step] == 0
    assert host.calls.count("extend") == 11


@pytest.mark.parametrize("ratio", [1.0, 1.25, 1.5, 2.0, 3.0])
def test_a_gesture_gives_the_same_mask_at_every_zoom_and_pixel_ratio(
    view: Screen, host: PaintingHost, ratio: float
) -> None:
    gesture = [(120.0, 130.0), (120.7, 131.3), (125.25, 140.5), (131.125, 155.0), (128.0, 170.75)]
    masks = []
    view.ratio = ratio
    QApplication.sendEvent(view, QEvent(QEvent.Type.DevicePixelRatioChange))
    for zoom in (0.3, 0.9, 1.0, 2.7, 8.0, 21.0):
        view.fit()
        view.zoom_at(zoom / view.zoom, view.widget_point(125, 150))
        assert view.zoom == pytest.approx(zoom)
        host.label_map[:] = UNLABELLED
        stroke(view, gesture)
        masks.append(host.label_map.copy())
    fixed = engine_mask(gesture, view.brush_radius)
    assert (masks[0] != UNLABELLED).sum() > 500
    for mask in masks:
        assert (mask == fixed).all()


def test_only_the_brushed_rectangle_is_repainted(view: Screen, host: PaintingHost) -> None:
    view.actual_size()
    view.settle()
    QApplication.processEvents()
    view.painted = QRegion()
    host.label_map[100:110, 200:220] = 1
    view.annotation_changed(Box(100, 200, 110, 220))
    QApplication.processEvents()
    area = view.painted.boundingRect()
    assert not area.isEmpty()
    assert area.width() <= 30
    assert area.height() <= 20


def test_alt_erases_while_it_is_held(view: Screen, host: PaintingHost) -> None:
    host.label_map[:] = 1
    stroke(view, [(100.5, 100.5), (100.5, 120.5)], ALT)
    assert host.calls[0] == "erase"
    assert host.label_map[100, 110] == UNLABELLED
    stroke(view, [(200.5, 100.5), (200.5, 120.5)])
    assert host.label_map[200, 110] == 0


def test_alt_changes_what_is_said(view: Screen, host: PaintingHost) -> None:
    hover(view, view.widget_point(100, 100))
    assert "paints red" in view.what_next()
    key(view, QEvent.Type.KeyPress, Qt.Key.Key_Alt, ALT)
    assert "erases" in view.what_next()
    key(view, QEvent.Type.KeyRelease, Qt.Key.Key_Alt)
    assert "paints red" in view.what_next()


@pytest.mark.parametrize(
    "loss",
    [
        lambda view: QApplication.sendEvent(view, QFocusEvent(QEvent.Type.FocusOut)),
        lambda view: QApplication.sendEvent(view, QEvent(QEvent.Type.Leave)),
        lambda view: QApplication.sendEvent(view, QEvent(QEvent.Type.UngrabMouse)),
        lambda view: hover(view, view.widget_point(90, 90)),
        lambda view: view.hide(),
        lambda view: view.set_tool(ToolKind.POLYGON),
        lambda view: view.set_host(None),
        lambda view: view.set_image(None),
    ],
    ids=["focus", "leave", "ungrab", "release elsewhere", "hide", "tool", "host", "image"],
)
def test_a_stroke_that_loses_its_button_is_finished_once(
    view: Screen, host: PaintingHost, loss: Callable[[Screen], object]
) -> None:
    press(view, view.widget_point(50, 50))
    drag(view, view.widget_point(60, 60))
    loss(view)
    release(view, view.widget_point(70, 70))
    assert host.calls.count("finish") == 1
    assert not view.is_busy
    assert host.label_map[60, 60] == 0  # what was painted stays


def test_escape_takes_the_stroke_back(view: Screen, host: PaintingHost) -> None:
    press(view, view.widget_point(50, 50))
    assert key(view, QEvent.Type.ShortcutOverride, Qt.Key.Key_Escape)
    key(view, QEvent.Type.KeyPress, Qt.Key.Key_Escape)
    assert host.calls[-1] == "cancel"
    assert not view.is_busy
    release(view, view.widget_point(50, 50))
    assert "finish" not in host.calls
    assert not key(view, QEvent.Type.ShortcutOverride, Qt.Key.Key_Escape)


@pytest.mark.parametrize(("sizes", "radius"), [(True, 3.0), (False, 6.0)])
def test_a_pen_paints_by_pressure_where_that_is_wanted(
    view: Screen, host: PaintingHost, *, sizes: bool, radius: float
) -> None:
    view.pressure_sizes = sizes
    pen = QPointingDevice(
        "pen",
        78,
        QPointingDevice.DeviceType.Stylus,
        QPointingDevice.PointerType.Pen,
        QPointingDevice.Capability.Pressure,
        1,
        1,
    )
    place = view.widget_point(50, 50)

    def touch(kind: QEvent.Type, pressure: float) -> None:
        event = QTabletEvent(kind, pen, place, place, pressure, 0, 0, 0, 0, 0, PLAIN, LEFT, LEFT)
        QApplication.sendEvent(view, event)
        assert not event.isAccepted()  # the mouse event that does the work must follow

    touch(QEvent.Type.TabletPress, 0.5)
    press(view, place)
    touch(QEvent.Type.TabletRelease, 0.0)
    release(view, place + QPointF(4, 4))
    assert [segment.radius for segment in host.segments] == [radius, radius]
    stroke(view, [(70, 70)])
    assert host.segments[-1].radius == 6.0


def test_a_second_button_does_not_disturb_a_stroke(view: Screen, host: PaintingHost) -> None:
    press(view, view.widget_point(50, 50))
    press(view, view.widget_point(50, 50), RIGHT)
    release(view, view.widget_point(50, 50), RIGHT)
    assert view.is_busy
    release(view, view.widget_point(50, 50))
    assert host.calls == ["begin", "extend", "finish"]


def test_busy_is_announced(view: Screen, host: PaintingHost, qtbot: QtBot) -> None:
    with qtbot.waitSignals([view.busy_changed, view.busy_changed]):
        stroke(view, [(50, 50), (60, 60)])


def test_without_image_nothing_happens(view: Screen, host: PaintingHost) -> None:
    view.set_image(None)
    press(view, QPointF(400, 300))
    drag(view, QPointF(420, 300))
    release(view, QPointF(420, 300))
    wheel(view, QPointF(400, 300), 1)
    view.pan_by(5, 5)
    view.annotation_changed(Box(0, 0, 10, 10))
    assert not view.update_prediction(predicted(SIZE, 0))
    view.clear_prediction()
    assert host.calls == []
    assert view.visible_box().is_empty
    assert view.pointer_point() is None
    assert "open a folder" in view.what_next()
    assert color_at(view, 0, 0) == (SURROUND >> 16 & 255, SURROUND >> 8 & 255, SURROUND & 255)


def test_an_annotation_of_another_size_is_refused(view: Screen) -> None:
    with pytest.raises(ValueError, match="label map of"):
        view.set_annotation(np.zeros((5, 5), dtype=np.uint8))


# Other tools and buttons


def test_polygon_by_mouse_and_keys(view: Screen, host: PaintingHost) -> None:
    view.set_tool(ToolKind.POLYGON)
    assert view.tool_kind is ToolKind.POLYGON
    assert not key(view, QEvent.Type.ShortcutOverride, Qt.Key.Key_Backspace)
    for point in ((50.0, 50.0), (50.0, 150.0), (120.0, 150.0), (200.0, 10.0)):
        stroke(view, [point])
    assert key(view, QEvent.Type.ShortcutOverride, Qt.Key.Key_Backspace)
    hover(view, view.widget_point(160.0, 60.0))
    assert color_at(view, 50, 100) != (100, 100, 100)  # its outline
    assert color_at(view, 10, 300) == (100, 100, 100)
    tap_key(view, Qt.Key.Key_Backspace)
    tap_key(view, Qt.Key.Key_Return)
    assert host.polygons == [((50.0, 50.0), (50.0, 150.0), (120.0, 150.0))]
    assert host.label_map[60, 140] == 0


def test_a_double_click_closes_the_polygon(view: Screen, host: PaintingHost) -> None:
    view.set_tool(ToolKind.POLYGON)
    for point in ((50.0, 50.0), (50.0, 150.0), (120.0, 150.0)):
        stroke(view, [point])
    mouse(view, QEvent.Type.MouseButtonDblClick, view.widget_point(120, 150))
    release(view, view.widget_point(120, 150))
    assert host.polygons == [((50.0, 50.0), (50.0, 150.0), (120.0, 150.0))]


def test_a_double_click_with_the_brush_is_two_dabs(view: Screen, host: PaintingHost) -> None:
    stroke(view, [(50, 50)])
    mouse(view, QEvent.Type.MouseButtonDblClick, view.widget_point(50, 50))
    release(view, view.widget_point(50, 50))
    assert host.calls == ["begin", "extend", "finish"] * 2


def test_changing_the_tool_gives_the_polygon_up(view: Screen, host: PaintingHost) -> None:
    view.set_tool(ToolKind.POLYGON)
    stroke(view, [(50, 50)])
    view.set_tool(ToolKind.POLYGON)  # the same again: nothing is lost
    assert key(view, QEvent.Type.ShortcutOverride, Qt.Key.Key_Backspace)
    view.set_tool(ToolKind.BRUSH)
    view.set_tool(ToolKind.POLYGON)
    assert not key(view, QEvent.Type.ShortcutOverride, Qt.Key.Key_Backspace)


def test_fill_pick_and_control_click(view: Screen, host: PaintingHost) -> None:
    view.set_tool(ToolKind.FILL)
    stroke(view, [(50.0, 60.0)])
    view.set_tool(ToolKind.PICK)
    stroke(view, [(70.0, 80.0)])
    view.set_tool(ToolKind.BRUSH)
    stroke(view, [(90.0, 100.0)], CTRL)
    assert host.calls == ["relabel", "pick", "pick"]
    assert host.relabelled == [(50.0, 60.0)]
    assert host.picked == [(70.0, 80.0), (90.0, 100.0)]


def test_a_right_tap_asks_for_the_menu(view: Screen, host: PaintingHost, qtbot: QtBot) -> None:
    place = view.widget_point(50.0, 60.0)
    with qtbot.waitSignal(view.context_menu_requested) as menu:
        press(view, place, RIGHT)
        release(view, place, RIGHT)
    assert menu.args == [view.mapToGlobal(place.toPoint()), (50.0, 60.0)]
    assert host.calls == []


def test_clicks_that_come_through_the_window_system(view: Screen, host: PaintingHost, qtbot: QtBot) -> None:
    place = view.widget_point(50.0, 60.0).toPoint()
    with qtbot.waitSignal(view.context_menu_requested):
        qtbot.mouseClick(view, RIGHT, pos=place)
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseMove(view, view.widget_point(50.0, 90.0).toPoint())
    assert view.is_busy
    qtbot.mouseMove(view, QPoint(-40, 100))  # out of the canvas: the button holds the mouse
    assert view.is_busy
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(-40, 100))
    assert host.calls[-1] == "finish"
    assert host.label_map[50, 90] == 0
    qtbot.keyClick(view, Qt.Key.Key_BracketRight)
    assert view.brush_radius > 6.0


def test_alt_right_drag_changes_the_brush(view: Screen, host: PaintingHost, qtbot: QtBot) -> None:
    with qtbot.waitSignal(view.brush_radius_changed):
        press(view, QPointF(300, 300), RIGHT, ALT)
        drag(view, QPointF(400, 300), RIGHT, ALT)
    release(view, QPointF(400, 300), RIGHT, ALT)
    assert view.brush_radius == pytest.approx(12.0)
    assert host.calls == []


def test_brackets_and_shift_wheel_change_the_brush_within_bounds(view: Screen) -> None:
    tap_key(view, Qt.Key.Key_BracketRight)
    assert view.brush_radius > 6.0
    tap_key(view, Qt.Key.Key_BracketLeft)
    assert view.brush_radius == pytest.approx(6.0)
    zoom = view.zoom
    wheel(view, QPointF(400, 300), 1, SHIFT)
    assert view.brush_radius > 6.0
    for _ in range(100):
        wheel(view, QPointF(400, 300), -1, SHIFT)
    assert view.brush_radius == 0.5
    view.set_brush_radius(1e9)
    assert view.brush_radius == 2000.0
    assert view.zoom == zoom


def test_the_outline_follows_the_pointer_and_leaves_no_trace(view: Screen, host: PaintingHost) -> None:
    QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    clean = view.grab().toImage()
    hover(view, view.widget_point(100, 100))
    QApplication.processEvents()
    assert view.grab().toImage() != clean
    hover(view, view.widget_point(200, 300))
    view.painted = QRegion()
    QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    QApplication.processEvents()
    assert view.painted.contains(view.widget_point(200, 300 + 6).toPoint())
    assert view.grab().toImage() == clean


# Moving about


def test_the_wheel_zooms_about_the_pointer(view: Screen, qtbot: QtBot) -> None:
    place = QPointF(250, 180)
    hover(view, place)
    before = view.image_point(place)
    with qtbot.waitSignals([view.zoom_changed, view.visible_changed]):
        wheel(view, place, 3)
    assert view.zoom == pytest.approx(2.0 * 1.25**3)
    assert view.image_point(place) == pytest.approx(before, abs=0.6 / view.zoom)


def test_a_zoom_is_refined_when_the_hand_rests(view: Screen, qtbot: QtBot) -> None:
    view.set_image(build_pyramid(noise_image(SIZE)), SIZE)
    wheel(view, QPointF(250, 180), 4)
    rough = view.grab().toImage()
    qtbot.waitUntil(lambda: view.grab().toImage() != rough, timeout=2000)
    refined = view.grab().toImage()
    view.settle()
    assert view.grab().toImage() == refined


def test_the_wheel_can_scroll_instead(view: Screen) -> None:
    view.actual_size()
    view.zoom_at(4.0, QPointF(400, 300))
    view.wheel_zooms = False
    zoom, box = view.zoom, view.visible_box()
    wheel(view, QPointF(400, 300), -1)
    assert view.zoom == zoom
    assert view.visible_box().top > box.top
    wheel(view, QPointF(400, 300), 1, CTRL)
    assert view.zoom > zoom


def test_a_touchpad_pans_and_control_zooms(view: Screen) -> None:
    touchpad = QPointingDevice(
        "pad",
        77,
        QPointingDevice.DeviceType.TouchPad,
        QPointingDevice.PointerType.Finger,
        QPointingDevice.Capability.PixelScroll,
        2,
        0,
    )
    view.zoom_at(4.0, QPointF(400, 300))
    before = view.widget_point(100, 100)
    wheel(view, QPointF(400, 300), 0.3, pixels=QPoint(-12, 9), device=touchpad)
    assert view.widget_point(100, 100) - before == QPointF(-12, 9)
    zoom = view.zoom
    wheel(view, QPointF(400, 300), 0.3, CTRL, pixels=QPoint(0, 9), device=touchpad)
    assert view.zoom > zoom


def test_pinching_zooms_about_the_fingers(view: Screen) -> None:
    place = QPointF(250, 180)
    before, zoom = view.image_point(place), view.zoom
    pinch = QNativeGestureEvent(
        Qt.NativeGestureType.ZoomNativeGesture,
        QPointingDevice.primaryPointingDevice(),
        2,
        place,
        place,
        QPointF(view.mapToGlobal(place.toPoint())),
        0.5,
        QPointF(),
    )
    QApplication.sendEvent(view, pinch)
    assert view.zoom == pytest.approx(zoom * 1.5)
    assert view.image_point(place) == pytest.approx(before, abs=0.6 / view.zoom)


def test_the_mouse_cursor_says_what_the_hand_does(view: Screen, host: PaintingHost) -> None:
    assert view.cursor().shape() == Qt.CursorShape.CrossCursor
    view.set_tool(ToolKind.PICK)
    assert view.cursor().shape() == Qt.CursorShape.PointingHandCursor
    key(view, QEvent.Type.KeyPress, Qt.Key.Key_Space)
    assert view.cursor().shape() == Qt.CursorShape.OpenHandCursor
    press(view, QPointF(300, 300))
    assert view.cursor().shape() == Qt.CursorShape.ClosedHandCursor
    release(view, QPointF(300, 300))
    key(view, QEvent.Type.KeyRelease, Qt.Key.Key_Space)
    assert view.cursor().shape() == Qt.CursorShape.PointingHandCursor


def test_shift_wheel_scrolls_sideways_without_a_brush(view: Screen) -> None:
    view.zoom_at(4.0, QPointF(400, 300))
    view.set_tool(ToolKind.FILL)
    before = view.widget_point(100, 100)
    wheel(view, QPointF(400, 300), 1, SHIFT)
    after = view.widget_point(100, 100)
    assert after.x() > before.x()
    assert after.y() == before.y()


@pytest.mark.parametrize("way", ["middle", "space", "move tool"])
def test_dragging_pans_and_paints_nothing(view: Screen, host: PaintingHost, way: str) -> None:
    view.zoom_at(4.0, QPointF(400, 300))
    if way == "space":
        key(view, QEvent.Type.KeyPress, Qt.Key.Key_Space)
        assert "moves" in view.what_next()
    if way == "move tool":
        view.set_tool(ToolKind.MOVE)
    button = MIDDLE if way == "middle" else Qt.MouseButton.LeftButton
    before = view.widget_point(100, 100)
    press(view, QPointF(300, 300), button)
    drag(view, QPointF(340, 280), button)
    release(view, QPointF(340, 280), button)
    assert view.widget_point(100, 100) - before == QPointF(40, -20)
    assert host.calls == []
    if way == "space":
        accepted: list[object] = []
        view.accept_region_requested.connect(lambda *point: accepted.append(point))
        key(view, QEvent.Type.KeyRelease, Qt.Key.Key_Space)
        assert accepted == []


def test_a_tap_on_space_accepts_the_region_under_the_pointer(view: Screen, qtbot: QtBot) -> None:
    hover(view, view.widget_point(50.0, 60.0))
    assert key(view, QEvent.Type.ShortcutOverride, Qt.Key.Key_Space)
    with qtbot.waitSignal(view.accept_region_requested) as accepted:
        tap_key(view, Qt.Key.Key_Space)
    assert accepted.args == [50.0, 60.0]


def test_a_trembling_hand_still_taps(view: Screen, qtbot: QtBot) -> None:
    hover(view, view.widget_point(50.0, 60.0))
    with qtbot.waitSignal(view.accept_region_requested):
        key(view, QEvent.Type.KeyPress, Qt.Key.Key_Space)
        hover(view, view.widget_point(50.5, 60.5))
        key(view, QEvent.Type.KeyRelease, Qt.Key.Key_Space)


def test_a_held_space_accepts_nothing(view: Screen, clock: Clock) -> None:
    accepted: list[object] = []
    view.accept_region_requested.connect(lambda *point: accepted.append(point))
    hover(view, view.widget_point(50.0, 60.0))
    key(view, QEvent.Type.KeyPress, Qt.Key.Key_Space)
    clock.seconds += 0.2
    key(view, QEvent.Type.KeyRelease, Qt.Key.Key_Space)
    assert accepted == []


def test_space_beside_the_image_or_with_motion_accepts_nothing(view: Screen) -> None:
    accepted: list[object] = []
    view.accept_region_requested.connect(lambda *point: accepted.append(point))
    view.zoom_at(0.5, QPointF(400, 300))
    hover(view, QPointF(3, 3))
    tap_key(view, Qt.Key.Key_Space)
    hover(view, view.widget_point(50, 60))
    key(view, QEvent.Type.KeyPress, Qt.Key.Key_Space)
    hover(view, view.widget_point(80, 90))
    key(view, QEvent.Type.KeyRelease, Qt.Key.Key_Space)
    assert accepted == []


def test_fit_follows_the_window_until_someone_zooms(view: Screen, qtbot: QtBot) -> None:
    assert view.zoom == pytest.approx(2.0)
    view.resize(400, 300)
    assert view.zoom == pytest.approx(1.0)
    view.zoom_at(2.0, QPointF(200, 150))
    middle = view.image_point(QPointF(200, 150))
    view.resize(500, 420)
    assert view.zoom == pytest.approx(2.0)
    assert view.image_point(QPointF(250, 210)) == pytest.approx(middle, abs=0.6)
    view.actual_size()
    assert view.zoom == 1.0
    view.zoom_in()
    assert view.zoom == pytest.approx(1.25)
    view.zoom_out()
    assert view.zoom == pytest.approx(1.0)


def test_the_pointer_is_reported_in_image_points(view: Screen, qtbot: QtBot) -> None:
    with qtbot.waitSignal(view.cursor_moved) as moved:
        hover(view, view.widget_point(50.0, 60.0))
    assert moved.args == [(50.0, 60.0)]
    assert view.pointer_point() == (50.0, 60.0)
    with qtbot.waitSignal(view.cursor_moved) as moved:
        QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    assert moved.args == [None]


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (7, 5)])
def test_small_and_thin_images(view: Screen, size: tuple[int, int]) -> None:
    view.set_image(build_pyramid(grey_image(size, 200)))
    assert view.image_size == size
    host = PaintingHost(view, size)
    view.set_brush_radius(0.5)
    for _ in range(3):
        stroke(view, [(0.5, 0.5), (size[0] - 0.5, size[1] - 0.5)])
        assert host.label_map[0, 0] == 0
        view.zoom_at(0.4, QPointF(400, 300))
        view.settle()
    assert not view.visible_box().is_empty


# Predictions


def test_a_prediction_fades_in(view: Screen, clock: Clock, qtbot: QtBot) -> None:
    view.layers = replace(view.layers, prediction_opacity=1.0)
    assert view.update_prediction(predicted(SIZE, 0))
    assert color_at(view, 50, 50) == (100, 100, 100)
    reds = []
    for _ in range(4):
        clock.seconds += FADE_MS / 1000 / 5
        reds.append(color_at(view, 50, 50)[0])
    assert reds == sorted(set(reds))
    assert 100 < reds[0] < reds[-1] < 255
    clock.seconds += FADE_MS / 1000
    qtbot.waitUntil(lambda: view._fade is None)
    assert color_at(view, 50, 50) == (255, 0, 0)


def test_settling_ends_the_fade(view: Screen) -> None:
    view.layers = replace(view.layers, prediction_opacity=1.0)
    view.update_prediction(predicted(SIZE, 0))
    view.settle()
    assert color_at(view, 50, 50) == (255, 0, 0)
    view.clear_prediction()
    view.settle()
    assert color_at(view, 50, 50) == (100, 100, 100)


def test_a_refresh_never_touches_human_pixels(view: Screen, host: PaintingHost, clock: Clock) -> None:
    stroke(view, [(100, 100), (140, 200)])
    QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    view.update_prediction(predicted(SIZE, 1))
    view.settle()
    human = (host.label_map != UNLABELLED).repeat(2, axis=0).repeat(2, axis=1)

    def pixels() -> np.ndarray:
        image = view.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        return np.frombuffer(image.constBits(), np.uint32).reshape(600, 800).copy()

    before = pixels()
    view.update_prediction(predicted(SIZE, 2))
    for _ in range(6):
        assert (pixels()[human] == before[human]).all()
        clock.seconds += FADE_MS / 1000 / 5
    assert (pixels()[~human] != before[~human]).all()


def test_while_a_button_is_down_predictions_wait(view: Screen, host: PaintingHost) -> None:
    view.layers = replace(view.layers, prediction_opacity=1.0)
    press(view, view.widget_point(50, 50))
    drag(view, view.widget_point(60, 60))
    assert view.update_prediction(predicted(SIZE, 2))
    view.settle()
    assert color_at(view, 200, 300) == (100, 100, 100)
    drag(view, view.widget_point(70, 70))
    assert color_at(view, 200, 300) == (100, 100, 100)
    release(view, view.widget_point(70, 70))
    view.settle()
    assert color_at(view, 200, 300) == (0, 0, 255)


def test_what_waited_is_shown_in_the_order_it_came(view: Screen, host: PaintingHost) -> None:
    view.layers = replace(view.layers, prediction_opacity=1.0)
    press(view, view.widget_point(50, 50))
    view.update_prediction(predicted(SIZE, 1))
    view.clear_prediction()
    view.update_prediction(predicted(SIZE, 2, box=Box(0, 0, 300, 200)))
    release(view, view.widget_point(50, 50))
    view.settle()
    assert color_at(view, 200, 100) == (0, 0, 255)
    assert color_at(view, 200, 300) == (100, 100, 100)


def test_a_press_ends_a_fade_in_progress(view: Screen, host: PaintingHost) -> None:
    view.layers = replace(view.layers, prediction_opacity=1.0)
    view.update_prediction(predicted(SIZE, 2))
    press(view, view.widget_point(50, 50))
    assert color_at(view, 200, 300) == (0, 0, 255)
    release(view, view.widget_point(50, 50))


def test_a_prediction_of_another_size_is_ignored(view: Screen) -> None:
    assert not view.update_prediction(predicted((10, 10), 0))


def test_layers_can_be_switched(view: Screen, host: PaintingHost) -> None:
    view.layers = replace(view.layers, prediction_opacity=1.0, annotation_opacity=1.0)
    view.update_prediction(predicted(SIZE, 1))
    view.settle()
    stroke(view, [(50, 50), (50, 60)])
    hover(view, view.widget_point(250, 350))
    assert color_at(view, 50, 55) == (255, 0, 0)
    view.layers = replace(view.layers, annotation_visible=False)
    assert color_at(view, 50, 55) == (0, 255, 0)
    view.layers = replace(view.layers, prediction_visible=False)
    assert color_at(view, 50, 55) == (100, 100, 100)
    view.layers = replace(view.layers, image_visible=False)
    assert color_at(view, 50, 55) == (128, 128, 128)
    view.set_classes(three_classes().recolor(0, (10, 20, 30)))
    view.layers = replace(view.layers, annotation_visible=True)
    assert color_at(view, 50, 55) == (10, 20, 30)


# The platform


def test_updates_do_not_cost_references_to_none(view: Screen) -> None:
    view.update()
    before = sys.getrefcount(None)
    for _ in range(1000):
        view.update()
    assert sys.getrefcount(None) >= before - 50  # PySide6 6.12.0 loses one a call


SCALED = """
import numpy as np
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication
from tests.support.canvas import PaintingHost, noise_image, stroke, three_classes
from app.canvas.view import CanvasView
from engine.project.pyramid import build_pyramid
application = QApplication([])
view = CanvasView()
view.resize(301, 203)
view.set_classes(three_classes())
view.set_active_class(0)
view.set_image(build_pyramid(noise_image((90, 120))))
host = PaintingHost(view, (90, 120))
view.show()
application.processEvents()
assert view.devicePixelRatioF() == {ratio}
stroke(view, [(20, 30), (60, 70)])
QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
view.settle()
image = view.grab().toImage().convertToFormat(view._surface.image.format())
shown = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), image.width())
drawn = view._surface.snapshot()
height, width = min(shown.shape[0], drawn.shape[0]), min(shown.shape[1], drawn.shape[1])
different = (shown[:height, :width] | 0xFF000000) != drawn[:height, :width]
print(different.sum())
"""


@pytest.mark.parametrize("ratio", [1.25, 1.5, 2.0])
def test_device_pixels_reach_the_screen_unscaled(ratio: float) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCALED.format(ratio=ratio)],
        cwd=ROOT,
        env={**os.environ, "QT_SCALE_FACTOR": str(ratio), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 0
