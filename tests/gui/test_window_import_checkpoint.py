"""Importing a published checkpoint through the window."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PySide6.QtCore import QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit
from pytestqt.qtbot import QtBot

from app.actions import Act
from app.dialogs.import_checkpoint import ImportCheckpointDialog
from app.window.asking import Asking
from engine.annotate.classes import ClassTable
from engine.learn.checkpoint import read_checkpoint
from models.idrnet_configs import IdrnetConfig
from tests.support.fake_session import CLASSES
from tests.support.published import published_state, small_network
from tests.support.window import MakeDesk

pytestmark = pytest.mark.gui


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "idrnet_ppm_resnet50os8_cityscapes.pth"
    torch.save({"model": published_state(small_network("idrnet", 19), "idrnet")}, path)
    return path


def dialog_on(qtbot: QtBot, file: Path, folder: Path, classes: ClassTable) -> ImportCheckpointDialog:
    dialog = ImportCheckpointDialog(file, folder, classes)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(dialog.waiting.isHidden, timeout=60_000)
    return dialog


def test_the_dialog_reports_and_writes(qtbot: QtBot, file: Path, tmp_path: Path) -> None:
    dialog = dialog_on(qtbot, file, tmp_path / "checkpoints", CLASSES)
    assert "IDRNet, 19 classes" in dialog.summary.text()
    assert "class_relations_mean" in dialog.details.toPlainText()
    assert not dialog.take_classes.isChecked()
    assert dialog.table() == CLASSES
    dialog.take_classes.setChecked(True)
    # sky, building and road are in both.
    assert len(dialog.table()) == 19 + 1
    assert dialog.table().names[:4] == CLASSES.names
    with qtbot.waitSignal(dialog.accepted, timeout=60_000):
        dialog.accept_button.click()
    assert dialog.written is not None
    assert dialog.written.parent == tmp_path / "checkpoints"
    assert len(read_checkpoint(dialog.written).about.classes) == 19


def test_what_the_file_does_not_tell_can_be_said(
    qtbot: QtBot, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = file.rename(tmp_path / "best.pth")
    dialog = dialog_on(qtbot, renamed, tmp_path / "checkpoints", CLASSES)
    assert dialog.imported is not None
    assert dialog.imported.report.classes.names[0] == "class 1"
    assert dialog.settings.isHidden()
    dialog.show_settings.setChecked(True)
    settings = dialog.settings
    assert settings.isVisible()

    settings.name.clear()
    QTest.keyClicks(settings.name, "idrnet_ppm_resnet50os8_cityscapes.pth")
    # Nothing is imported that was read with something else in mind.
    assert not dialog.accept_button.isEnabled()
    assert dialog.imported is None
    read_again(qtbot, dialog)
    report = dialog.imported.report
    assert report.classes.names[0] == "road"
    assert isinstance(report.network, IdrnetConfig)
    assert report.network.coarse_from_features

    assert settings.form is not None
    line = settings.form.fields["dilations"]
    assert isinstance(line, QLineEdit)
    line.clear()
    QTest.keyClicks(line, "1, 0")
    settings.again.click()
    assert settings.problem.text() == "Dilations must be between 1 and 64 cells."
    line.clear()
    QTest.keyClicks(line, "1, 6, 12")
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"thing {number}" for number in range(19)), "utf-8")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(names), ""))
    settings.list_button.click()
    read_again(qtbot, dialog)
    report = dialog.imported.report
    assert isinstance(report.network, IdrnetConfig)
    assert report.network.dilations == (1, 6, 12)
    assert report.classes.names[:2] == ("thing 0", "thing 1")

    assert dialog.accept_button.isEnabled()

    # A list that does not fit is said to be; what was said can be corrected.
    names.write_text("only one", "utf-8")
    settings.list_button.click()
    settings.again.click()
    qtbot.waitUntil(dialog.waiting.isHidden, timeout=60_000)
    assert "1 classes" in dialog.summary.text()
    assert dialog.imported is None
    assert not dialog.accept_button.isEnabled()
    assert settings.again.isEnabled()


def read_again(qtbot: QtBot, dialog: ImportCheckpointDialog) -> None:
    """Reads the file with what was said, and waits for it."""
    dialog.settings.again.click()
    qtbot.waitUntil(dialog.waiting.isHidden, timeout=60_000)
    assert dialog.imported is not None, dialog.summary.text()


def test_a_project_without_classes_takes_those_of_the_checkpoint(
    qtbot: QtBot, file: Path, tmp_path: Path
) -> None:
    dialog = dialog_on(qtbot, file, tmp_path, ClassTable())
    assert dialog.take_classes.isChecked()
    assert not dialog.take_classes.isEnabled()
    assert dialog.table().names[0] == "road"


def test_a_file_of_something_else_says_why(qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"a.weight": torch.zeros(1)}, path)
    dialog = dialog_on(qtbot, path, tmp_path, CLASSES)
    assert "no network" in dialog.summary.text()
    assert dialog.details.isHidden()
    assert not dialog.accept_button.isEnabled()
    assert dialog.table() == CLASSES


def test_a_file_with_something_missing_cannot_be_imported(qtbot: QtBot, tmp_path: Path) -> None:
    state = published_state(small_network("mcibi", 19), "mcibi")
    del state["decoder_stage2.4.bias"]
    torch.save(state, tmp_path / "part.pth")
    dialog = dialog_on(qtbot, tmp_path / "part.pth", tmp_path, CLASSES)
    assert "decoder.4.bias" in dialog.details.toPlainText()
    assert not dialog.accept_button.isEnabled()


def test_a_folder_that_cannot_be_written_is_told(qtbot: QtBot, file: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_bytes(b"a file, where a folder is wanted")
    dialog = dialog_on(qtbot, file, tmp_path / "checkpoints", CLASSES)
    dialog.accept_button.click()
    qtbot.waitUntil(lambda: "could not be made" in dialog.summary.text(), timeout=60_000)
    assert dialog.written is None
    assert dialog.accept_button.isEnabled()


def accept_next(do: Callable[[ImportCheckpointDialog], object]) -> None:
    """When the dialog runs and has read its file, do something to it."""

    def look() -> None:
        shown = [w for w in QApplication.topLevelWidgets() if isinstance(w, ImportCheckpointDialog)]
        ready = [dialog for dialog in shown if dialog.isVisible() and dialog.waiting.isHidden()]
        if ready:
            do(ready[0])
        else:
            QTimer.singleShot(10, look)

    QTimer.singleShot(0, look)


def test_the_window_goes_over_to_the_imported_network(
    make_desk: MakeDesk, file: Path, tmp_path: Path
) -> None:
    desk = make_desk(home=tmp_path / "home", classes=CLASSES)
    session = desk.open()
    desk.answers.given["checkpoint_file"] = [file, None]

    def take_all(dialog: ImportCheckpointDialog) -> None:
        dialog.take_classes.setChecked(True)
        dialog.accept_button.click()

    accept_next(take_all)
    desk.window.actions_table[Act.IMPORT_CHECKPOINT].trigger()
    desk.settle()
    assert len(session.classes) == 20
    names = [call[0] for call in session.calls]
    assert names[-3:] == ["choose_network", "load_checkpoint", "save_checkpoint"]
    (loaded,) = (call[1] for call in session.calls if call[0] == "load_checkpoint")
    assert read_checkpoint(loaded).about.network == session.network

    before = list(session.calls)
    desk.window.actions_table[Act.IMPORT_CHECKPOINT].trigger()
    assert session.calls == before


def test_a_project_to_look_at_imports_nothing(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.open().project.read_only = True
    desk.window.actions_table[Act.IMPORT_CHECKPOINT].trigger()
    assert desk.answers.asked == []


def test_the_question_asks_for_a_file(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asking = Asking(make_desk().window)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "a.pth"), ""))
    assert asking.checkpoint_file("") == tmp_path / "a.pth"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    assert asking.checkpoint_file("") is None
