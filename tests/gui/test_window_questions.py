"""The example, the questions the window asks, and the whole program from start to end."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QDialog, QFileDialog, QInputDialog, QMessageBox
from pytestqt.qtbot import QtBot

from app.actions import Act
from app.bridge import SavedState
from app.dialogs.delete_class import ask_delete_class
from app.window import opening
from app.window.asking import Asking
from engine.errors import StorageError
from tests.support.fake_session import CLASSES
from tests.support.window import Desk, MakeDesk, answer_next, trigger

pytestmark = pytest.mark.gui

STROKE = [(20.5, 20.5), (20.5, 40.5)]
ROOT = Path(__file__).parents[2]


# --- the example


def test_the_example_is_painted_once_then_opened(
    make_desk: MakeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    folder = tmp_path / "example"
    painted: list[str] = []

    def write(target: Path, progress: Callable[[int, int], None]) -> None:
        painted.append(threading.current_thread().name)
        target.mkdir()
        for number in range(opening.SAMPLE_COUNT):
            (target / f"{number}.png").write_bytes(b"x")
            progress(number + 1, opening.SAMPLE_COUNT)

    monkeypatch.setattr(opening, "example_folder", lambda: folder)
    monkeypatch.setattr(opening, "write_sample", write)
    desk = make_desk(classes=type(CLASSES)())
    desk.window.start.example_button.click()
    qtbot.waitUntil(lambda: desk.bridge.session is not None, timeout=60_000)
    assert painted == ["example"]
    assert desk.session.classes.names == opening.SAMPLE_CLASSES.names
    trigger(desk, Act.CLOSE_FOLDER)
    trigger(desk, Act.OPEN_EXAMPLE)
    assert painted == ["example"]
    assert desk.session.folder == folder


def test_painting_the_example_can_be_given_up(
    make_desk: MakeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    go_on = threading.Event()

    def write(target: Path, progress: Callable[[int, int], None]) -> None:
        progress(1, 2)
        go_on.wait(60)
        progress(2, 2)
        raise AssertionError("It was given up.")

    monkeypatch.setattr(opening, "example_folder", lambda: tmp_path / "example")
    monkeypatch.setattr(opening, "write_sample", write)
    desk = make_desk()
    desk.window.start.example_button.click()
    card = desk.window.opening._card
    qtbot.waitUntil(card.isVisible, timeout=60_000)
    card.button.click()
    go_on.set()
    qtbot.waitUntil(card.isHidden, timeout=60_000)
    assert desk.bridge.session is None
    assert desk.window.notices.notices == ()


def test_an_example_that_cannot_be_written_says_so(
    make_desk: MakeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    def refuse(target: Path, progress: Callable[[int, int], None]) -> None:
        raise StorageError("The disk is full.", "Free some space.")

    monkeypatch.setattr(opening, "example_folder", lambda: tmp_path / "example")
    monkeypatch.setattr(opening, "write_sample", refuse)
    desk = make_desk()
    trigger(desk, Act.OPEN_EXAMPLE)
    qtbot.waitUntil(lambda: len(desk.window.notices.notices) == 1, timeout=60_000)
    assert "disk is full" in desk.window.notices.notices[0].text


# --- the questions themselves


def test_questions_ask_and_return(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(desk.window)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "/a")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: (" x ", True))
    assert asking.folder("t", "/") == Path("/a")
    assert asking.class_file("/") is None
    assert asking.checkpoint_name() == "x"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Keep waiting", QMessageBox.StandardButton.Retry),
        ("Close anyway", QMessageBox.StandardButton.Discard),
        ("Cancel", QMessageBox.StandardButton.Cancel),
    ],
)
def test_the_question_before_closing(desk: Desk, text: str, answer: QMessageBox.StandardButton) -> None:
    def press(box: QMessageBox) -> None:
        next(button for button in box.buttons() if button.text().replace("&", "") == text).click()

    answer_next(QMessageBox, press)
    assert Asking(desk.window).unsaved(SavedState(saved=False)) == answer


@pytest.mark.parametrize(("text", "answer"), [("Open read-only", True), ("Cancel", False)])
def test_the_question_about_a_locked_folder(desk: Desk, text: str, answer: bool) -> None:
    def press(box: QMessageBox) -> None:
        next(button for button in box.buttons() if button.text().replace("&", "") == text).click()

    answer_next(QMessageBox, press)
    assert Asking(desk.window).open_read_only("In use.", "Close it there.") is answer


def test_the_question_about_a_class_and_details(desk: Desk) -> None:
    answer_next(QDialog, QDialog.accept)
    answer = ask_delete_class(CLASSES, 0, desk.window)
    assert answer is not None
    answer_next(QDialog, QDialog.reject)
    assert ask_delete_class(CLASSES, 0, desk.window) is None
    seen: list[bool] = []
    answer_next(QDialog, lambda dialog: seen.append(True) or dialog.reject())
    Asking(desk.window).details("m", "h", "r")
    assert seen == [True]


# --- the whole program


@pytest.mark.slow
def test_the_program_starts_with_a_folder_and_ends(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import app.main as m; m.prepare_environment();"
        "from PySide6.QtCore import QTimer; from PySide6.QtWidgets import QApplication;"
        "start = QApplication.exec;"
        "exec_ = lambda *a: (QTimer.singleShot(800, QApplication.closeAllWindows), start())[1];"
        "QApplication.exec = exec_; status = m.main([sys.argv[1]]);"
        "print(status, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "0"
    assert "Traceback" not in done.stderr
