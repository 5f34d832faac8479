"""Every wait names what is waited for, and since when."""

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.bridge import SavedState
from app.panels.inspect.probe import FAILURES
from app.window.waits import LONG_S, TOO_LONG_S, UNMENTIONED_S, Waits
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


def _predict(desk: Desk) -> None:
    desk.session.predict(desk.session.current, np.zeros((60, 80), np.uint8))
    desk.settle()


def test_a_prediction_is_waited_for_once_somebody_can_answer(watched: Watched) -> None:
    desk = watched.desk
    desk.bridge.request_prediction(None)
    assert watched.after(3.0) == "", "nothing has been learnt, so nobody answers"
    desk.session.refusal = None
    _predict(desk)
    desk.bridge.request_prediction(None)
    assert watched.after(3.0) == "Waiting for the prediction, 3 s"
    _predict(desk)
    assert watched.text == ""
    desk.bridge.request_prediction(None)
    desk.session.emit(CommandFailed(command="Predict", problem=PROBLEM))
    desk.settle()
    assert watched.after(3.0) == ""
    desk.session.refusal = "All strokes were undone."
    desk.bridge.request_prediction(None)
    assert watched.after(3.0) == ""


@pytest.mark.parametrize("state", [None, WorkerState.FAULTED])
def test_a_checkpoint_is_waited_for_until_it_is_loaded_or_refused(
    watched: Watched, state: WorkerState | None
) -> None:
    desk = watched.desk
    desk.bridge.load_checkpoint(Path("/p/a.pt"))
    assert watched.after(3.0) == "Waiting for the checkpoint to be loaded, 3 s"
    if state is None:
        desk.session.emit(CommandFailed(command="LoadCheckpoint", problem=PROBLEM))
        desk.settle()
    else:
        _load_network(desk, state)
    assert watched.text == ""


def test_a_comparison_that_fails_says_so_where_its_pictures_would_stand(watched: Watched) -> None:
    desk = watched.desk
    pinned = desk.window.details.pinned
    pinned.compare(None, None)
    assert watched.after(3.0) == "", "no image is pinned"
    desk.drag([(20.5, 20.5), (20.5, 40.5)])
    desk.session.candidates.pin(desk.session.current, True)
    pinned.refresh()
    pinned.compare(None, None)
    assert pinned.hint.text() == "Predicting the pinned images…"
    assert watched.after(3.0) == "Waiting for the pinned images to be predicted, 3 s"
    desk.session.emit(CommandFailed(command="CompareCheckpoints", problem=PROBLEM))
    desk.settle()
    assert watched.text == ""
    assert pinned.hint.text() == PROBLEM.message


def test_after_a_minute_it_is_said_what_can_be_done_and_once(watched: Watched) -> None:
    overdue: list[str] = []
    watched.waits.too_long.connect(overdue.append)
    _load_network(watched.desk, WorkerState.STARTING)
    watched.desk.session.emit(Progress(task=EXPORT_TASK, done=1, total=9))
    watched.desk.settle()
    watched.after(TOO_LONG_S - 1.0)
    assert overdue == []
    watched.after(1.0)
    watched.after(60.0)
    assert overdue == ["the network to be loaded"], "an export has counts, and a way out"
    window = watched.desk.window
    window.waits.too_long.emit("the network to be loaded")
    (notice,) = window.notices.notices
    assert "waiting for the network to be loaded" in notice.text
    assert notice.action is not None
    notice.action.do()
    assert window.docks["log"].isVisible()


def test_the_window_tells_it_in_its_status_line(desk: Desk, qtbot: QtBot) -> None:
    status = desk.window.status
    _load_network(desk, WorkerState.STARTING)
    assert not status.wait.isVisible()
    qtbot.waitUntil(status.wait.isVisible, timeout=30_000)
    assert status.wait.text().startswith("Waiting for the network to be loaded, ")
    desk.window.opening.close_folder()
    assert not status.wait.isVisible()
