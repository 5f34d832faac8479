"""The training strip, its details, the dialogs and what is told, through the window."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS, Act
from app.dialogs.commands import CommandPalette, rank
from app.dialogs.export import ExportDialog
from app.dialogs.import_masks import ImportDialog
from app.dialogs.notices import NoticesDialog
from app.dialogs.preferences import PreferencesDialog
from app.dialogs.problem import ProblemDialog, crash_dialog
from app.dialogs.shortcuts import ShortcutSheet
from app.panels.training import short_name
from app.panels.training_details import OWN_TRAINING
from app.theme import Theme
from app.widgets.notices import Level
from engine.annotate.classes import ClassTable
from engine.catalog import PRESETS
from engine.exchange.mask_files import MaskKind
from engine.exchange.mask_preview import ImportPreview, MatchedMask
from engine.learn.checkpoint_files import CheckpointInfo
from engine.learn.recipes import RECIPES
from engine.messages import (
    CheckpointSaved,
    EvaluationDone,
    NetworkOpened,
    PredictionSource,
    Problem,
    Progress,
    ShownScored,
    StateChanged,
    StepsDone,
    WorkerState,
)
from engine.session.worth import WorthControl
from models.baseline_configs import DeepLabV3Config
from tests.support.fake_session import CLASSES
from tests.support.window import Desk

pytestmark = pytest.mark.gui

STROKE = [(20.5, 20.5), (20.5, 40.5)]
FULL = Problem(message="The disk is full.", hint="Free some space.")


# --- training


def test_the_strip_says_who_predicts_what_is_seen(desk: Desk) -> None:
    label_map = np.zeros((64, 64), np.uint8)
    desk.session.predict(desk.session.current or "", label_map)
    desk.settle()
    shown = desk.window.training.shown
    assert shown.text() == "network, step 10"
    desk.session.predict(desk.session.current or "", label_map, source=PredictionSource.JOINT)
    desk.settle()
    assert shown.text() == "quick model + network"
    assert "together" in shown.toolTip()


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


def test_a_stop_is_answered_before_it_is_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.session.refusal = None
    desk.drag(STROKE)
    desk.key(Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    monkeypatch.setattr(desk.session, "stop_training", lambda: None)  # the worker is in the middle of a step
    desk.key(Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert "being saved" in desk.window.status.hint.text()
    assert desk.window.training.button.text() == "Stop training"


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


def test_the_strip_says_from_where_training_goes_on_and_on_what(desk: Desk) -> None:
    strip, emit = desk.window.training, desk.session.emit
    for first, images, said in (
        (0, 1, "A new network learns from 1 painted image."),
        (1200, 37, "Goes on from step 1,200 with all 37 painted images."),
    ):
        emit(StateChanged(state=WorkerState.TRAINING))
        emit(
            StepsDone(
                step=first + 5,
                losses={"ce": 0.5},
                steps_per_second=4.0,
                learning_rate=1e-3,
                first_step=first,
                images=images,
            )
        )
        desk.settle()
        assert strip.reason.text() == said
        assert "30\N{NO-BREAK SPACE}% of the time with the images corrected last" in strip.reason.toolTip()
        emit(StateChanged(state=WorkerState.IDLE))
        desk.settle()
        assert strip.reason.text() != said


def test_the_strip_says_when_to_stop(desk: Desk) -> None:
    seconds = iter(range(0, 100_000, 15))
    desk.session.worth = WorthControl(clock=lambda: float(next(seconds)))
    strip, worked = desk.window.training, desk.session.worth
    for place in range(60):
        worked.worked()
        miou = 0.5 if place > 15 else 0.1 + 0.02 * place
        desk.session.emit(ShownScored(share=0.15, miou=miou, images=4, pixels=90_000))
        desk.settle()
        if place == 15:
            assert "Another minute: about" in strip.worth.text()
    assert not strip.worth.isHidden()
    assert "A good place to stop" in strip.worth.text()


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


def test_a_published_training_fills_network_loss_and_training(desk: Desk) -> None:
    choice = desk.window.details.network
    names = [recipe.name for recipe in RECIPES]
    recipe = RECIPES[names.index("rmi-camvid")]

    def choose(row: int) -> None:
        choice.recipe.setCurrentIndex(row)
        choice.recipe.activated.emit(row)

    assert choice.recipe.currentText() == OWN_TRAINING
    choose(1 + names.index(recipe.name))
    assert "Region Mutual Information" in choice.help.text()
    assert "5,800 steps of 16 crops of 479 × 479" in choice.help.text()
    choice.apply_button.click()
    session = desk.session
    assert type(session.network) is DeepLabV3Config
    assert session.network.head_rate == 10
    assert session.loss == recipe.loss
    assert session.training == recipe.training()
    assert choice.recipe.currentText().endswith(recipe.name)

    # Another training keeps a network it was published for; any change makes it the person's own.
    choose(1 + names.index("baselines-ade20k"))
    choice.apply_button.click()
    assert type(session.network) is DeepLabV3Config
    assert session.network.head_rate == 1
    assert session.training.max_steps == 130 * 1263
    choice._training._form.fields["batch_size"].setValue(4)
    assert choice.recipe.currentText() == OWN_TRAINING
    choice.apply_button.click()
    assert session.training.batch_size == 4


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
        matched=(
            MatchedMask(
                image_id="image_00.png", path=tmp_path / "a.png", size=(60, 80), values=frozenset({0})
            ),
        ),
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
    qtbot.waitUntil(lambda: dialog.preview is not None, timeout=60_000)
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


def test_the_pointer_tells_place_and_class(desk: Desk, qtbot: QtBot) -> None:
    status = desk.window.status
    desk.drag(STROKE)
    desk.hover(20.5, 30.5)
    # Written a little later, so that a stroke need not wait for it.
    qtbot.waitUntil(lambda: status.position.text() == "20, 30", timeout=60_000)
    assert status.class_name.text() == "sky"
    desk.hover(50.5, 70.5)
    qtbot.waitUntil(lambda: status.class_name.text() == "unlabelled", timeout=60_000)


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
