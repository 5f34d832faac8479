"""The loop of looking, painting, accepting and going on, through the window."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.panels.queue_model import PROBLEM_ROLE
from engine.annotate.classes import UNLABELLED, ClassTable
from engine.annotate.journal import RecordKind
from engine.messages import ImageFailed, Problem, WriteRecovered
from engine.project.manifest import ImageStatus
from tests.support.window import Desk, MakeDesk

pytestmark = pytest.mark.gui

STROKE = [(20.5, 20.5), (20.5, 40.5)]


def labels(desk: Desk) -> np.ndarray:
    annotation = desk.session.annotation
    assert annotation is not None
    return annotation.label_map


def test_opening_a_folder_shows_its_first_image(desk: Desk) -> None:
    window = desk.window
    assert window.pages.currentWidget() is window.area
    assert desk.session.current == "image_00.png"
    assert window.area.view.image_size == (60, 80)
    assert "1 / 3" in window.status.image.text()
    assert desk.store.value.recent == ("/fake/images",)


def test_a_stroke_is_one_step_in_journal_and_undo_stack(desk: Desk) -> None:
    desk.drag([*STROKE, (30.5, 40.5)])
    assert labels(desk)[20, 30] == 0
    assert [call[2] for call in desk.session.calls if call[0] == "commit"] == [RecordKind.PATCH]
    stack = desk.window.histories.active
    assert stack is not None
    assert stack.count() == 1


def test_undo_and_redo_by_keys_restore_every_pixel(desk: Desk) -> None:
    before = labels(desk).copy()
    desk.drag(STROKE)
    painted = labels(desk).copy()
    desk.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(labels(desk), before)
    desk.key(Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(labels(desk), painted)
    kinds = [call[2] for call in desk.session.calls if call[0] == "commit"]
    assert kinds == [RecordKind.PATCH, RecordKind.UNDO, RecordKind.REDO]


def test_undo_changes_neither_tool_nor_class(desk: Desk) -> None:
    desk.key(Qt.Key.Key_3)
    desk.drag(STROKE)
    desk.key(Qt.Key.Key_E)
    tool, active = desk.window.area.view.tool_kind, desk.window.editing.active_class
    desk.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert desk.window.area.view.tool_kind is tool
    assert desk.window.editing.active_class == active == 2


def test_the_undo_stack_is_rebuilt_from_the_journal(desk: Desk) -> None:
    desk.drag(STROKE)
    desk.drag([(40.5, 20.5), (40.5, 40.5)])
    desk.window.editing.undo()
    painted = labels(desk).copy()
    # The window's own stacks are lost, as after a restart; the journal is not.
    desk.window.histories.forget_all()
    desk.bridge.show("image_01.png")
    desk.settle()
    desk.bridge.show("image_00.png")
    desk.settle()
    stack = desk.window.histories.active
    assert stack is not None
    # The session in memory tells the journal as it was read when the image was opened; the fake's is live.
    history = desk.session.disk["image_00.png"].history
    assert (len(history.done), len(history.undone)) == (1, 1)
    desk.window.histories.forget_all()
    desk.window.histories.activate("image_00.png", history.done, history.undone)
    stack = desk.window.histories.active
    assert stack is not None
    assert (stack.count(), stack.index()) == (2, 1)
    assert np.array_equal(labels(desk), painted)
    stack.redo()
    assert labels(desk)[40, 30] == 0
    stack.undo()
    stack.undo()
    assert (labels(desk) == UNLABELLED).all()
    assert not stack.canUndo()


def test_switching_images_keeps_each_undo_stack(desk: Desk) -> None:
    desk.drag(STROKE)
    desk.key(Qt.Key.Key_D)
    assert desk.session.current == "image_01.png"
    stack = desk.window.histories.active
    assert stack is not None
    assert stack.count() == 0
    desk.key(Qt.Key.Key_A)
    desk.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (labels(desk) == UNLABELLED).all()


def test_a_stroke_under_way_lands_on_the_image_it_was_painted_on(desk: Desk) -> None:
    desk.drag(STROKE, release=False)
    desk.window.review.next_image()
    desk.settle()
    assert (desk.session.disk["image_00.png"].annotation.label_map[20, 30]) == 0
    assert (desk.session.disk["image_01.png"].annotation.label_map == UNLABELLED).all()
    assert [call[1] for call in desk.session.calls if call[0] == "commit"] == ["image_00.png"]


def test_nothing_can_be_painted_before_the_new_image_is_shown(desk: Desk) -> None:
    desk.session.show("image_01.png")  # the event is not delivered yet
    desk.bridge.current_changing.emit()
    assert not desk.window.editing.begin(erase=False)
    assert "loading" in desk.window.status.hint.text()
    desk.settle()
    assert desk.window.editing.begin(erase=False)
    desk.window.editing.finish()


def test_enter_accepts_the_prediction_and_goes_on(desk: Desk) -> None:
    desk.session.predict("image_00.png", np.full((60, 80), 2, np.uint8))
    desk.settle()
    desk.key(Qt.Key.Key_Return)
    assert (desk.session.disk["image_00.png"].annotation.label_map == 2).all()
    assert desk.session.status_of("image_00.png") is ImageStatus.REVIEWED
    assert desk.session.current == "image_01.png"
    assert "1 of 3 reviewed" in desk.window.queue.summary.text()


def test_enter_without_prediction_and_paint_accepts_nothing(desk: Desk) -> None:
    desk.key(Qt.Key.Key_Return)
    assert desk.session.current == "image_00.png"
    assert desk.session.status_of("image_00.png") is ImageStatus.NEW
    assert "Nothing to accept" in desk.window.status.hint.text()


def test_space_accepts_the_region_under_the_cursor(desk: Desk) -> None:
    predicted = np.full((60, 80), 1, np.uint8)
    predicted[:, 40:] = 3
    desk.session.predict("image_00.png", predicted)
    desk.hover(30.5, 10.5)
    desk.key(Qt.Key.Key_Space)
    assert (labels(desk)[:, :40] == 1).all()
    assert (labels(desk)[:, 40:] == UNLABELLED).all()


def test_f_relabels_and_backspace_rejects_the_region_under_the_cursor(desk: Desk) -> None:
    desk.session.predict("image_00.png", np.full((60, 80), 1, np.uint8))
    desk.hover(30.5, 10.5)
    desk.key(Qt.Key.Key_4)
    desk.key(Qt.Key.Key_F)
    assert (labels(desk) == 3).all()
    desk.key(Qt.Key.Key_Backspace)
    assert (labels(desk) == UNLABELLED).all()


def test_the_rule_protects_painted_pixels_and_says_so(desk: Desk) -> None:
    desk.drag(STROKE)
    desk.key(Qt.Key.Key_2)
    desk.drag(STROKE)
    assert labels(desk)[20, 30] == 0
    assert "Press R" in desk.window.status.hint.text()
    desk.key(Qt.Key.Key_R)
    desk.drag(STROKE)
    assert labels(desk)[20, 30] == 1
    assert desk.window.area.strip.rule.text() == "over everything"


def test_the_first_stroke_is_painted_and_then_named(make_desk: MakeDesk) -> None:
    desk = make_desk(classes=ClassTable())
    desk.open()
    desk.drag(STROKE)
    assert labels(desk)[20, 30] == 0
    field = desk.window.area.field
    assert field.is_asking
    for letter in "road":
        desk.key(letter)
    assert field.line.text() == "road"
    desk.key(Qt.Key.Key_Return)
    assert desk.session.classes.names == ("road",)
    assert desk.session.current == "image_00.png"
    assert desk.window.editing.active_class == 0


def test_a_read_only_project_says_so_and_stays_as_it_is(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.bridge.open(desk.store.path.parent, read_only=True)
    desk.settle()
    assert "read-only" in desk.window.area.banner.text.text()
    assert desk.window.status.saved.text() == "read-only"
    desk.drag(STROKE)
    assert not [call for call in desk.session.calls if call[0] == "commit"]
    assert "read-only" in desk.window.status.hint.text()


def test_a_damaged_annotation_is_shown_with_its_reason(desk: Desk) -> None:
    desk.session.damaged["image_01.png"] = Problem(message="Labels of this image cannot be read.", hint="")
    desk.window.review.next_image()
    desk.settle()
    assert "cannot be read" in desk.window.area.banner.text.text()
    desk.drag(STROKE)
    assert "cannot be read" in desk.window.status.hint.text()
    desk.window.review.next_image()
    desk.settle()
    assert desk.window.area.banner.isHidden()


def test_an_unreadable_image_leaves_the_others_usable(desk: Desk) -> None:
    desk.session.failing["image_01.png"] = Problem(message="“image_01.png” is empty.", hint="Copy it again.")
    desk.window.review.next_image()
    desk.settle()
    assert desk.window.area.view.image_size is None
    assert "is empty" in desk.window.area.banner.text.text()
    desk.key(Qt.Key.Key_D)
    assert desk.window.area.view.image_size == (60, 80)
    assert len(desk.window.notices.notices) == 1
    assert desk.window.notices.notices[0].count == 1


def test_many_unreadable_images_are_one_notice(desk: Desk) -> None:
    for name in ("image_00.png", "image_01.png", "image_00.png", "image_02.png"):
        problem = Problem(message=f"“{name}” is empty.", hint="Copy it again.")
        desk.session.emit(ImageFailed(image_id=name, problem=problem))
    desk.settle()
    (notice,) = desk.window.notices.notices
    assert notice.text == "3 images cannot be read: image_00.png, image_01.png, image_02.png."
    assert notice.count == 1
    assert "“image_01.png” is empty. Copy it again." in notice.report
    assert "Open a folder" not in desk.window.status.hint.text()


def test_images_that_can_be_read_again_are_shown_again(desk: Desk) -> None:
    gone = Problem(message="Its folder is gone.", hint="Connect the drive again.")
    desk.session.failing |= {"image_01.png": gone, "image_02.png": gone}
    desk.window.review.next_image()
    desk.settle()
    desk.window.review.next_image()
    desk.settle()
    desk.session.failing.clear()
    desk.session.emit(WriteRecovered(target="strokes"))
    desk.settle()
    assert desk.window.area.view.image_size == (60, 80)
    assert desk.window.area.banner.isHidden()
    (notice,) = desk.window.notices.notices
    assert notice.text == "Its folder is gone."
    desk.window.review.previous_image()
    desk.settle()
    assert desk.window.notices.notices == ()
    model = desk.window.queue.model
    assert model.data(model.index(1), PROBLEM_ROLE) == ""


def test_the_class_under_a_resting_pointer_follows_the_prediction(desk: Desk, qtbot: QtBot) -> None:
    desk.hover(20.5, 20.5)
    status = desk.window.status
    qtbot.waitUntil(lambda: status.class_name.text() == "unlabelled", timeout=60_000)
    desk.session.predict("image_00.png", np.full((60, 80), 3, np.uint8))
    qtbot.waitUntil(lambda: status.class_name.text() == "tree", timeout=60_000)


def test_painting_what_is_hidden_says_so(desk: Desk) -> None:
    desk.key(Qt.Key.Key_T)
    desk.drag([(20.5, 20.5), (20.5, 40.5)])
    assert "T shows them" in desk.window.status.hint.text()


def test_the_side_note_makes_room_for_a_notice(desk: Desk) -> None:
    area = desk.window.area
    assert area.side_note.isVisible()
    area.resize(700, 600)
    desk.window.notices.post("cause", "Something happened that needs a line or two to be told.")
    desk.settle()
    assert not area.card.geometry().intersects(area.side_note.geometry())
    area.card.hide()
    assert area.side_note.y() < area.card.height()


def test_erasing_shows_the_prediction_again(desk: Desk) -> None:
    desk.drag(STROKE)
    desk.key(Qt.Key.Key_E)
    desk.drag(STROKE)
    assert (labels(desk) == UNLABELLED).all()


def test_escape_takes_a_stroke_under_way_back(desk: Desk) -> None:
    desk.drag(STROKE, release=False)
    assert labels(desk)[20, 30] == 0
    desk.key(Qt.Key.Key_Escape)
    assert (labels(desk) == UNLABELLED).all()
    assert not [call for call in desk.session.calls if call[0] == "commit"]


def test_all_reviewed_says_what_comes_next(desk: Desk) -> None:
    for image_id in desk.session.order:
        desk.bridge.set_reviewed(image_id, True)
    desk.key(Qt.Key.Key_N)
    assert "Ctrl+E" in desk.window.status.hint.text()
