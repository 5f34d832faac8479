"""Panels, dialogs, opening, closing and telling, through the window."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS, Act
from app.bridge import Bridge, signal_of
from app.dialogs.commands import CommandPalette, rank
from app.dialogs.delete_class import DeleteClassDialog
from app.dialogs.export import ExportDialog
from app.dialogs.import_masks import ImportDialog
from app.dialogs.notices import NoticesDialog
from app.dialogs.preferences import PreferencesDialog
from app.dialogs.problem import ProblemDialog, crash_dialog
from app.dialogs.shortcuts import ShortcutSheet
from app.panels.class_model import ROW_HEIGHT, parts
from app.panels.queue_model import QueueModel, Shown
from app.panels.training import short_name
from app.theme import Theme
from app.widgets.notices import Level
from engine.annotate.classes import ClassTable
from engine.catalog import PRESETS
from engine.errors import ProjectError, ProjectLockedError
from engine.exchange.mask_files import MaskKind
from engine.exchange.mask_preview import ImportPreview, MatchedMask
from engine.learn.checkpoint_files import CheckpointInfo
from engine.messages import (
    CheckpointSaved,
    EvaluationDone,
    Event,
    NetworkOpened,
    Problem,
    Progress,
    StateChanged,
    StepsDone,
    WorkerState,
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
    qtbot.waitUntil(lambda: len(asked) > 0, timeout=3000)
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


# --- training


def test_training_is_refused_with_a_reason_then_starts_and_stops(desk: Desk) -> None:
    strip = desk.window.training
    assert not strip.button.isEnabled()
    assert "Paint a little" in strip.reason.text()
    desk.key(Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert ("start_training",) not in desk.session.calls
    assert "Paint a little" in desk.window.status.hint.text()
    desk.session.refusal = None
    desk.drag(STROKE)
    assert strip.button.isEnabled()
    assert strip.state.text() == "Ready to train"
    desk.key(Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert strip.button.text() == "Stop training"
    desk.key(Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert strip.button.text() == "Start training"
    assert strip.reason.text() == "Stopped by you at step 10."


def test_the_strip_shows_what_the_worker_says(desk: Desk) -> None:
    strip = desk.window.training
    emit = desk.session.emit
    emit(NetworkOpened(title="Tiny", parameters=1000, device="CPU", checkpoint=None))
    emit(StepsDone(step=1200, losses={"ce": 0.5, "aux": 0.25}, steps_per_second=4.0, learning_rate=1e-3))
    for step, miou in ((600, 0.5), (1200, 0.75)):
        emit(EvaluationDone(step=step, miou=miou, iou_per_class={"sky": None}, pixel_accuracy=0.9, images=2))
    emit(CheckpointSaved(path="/p/step-00001200_miou-0.75.pt", step=1200, miou=0.75, is_best=True))
    desk.settle()
    assert (strip.step.text(), strip.loss.text(), strip.speed.text()) == ("1,200", "0.750", "0.25 s/step")
    assert strip.score.text() == "0.75 (+0.25)"
    assert strip.checkpoint.text() == "step 1,200"
    assert strip.chart.scores == strip.spark.scores == ((600.0, 0.5), (1200.0, 0.75))
    emit(Progress(task="Exporting", done=1, total=3))
    desk.settle()
    assert not strip.progress.isHidden()
    emit(Progress(task="Exporting", done=3, total=3))
    desk.settle()
    assert strip.progress.isHidden()
    emit(StateChanged(state=WorkerState.FAULTED, problem=FULL))
    desk.settle()
    assert strip.state.text() == "Stopped by an error"


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/step-00000012_miou-0.5.pt", "step 12"), ("mine_step-00000012.pt", "mine"), ("x.pt", "x")],
)
def test_checkpoints_have_short_names(path: str, name: str) -> None:
    assert short_name(path) == name


def test_details_load_checkpoints_and_change_the_network(desk: Desk) -> None:
    info = CheckpointInfo(path=Path("/p/a.pt"), name="a", step=5, miou=None, saved_at=0.0, is_best=True)
    desk.session.known_checkpoints = (info,)
    desk.window.actions_table[Act.TRAINING_DETAILS].trigger()
    desk.settle()
    details = desk.window.details
    assert details.checkpoints.rowCount() == 1
    details.checkpoints.selectRow(0)
    details.load_button.click()
    assert desk.session.calls[-1] == ("load_checkpoint", Path("/p/a.pt"))
    row = next(row for row, preset in enumerate(PRESETS) if preset.network != desk.session.network)
    details.network.preset.setCurrentIndex(row)
    details.network.preset.activated.emit(row)
    details.network.apply_button.click()
    assert desk.session.network == PRESETS[row].network


# --- dialogs


def test_export_says_why_not_and_what(desk: Desk, tmp_path: Path) -> None:
    dialog = ExportDialog(desk.session, "", desk.window)
    assert not dialog.accept_button.isEnabled()
    dialog.fill.setChecked(True)
    assert dialog.accept_button.isEnabled()
    dialog.folder.setText(str(desk.session.folder))
    assert "another folder" in dialog.warning.text()
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.format.setCurrentIndex(1)
    choice = dialog.choice()
    assert (choice.format_name, choice.folder, choice.fill_with_prediction) == (
        "coco",
        tmp_path / "out",
        True,
    )
    assert dialog.legend.rowCount() == 5
    assert not dialog.picture.pixmap().isNull()
    dialog.deleteLater()


def test_import_shows_the_mapping_and_returns_it(desk: Desk, tmp_path: Path, qtbot: QtBot) -> None:
    preview = ImportPreview(
        folder=tmp_path,
        found=2,
        matched=(MatchedMask(image_id="image_00.png", path=tmp_path / "a.png", size=(60, 80)),),
        unmatched=(tmp_path / "b.png",),
        without_mask=(),
        problems=(),
        kind=MaskKind.IDS,
        values={0: 100, 7: 50, 255: 10},
        mapping={0: 0, 7: 2, 255: 255},
        ignore=255,
        unknown=(7,),
        classes=CLASSES,
    )
    desk.session.preview_import = lambda folder: preview
    dialog = ImportDialog(desk.session, tmp_path, desk.window)
    qtbot.waitUntil(lambda: dialog.preview is not None, timeout=3000)
    assert "Found 2 masks, 1 fit an image" in dialog.summary.text()
    assert "255 looks like" in dialog.summary.text()
    assert "belong to no image" in dialog.problems.text()
    assert dialog.mapping() == {0: 0, 7: 2, 255: 255}
    dialog._choices[1][1].setCurrentIndex(0)
    assert dialog.mapping()[7] == 255
    dialog.close()


def test_preferences_change_theme_and_wheel(desk: Desk) -> None:
    dialog = PreferencesDialog(desk.store, desk.window)
    dialog.theme.setCurrentIndex(list(Theme).index(Theme.LIGHT))
    dialog.wheel_scrolls.setChecked(True)
    changes = dialog.changes()
    assert changes["theme"] is Theme.LIGHT
    assert changes["wheel_scrolls"]
    dialog.deleteLater()


def test_the_command_palette_finds_and_does(desk: Desk) -> None:
    palette = CommandPalette(desk.window.intentions.commands(), desk.window)
    palette.line.setText("class tree")
    assert palette.list.item(0).text() == "Class: tree"
    palette.line.returnPressed.emit()
    assert desk.window.editing.active_class == 3
    palette.line.setText("")
    palette.show()
    for key, row in (
        (Qt.Key.Key_Down, 1),
        (Qt.Key.Key_PageDown, 9),
        (Qt.Key.Key_Up, 8),
        (Qt.Key.Key_PageUp, 0),
    ):
        QTest.keyClick(palette.line, key)
        assert palette.list.currentRow() == row
    assert not palette.grab().isNull()
    palette.line.setText("zzzz")
    assert "Nothing fits" in palette.list.item(0).text()
    palette.deleteLater()


def test_commands_rank_by_where_the_word_stands(desk: Desk) -> None:
    commands = {command.text: command for command in desk.window.intentions.commands()}
    assert rank("undo", commands["Undo"]) == 0
    assert rank("image", commands["Fit image"]) == 1
    assert rank("corners", commands["Polygon"]) == 2
    assert rank("zebra", commands["Polygon"]) is None


def test_sheets_and_lists_show_everything(desk: Desk) -> None:
    desk.window.notices.post("x", "Something.", level=Level.WARN, report="trace")
    assert desk.window.status.bell.text().strip() == "1"
    dialogs = [
        ShortcutSheet(ACTIONS, desk.window),
        NoticesDialog(desk.window.notices, desk.look, desk.window),
        ProblemDialog("What", "Do", "trace", desk.window),
        crash_dialog("ValueError: x", "trace", "/log/crash.txt", desk.window),
    ]
    for dialog in dialogs:
        dialog.show()
        desk.settle()
        assert dialog.isVisible()
        dialog.close()
        dialog.deleteLater()
    assert desk.window.status.bell.text() == ""


def test_notices_of_one_cause_count_up_and_never_stack(desk: Desk) -> None:
    for _ in range(3):
        desk.window.notices.post("disk", "The disk is slow.")
    assert len(desk.window.notices.notices) == 1
    assert desk.window.area.card.notice is not None
    assert "(×3)" in desk.window.area.card.notice.sentence


def test_reset_layout_brings_panels_back(desk: Desk) -> None:
    desk.window.docks["classes"].hide()
    desk.window.actions_table[Act.RESET_LAYOUT].trigger()
    assert not desk.window.docks["classes"].isHidden()


def test_the_pointer_tells_place_and_class(desk: Desk) -> None:
    desk.drag(STROKE)
    desk.hover(20.5, 30.5)
    assert desk.window.status.position.text() == "20, 30"
    assert desk.window.status.class_name.text() == "sky"
    desk.hover(50.5, 70.5)
    assert desk.window.status.class_name.text() == "unlabelled"


def test_deleted_classes_and_imports_read_the_image_again(desk: Desk) -> None:
    from engine.messages import ClassDeleted

    desk.drag(STROKE)
    shows = len([call for call in desk.session.calls if call[0] == "show"])
    desk.session.project.manifest = replace(desk.session.manifest, classes=ClassTable().add("only"))
    desk.session.emit(ClassDeleted(index=1, merge_into=None))
    desk.settle()
    assert len([call for call in desk.session.calls if call[0] == "show"]) == shows + 1
    assert desk.window.classes.model.rowCount() == 1
    assert desk.window.area.strip.pos() != QPoint(0, 0)
