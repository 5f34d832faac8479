import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QRegion,
)
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.canvas.tool import ToolKind
from tests.support.canvas import (
    PaintingHost,
    drag,
    hover,
    mouse,
    press,
    release,
    stroke,
)
from tests.support.screen import (
    ALT,
    CTRL,
    RIGHT,
    SHIFT,
    SIZE,
    Clock,
    Screen,
    color_at,
    key,
    open_screen,
    tap_key,
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
