"""Who stops does not wait for the judgement of what was learnt: it follows. Without the worker's thread."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.learn import judge
from engine.learn.checkpoint_files import list_checkpoints
from engine.messages import (
    CandidateJudged,
    CheckpointSaved,
    CheckpointsChanged,
    CompareCheckpoints,
    ComparisonReady,
    NameCheckpoint,
    Objection,
    PredictionReady,
    PromoteCandidate,
    Shutdown,
    StepsDone,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.worker.judging import Candidates
from engine.worker.network import LiveNetwork
from tests.support.learning import make_project
from tests.support.worker_desk import Desk

FOUND = {
    Objection.NONE: "Shown: better.",
    Objection.FLIPS: "It would flip a lot.",
    Objection.NOT_FINITE: "These are no numbers.",
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Training has been stopped for the second time, and every window that is judged takes a second."""
    desk = Desk(make_project(tmp_path))
    desk.open()
    desk.start()
    desk.work(2)
    desk.give(StopTraining())
    advance = Candidates.advance

    def slow(candidates: Candidates) -> object:
        desk.now += 1.0
        return advance(candidates)

    monkeypatch.setattr(Candidates, "advance", slow)
    desk.start()
    desk.work(3)
    desk.heard.clear()
    yield desk
    desk.give(Shutdown())


def _finds(monkeypatch: pytest.MonkeyPatch, objection: Objection) -> None:
    monkeypatch.setattr(judge, "decide", lambda *_: (objection, FOUND[objection]))


def _network(desk: Desk) -> LiveNetwork:
    network = desk.loop._work._network
    assert network is not None
    return network


def _rest(desk: Desk) -> None:
    for _ in range(100):
        if not desk.loop._work.is_busy:
            return
        desk.work()
    raise AssertionError("it never rests")


def _judged(desk: Desk) -> CandidateJudged:
    return desk.heard.of(CandidateJudged)[-1]


def test_it_stops_after_one_window_and_judges_the_others_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _finds(monkeypatch, Objection.NONE)
    began = desk.now
    desk.give(StopTraining())
    assert desk.now - began < 2.0
    assert desk.heard.of(TrainingStopped)
    (saved,) = desk.heard.of(CheckpointSaved)
    assert (saved.step, saved.better) == (5, False)
    assert desk.heard.of(CandidateJudged) == []
    assert _network(desk).shown_step == 2
    desk.predict()
    _rest(desk)
    verdict = _judged(desk)
    assert (verdict.step, verdict.promoted) == (5, True)
    # It is what is shown from now on, on screen and when the project is opened again.
    assert desk.heard.of(PredictionReady)[-1].prediction.step == 5
    newest = list_checkpoints(desk.project.folder / "checkpoints")[0]
    assert (newest.step, newest.better) == (5, True)
    assert verdict.checkpoint == str(newest.path)
    assert desk.heard.of(CheckpointsChanged)[-1].moved == {saved.path: str(newest.path)}
    network = _network(desk)
    assert (network.shown_step, network.saved_step, network.checkpoint) == (5, 5, newest.path.name)
    assert network.trained is None


def test_what_is_no_better_stays_what_it_was_kept_as(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _finds(monkeypatch, Objection.FLIPS)
    desk.give(StopTraining())
    (saved,) = desk.heard.of(CheckpointSaved)
    _rest(desk)
    assert (_judged(desk).promoted, _judged(desk).checkpoint) == (False, saved.path)
    assert Path(saved.path).is_file()
    network = _network(desk)
    assert network.shown_step == 2
    assert network.trained is not None, "the next run goes on from it"
    desk.start()
    assert desk.work_until(StepsDone).step == 6


def test_what_collapsed_is_let_go(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _finds(monkeypatch, Objection.NOT_FINITE)
    desk.give(StopTraining())
    _rest(desk)
    assert _judged(desk).objection is Objection.NOT_FINITE
    assert desk.loop.state is WorkerState.IDLE
    assert _network(desk).step == 2


def test_training_again_is_not_kept_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _finds(monkeypatch, Objection.NONE)
    desk.give(StopTraining())
    desk.start()
    desk.work(2)
    assert desk.loop.state is WorkerState.TRAINING
    assert desk.heard.of(StepsDone)[-1].step > 5
    assert desk.heard.of(CandidateJudged) == []


def test_a_person_decides_before_it_does(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _finds(monkeypatch, Objection.FLIPS)
    desk.give(StopTraining(), PromoteCandidate())
    assert _network(desk).shown_step == 5
    _rest(desk)
    assert [event.promoted for event in desk.heard.of(CandidateJudged)] == [True]


def test_a_file_that_was_renamed_meanwhile_is_left_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _finds(monkeypatch, Objection.NONE)
    desk.give(StopTraining())
    (saved,) = desk.heard.of(CheckpointSaved)
    desk.give(NameCheckpoint(path=saved.path, name="mine"))
    _rest(desk)
    again = desk.heard.of(CheckpointSaved)[-1]
    assert (again.step, again.better) == (5, True)
    assert _judged(desk).checkpoint == again.path
    names = {info.name for info in list_checkpoints(desk.project.folder / "checkpoints")}
    assert "mine" in names


def test_pictures_that_somebody_compares_come_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _finds(monkeypatch, Objection.NONE)
    desk.give(StopTraining())
    item = desk.project.items[0]
    images = {item.image_id: item.image_path}
    desk.give(CompareCheckpoints(request_id=1, before="", after="", images=images))
    desk.work_until(ComparisonReady)
    assert desk.heard.of(CandidateJudged) == []
    _rest(desk)
    assert _judged(desk).promoted


def test_the_end_waits_for_no_judgement(desk: Desk) -> None:
    began = desk.now
    desk.give(Shutdown())
    assert desk.now - began < 2.0
    assert desk.loop.state is WorkerState.STOPPED
    assert desk.heard.of(CheckpointSaved)[0].step == 5
