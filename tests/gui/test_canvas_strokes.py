from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import (
    QFocusEvent,
    QPointingDevice,
    QRegion,
    QTabletEvent,
)
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.canvas.painting import SURROUND
from app.canvas.tool import ToolKind
from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.annotate.raster import rasterise_stroke
from tests.support.canvas import (
    PaintingHost,
    drag,
    hover,
    predicted,
    press,
    release,
    stroke,
)
from tests.support.screen import (
    ALT,
    LEFT,
    PLAIN,
    RIGHT,
    SIZE,
    Clock,
    Screen,
    color_at,
    key,
    open_screen,
    wheel,
)

pytestmark = pytest.mark.gui


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.canvas.transition.perf_counter", clock)
    monkeypatch.setattr("app.canvas.view.perf_counter", clock)
    return clock


@pytest.fixture
def view(qtbot: QtBot) -> Screen:
    return open_screen(qtbot)


@pytest.fixture
def host(view: Screen) -> PaintingHost:
    return PaintingHost(view, SIZE)


def engine_mask(gesture: list[tuple[float, float]], radius: float) -> np.ndarray:
    """The label map that the engine makes of the very points, without any canvas."""
    label_map = np.full(SIZE, UNLABELLED, dtype=np.uint8)
    rounded = [(round(y * 256) / 256, round(x * 256) / 256) for y, x in gesture]
    for segment in ([rounded[0]], *pairwise(rounded)):
        box, mask = rasterise_stroke(segment, radius, SIZE)
        label_map[box.slices][mask] = 0
    return label_map


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
