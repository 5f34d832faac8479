"""What the tabs of INSPECT show and do, with answers given by hand."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from app.panels.queue_model import Shown
from engine.annotate.classes import UNLABELLED
from engine.messages import (
    DeleteRepresentations,
    FindLabelErrors,
    FitCalibration,
    MakeOverlay,
    MapMemory,
    OverlayKind,
    PreviewEffect,
)
from tests.support.inspection import opened
from tests.support.screen import color_at
from tests.support.window import Desk

pytestmark = pytest.mark.gui

STROKE = [(20.5, 20.5), (20.5, 30.5)]


def test_a_click_on_a_row_shows_what_the_image_would_be_without_it(desk: Desk) -> None:
    answers = opened(desk, "relations")
    page, view = desk.window.inspect.page, desk.window.area.view
    plain = color_at(view, 50.5, 40.5)
    cell = page.matrix.cell_rect(2, 1).center().toPoint()
    QTest.mouseClick(page.matrix, Qt.MouseButton.LeftButton, pos=cell)
    cell = page.matrix.cell_rect(0, 1).center().toPoint()
    QTest.mouseClick(page.matrix, Qt.MouseButton.LeftButton, pos=cell)
    asked = desk.session.worker.of(DeleteRepresentations)
    assert [command.deleted for command in asked] == [(2,), (0, 2)]
    answers.what_if(exact=False)
    desk.settle()
    assert page.without.text().startswith("Without sky, road, about 50 % would change. A rough answer")
    assert desk.window.inspect.laid_name.text() == "Roughly, without sky, road: 50 % changes"
    assert "what_if_ready" in desk.window.inspect.probe.waiting
    answers.what_if()
    desk.settle()
    assert page.without.text() == "Without sky, road, 2,400 pixels (50 %) would change:"
    assert desk.window.inspect.laid_name.text() == "Without sky, road: 50 % changes"
    assert [(bar.name, bar.text) for bar in page.changes.bars] == [("road → tree", "2,400")]
    assert color_at(view, 50.5, 40.5) != plain
    assert desk.session.prediction("image_00.png") is None  # nothing that is kept changed
    page.reset.click()
    desk.settle()
    assert color_at(view, 50.5, 40.5) == plain
    assert page.deleted == frozenset()
    assert page.changes.bars == ()


def test_a_what_if_is_asked_again_when_the_weights_went_on(desk: Desk) -> None:
    answers = opened(desk, "relations")
    page, probe = desk.window.inspect.page, desk.window.inspect.probe
    page.matrix.row_chosen.emit(2)
    answers.what_if()
    desk.settle()
    asked = len(desk.session.worker.of(DeleteRepresentations))
    probe.look()
    assert page.without.text().endswith("computing…")
    answers.look()
    desk.settle()
    assert len(desk.session.worker.of(DeleteRepresentations)) == asked + 1
    answers.what_if()
    answers.look()
    desk.settle()
    assert page.without.text().startswith("Without road, 2,400 pixels")
    assert len(desk.session.worker.of(DeleteRepresentations)) == asked + 1
    probe.look()
    answers.look(can_delete=False)  # another network by now: it has no answer to give
    desk.settle()
    assert len(desk.session.worker.of(DeleteRepresentations)) == asked + 1


def test_the_matrix_is_sorted_by_strength_or_by_a_column_and_read_with_the_keys(desk: Desk) -> None:
    opened(desk, "relations")
    page = desk.window.inspect.page
    assert page.which.sizeHint().width() <= page.which.width()  # its title tells one matrix from another
    page.order.setCurrentIndex(1)
    assert page.matrix.rows == (1, 0, 3, 2)
    head = page.matrix.cell_rect(1, 3).center().toPoint()
    QTest.mouseClick(page.matrix, Qt.MouseButton.LeftButton, pos=QPoint(head.x(), 20))
    assert page.order.currentIndex() == 2
    assert page.matrix.columns[0] == 3
    assert page.matrix.rows[:2] == (1, 2)  # building → tree 0.9, road → tree 0.1
    desk.focus(page.matrix)
    reviewed = [call for call in desk.session.calls if call[0] == "show"]
    desk.key(Qt.Key.Key_Down)
    assert page.words.text() == "building → tree: 0.9"
    desk.key(Qt.Key.Key_Return)
    assert page.deleted == {1}
    assert [call for call in desk.session.calls if call[0] == "show"] == reviewed  # Return stayed here


def test_a_stroke_on_the_memory_map_is_visited_and_maps_move(desk: Desk) -> None:
    answers = opened(desk, "memory")
    page = desk.window.inspect.page
    assert len(desk.session.worker.of(MapMemory)) == 1
    answers.memory()
    desk.settle()
    assert [dot.is_odd for dot in page.scatter.dots] == [False, True, False, False, False]
    assert page.odd.bars[0].name == "road → tree?"
    assert not page.play.isVisible()
    at = page.scatter.point(1).toPoint()
    QTest.mouseClick(page.scatter, Qt.MouseButton.LeftButton, pos=at)
    desk.settle()
    assert desk.session.current == "image_01.png"
    assert desk.window.inspect.probe.pin == (30.5, 40.5)
    middle = desk.window.area.view.image_point(desk.window.area.view.rect().center().toPointF())
    assert middle == pytest.approx((30.5, 40.5), abs=1.5)
    page.map_button.click()
    answers.memory(step=20, shift=0.5)
    desk.settle()
    assert page.play.isVisible()
    page.scatter.set_time(0.0)
    before = page.scatter.point(0)
    page.scatter.set_time(1.0)
    assert page.scatter.point(0) != before
    assert "now 0.80" in page.trend.accessibleName()


def test_the_threshold_says_what_accepting_would_cost(desk: Desk) -> None:
    answers = opened(desk, "doubt")
    page, view = desk.window.inspect.page, desk.window.area.view
    assert [c.kind for c in desk.session.worker.of(MakeOverlay)] == [OverlayKind.ENTROPY]
    assert desk.session.worker.of(FitCalibration) == [], "nothing is shown that it could tell of"
    desk.session.predict("image_00.png", np.zeros((60, 80), np.uint8), confidence=0.9)
    desk.settle()
    assert len(desk.session.worker.of(FitCalibration)) == 1
    answers.overlay(OverlayKind.ENTROPY)
    desk.settle()
    view.settle()
    covered, below = color_at(view, 10.5, 40.5), color_at(view, 50.5, 40.5)
    assert page.wrong.text() == "Expected wrong pixels: not known yet"
    assert page.why.text() == "A curve of what is shown is being fitted."
    answers.calibrate()
    page.slider.setValue(100)
    desk.settle()
    view.settle()
    assert page.accepting.text() == "50 % of the image is surer than 0.5."
    assert page.wrong.text() == "Expected wrong pixels if accepted: 10 %"
    assert color_at(view, 10.5, 40.5) == pytest.approx(covered, abs=40)
    assert color_at(view, 50.5, 40.5) != below  # the prediction is seen again where it would be accepted
    assert "11 %" in page.trust.text.text()
    desk.window.inspect.show_page("pixel")
    assert desk.window.inspect.probe.lying is None


def test_a_suspicious_label_is_kept_fixed_or_deleted_with_a_key_and_undone(desk: Desk) -> None:
    desk.key(Qt.Key.Key_3)  # road
    desk.drag(STROKE)
    desk.key(Qt.Key.Key_N, Qt.KeyboardModifier.NoModifier)
    desk.window.review.go("image_01.png", "")
    desk.settle()
    desk.key(Qt.Key.Key_2)  # building
    desk.drag([(10.5, 10.5), (10.5, 14.5)])
    answers = opened(desk, "errors")
    assert len(desk.session.worker.of(FindLabelErrors)) == 1
    answers.errors()
    desk.settle()
    page = desk.window.inspect.page
    assert page.list.count() == 2
    assert page.list.item(0).text() == "90 %  road → tree?"
    desk.focus(page.list)
    desk.key(Qt.Key.Key_F)
    assert desk.session.current == "image_00.png"
    label_map = desk.session.annotation.label_map
    assert label_map[20, 25] == 3
    assert not (label_map == 2).any()
    assert page.list.count() == 1
    desk.focus(page.list)
    desk.key(Qt.Key.Key_Delete)
    assert desk.session.current == "image_01.png"
    assert (desk.session.annotation.label_map == UNLABELLED).all()
    desk.window.editing.undo()
    assert desk.session.annotation.label_map[10, 12] == 1
    assert page.summary.text() == "None of 7 labelled regions left to look at."


def test_the_effect_of_a_stroke_is_shown_before_it_is_learnt(desk: Desk) -> None:
    answers = opened(desk, "effect")
    page, view = desk.window.inspect.page, desk.window.area.view
    assert page.state.text().startswith("Paint something on this image")
    assert desk.session.worker.of(PreviewEffect) == []
    plain = color_at(view, 58.5, 70.5)
    desk.key(Qt.Key.Key_1)
    desk.drag(STROKE)
    page.ask()
    asked = desk.session.worker.of(PreviewEffect)[-1]
    assert [name for name, _ in asked.pinned] == ["image_01.png", "image_02.png"]
    answers.effect()
    desk.settle()
    assert page.state.text() == "13 % of this image would clearly flip."
    assert [(bar.name, bar.text) for bar in page.counts.bars] == [
        ("towards labels", "10 %"),
        ("against labels", "3.3 %"),
    ]
    assert len(page.tiles) == 3
    worse = color_at(view, 59.5, 70.5)
    assert worse != plain
    assert worse[0] > worse[1]
    better = color_at(view, 2.5, 70.5)
    assert better[1] > better[0]
    page.check.click()
    answers.overlay(OverlayKind.CANDIDATE_FLIPS)
    desk.settle()
    assert "50 % of the image" in page.flips.text()
    page.flips_picture.chosen.emit()
    assert desk.window.inspect.probe.lies("candidate flips")


def test_the_structure_map_lists_its_worst_places(desk: Desk) -> None:
    answers = opened(desk, "structure")
    page = desk.window.inspect.page
    shown = answers.overlay(OverlayKind.STRUCTURE)
    desk.settle()
    assert desk.window.inspect.probe.lies("structure")
    assert page.explanation.text() == shown.explanation
    assert page.worst.bars
    QTest.mouseClick(page.worst, Qt.MouseButton.LeftButton, pos=QPoint(10, 5))
    desk.settle()
    y, _ = desk.window.inspect.probe.pin or (99.0, 0.0)
    assert y < 30  # the upper half is the bad one
    page.picture.chosen.emit()
    assert desk.window.inspect.probe.lying is None


def test_images_whose_first_guess_was_overruled_are_a_filter_of_the_queue(desk: Desk) -> None:
    queue = desk.window.queue
    queue.filter.setCurrentIndex(list(Shown).index(Shown.DISPUTED))
    assert queue.model.rowCount() == 0
    assert "several stages" in queue._empty.text()
    opened(desk, "stages")
    assert [queue.model.image_at(row) for row in range(queue.model.rowCount())] == ["image_00.png"]
