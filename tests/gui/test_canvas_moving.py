import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QNativeGestureEvent,
    QPointingDevice,
)
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.canvas.tool import ToolKind
from engine.project.pyramid import build_pyramid
from tests.support.canvas import (
    PaintingHost,
    drag,
    grey_image,
    hover,
    noise_image,
    press,
    release,
    stroke,
)
from tests.support.screen import (
    CTRL,
    MIDDLE,
    SHIFT,
    SIZE,
    Clock,
    Screen,
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
    qtbot.waitUntil(lambda: view.grab().toImage() != rough, timeout=60_000)
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
