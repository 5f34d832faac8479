"""Patch makers: what gestures change, and what they say when they change nothing."""

import numpy as np
import pytest

from engine.annotate.annotation import Annotation
from engine.annotate.classes import UNLABELLED, VOID, ClassTable, Provenance
from engine.annotate.patch import Patch
from engine.annotate.stroke import PaintRule, Stroke
from engine.session import editing
from engine.session.editing import Canvas, Nothing

TABLE = ClassTable().add("sky").add("tree").add("road")
SKY, TREE, ROAD = 0, 1, 2
SIZE = (20, 30)


def _canvas(*, predicted: bool = True, table: ClassTable = TABLE) -> Canvas:
    """The prediction says sky above row 10, tree below on the left, road below on the right."""
    label_map = np.full(SIZE, SKY, np.uint8)
    label_map[10:, :15] = TREE
    label_map[10:, 15:] = ROAD
    return Canvas(Annotation(SIZE), label_map if predicted else None, table)


def _done(canvas: Canvas, made: Patch | Nothing) -> Patch:
    assert isinstance(made, Patch), made
    canvas.annotation.apply(made)
    return made


def _why(made: Patch | Nothing) -> str:
    assert isinstance(made, Nothing)
    return made.reason


def _dab(
    canvas: Canvas, y: float, x: float, index: int, rule: PaintRule = PaintRule.OVER_PREDICTIONS
) -> Patch | Nothing:
    return editing.stroke_patch(canvas, Stroke(points=((y, x),), radius=3.0, class_index=index), rule)


def test_a_stroke_paints_and_says_who_said_it() -> None:
    canvas = _canvas()
    patch = _done(canvas, _dab(canvas, 5, 5, TREE))
    assert canvas.annotation.label_map[5, 5] == TREE
    assert canvas.annotation.provenance[5, 5] == Provenance.STROKE
    assert patch.box.area < 64


def test_painting_the_same_again_says_so() -> None:
    canvas = _canvas()
    _done(canvas, _dab(canvas, 5, 5, TREE))
    assert "Already tree" in _why(_dab(canvas, 5, 5, TREE))


def test_the_default_rule_protects_what_a_hand_painted() -> None:
    canvas = _canvas()
    _done(canvas, _dab(canvas, 5, 5, TREE))
    assert "paint-over rule" in _why(_dab(canvas, 5, 5, ROAD))
    _done(canvas, _dab(canvas, 5, 5, ROAD, PaintRule.EVERYTHING))
    assert canvas.annotation.label_map[5, 5] == ROAD


def test_only_unlabelled_protects_accepted_predictions_too() -> None:
    canvas = _canvas()
    _done(canvas, editing.accept_image_patch(canvas))
    assert "paint-over rule" in _why(_dab(canvas, 5, 5, ROAD, PaintRule.ONLY_UNLABELLED))
    _done(canvas, _dab(canvas, 5, 5, ROAD, PaintRule.OVER_PREDICTIONS))
    assert canvas.annotation.label_map[5, 5] == ROAD


def test_the_eraser_returns_pixels_to_unlabelled() -> None:
    canvas = _canvas()
    _done(canvas, _dab(canvas, 5, 5, TREE))
    _done(canvas, _dab(canvas, 5, 5, UNLABELLED))
    assert (canvas.annotation.label_map == UNLABELLED).all()
    assert (canvas.annotation.provenance == Provenance.NOBODY).all()
    assert _why(_dab(canvas, 5, 5, UNLABELLED)) == "Nothing to erase here."


@pytest.mark.parametrize("rule", list(PaintRule))
def test_a_locked_class_neither_changes_nor_is_painted(rule: PaintRule) -> None:
    canvas = _canvas()
    _done(canvas, _dab(canvas, 5, 5, TREE))
    locked = Canvas(canvas.annotation, canvas.predicted, TABLE.with_flags(TREE, locked=True))
    assert "locked" in _why(_dab(locked, 5, 5, ROAD, rule))
    assert "locked" in _why(_dab(locked, 5, 5, UNLABELLED, rule))
    assert "tree is locked" in _why(_dab(locked, 15, 25, TREE, rule))


def test_a_polygon_fills_its_inside() -> None:
    canvas = _canvas()
    _done(
        canvas,
        editing.polygon_patch(canvas, [(2, 2), (2, 12), (8, 12), (8, 2)], ROAD, PaintRule.OVER_PREDICTIONS),
    )
    assert canvas.annotation.label_map[5, 7] == ROAD
    assert canvas.annotation.label_map[12, 7] == UNLABELLED


def test_relabelling_takes_the_shown_region_and_no_more() -> None:
    canvas = _canvas()
    _done(canvas, editing.relabel_patch(canvas, 12, 5, ROAD, PaintRule.OVER_PREDICTIONS))
    assert (canvas.annotation.label_map[10:, :15] == ROAD).all()
    assert (canvas.annotation.label_map[:10] == UNLABELLED).all()
    assert (canvas.annotation.label_map[10:, 15:] == UNLABELLED).all()


def test_relabelling_with_the_shown_class_accepts_it() -> None:
    canvas = _canvas()
    _done(canvas, editing.relabel_patch(canvas, 12, 5, TREE, PaintRule.OVER_PREDICTIONS))
    assert (canvas.annotation.provenance[10:, :15] == Provenance.ACCEPTED).all()


def test_accepting_a_region_takes_only_that_region() -> None:
    canvas = _canvas()
    _done(canvas, editing.accept_region_patch(canvas, 2, 2))
    assert (canvas.annotation.label_map[:10] == SKY).all()
    assert (canvas.annotation.label_map[10:] == UNLABELLED).all()
    assert "Already yours" in _why(editing.accept_region_patch(canvas, 2, 2))


def test_accepting_the_image_leaves_strokes_alone() -> None:
    canvas = _canvas()
    _done(canvas, _dab(canvas, 5, 5, ROAD))
    _done(canvas, editing.accept_image_patch(canvas))
    assert canvas.annotation.label_map[5, 5] == ROAD
    assert canvas.annotation.provenance[5, 5] == Provenance.STROKE
    assert not (canvas.annotation.label_map == UNLABELLED).any()


def test_a_predicted_class_that_was_deleted_is_not_accepted() -> None:
    canvas = _canvas(table=TABLE.remove(SKY))
    _done(canvas, editing.accept_image_patch(canvas))
    assert (canvas.annotation.label_map[:10] == UNLABELLED).all()


def test_without_a_prediction_there_is_nothing_to_accept() -> None:
    canvas = _canvas(predicted=False)
    assert "nothing to accept" in _why(editing.accept_image_patch(canvas))
    assert "nothing to accept" in _why(editing.accept_region_patch(canvas, 3, 3))


def test_rejecting_takes_an_annotated_region_back() -> None:
    canvas = _canvas()
    _done(canvas, editing.accept_image_patch(canvas))
    _done(canvas, editing.reject_region_patch(canvas, 12, 5))
    assert (canvas.annotation.label_map[10:, :15] == UNLABELLED).all()
    assert (canvas.annotation.label_map[:10] == SKY).all()
    assert "prediction" in _why(editing.reject_region_patch(canvas, 12, 5))


def test_void_is_a_word_of_its_own() -> None:
    canvas = _canvas()
    _done(canvas, editing.void_region_patch(canvas, 12, 5))
    assert (canvas.annotation.label_map[10:, :15] == VOID).all()
    assert canvas.class_at(12, 5) is None


def test_clearing_takes_everything_back_but_locked_classes() -> None:
    canvas = _canvas(table=TABLE.with_flags(SKY, locked=True))
    unlocked = Canvas(canvas.annotation, canvas.predicted, TABLE)
    _done(unlocked, editing.accept_image_patch(unlocked))
    _done(canvas, editing.clear_patch(canvas))
    assert (canvas.annotation.label_map[:10] == SKY).all()
    assert (canvas.annotation.label_map[10:] == UNLABELLED).all()


def test_gestures_outside_the_image_say_so() -> None:
    canvas = _canvas()
    outside = [
        editing.relabel_patch(canvas, -1, 5, TREE, PaintRule.EVERYTHING),
        editing.accept_region_patch(canvas, 5, 30),
        editing.reject_region_patch(canvas, 20, 5),
        editing.void_region_patch(canvas, 5, -0.5),
        _dab(canvas, 100, 100, TREE),
    ]
    assert {_why(made) for made in outside} == {"The pointer is not on the image."}
    assert canvas.class_at(-1, 0) is None


def test_the_class_under_the_pointer_is_what_is_shown() -> None:
    canvas = _canvas()
    assert canvas.class_at(12.7, 5.2) == TREE
    _done(canvas, _dab(canvas, 12, 5, ROAD))
    assert canvas.class_at(12.7, 5.2) == ROAD
    assert _canvas(predicted=False).class_at(3, 3) is None
