"""Training on all graphics cards by a child process; here the child is a line of Python."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QProcess
from pytestqt.qtbot import QtBot

from app.actions import Act
from app.widgets.notices import Level
from app.window.all_cards import SECONDS, TASK
from engine.learn import launch
from tests.support.window import Desk, MakeDesk

pytestmark = pytest.mark.gui

WAITS = "import sys; print('learning', flush=True); sys.stdin.read()"
STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
waits = 'import signal; signal.alarm(300); signal.pause()'
inner = subprocess.Popen([sys.executable, '-c', waits], start_new_session=True)
print('learning', inner.pid, flush=True)
sys.stdin.read()
"""
"""As torchrun is: its processes are in sessions of their own. And it does not end when told."""
NO_PROGRAM = ["/no/such/program"]
LONG = 30_000


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Let two cards be found, and the command be a program or words."""

    def make(program: str | list[str], *, cards: int = 2) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        def command(images: Path, out: Path, **options: Any) -> list[str]:
            asked.update(options, images=images, out=out)
            return [sys.executable, "-c", program] if isinstance(program, str) else program

        monkeypatch.setattr(launch, "local_cards", lambda: cards)
        monkeypatch.setattr(launch, "training_command", command)
        return asked

    return make


@pytest.fixture
def open_desk(make_desk: MakeDesk, tmp_path: Path) -> Callable[[], Desk]:
    def make() -> Desk:
        desk = make_desk(home=tmp_path)
        (tmp_path / "maskloop").mkdir()
        desk.open()
        desk.session.refusal = None
        return desk

    return make


def _trigger(desk: Desk) -> None:
    desk.window.actions_table[Act.TRAIN_ON_ALL_CARDS].trigger()
    desk.settle()


def _is_alive(number: int) -> bool:
    """Whether a process runs; one that nobody has taken leave of yet does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _notice(desk: Desk) -> Any:
    return next(notice for notice in desk.window.notices.notices if notice.cause == TASK)


@pytest.mark.parametrize(("cards", "found"), [(0, "none found"), (1, "1 found")])
def test_without_two_cards_it_says_why_not(
    desk: Desk, child: Callable[..., Any], cards: int, found: str
) -> None:
    child("", cards=cards)
    desk.window.all_cards.refresh()
    action = desk.window.actions_table[Act.TRAIN_ON_ALL_CARDS]
    assert not action.isEnabled()
    assert "two NVIDIA graphics cards" in action.statusTip()
    assert found in action.statusTip()
    names = {command.text for command in desk.window.intentions.commands()}
    assert action.text() not in names


def test_the_child_learns_beside_the_window(
    open_desk: Callable[[], Desk],
    child: Callable[..., Any],
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = child("print('10 s  step 4'); print('20 s  step 8')")
    desk = open_desk()
    lines: list[str] = []
    card = desk.window.area.work
    said = card.say
    monkeypatch.setattr(card, "say", lambda line: (lines.append(line), said(line)))
    _trigger(desk)
    assert desk.window.all_cards.is_running
    qtbot.waitUntil(lambda: not desk.window.all_cards.is_running, timeout=LONG)
    assert lines[-1] == "20 s step 8"
    assert card.isHidden()
    assert (asked["cards"], asked["seconds"], asked["images"]) == (2, SECONDS, desk.session.folder)
    assert asked["out"].parent == tmp_path / "maskloop" / "checkpoints"
    assert asked["out"].parent.is_dir()
    # What is shown changes only when a person says so.
    assert not [call for call in desk.session.calls if call[0] == "load_checkpoint"]
    _notice(desk).action.do()
    assert ("load_checkpoint", asked["out"]) in desk.session.calls
    assert ("save_checkpoint", "all cards") in desk.session.calls


def test_the_child_can_be_stopped(
    open_desk: Callable[[], Desk], child: Callable[..., Any], qtbot: QtBot
) -> None:
    child(WAITS)
    desk = open_desk()
    action = desk.window.actions_table[Act.TRAIN_ON_ALL_CARDS]
    _trigger(desk)
    qtbot.waitUntil(lambda: "learning" in desk.window.area.work.text.text(), timeout=LONG)
    assert action.text().startswith("Stop")
    _trigger(desk)
    qtbot.waitUntil(lambda: not desk.window.all_cards.is_running, timeout=LONG)
    assert not action.text().startswith("Stop")
    assert "was stopped" in desk.window.status.hint.text()
    assert not desk.window.notices.holds(TASK)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the processes by /proc")
def test_a_child_that_does_not_listen_is_ended_with_all_that_it_started(
    open_desk: Callable[[], Desk], child: Callable[..., Any], qtbot: QtBot
) -> None:
    child(STUBBORN)
    desk = open_desk()
    _trigger(desk)
    qtbot.waitUntil(lambda: "learning" in desk.window.area.work.text.text(), timeout=LONG)
    cards = desk.window.all_cards
    inner = int(cards._lines[-1].split()[-1])
    assert _is_alive(inner)
    _trigger(desk)
    assert cards.is_running
    # Who presses again learns that it is on its way.
    _trigger(desk)
    assert "ending" in desk.window.status.hint.text()
    qtbot.waitUntil(lambda: not cards.is_running, timeout=LONG)
    qtbot.waitUntil(lambda: not _is_alive(inner), timeout=LONG)


def test_the_window_waits_neither_for_the_disk_nor_for_the_child(
    open_desk: Callable[[], Desk],
    child: Callable[..., Any],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child(WAITS)
    desk = open_desk()
    written = threading.Event()
    monkeypatch.setattr(desk.session, "flush", lambda timeout: written.wait(LONG / 1000))
    _trigger(desk)
    cards, action = desk.window.all_cards, desk.window.actions_table[Act.TRAIN_ON_ALL_CARDS]
    # The disk is busy, the window is not: it can be told to leave it.
    assert "saving" in desk.window.area.work.text.text()
    assert action.text().startswith("Stop")
    _trigger(desk)
    assert not cards.is_running
    _trigger(desk)
    written.set()
    qtbot.waitUntil(lambda: "learning" in desk.window.area.work.text.text(), timeout=LONG)
    monkeypatch.setattr(QProcess, "waitForFinished", _not_in_the_window)
    _trigger(desk)
    qtbot.waitUntil(lambda: not cards.is_running, timeout=LONG)


def _not_in_the_window(*_: object) -> bool:
    raise AssertionError("the window waits for the child")


def test_what_is_not_on_the_disk_cannot_be_learnt_from(
    open_desk: Callable[[], Desk], child: Callable[..., Any], qtbot: QtBot
) -> None:
    child(WAITS)
    desk = open_desk()
    desk.session.flush_answers = [False]
    _trigger(desk)
    qtbot.waitUntil(lambda: desk.window.notices.holds(TASK), timeout=LONG)
    assert "not on the disk yet" in _notice(desk).text
    assert not desk.window.all_cards.is_running


def test_what_a_stopped_child_had_saved_can_be_used(
    open_desk: Callable[[], Desk], child: Callable[..., Any], qtbot: QtBot
) -> None:
    asked = child(WAITS)
    desk = open_desk()
    _trigger(desk)
    qtbot.waitUntil(lambda: "learning" in desk.window.area.work.text.text(), timeout=LONG)
    kept = launch.running_file(asked["out"])
    kept.write_bytes(b"a checkpoint")
    _trigger(desk)
    qtbot.waitUntil(lambda: desk.window.notices.holds(TASK), timeout=LONG)
    assert _notice(desk).level is Level.INFO
    assert "was stopped" in _notice(desk).text
    _notice(desk).action.do()
    assert ("load_checkpoint", kept) in desk.session.calls
    assert ("save_checkpoint", "all cards") in desk.session.calls


def test_what_an_earlier_child_had_saved_is_not_offered_as_new(
    open_desk: Callable[[], Desk], child: Callable[..., Any], qtbot: QtBot, tmp_path: Path
) -> None:
    child(WAITS)
    desk = open_desk()
    kept = launch.running_file(tmp_path / "maskloop" / "checkpoints" / "all-cards.pt")
    kept.parent.mkdir()
    kept.touch()
    os.utime(kept, (1_000_000_000, 1_000_000_000))
    _trigger(desk)
    qtbot.waitUntil(lambda: "learning" in desk.window.area.work.text.text(), timeout=LONG)
    _trigger(desk)
    qtbot.waitUntil(lambda: not desk.window.all_cards.is_running, timeout=LONG)
    assert "nothing has changed" in desk.window.status.hint.text()


def test_a_child_does_not_outlive_the_folder(
    open_desk: Callable[[], Desk], child: Callable[..., Any], qtbot: QtBot
) -> None:
    child(WAITS)
    desk = open_desk()
    _trigger(desk)
    qtbot.waitUntil(lambda: "learning" in desk.window.area.work.text.text(), timeout=LONG)
    desk.window.opening.close_folder()
    assert not desk.window.actions_table[Act.TRAIN_ON_ALL_CARDS].isEnabled()
    qtbot.waitUntil(lambda: not desk.window.all_cards.is_running, timeout=LONG)


def test_a_child_does_not_outlive_the_program(
    open_desk: Callable[[], Desk], child: Callable[..., Any], qtbot: QtBot
) -> None:
    child(STUBBORN)
    desk = open_desk()
    _trigger(desk)
    qtbot.waitUntil(lambda: "learning" in desk.window.area.work.text.text(), timeout=LONG)
    cards = desk.window.all_cards
    inner = int(cards._lines[-1].split()[-1])
    cards._end_now()  # what `aboutToQuit` calls; tests go on with the application
    assert not cards.is_running
    qtbot.waitUntil(lambda: not _is_alive(inner), timeout=LONG)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print('The cards are full.'); raise SystemExit(3)", "The cards are full. (It ended with code 3.)"),
        ("import os; os.abort()", "(It was killed, or crashed.)"),
        (NO_PROGRAM, "started"),
    ],
)
def test_a_failure_is_told_with_its_last_line(
    open_desk: Callable[[], Desk],
    child: Callable[..., Any],
    qtbot: QtBot,
    program: str | list[str],
    reason: str,
) -> None:
    child(program)
    desk = open_desk()
    _trigger(desk)
    qtbot.waitUntil(lambda: desk.window.notices.holds(TASK), timeout=LONG)
    notice = _notice(desk)
    assert notice.level is Level.BAD
    assert reason in notice.text
    assert not desk.window.all_cards.is_running
    child(WAITS)
    assert notice.action is not None
    assert notice.action.text == "Try again"
    notice.action.do()
    assert desk.window.all_cards.is_running


def test_a_refusal_is_told_with_its_reason(open_desk: Callable[[], Desk], child: Callable[..., Any]) -> None:
    child(WAITS)
    desk = open_desk()
    desk.session.refusal = "Paint a little first."
    _trigger(desk)
    assert not desk.window.all_cards.is_running
    assert "Paint a little" in desk.window.status.hint.text()
