"""Training on all graphics cards by a child process; here the child is a line of Python."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.actions import Act
from app.widgets.notices import Level
from app.window.all_cards import SECONDS, TASK
from engine.learn import launch
from tests.support.window import Desk, MakeDesk

pytestmark = pytest.mark.gui

WAITS = "import sys; print('learning', flush=True); sys.stdin.read()"
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


def test_a_child_does_not_outlive_the_folder(
    open_desk: Callable[[], Desk], child: Callable[..., Any], qtbot: QtBot
) -> None:
    child(WAITS)
    desk = open_desk()
    _trigger(desk)
    qtbot.waitUntil(lambda: "learning" in desk.window.area.work.text.text(), timeout=LONG)
    desk.window.opening.close_folder()
    desk.settle()
    assert not desk.window.all_cards.is_running
    assert not desk.window.actions_table[Act.TRAIN_ON_ALL_CARDS].isEnabled()


@pytest.mark.parametrize(
    ("program", "reason"),
    [("print('The cards are full.'); raise SystemExit(3)", "The cards are full."), (NO_PROGRAM, "started")],
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


def test_a_refusal_is_told_with_its_reason(open_desk: Callable[[], Desk], child: Callable[..., Any]) -> None:
    child(WAITS)
    desk = open_desk()
    desk.session.refusal = "Paint a little first."
    _trigger(desk)
    assert not desk.window.all_cards.is_running
    assert "Paint a little" in desk.window.status.hint.text()
