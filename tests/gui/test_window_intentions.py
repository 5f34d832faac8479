"""What actions do that open a dialog, and the questions themselves: dialogs are answered from a timer."""

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import QDialog, QMenu
from pytestqt.qtbot import QtBot

from app.actions import Act
from app.dialogs.about import AboutDialog
from app.dialogs.export import ExportDialog
from app.dialogs.import_masks import ImportDialog
from app.dialogs.preferences import PreferencesDialog
from app.panels.log import LogPanel
from app.theme import Theme
from engine.annotate.classes import UNLABELLED
from engine.errors import ExchangeError
from engine.exchange.mask_files import MaskKind
from engine.exchange.mask_preview import ImportPreview, MatchedMask
from engine.messages import (
    CommandFailed,
    MasksImported,
    NetworkOpened,
    Notice,
    Problem,
    StateChanged,
    TrainingStopped,
    WorkerState,
)
from engine.project.manifest import ImageStatus
from tests.support.fake_session import CLASSES
from tests.support.window import Desk, answer_next, trigger

pytestmark = pytest.mark.gui

STROKE = [(20.5, 20.5), (20.5, 40.5)]
ROOT = Path(__file__).parents[2]


def test_export_writes_where_and_how_it_was_said(desk: Desk, tmp_path: Path) -> None:
    desk.drag(STROKE)

    def fill(dialog: ExportDialog) -> None:
        dialog.folder.setText(str(tmp_path / "out"))
        dialog.fill.setChecked(True)
        dialog.accept()

    answer_next(ExportDialog, fill)
    trigger(desk, Act.EXPORT)
    assert ("export", "png", tmp_path / "out", True) in desk.session.calls
    assert desk.store.value.export_folder == str(tmp_path / "out")
    again = ExportDialog(desk.session, desk.store.value.export_folder, desk.window)
    assert again.folder.text() == str(tmp_path / "images-masks")  # never over another folder's export
    assert "3 files written" in desk.window.notices.notices[0].text


def test_import_takes_the_mapping_over(desk: Desk, tmp_path: Path) -> None:
    preview = ImportPreview(
        folder=tmp_path,
        found=1,
        matched=(
            MatchedMask(
                image_id="image_00.png", path=tmp_path / "a.png", size=(60, 80), values=frozenset({0})
            ),
        ),
        unmatched=(),
        without_mask=(),
        problems=(),
        kind=MaskKind.COLORS,
        values={(255, 0, 0): 9},
        mapping={(255, 0, 0): 1},
        ignore=None,
        unknown=(),
        classes=CLASSES,
    )
    taken: list[object] = []
    desk.session.preview_import = lambda folder: preview
    desk.session.import_masks = lambda found, mapping: taken.append(mapping)
    desk.answers.given["folder"] = tmp_path
    answer_next(ImportDialog, lambda dialog: dialog._question.join() or QTimer.singleShot(50, dialog.accept))
    trigger(desk, Act.IMPORT_MASKS)
    assert taken == [{(255, 0, 0): 1}]


def test_an_import_that_finds_nothing_says_why(desk: Desk, tmp_path: Path, qtbot: QtBot) -> None:
    def nothing(folder: Path) -> None:
        raise ExchangeError("No masks here.", hint="Choose another folder.")

    desk.session.preview_import = nothing
    dialog = ImportDialog(desk.session, tmp_path, desk.window)
    qtbot.waitUntil(lambda: "No masks here." in dialog.summary.text(), timeout=60_000)
    assert not dialog.accept_button.isEnabled()
    dialog.close()


def test_preferences_take_effect_at_once(desk: Desk) -> None:
    def choose(dialog: PreferencesDialog) -> None:
        dialog.theme.setCurrentIndex(list(Theme).index(Theme.LIGHT))
        dialog.wheel_scrolls.setChecked(True)
        dialog.side_note.setChecked(False)
        dialog.accept()

    answer_next(PreferencesDialog, choose)
    trigger(desk, Act.PREFERENCES)
    assert desk.look.theme is Theme.LIGHT
    assert not desk.window.area.view.wheel_zooms
    assert desk.window.area.side_note.isHidden()


@pytest.mark.parametrize("act", [Act.SHORTCUTS, Act.COMMANDS, Act.NOTICES, Act.ABOUT])
def test_sheets_open_and_close(desk: Desk, act: Act) -> None:
    seen: list[str] = []
    answer_next(QDialog, lambda dialog: seen.append(dialog.windowTitle()) or dialog.reject())
    trigger(desk, act)
    assert len(seen) == 1


def test_about_names_what_it_stands_on(qtbot: QtBot) -> None:
    from PySide6.QtWidgets import QPlainTextEdit

    dialog = AboutDialog()
    qtbot.addWidget(dialog)
    assert "PySide6" in dialog.findChildren(QPlainTextEdit)[0].toPlainText()


def test_saving_now_waits_and_tells(desk: Desk) -> None:
    trigger(desk, Act.SAVE_NOW)
    assert "on disk" in desk.window.status.hint.text()
    desk.session.flush_answers = [False]
    trigger(desk, Act.SAVE_NOW)
    assert "saving goes on" in desk.window.status.hint.text()


def test_checkpoints_get_the_name_that_was_typed(desk: Desk) -> None:
    desk.answers.given["checkpoint_name"] = ["good one", None]
    trigger(desk, Act.SAVE_CHECKPOINT)
    trigger(desk, Act.SAVE_CHECKPOINT)
    assert [call for call in desk.session.calls if call[0] == "save_checkpoint"] == [
        ("save_checkpoint", "good one")
    ]


def test_class_lists_are_loaded_by_button(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "list.txt"
    path.write_text("255 0 0 road\nriver\n", encoding="utf-8")
    desk.answers.given["class_file"] = [path, tmp_path / "missing.txt", None]
    for _ in range(3):
        trigger(desk, Act.LOAD_CLASSES)
    road = desk.session.classes.by_name("road")
    assert road is not None
    assert road.color == (255, 0, 0)
    assert desk.session.classes.names[-1] == "river"
    assert "missing.txt" in desk.window.notices.notices[0].text


def test_lock_clear_and_void(desk: Desk) -> None:
    annotation = desk.session.annotation
    assert annotation is not None
    desk.drag(STROKE)
    trigger(desk, Act.LOCK_CLASS)
    spec = desk.session.classes.by_index(0)
    assert spec is not None
    assert spec.locked
    trigger(desk, Act.CLEAR_IMAGE)
    assert annotation.label_map[20, 30] == 0
    trigger(desk, Act.LOCK_CLASS)
    trigger(desk, Act.CLEAR_IMAGE)
    assert (annotation.label_map == UNLABELLED).all()
    desk.session.predict("image_00.png", np.full((60, 80), 1, np.uint8))
    desk.hover(30.5, 30.5)
    trigger(desk, Act.VOID_REGION)
    assert (annotation.label_map == 254).all()


def test_tools_and_brush_follow_their_actions(desk: Desk) -> None:
    view = desk.window.area.view
    for act, name in (
        (Act.TOOL_POLYGON, "polygon"),
        (Act.TOOL_PICK, "pick"),
        (Act.TOOL_FILL, "fill"),
        (Act.TOOL_MOVE, "move"),
        (Act.TOOL_BRUSH, "brush"),
    ):
        trigger(desk, act)
        assert view.tool_kind.value == name
        assert desk.window.actions_table[act].isChecked()
    before = view.brush_radius
    trigger(desk, Act.BRUSH_LARGER)
    assert view.brush_radius > before
    trigger(desk, Act.BRUSH_SMALLER)
    assert view.brush_radius == pytest.approx(before)


def test_polygon_fill_and_pick_through_the_host(desk: Desk) -> None:
    edit = desk.window.editing
    annotation = desk.session.annotation
    assert annotation is not None
    edit.polygon([(10, 10), (10, 50), (40, 50), (40, 10)], erase=False)
    assert annotation.label_map[20, 20] == 0
    edit.choose_class(2)
    edit.set_rule(desk.window.editing.rule.EVERYTHING)
    edit.relabel(20.5, 20.5, erase=False)
    assert annotation.label_map[20, 20] == 2
    edit.choose_class(0)
    edit.pick(20.5, 20.5)
    assert edit.active_class == 2
    edit.pick(1.5, 1.5)
    assert "No class here" in desk.window.status.hint.text()
    edit.polygon([(10, 10), (10, 50), (40, 50), (40, 10)], erase=True)
    assert annotation.label_map[20, 20] == UNLABELLED
    stack = desk.window.histories.active
    assert stack is not None
    assert [stack.text(row) for row in range(stack.count())] == ["polygon", "relabel region", "polygon"]


def test_nothing_to_undo_is_a_sentence_only(desk: Desk) -> None:
    trigger(desk, Act.UNDO)
    assert "Nothing to undo" in desk.window.status.hint.text()
    trigger(desk, Act.REDO)
    assert "Nothing to redo" in desk.window.status.hint.text()
    trigger(desk, Act.SWAP_CLASS)
    assert "No other class" in desk.window.status.hint.text()


def test_going_past_the_ends_is_a_sentence_only(desk: Desk) -> None:
    trigger(desk, Act.PREVIOUS_IMAGE)
    assert "first image" in desk.window.status.hint.text()
    desk.bridge.show("image_02.png")
    desk.settle()
    trigger(desk, Act.NEXT_IMAGE)
    assert "last image" in desk.window.status.hint.text()
    trigger(desk, Act.TOGGLE_REVIEWED)
    assert desk.session.status_of("image_02.png") is ImageStatus.REVIEWED
    trigger(desk, Act.PREVIOUS_UNREVIEWED)
    assert desk.session.current == "image_01.png"


def test_full_screen_and_back(desk: Desk) -> None:
    handle, action = desk.window.windowHandle(), desk.window.actions_table[Act.FULL_SCREEN]
    trigger(desk, Act.FULL_SCREEN)
    assert handle.windowStates() == Qt.WindowState.WindowFullScreen
    assert action.isChecked()
    trigger(desk, Act.FULL_SCREEN)
    assert handle.windowStates() == Qt.WindowState.WindowNoState
    assert not desk.window.isFullScreen()
    assert not action.isChecked()


def test_the_side_note_is_closed_for_good(desk: Desk) -> None:
    assert not desk.window.area.side_note.isHidden()
    desk.window.area.side_note._close()
    assert not desk.store.value.show_side_note


def test_the_context_menu_acts_on_the_region(desk: Desk) -> None:
    desk.session.predict("image_00.png", np.full((60, 80), 1, np.uint8))
    desk.settle()
    desk.window.area.view.context_menu_requested.emit(QPoint(5, 5), (20.5, 20.5))
    menu = next(menu for menu in desk.window.findChildren(QMenu) if menu.isVisible())
    next(action for action in menu.actions() if action.text() == "Accept region").trigger()
    annotation = desk.session.annotation
    assert annotation is not None
    assert (annotation.label_map == 1).all()
    menu.close()


def test_what_the_engine_tells_ends_up_where_it_belongs(desk: Desk) -> None:
    emit = desk.session.emit
    emit(Notice(text="Training uses smaller windows."))
    emit(CommandFailed(command="Export", problem=Problem(message="The disk is full.", hint="Free space.")))
    emit(
        MasksImported(labelled={"a": (1,)}, sizes={"a": (1, 1)}, revisions={"a": 1}, notes=("One left out.",))
    )
    emit(NetworkOpened(title="T", parameters=1, device="CPU", checkpoint=None, notices=("From scratch.",)))
    emit(
        StateChanged(state=WorkerState.FAULTED, problem=Problem(message="Out of luck.", hint="", report="x"))
    )
    emit(TrainingStopped(reason="Done."))
    desk.settle()
    told = " ".join(notice.sentence for notice in desk.window.notices.notices)
    for words in ("smaller windows", "disk is full", "1 images were imported", "From scratch", "Out of luck"):
        assert words in told
    assert desk.window.status.hint.text() == "Done."


def test_the_log_panel_shows_lines_by_level(desk: Desk, qtbot: QtBot) -> None:
    import logging

    for text, level in (("plain", logging.INFO), ("careful", logging.WARNING), ("broken", logging.ERROR)):
        desk.feed.send(text, level)
    desk.settle()
    assert desk.window.log.text.toPlainText().splitlines()[-3:] == ["plain", "careful", "broken"]
    later = LogPanel(desk.feed, desk.look)
    qtbot.addWidget(later)
    assert "broken" in later.text.toPlainText()
