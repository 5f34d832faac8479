"""What "stopped" means: saved, and memory given back. Without the worker's thread."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.learn.checkpoint import read_checkpoint
from engine.learn.trainer import Trainer
from engine.messages import (
    CheckpointSaved,
    CommandFailed,
    Event,
    LoadCheckpoint,
    OpenNetwork,
    SaveCheckpoint,
    Shutdown,
    StateChanged,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.worker.run import Run
from tests.support.learning import make_project
from tests.support.worker_desk import QUIET, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path))
    desk.open()
    desk.start()
    desk.work(2)
    desk.heard.clear()
    yield desk
    desk.give(Shutdown())


def _broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a bug")


def _living_trainers() -> list[Trainer]:
    gc.collect()
    return [item for item in gc.get_objects() if type(item) is Trainer]


def _told(desk: Desk, *kinds: type[Event]) -> list[type[Event]]:
    return [type(event) for event in desk.heard.events if isinstance(event, kinds)]


@pytest.mark.parametrize("first", [StateChanged, TrainingStopped])
def test_it_is_said_when_it_is_true(desk: Desk, first: type[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[Path], list[Trainer]]] = []
    hear = type(desk.heard).__call__

    def listen(listener: object, event: Event) -> None:
        if isinstance(event, first):
            seen.append((desk.checkpoints(), _living_trainers()))
        hear(desk.heard, event)

    assert _living_trainers()
    with monkeypatch.context() as patch:
        patch.setattr(type(desk.heard), "__call__", listen)
        desk.give(StopTraining())
    ((files, trainers),) = seen
    assert [read_checkpoint(path).about.step for path in files] == [2]
    assert trainers == []
    assert _told(desk, CheckpointSaved, StateChanged, TrainingStopped) == [
        CheckpointSaved,
        StateChanged,
        TrainingStopped,
    ]


def test_a_disk_that_refuses_is_named_before_it_is_said(desk: Desk) -> None:
    (desk.project.folder / "checkpoints").write_text("in the way")
    desk.give(StopTraining())
    assert _told(desk, CommandFailed, StateChanged, TrainingStopped) == [
        CommandFailed,
        StateChanged,
        TrainingStopped,
    ]
    assert desk.failed.command == SaveCheckpoint.__name__
    assert desk.loop.state is WorkerState.IDLE
    desk.start()
    assert desk.loop.state is WorkerState.TRAINING


@pytest.mark.logs_allowed
@pytest.mark.parametrize("part", ["save", "close"])
def test_a_bug_on_the_way_out_is_no_rest(desk: Desk, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Run, part, _broken)
        desk.give(StopTraining())
    assert desk.loop.state is WorkerState.FAULTED
    assert desk.states() == [WorkerState.FAULTED]
    desk.open()
    desk.start()
    assert desk.loop.state is WorkerState.TRAINING


@pytest.mark.logs_allowed
def test_the_end_is_the_end_whatever_goes_wrong(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "close", _broken)
    desk.give(Shutdown())
    assert desk.loop.state is WorkerState.STOPPED
    assert desk.failed.command == StopTraining.__name__, "it is what failed"


@pytest.mark.parametrize("ending", [OpenNetwork, LoadCheckpoint])
def test_another_network_waits_for_the_old_one_to_be_saved(desk: Desk, ending: type[Event]) -> None:
    if ending is LoadCheckpoint:
        desk.give(SaveCheckpoint(name="mine"))
        desk.give(LoadCheckpoint(path=desk.heard.of(CheckpointSaved)[-1].path))
    else:
        desk.open()
        assert desk.heard.of(CheckpointSaved)[-1].step == 2
    assert desk.heard.of(TrainingStopped)
    assert desk.loop.state is WorkerState.IDLE
    desk.start(QUIET)
    assert desk.loop.state is WorkerState.TRAINING
