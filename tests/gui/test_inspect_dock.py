"""The dock INSPECT: it asks only while it is seen, follows one cursor, and lays pictures over the canvas."""

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.canvas.tool import ToolKind
from app.panels.inspect.pixel import HINT
from app.theme import Theme
from engine.messages import (
    CommandFailed,
    EndInspection,
    ExplainPixel,
    Inspect,
    MakeOverlay,
    Method,
    OverlayKind,
    Problem,
)
from engine.messages.inspection import InspectionKind
from tests.support.inspection import Answers, opened, view, views
from tests.support.screen import color_at
from tests.support.window import Desk, MakeDesk

pytestmark = pytest.mark.gui

CTRL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


def test_nothing_is_asked_until_the_dock_is_seen_and_all_is_given_back_when_it_goes(desk: Desk) -> None:
    worker, probe = desk.session.worker, desk.window.inspect.probe
    desk.hover(20.5, 20.5)
    desk.bridge.show("image_01.png")
    desk.settle()
    assert worker.asked == []
    desk.key(Qt.Key.Key_I, CTRL_SHIFT)
    assert desk.window.inspect.isVisible()
    assert [command.image_id for command in worker.of(Inspect)] == ["image_01.png"]
    assert desk.window.inspect.page.nothing() == "Looking into the network…"
    desk.window.docks["classes"].raise_()  # the other tab of the dock
    desk.settle()
    assert not probe.is_active
    assert isinstance(worker.asked[-1], EndInspection)
    asked = len(worker.asked)
    desk.hover(30.5, 30.5)
    desk.bridge.show("image_02.png")
    desk.settle()
    assert len(worker.asked) == asked


def test_hovering_asks_about_the_newest_pixel_only_and_a_click_pins_it(desk: Desk) -> None:
    answers = opened(desk)
    probe, page = desk.window.inspect.probe, desk.window.inspect.page
    worker = desk.session.worker
    for x in (10.5, 20.5, 30.5):
        desk.hover(20.5, x)
    assert [command.x for command in worker.of(ExplainPixel)] == [10]
    answers.explain()
    desk.settle()
    assert [command.x for command in worker.of(ExplainPixel)] == [10, 30]
    answers.explain()
    desk.settle()
    assert [bar.name for bar in page.probabilities.bars] == ["road", "tree", "sky", "building"]
    assert [(bar.name, bar.text) for bar in page.reasons.bars] == [
        ("building", "+0.50"),
        ("tree", "-0.25"),
        ("the rest", "+0.50"),
    ]
    assert "add up" in page.method.text()
    assert page.margin.text() == "road is 0.75 logits ahead of tree."
    assert page.facts["memory"].text() == "tree"
    desk.key(Qt.Key.Key_I, Qt.KeyboardModifier.ShiftModifier)
    assert desk.window.area.view.tool_kind is ToolKind.PROBE
    QTest.mouseClick(desk.window.area.view, Qt.MouseButton.LeftButton, pos=desk.point(40.5, 50.5))
    desk.settle()
    assert probe.pin == (40.5, 50.5)
    desk.hover(5.5, 5.5)
    assert probe.cursor == (40.5, 50.5)
    assert "pinned" in page.place.text()
    assert not desk.session.annotation.provenance.any()  # looking paints nothing
    desk.hover(40.6, 50.6)
    desk.key(Qt.Key.Key_Y)
    assert probe.pin is None


def test_a_card_that_is_late_says_which_pixel_it_is_about(desk: Desk) -> None:
    answers = opened(desk)
    page, probe = desk.window.inspect.page, desk.window.inspect.probe
    page.late.setInterval(600_000)  # it is over when this test says so
    desk.hover(20.5, 20.5)
    answers.explain()
    desk.settle()
    assert page.place.text() == "Row 20, column 20"
    assert page.hint.text() == HINT
    desk.hover(30.5, 40.5)
    assert page.place.text() == "Row 30, column 40"
    assert page.hint.text() == HINT, "an answer in time is nothing to speak of"
    assert page.late.isActive()
    page.late.stop()
    page.late.timeout.emit()
    assert page.hint.text() == "Still asking. Below: row 20, column 20."
    desk.hover(31.5, 41.5)
    assert page.hint.text() == "Still asking. Below: row 20, column 20."
    answers.explain()  # of row 30
    desk.settle()
    assert page.hint.text() == HINT, "answers come: the next may be in time"
    answers.explain()
    desk.settle()
    assert page.hint.text() == HINT
    assert not page.late.isActive()
    probe.set_pin((50.5, 60.5))
    assert page.hint.text() == HINT, "a pin waits as long as the pointer"
    page.late.stop()
    page.late.timeout.emit()
    problem = Problem(message="Memory is full.", hint="Close others.")
    desk.session.emit(CommandFailed(command="ExplainPixel", problem=problem))
    desk.settle()
    assert page.hint.text() == "No answer: Memory is full. Close others. Below: row 31, column 41."


def test_who_comes_back_to_a_pixel_finds_its_card(desk: Desk) -> None:
    answers = opened(desk)
    page, probe = desk.window.inspect.page, desk.window.inspect.probe
    desk.hover(20.5, 20.5)
    answers.explain()
    desk.settle()
    bars = page.probabilities.bars
    probe.hover(None)
    assert not page.probabilities.bars
    probe.hover((20.6, 20.4))
    assert page.probabilities.bars == bars


def test_what_acted_on_the_pixel_lies_over_the_image_and_comes_off(desk: Desk) -> None:
    answers = opened(desk)
    view, page = desk.window.area.view, desk.window.inspect.page
    before = color_at(view, 50.5, 70.5)
    desk.hover(20.5, 20.5)
    answers.explain()
    desk.settle()
    page.influence.click()
    desk.settle()
    assert color_at(view, 50.5, 70.5) != before
    assert desk.window.inspect.strip.isVisible()
    desk.key(Qt.Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    assert color_at(view, 50.5, 70.5) == before
    assert not page.influence.isChecked()
    assert not desk.window.inspect.strip.isVisible()


def test_another_image_takes_pin_and_overlay_away_and_is_looked_at(desk: Desk) -> None:
    opened(desk)
    probe, worker = desk.window.inspect.probe, desk.session.worker
    probe.toggle_pin((10.0, 10.0))
    desk.window.inspect.show_page("stages")
    desk.window.inspect.page.choose("difference")
    assert probe.lying is not None
    desk.key(Qt.Key.Key_D)
    assert probe.pin is None
    assert probe.lying is None
    assert worker.of(Inspect)[-1].image_id == "image_01.png"
    assert desk.window.inspect.page.nothing() == "Looking into the network…"


def test_a_question_that_has_no_answer_is_explained_where_the_answer_would_stand(desk: Desk) -> None:
    desk.window.inspecting.open("structure")
    Answers(desk.session).look()
    desk.settle()
    desk.window.inspect.show_page("pixel")
    desk.window.inspect.show_page("structure")
    desk.settle()
    kinds = [command.kind for command in desk.session.worker.of(MakeOverlay)]
    assert kinds == [OverlayKind.STRUCTURE, OverlayKind.FLICKER]
    for text in ("Nothing is labelled here.", "Predicted once only."):
        problem = Problem(message=text, hint="Paint.")
        desk.session.emit(CommandFailed(command="MakeOverlay", problem=problem))
    desk.settle()
    assert desk.window.inspect.page.nothing() == "Nothing is labelled here. Paint."
    assert desk.window.notices.notices == ()


@pytest.mark.parametrize("theme", [Theme.DARK_QDARKSTYLE, Theme.LIGHT])
@pytest.mark.parametrize("width", [280, 420])
def test_no_tab_is_cut_off_at_any_width(make_desk: MakeDesk, theme: Theme, width: int) -> None:
    desk = make_desk(theme=theme)
    desk.open()
    answers = opened(desk)
    dock = desk.window.docks["inspect"]
    desk.window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    desk.hover(20.5, 20.5)
    answers.explain(method=Method.DELETION)
    for page in desk.window.inspect.pages:
        desk.window.inspecting.open(page.name)
        for kind in (OverlayKind.ENTROPY, OverlayKind.STRUCTURE):
            if kind.value in page.probe.waiting:
                answers.overlay(kind)
        for name, answer in (
            ("memory_mapped", answers.memory),
            ("calibration_fitted", answers.calibrate),
            ("label_errors_found", answers.errors),
        ):
            if name in page.probe.waiting:
                answer()
        desk.settle()
        assert page.widget().width() <= page.viewport().width(), page.name
        assert page.widget().minimumSizeHint().width() <= page.viewport().width(), page.name
    for button in desk.window.inspect.tabs.buttons():
        assert button.fontMetrics().horizontalAdvance(button.text()) <= button.width(), button.text()


def test_views_of_a_network_nobody_knew_are_drawn_by_their_kind(desk: Desk) -> None:
    answers = opened(desk, "stages")
    page = desk.window.inspect.page
    drawn = ["first guess", "final", "difference", "gate", "guess", "shares", "channels"]
    assert list(page.tiles) == drawn
    assert [bar.text for bar in page.numbers.bars] == ["0", "1", "2", "3"]
    page.choose("channels")
    assert page.channel.isVisible()
    mean = page.heat("channels")
    page.channel.setCurrentIndex(2)
    assert mean is not None
    assert np.ptp(mean) < 1e-6  # the two channels are each other's opposite
    assert np.ptp(page.heat("channels")) > 0.9
    page.choose("shares")
    assert page.channel.itemText(1) == "sky"
    assert desk.window.inspect.probe.lies("stages shares")
    guess = view("guess", InspectionKind.LABEL_MAP, np.full((15, 20), 1, np.int64))
    answers.session.inspection.look()
    answers.look(coarse=np.full((60, 80), 1, np.uint8), views=(guess,))
    desk.settle()
    assert list(page.tiles) == ["first guess", "final", "difference"]  # the first guess is not shown twice
    answers.session.inspection.look()
    answers.look(coarse=None, views=(), can_delete=False)
    desk.settle()
    assert list(page.tiles) == ["final"]
    desk.window.inspect.show_page("relations")
    assert "IDRNet shows them" in desk.window.inspect.page.empty.text()


def test_pictures_share_the_cursor_with_the_canvas(desk: Desk) -> None:
    opened(desk, "stages")
    page, probe = desk.window.inspect.page, desk.window.inspect.probe
    desk.hover(30.5, 40.5)
    assert page.tiles["gate"]._cursor == pytest.approx((30.5 / 60, 40.5 / 80), abs=0.02)
    tile = page.tiles["final"]
    QTest.mouseMove(tile, tile.rect().center())
    desk.settle()
    tile.hovered.emit((0.25, 0.5))
    assert probe.cursor == (15.0, 40.0)
    assert page.tiles["gate"]._cursor == pytest.approx((0.25, 0.5))


def test_differences_between_guess_and_answer_are_walked_largest_first(desk: Desk) -> None:
    opened(desk, "stages")
    page = desk.window.inspect.page
    assert "differ on 6.2 %" in page.disagreement.text()
    page.next.click()
    desk.settle()
    y, x = desk.window.inspect.probe.pin or (0.0, 0.0)
    assert (0 <= y < 15, 0 <= x < 20) == (True, True)  # in the quarter that the guess had as tree
    assert desk.window.inspect.probe.lies("stages difference")
    assert not page.next.isEnabled()


def test_views_go_to_picture_table_and_facts(desk: Desk, qtbot: QtBot, tmp_path: Path) -> None:
    opened(desk, "relations")
    desk.answers.given["inspection_file"] = tmp_path / "out.png"
    with qtbot.waitSignal(desk.window.inspecting.written, timeout=20000):
        desk.window.inspect.export_button.click()
    assert (tmp_path / "out-matrix.png").read_bytes().startswith(b"\x89PNG")
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert rows[0] == "row acts on column,sky,building,road,tree"
    assert rows[2].startswith("building,0.2")
    assert '"view": "relation"' in (tmp_path / "out.json").read_text()


def test_views_of_the_support_cover_every_picture_kind() -> None:
    assert {each.kind for each in views()} == set(InspectionKind)
    assert view("a", InspectionKind.HEATMAP, np.zeros((1, 1), np.float32)).title == "a"
