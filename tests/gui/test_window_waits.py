"""Every wait names what is waited for, and since when."""

import pytest
from pytestqt.qtbot import QtBot

from app.bridge import SavedState
from app.panels.inspect.probe import FAILURES
from app.window.waits import LONG_S, UNMENTIONED_S, Waits
from engine.messages import EXPORT_TASK, CommandFailed, Problem, Progress, StateChanged, WorkerState
from tests.support.window import Desk

pytestmark = pytest.mark.gui

PROBLEM = Problem(message="No.", hint="")


class Watched:
    """Waits of a window, with a clock turned by hand."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.now = 100.0
        self.text = self.lines = ""
        self.waits = Waits(desk.bridge, desk.window.inspect.probe, clock=lambda: self.now)
        self.waits.changed.connect(self._take)

    def _take(self, text: str, lines: str) -> None:
        self.text, self.lines = text, lines

    def after(self, seconds: float) -> str:
        self.now += seconds
        self.waits.tell()
        return self.text


@pytest.fixture
def watched(desk: Desk) -> Watched:
    return Watched(desk)


def _load_network(desk: Desk, state: WorkerState) -> None:
    desk.session.emit(StateChanged(state=state))
    desk.settle()


def test_what_is_soon_over_is_not_mentioned(watched: Watched) -> None:
    _load_network(watched.desk, WorkerState.STARTING)
    assert watched.after(UNMENTIONED_S - 0.1) == ""
    _load_network(watched.desk, WorkerState.IDLE)
    assert watched.after(5.0) == ""


def test_a_wait_is_told_anew_every_second_and_since_when_once_it_is_long(watched: Watched) -> None:
    _load_network(watched.desk, WorkerState.STARTING)
    assert watched.after(3.0) == "Waiting for the network to be loaded, 3 s"
    assert watched.after(1.0) == "Waiting for the network to be loaded, 4 s"
    assert "loaded since " in watched.after(LONG_S)
    assert watched.after(60.0).endswith("1 min 34 s")
    _load_network(watched.desk, WorkerState.IDLE)
    assert (watched.text, watched.lines) == ("", "")


def test_another_network_is_waited_for_until_it_stands_or_nothing_works_any_more(watched: Watched) -> None:
    desk = watched.desk
    _load_network(desk, WorkerState.IDLE)
    desk.session.worker.awaits_network = True
    desk.bridge.training_changed.emit()
    assert "network" in watched.after(3.0)
    _load_network(desk, WorkerState.FAULTED)
    assert watched.text == "", "who does not work is told in the strip, with what to do"


def test_an_image_is_waited_for_until_it_is_there(watched: Watched) -> None:
    desk = watched.desk
    name = list(desk.session.pictures)[1]
    desk.bridge.current_changed.emit(name)
    assert watched.after(3.0) == f"Waiting for “{name}” to be read, 3 s"
    desk.bridge.show(name)
    desk.settle()
    assert watched.text == ""
    desk.session.failing[name] = PROBLEM
    desk.bridge.show(name)
    desk.settle()
    assert watched.after(3.0) == ""


def test_all_waits_are_told_the_longest_one_first(watched: Watched) -> None:
    _load_network(watched.desk, WorkerState.STARTING)
    watched.after(1.0)
    watched.desk.bridge.saved_changed.emit(SavedState(saved=False))
    watched.after(4.0)
    assert watched.lines.splitlines() == [
        "Waiting for the network to be loaded, 5 s",
        "Waiting for what you did to be on disk, 4 s",
    ]
    watched.desk.bridge.saved_changed.emit(SavedState(saved=False, problem=PROBLEM))
    assert "disk" not in (watched.after(1.0), watched.lines)[1], "the mark beside it says why not"


def test_an_export_that_is_given_up_is_not_waited_for(watched: Watched) -> None:
    desk = watched.desk
    for done in (1, 2):
        desk.session.emit(Progress(task=EXPORT_TASK, done=done, total=9))
    desk.session.emit(Progress(task="Measuring", done=1, total=9))
    desk.settle()
    assert watched.after(3.0) == "Waiting for the export, 2 of 9, 3 s"
    assert len(watched.lines.splitlines()) == 1, "nobody waits for what the program does for itself"
    desk.session.emit(CommandFailed(command="Export", problem=PROBLEM))
    desk.settle()
    assert watched.text == ""


@pytest.mark.parametrize("name", sorted({name for names in FAILURES.values() for name in names}))
def test_every_question_about_the_network_has_words(watched: Watched, name: str) -> None:
    probe = watched.desk.window.inspect.probe
    probe.waiting[name] = None
    probe.changed.emit()
    assert watched.after(3.0).startswith("Waiting for ")
    probe.waiting.clear()
    probe.changed.emit()
    assert watched.text == ""


def test_the_window_tells_it_in_its_status_line(desk: Desk, qtbot: QtBot) -> None:
    status = desk.window.status
    _load_network(desk, WorkerState.STARTING)
    assert not status.wait.isVisible()
    qtbot.waitUntil(status.wait.isVisible, timeout=30_000)
    assert status.wait.text().startswith("Waiting for the network to be loaded, ")
    desk.window.opening.close_folder()
    assert not status.wait.isVisible()
