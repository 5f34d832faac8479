"""Every tab of INSPECT follows the one cursor, and says what its colours mean."""

import pytest
import torch
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF

from app.panels.inspect.stages import FIRST
from app.widgets.legend import MOST, ClassLegend
from app.widgets.picture import Picture
from engine.messages import OverlayKind
from models.explanation import Gate
from models.gate_views import views_of_guidance
from tests.support.inspection import opened
from tests.support.window import Desk

pytestmark = pytest.mark.gui

STROKE = [(20.5, 20.5), (20.5, 30.5)]
TILE = 84
"""Logical pixels: three tiles beside each other in a narrow dock."""


def test_the_effect_shows_the_cursor_on_pictures_of_this_image_only(desk: Desk) -> None:
    answers = opened(desk, "effect")
    page, probe = desk.window.inspect.page, desk.window.inspect.probe
    desk.key(Qt.Key.Key_1)
    desk.drag(STROKE)
    page.ask()
    probe.set_pin((15.0, 60.0))
    answers.effect()  # tiles that come later show the pinned pixel too
    desk.settle()
    assert [tile.cursor_place for tile in page.tiles] == [(0.25, 0.75), None, None]
    page.check.click()
    answers.overlay(OverlayKind.CANDIDATE_FLIPS)
    desk.settle()
    assert page.flips_picture.cursor_place == (0.25, 0.75)
    assert "Bright: 50 % of the image." in page.flips.text()
    probe.set_pin(None)
    probe.hover(None)
    assert page.tiles[0].cursor_place is None
    assert page.flips_picture.cursor_place is None


def test_the_matrix_frames_the_row_of_the_class_under_the_cursor(desk: Desk) -> None:
    opened(desk, "relations")
    page, probe = desk.window.inspect.page, desk.window.inspect.probe
    probe.set_pin((50.5, 40.5))
    plain = page.matrix.grab().toImage()
    assert page.matrix.pointed == 2
    probe.set_pin((10.5, 40.5))
    assert page.matrix.pointed == 0
    assert page.matrix.grab().toImage() != plain
    assert page.deleted == frozenset()
    assert page.matrix.cell is None
    probe.set_pin(None)
    probe.hover(None)
    assert page.matrix.pointed is None


def test_the_memory_map_frames_the_nearest_stroke_of_this_image_or_else_the_class(desk: Desk) -> None:
    answers = opened(desk, "memory")
    page, probe = desk.window.inspect.page, desk.window.inspect.probe
    answers.memory()
    desk.settle()
    probe.set_pin((30.5, 40.5))  # where the other image has its stroke
    assert page.scatter.pointed == {0}
    assert page.legend.names == ("building", "road", "tree")
    desk.window.review.go("image_02.png", "")
    desk.settle()
    answers.look()
    desk.settle()
    probe.set_pin((50.5, 40.5))  # road is predicted here, and this image has no stroke
    assert [page.scatter.dots[number].tip for number in page.scatter.pointed] == [
        "road: as the network remembers it"
    ]
    probe.set_pin(None)
    probe.hover(None)
    assert page.scatter.pointed == frozenset()


def test_the_list_of_slips_marks_the_one_under_the_cursor_and_stays_where_it_is(desk: Desk) -> None:
    desk.key(Qt.Key.Key_3)  # road
    desk.drag(STROKE)
    answers = opened(desk, "errors")
    answers.errors()
    desk.settle()
    page, probe = desk.window.inspect.page, desk.window.inspect.probe
    page.list.setCurrentRow(1)

    def bold() -> list[bool]:
        return [page.list.item(row).font().bold() for row in range(page.list.count())]

    assert bold() == [False, False]
    probe.set_pin((20.5, 22.5))
    assert bold() == [True, False]
    assert page.list.currentRow() == 1
    assert desk.session.current == "image_00.png"
    probe.set_pin((40.5, 22.5))
    assert bold() == [False, False]
    desk.window.editing.undo()
    probe.set_pin((20.5, 23.5))  # inside the box, but the stroke is gone
    assert bold() == [False, False]


def test_the_stages_name_the_classes_of_a_label_map_and_not_of_numbers(desk: Desk) -> None:
    opened(desk, "stages")
    page = desk.window.inspect.page
    assert page.class_legend.isVisibleTo(page)
    assert page.class_legend.names == ("sky", "road")
    page.choose(FIRST)
    assert page.class_legend.names == ("road", "sky", "tree")
    page.choose("gate")
    assert not page.class_legend.isVisibleTo(page)
    assert page.legend.isVisibleTo(page)


def test_a_legend_escapes_names_and_counts_what_it_leaves_out(desk: Desk) -> None:
    look = desk.window.inspect.page.look
    legend = ClassLegend(desk.window)
    legend.set_classes([("a < b", look.color("accent"))] * (MOST + 2))
    assert "a&nbsp;&lt;&nbsp;b" in legend.text()
    assert legend.text().endswith("and 2 more")


def test_titles_of_gates_differ_and_are_seen_whole_below_a_narrow_tile(desk: Desk) -> None:
    gate = Gate(stage=1, values=torch.rand(1, 6, 4, 4), opened_by=torch.tensor([0, 0, 1, 1, 2, 2]))
    views = views_of_guidance(1, torch.rand(1, 3, 4, 4), gate, 3)
    titles = {view.title for view in views.values()}
    assert len(titles) == 4
    for title in titles:
        tile, bare = Picture(desk.window.inspect.page.look, title), Picture(desk.window.inspect.page.look)
        metrics = QFontMetricsF(tile.font())
        whole = metrics.boundingRect(QRectF(0, 0, TILE, 1000), int(Qt.TextFlag.TextWordWrap), title).height()
        assert tile.heightForWidth(TILE) - bare.heightForWidth(TILE) >= whole
        tile.deleteLater()
        bare.deleteLater()
