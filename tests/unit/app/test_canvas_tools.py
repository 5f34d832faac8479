import math

import pytest
from PySide6.QtCore import QPointF, Qt

from app.canvas.brush import BrushTool, EraserTool
from app.canvas.drags import MenuTap, PanDrag, SizeDrag
from app.canvas.polygon import PolygonTool
from app.canvas.region import FillTool, MoveTool, PickTool
from app.canvas.space import TAP_SECONDS, SpaceKey
from app.canvas.tool import Hand, Pointer, Tool
from engine.annotate.classes import UNLABELLED
from engine.annotate.stroke import Stroke

RIGHT = Qt.MouseButton.RightButton


class Listener:
    """A host that only notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.accepts = True

    def begin(self, *, erase: bool) -> bool:
        self.calls.append(("begin", erase))
        return self.accepts

    def extend(self, segment: Stroke) -> None:
        self.calls.append(segment)

    def finish(self) -> None:
        self.calls.append("finish")

    def cancel(self) -> None:
        self.calls.append("cancel")

    def polygon(self, points: object, *, erase: bool) -> None:
        self.calls.append(("polygon", points, erase))

    def relabel(self, y: float, x: float, *, erase: bool) -> None:
        self.calls.append(("relabel", y, x, erase))

    def pick(self, y: float, x: float) -> None:
        self.calls.append(("pick", y, x))


@pytest.fixture
def host() -> Listener:
    return Listener()


@pytest.fixture
def hand(host: Listener) -> Hand:
    return Hand(host=host, class_index=3, class_name="road", radius=5.0)


def at(y: float, x: float, *, erase: bool = False, step: float = 1.0) -> Pointer:
    return Pointer(y=y, x=x, erase=erase, step=step)


def segment(*points: tuple[float, float], class_index: int = 3) -> Stroke:
    return Stroke(points=points, radius=5.0, class_index=class_index)


def place(y: float, x: float) -> QPointF:
    return QPointF(x, y)


def test_the_press_paints_and_every_move_is_handed_over_at_once(hand: Hand, host: Listener) -> None:
    brush = BrushTool(hand)
    brush.press(at(1.25, 2.5))
    assert host.calls == [("begin", False), segment((1.25, 2.5))]
    brush.move(at(2.0, 3.0))
    brush.move(at(2.0, 3.0))  # no way, no segment
    brush.move(at(4.0, 3.5))
    brush.release(at(5.0, 6.0))
    assert host.calls[2:] == [
        segment((1.25, 2.5), (2.0, 3.0)),
        segment((2.0, 3.0), (4.0, 3.5)),
        segment((4.0, 3.5), (5.0, 6.0)),
        "finish",
    ]


def test_a_refused_stroke_is_never_mentioned_again(hand: Hand, host: Listener) -> None:
    host.accepts = False
    brush = BrushTool(hand)
    brush.press(at(1, 1))
    brush.move(at(2, 2))
    brush.release(at(3, 3))
    brush.cancel()
    assert host.calls == [("begin", False)]


def test_the_host_may_choose_the_class_while_the_stroke_begins(hand: Hand, host: Listener) -> None:
    hand.class_index = None

    def choose(*, erase: bool) -> bool:
        hand.class_index = 7
        return True

    host.begin = choose
    BrushTool(hand).press(at(1, 1))
    assert host.calls == [segment((1, 1), class_index=7)]


def test_without_a_class_nothing_is_painted(hand: Hand, host: Listener) -> None:
    hand.class_index = None
    BrushTool(hand).press(at(1, 1))
    assert host.calls == [("begin", False)]


def test_alt_at_the_press_makes_the_whole_stroke_erase(hand: Hand, host: Listener) -> None:
    brush = BrushTool(hand)
    brush.press(at(1, 1, erase=True))
    brush.move(at(2, 2, erase=False))
    assert host.calls == [
        ("begin", True),
        segment((1, 1), class_index=UNLABELLED),
        segment((1, 1), (2, 2), class_index=UNLABELLED),
    ]


def test_a_stroke_keeps_its_class_when_another_is_chosen_meanwhile(hand: Hand, host: Listener) -> None:
    brush = BrushTool(hand)
    brush.press(at(1, 1))
    hand.class_index = 9
    brush.move(at(2, 2))
    assert host.calls[-1] == segment((1, 1), (2, 2))


def test_a_light_pen_paints_thinly(hand: Hand, host: Listener) -> None:
    brush = BrushTool(hand)
    hand.pressure = 0.5
    brush.press(at(1, 1))
    hand.pressure = 0.0
    brush.move(at(2, 2))
    assert [call.radius for call in host.calls if isinstance(call, Stroke)] == [2.5, 0.5]


def test_the_eraser_always_erases(hand: Hand, host: Listener) -> None:
    EraserTool(hand).press(at(1, 1))
    assert host.calls == [("begin", True), segment((1, 1), class_index=UNLABELLED)]


@pytest.mark.parametrize("ending", ["finish", "cancel"])
def test_a_stroke_ends_exactly_once(hand: Hand, host: Listener, ending: str) -> None:
    brush = BrushTool(hand)
    brush.press(at(1, 1))
    if ending == "finish":
        brush.release(None)  # the button was lost
    else:
        brush.cancel()
    brush.release(at(9, 9))
    brush.cancel()
    assert host.calls[2:] == [ending]


def test_the_outline_has_the_true_size_of_the_brush(hand: Hand) -> None:
    brush = BrushTool(hand)
    assert brush.reach(place).isEmpty()
    brush.hover(at(100, 200))
    reach = brush.reach(lambda y, x: QPointF(x * 4, y * 4))
    assert reach.center() == QPointF(800, 400)
    assert reach.width() == pytest.approx(2 * 5 * 4, abs=8)
    assert reach.width() >= 2 * 5 * 4
    brush.hover(None)
    assert brush.reach(place).isEmpty()


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_corners_are_set_and_enter_closes(hand: Hand, host: Listener, key: Qt.Key) -> None:
    polygon = PolygonTool(hand)
    for y, x in ((10, 10), (10, 90), (90, 90)):
        polygon.press(at(y, x))
        polygon.release(at(y, x))
    assert polygon.takes_key(key)
    polygon.press_key(key, erase=False)
    assert host.calls == [("polygon", ((10, 10), (10, 90), (90, 90)), False)]
    assert polygon.points == ()
    assert not polygon.takes_key(key)


def test_enter_does_not_close_a_line(hand: Hand, host: Listener) -> None:
    polygon = PolygonTool(hand)
    for y, x in ((10, 10), (10, 90)):
        polygon.press(at(y, x))
    polygon.press_key(Qt.Key.Key_Return, erase=False)
    assert host.calls == []
    assert len(polygon.points) == 2


def test_a_double_click_closes_with_the_corner_of_its_first_click(hand: Hand, host: Listener) -> None:
    polygon = PolygonTool(hand)
    for y, x in ((10, 10), (10, 90), (90, 90)):
        polygon.press(at(y, x))
    polygon.double_click(at(90, 90, erase=True))
    assert host.calls == [("polygon", ((10, 10), (10, 90), (90, 90)), True)]


def test_an_early_double_click_is_two_clicks(hand: Hand, host: Listener) -> None:
    polygon = PolygonTool(hand)
    polygon.press(at(10, 10))
    polygon.double_click(at(10, 10))
    assert polygon.points == ((10, 10),)
    assert host.calls == []


def test_a_click_on_the_first_corner_closes(hand: Hand, host: Listener) -> None:
    polygon = PolygonTool(hand)
    for y, x in ((10, 10), (10, 90), (90, 90)):
        polygon.press(at(y, x, step=0.1))
    polygon.press(at(10.5, 10.5, step=0.1))  # five logical pixels away at this zoom
    assert host.calls == [("polygon", ((10, 10), (10, 90), (90, 90)), False)]


def test_backspace_takes_corners_back_and_escape_all(hand: Hand, host: Listener) -> None:
    polygon = PolygonTool(hand)
    assert not polygon.takes_key(Qt.Key.Key_Backspace)  # the window's again
    for y, x in ((10, 10), (10, 90), (90, 90)):
        polygon.press(at(y, x))
    polygon.press_key(Qt.Key.Key_Backspace, erase=False)
    assert polygon.points == ((10, 10), (10, 90))
    polygon.press_key(Qt.Key.Key_Escape, erase=False)
    assert polygon.points == ()
    assert host.calls == []


def test_dragging_draws_freehand_and_closes_where_it_began(hand: Hand, host: Listener) -> None:
    polygon = PolygonTool(hand)
    polygon.press(at(100, 150))
    circle = [(100 + 50 * math.sin(a / 20), 100 + 50 * math.cos(a / 20)) for a in range(1, 126)]
    for y, x in circle:
        polygon.move(at(y, x))
    assert len(polygon.points) > 40
    polygon.release(at(*circle[-1]))
    assert len(host.calls) == 1
    assert polygon.points == ()


def test_a_freehand_line_stays_open(hand: Hand, host: Listener) -> None:
    polygon = PolygonTool(hand)
    polygon.press(at(0, 0))
    for x in range(0, 100, 10):
        polygon.move(at(0, x))
    polygon.release(at(0, 100))
    assert len(polygon.points) > 5
    assert host.calls == []


def test_the_polygon_is_repainted_where_it_is(hand: Hand) -> None:
    polygon = PolygonTool(hand)
    assert polygon.reach(place).isEmpty()
    polygon.press(at(10, 20))
    polygon.hover(at(50, 60))
    reach = polygon.reach(place)
    assert reach.contains(QPointF(20, 10))
    assert reach.contains(QPointF(60, 50))


def test_one_click_tools_act_at_once(hand: Hand, host: Listener) -> None:
    FillTool(hand).press(at(1, 2))
    FillTool(hand).press(at(3, 4, erase=True))
    PickTool(hand).press(at(5, 6))
    MoveTool(hand).press(at(7, 8))
    assert host.calls == [("relabel", 1, 2, False), ("relabel", 3, 4, True), ("pick", 5, 6)]


@pytest.mark.parametrize("kind", [BrushTool, EraserTool, PolygonTool, FillTool, PickTool, MoveTool])
def test_without_a_host_tools_do_nothing(kind: type[Tool]) -> None:
    tool = kind(Hand(class_index=1))
    for y, x in ((1, 1), (1, 90), (90, 90)):
        tool.press(at(y, x))
        tool.move(at(y, x + 1))
        tool.release(at(y, x + 1))
    tool.double_click(at(90, 90))
    tool.cancel()


@pytest.mark.parametrize(
    ("kind", "erase", "words"),
    [
        (BrushTool, False, ("paints road", "Alt erases", "Shift+wheel", "Space accepts")),
        (BrushTool, True, ("erases to unlabelled",)),
        (EraserTool, False, ("erases to unlabelled",)),
        (PolygonTool, False, ("first corner", "road")),
        (FillTool, False, ("region under the cursor road",)),
        (FillTool, True, ("unlabelled",)),
        (PickTool, False, ("chooses the class",)),
        (MoveTool, False, ("moves the image",)),
    ],
)
def test_tools_say_what_the_next_click_does(
    hand: Hand, kind: type[Tool], erase: bool, words: tuple[str, ...]
) -> None:
    said = kind(hand).what_next(erase=erase)
    assert all(word in said for word in words)


def test_the_polygon_says_how_it_goes_on(hand: Hand) -> None:
    polygon = PolygonTool(hand)
    polygon.press(at(1, 1))
    assert "Backspace" in polygon.what_next(erase=False)
    polygon.press(at(1, 90))
    polygon.press(at(90, 90))
    assert "Enter" in polygon.what_next(erase=False)
    assert "unlabelled" in polygon.what_next(erase=True)


def test_space_is_a_tap_only_when_short_and_still() -> None:
    space = SpaceKey()
    space.press(10.0)
    assert space.held
    assert space.release(10.0 + TAP_SECONDS / 2)
    assert not space.held
    space.press(20.0)
    assert not space.release(20.0 + TAP_SECONDS * 1.1)
    space.press(30.0)
    space.use()
    assert not space.release(30.01)
    space.press(40.0)
    space.forget()
    assert not space.release(40.01)
    assert not space.release(40.02)


def test_panning_carries_what_is_left_over() -> None:
    way: list[tuple[int, int]] = []
    pan = PanDrag(RIGHT, QPointF(10, 10), 1.25, lambda rows, columns: way.append((rows, columns)))
    for step in range(1, 101):
        pan.move(QPointF(10 + 0.3 * step, 10))
    assert sum(columns for _, columns in way) == round(40 * 1.25) - round(10 * 1.25)
    assert all(rows == 0 for rows, _ in way)


def test_the_brush_size_doubles_every_hundred_pixels() -> None:
    sizes: list[float] = []
    drag = SizeDrag(RIGHT, QPointF(0, 0), 10.0, sizes.append)
    drag.move(QPointF(100, 0))
    drag.move(QPointF(0, 100))
    drag.cancel()
    assert sizes == pytest.approx([20.0, 5.0, 10.0])


def test_a_menu_opens_on_a_tap_only() -> None:
    taps: list[QPointF] = []
    tap = MenuTap(RIGHT, QPointF(5, 5), taps.append)
    tap.move(QPointF(6, 6))
    tap.finish(QPointF(6, 6))
    wandered = MenuTap(RIGHT, QPointF(5, 5), taps.append)
    wandered.move(QPointF(50, 5))
    wandered.finish(QPointF(5, 5))
    MenuTap(RIGHT, QPointF(5, 5), taps.append).finish(None)
    assert taps == [QPointF(6, 6)]
