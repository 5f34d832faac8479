"""Panels, dialogs, opening, closing and telling, through the window."""

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from app.bridge import Bridge, signal_of
from app.dialogs.delete_class import DeleteClassDialog
from app.panels.class_model import ROW_HEIGHT, parts
from app.panels.queue_model import QueueModel, Shown
from app.widgets.notices import Level
from engine.annotate.classes import ClassTable
from engine.errors import ProjectError, ProjectLockedError
from engine.messages import (
    Event,
    Problem,
    StepsDone,
    WriteFailed,
    WriteRecovered,
)
from engine.project.manifest import ImageRecord, ImageStatus
from tests.support.fake_session import CLASSES, pictures
from tests.support.window import Desk, MakeDesk

pytestmark = pytest.mark.gui

STROKE = [(20.5, 20.5), (20.5, 40.5)]
FULL = Problem(message="The disk is full.", hint="Free some space.")


# --- bridge


def test_every_event_has_a_signal() -> None:
    bridge = Bridge()
    missing = [kind.__name__ for kind in Event.__args__ if not hasattr(signal_of(bridge, kind), "emit")]
    assert missing == []


def test_events_of_a_closed_session_are_dropped(desk: Desk) -> None:
    old = desk.session
    desk.window.opening.close_folder()
    heard: list[object] = []
    desk.bridge.steps_done.connect(heard.append)
    old.emit(StepsDone(step=1, losses={"ce": 1.0}, steps_per_second=1.0, learning_rate=0.1))
    desk.settle()
    assert heard == []
    assert desk.window.pages.currentWidget() is desk.window.start


# --- saving and closing


def test_the_saved_mark_tells_saving_failing_and_recovering(desk: Desk) -> None:
    status = desk.window.status
    assert status.saved.text() == "saved"
    desk.session.holds_writes = True
    desk.drag(STROKE)
    assert status.saved.text() == "saving…"
    for _ in range(3):
        desk.session.emit(WriteFailed(target="image_00.png", problem=FULL))
    desk.settle()
    assert status.saved.text().startswith("not saved since ")
    assert [notice.count for notice in desk.window.notices.notices] == [3]
    assert "disk is full" in desk.window.area.card.notice.sentence
    desk.session.save_problem = None
    desk.session.pending = 0
    desk.session.emit(WriteRecovered(target="image_00.png"))
    desk.settle()
    assert status.saved.text() == "saved"
    assert desk.window.notices.notices == ()


def test_closing_waits_asks_and_can_be_given_up(desk: Desk) -> None:
    buttons = QMessageBox.StandardButton
    desk.session.flush_answers = [False, False]
    desk.answers.given["unsaved"] = [buttons.Retry, buttons.Cancel]
    assert not desk.window.close()
    assert desk.answers.asked == ["unsaved", "unsaved"]
    assert not desk.session.closed
    assert desk.bridge.session is not None


def test_closing_anyway(desk: Desk) -> None:
    desk.session.flush_answers = [False]
    desk.answers.given["unsaved"] = QMessageBox.StandardButton.Discard
    assert desk.window.close()
    assert desk.session.closed


def test_layout_and_brush_are_remembered(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.open()
    desk.window.docks["queue"].hide()
    desk.window.area.view.set_brush_radius(33.0)
    desk.window.close()
    other = make_desk()
    other.open()
    assert other.store.value.layout
    assert other.window.area.view.brush_radius == pytest.approx(33.0)


# --- opening


def test_a_locked_folder_that_nobody_wants_to_look_at_is_no_error(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.opener.errors.append(ProjectLockedError("Another window works on it.", "Close it there."))
    desk.answers.given["open_read_only"] = False
    assert not desk.window.opening.open(Path("/fake/images"))
    assert desk.answers.asked == ["open_read_only"]
    assert desk.window.notices.notices == ()


def test_what_is_under_the_pointer_is_named_in_a_read_only_project(make_desk: MakeDesk, qtbot: QtBot) -> None:
    desk = make_desk()
    session = desk.open()
    desk.key(Qt.Key.Key_3)
    desk.drag(STROKE)
    session.project.read_only = True
    session.project.read_only_reason = "another window works on it."
    desk.bridge.session_changed.emit()
    desk.bridge.show("image_00.png")
    desk.settle()
    desk.hover(20.5, 20.5)
    qtbot.waitUntil(lambda: desk.window.status.class_name.text() == "road", timeout=60_000)
    assert "nothing can be changed" in desk.window.status.hint.text()


def test_a_locked_folder_can_be_opened_to_look(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.opener.errors.append(ProjectLockedError("Another window works on it.", "Close it there."))
    desk.answers.given["open_read_only"] = True
    desk.open()
    assert [read_only for _, read_only, _ in desk.opener.opened] == [False, True]
    assert desk.session.read_only


@pytest.mark.logs_allowed
def test_a_folder_that_is_gone_is_told_once_and_forgotten(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk()
    gone = tmp_path / "gone"
    desk.store.remember_folder(gone)
    desk.opener.errors.append(ProjectError("“gone” does not exist.", "Choose another folder."))
    assert not desk.window.opening.open(gone)
    assert desk.store.value.recent == ()
    assert desk.window.pages.currentWidget() is desk.window.start
    assert desk.answers.asked == ["details: “gone” does not exist."]


def test_recent_folders_open_by_one_click(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.store.remember_folder(Path("/fake/first"))
    desk.store.remember_folder(Path("/fake/second"))
    desk.window.start.set_recent(desk.store.value.recent)
    desk.window.start.recent_buttons[1].click()
    desk.settle()
    assert desk.session.folder == Path("/fake/first")
    assert desk.store.value.recent[0] == "/fake/first"


def test_the_folder_button_opens_what_was_chosen(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk()
    desk.answers.given["folder"] = tmp_path
    desk.window.start.open_button.click()
    desk.settle()
    assert desk.session.folder == tmp_path


def test_drops_of_folders_images_and_class_lists(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk()
    names = tmp_path / "classes.txt"
    names.write_text("river\nbank\n", encoding="utf-8")
    (tmp_path / "image_01.png").write_bytes(b"x")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    assert desk.window.opening.can_take(data)
    desk.window.opening.take_dropped([tmp_path, names])
    desk.settle()
    assert desk.session.folder == tmp_path
    assert {"river", "bank"} <= set(desk.session.classes.names)
    desk.window.opening.take_dropped([tmp_path / "image_01.png"])
    desk.settle()
    assert desk.session.current == "image_01.png"
    assert len(desk.opener.sessions) == 1
    data.setUrls([QUrl("https://example.org/x.png")])
    assert not desk.window.opening.can_take(data)


def test_a_class_list_and_masks_in_a_new_folder_are_found(make_desk: MakeDesk, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("river\nbank\n", encoding="utf-8")
    (tmp_path / "masks").mkdir()
    desk = make_desk(classes=ClassTable())
    desk.open(tmp_path)
    assert desk.session.classes.names == ("river", "bank")
    assert desk.window.editing.active_class == 0
    told = " ".join(notice.sentence for notice in desk.window.notices.notices)
    assert "2 classes were read" in told
    assert "Ctrl+I" in told


def test_classes_of_a_read_only_project_stay(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.bridge.open(Path("/fake/images"), read_only=True)
    desk.window.classes.rename(0, "other")
    assert desk.session.classes.names == CLASSES.names
    assert "read-only" in desk.window.notices.notices[0].text


def test_an_empty_folder_says_so(make_desk: MakeDesk) -> None:
    desk = make_desk(images={})
    desk.open()
    assert "No images" in desk.window.notices.notices[0].text
    assert "No images" in desk.window.queue._empty.text()


# --- queue


def test_the_queue_filters_and_counts(desk: Desk) -> None:
    desk.bridge.set_reviewed("image_01.png", True)
    queue = desk.window.queue
    for shown, rows in ((Shown.UNREVIEWED, 2), (Shown.REVIEWED, 1), (Shown.ALL, 3)):
        queue.filter.setCurrentIndex(list(Shown).index(shown))
        assert queue.model.rowCount() == rows
    assert queue.summary.text() == "1 of 3 reviewed"


def test_the_queue_asks_only_for_thumbnails_that_are_seen(make_desk: MakeDesk, qtbot: QtBot) -> None:
    desk = make_desk(images=dict.fromkeys([f"{n:04}.png" for n in range(2000)], pictures(1)["image_00.png"]))
    asked: list[str] = []
    desk.window.queue.model.thumbnails_wanted.connect(asked.extend)
    desk.open()
    qtbot.waitUntil(lambda: len(asked) > 0, timeout=60_000)
    assert 0 < len(set(asked)) < 60


def test_a_click_in_the_queue_shows_the_image(desk: Desk) -> None:
    view = desk.window.queue.view
    place = view.visualRect(desk.window.queue.model.index(2)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    desk.settle()
    assert desk.session.current == "image_02.png"


def test_queue_model_words_say_what_colour_says() -> None:
    model = QueueModel()
    model.set_records([ImageRecord(image_id="a.png", status=ImageStatus.REVIEWED, size=(3, 4))])
    assert model.data(model.index(0), Qt.ItemDataRole.ToolTipRole) == "a.png: reviewed, 4 × 3"
    model.set_problem("a.png", "it is empty")
    assert "it is empty" in model.data(model.index(0), Qt.ItemDataRole.ToolTipRole)


# --- classes


def test_classes_are_added_renamed_hidden_locked_and_moved(desk: Desk) -> None:
    panel = desk.window.classes
    panel.add_line.setText("river")
    panel.add_line.returnPressed.emit()
    panel.model.setData(panel.model.index(0), "heaven")
    panel.toggle_hidden(1)
    panel.toggle_locked(2)
    panel.model.move_wanted.emit(4, 0)
    classes = desk.session.classes
    assert classes.names == ("river", "heaven", "building", "road", "tree")
    assert classes.indices == (4, 0, 1, 2, 3)
    hidden, locked = classes.by_index(1), classes.by_index(2)
    assert hidden is not None
    assert hidden.hidden
    assert locked is not None
    assert locked.locked
    assert panel.model.row_of(4) == 0


def test_a_name_in_use_is_told_and_changes_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.window.classes.rename(0, "road")
    assert desk.session.classes.names == CLASSES.names
    assert desk.window.notices.notices[0].level is Level.BAD


def test_eye_and_lock_take_clicks(desk: Desk) -> None:
    view = desk.window.classes.view
    rect = view.visualRect(desk.window.classes.model.index(1))
    for name in ("eye", "lock"):
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=parts(rect)[name].center())
        desk.settle()
    spec = desk.session.classes.by_index(1)
    assert spec is not None
    assert spec.hidden
    assert spec.locked
    assert rect.height() == ROW_HEIGHT


def test_dragging_a_class_asks_for_another_order(desk: Desk) -> None:
    model = desk.window.classes.model
    moved: list[tuple[int, int]] = []
    model.move_wanted.connect(lambda index, to: moved.append((index, to)))
    data = model.mimeData([model.index(0)])
    assert not model.dropMimeData(data, Qt.DropAction.MoveAction, 3, 0, model.index(-1))
    assert moved == [(0, 2)]
    assert desk.session.classes.names == ("building", "road", "sky", "tree")


def test_shares_count_annotation_over_prediction(desk: Desk) -> None:
    predicted = np.full((60, 80), 1, np.uint8)
    desk.session.predict("image_00.png", predicted)
    desk.drag([(30.5, 0.5), (30.5, 79.5)])
    desk.window.classes.count_shares()
    model = desk.window.classes.model
    annotation = desk.session.annotation
    assert annotation is not None
    painted = float((annotation.label_map == 0).mean())
    assert model._shares[0] == pytest.approx(painted)
    assert model._shares[1] == pytest.approx(1 - painted)


def test_delete_asks_unlabelled_or_merge(desk: Desk) -> None:
    dialog = DeleteClassDialog(CLASSES, 1, desk.window)
    assert dialog.decision().merge_into is None
    dialog.merge.setChecked(True)
    dialog.target.setCurrentIndex(1)
    assert dialog.decision().merge_into == 2
    desk.bridge.delete_class(1, 2)
    assert desk.session.calls[-1] == ("delete_class", 1, 2)


def test_the_context_menu_of_a_class(desk: Desk) -> None:
    panel = desk.window.classes
    menu = panel.menu_for(panel.model.index(0))
    texts = [action.text() for action in menu.actions() if action.text()]
    assert texts == ["Rename", "Colour…", "Hide", "Lock", "Move up", "Move down", "Delete…"]
    next(action for action in menu.actions() if action.text() == "Move down").trigger()
    assert desk.session.classes.names[1] == "sky"
    menu.deleteLater()
