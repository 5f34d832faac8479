"""What the worker gives back when something fails, when it does, and what memory that runs short ends."""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import DeviceMemoryError
from engine.learn.trainer import Trainer
from engine.messages import (
    AnnotationChanged,
    ClassesChanged,
    Command,
    CommandFailed,
    CompareCheckpoints,
    Evaluate,
    Inspect,
    LoadCheckpoint,
    Predict,
    SaveCheckpoint,
    ScoreImages,
    Shutdown,
    StateChanged,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.worker import loop, run, training_desk, work
from engine.worker.comparing import CheckpointDesk
from engine.worker.inspecting import InspectionDesk
from engine.worker.judging import Candidates
from engine.worker.run import Run
from engine.worker.scoring import ScoringDesk
from engine.worker.views import ScreenPrediction
from tests.support.learning import CLASSES, make_project
from tests.support.worker_desk import QUIET, Desk

SMALLEST = replace(QUIET, batch_size=1)


class Held:
    """Tensors of what fails, and whether they were gone whenever memory was given back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._those: list[weakref.ref[Any]] = []
        self.free: list[bool] = []
        for module in (run, work):
            monkeypatch.setattr(module, "release_memory", self._released)
        # Records of what is logged keep tracebacks in a test; in the program they are written and gone.
        monkeypatch.setattr(loop._log, "error", lambda *_, **__: None)

    def hold(self, *those: object) -> None:
        self._those += map(weakref.ref, those)

    def fails(self, error: Callable[[], Exception]) -> Callable[..., Any]:
        """Return a function that takes some memory and fails."""

        def failing(*_: object, **__: object) -> None:
            taken = torch.zeros(8)
            self.hold(taken)
            raise error()

        return failing

    def _released(self, _: torch.device) -> None:
        assert self._those
        self.free.append(all(that() is None for that in self._those))


def full() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path))
    desk.open()
    yield desk
    desk.give(Shutdown())


@pytest.fixture
def desk(idle: Desk) -> Desk:
    """A worker that trains and has shown something."""
    idle.start(SMALLEST)
    idle.work(1)
    idle.predict()
    idle.work(2)
    idle.heard.clear()
    return idle


def _trainer(desk: Desk) -> Trainer:
    found = desk.loop._work._training.run
    assert found is not None
    return found.trainer


def _told(desk: Desk) -> list[str]:
    return [event.command for event in desk.heard.of(CommandFailed)]


def test_a_step_without_room_ends_the_run_and_nothing_of_it_is_left_by_then(
    desk: Desk, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.hold(_trainer(desk))
    monkeypatch.setattr(Trainer, "_update", held.fails(full))
    desk.work(1)
    assert held.free == [True]
    assert "not enough memory to train" in desk.heard.of(TrainingStopped)[-1].reason
    assert desk.loop.state is WorkerState.IDLE


def test_a_judgement_without_room_ends_the_run_and_nothing_of_it_is_left_by_then(
    desk: Desk, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.hold(_trainer(desk))
    monkeypatch.setattr(Candidates, "is_running", True)
    monkeypatch.setattr(Candidates, "advance", held.fails(lambda: DeviceMemoryError("There is no room.")))
    desk.work(1)
    assert held.free == [True]
    assert desk.heard.of(TrainingStopped)[-1].reason == "There is no room."


def test_a_bug_leaves_nothing_on_the_card(desk: Desk, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    network: Any = desk.loop._work._network
    held.hold(_trainer(desk), network.model)
    del network
    monkeypatch.setattr(Trainer, "step", held.fails(lambda: ZeroDivisionError("a bug")))
    desk.work(1)
    assert desk.loop.state is WorkerState.FAULTED
    desk.work(2)
    assert held.free == [True]


def test_a_card_that_fell_over_is_no_second_fault(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(*_: object) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(loop._log, "error", lambda *_, **__: None)
    monkeypatch.setattr(work, "release_memory", dead)
    monkeypatch.setattr(Trainer, "step", dead)
    desk.work(3)
    assert desk.states() == [WorkerState.FAULTED]
    desk.open()
    assert desk.loop.state is WorkerState.IDLE


@pytest.mark.parametrize("ending", ["open", "load"])
def test_a_network_is_gone_before_its_memory_is_given_back(idle: Desk, held: Held, ending: str) -> None:
    network: Any = idle.loop._work._network
    idle.give(SaveCheckpoint())
    held.hold(network.model)
    del network
    if ending == "open":
        idle.open()
    else:
        idle.give(LoadCheckpoint(path=str(idle.checkpoints()[-1])))
    assert held.free == [True]


def test_a_run_that_cannot_start_leaves_nothing_behind(
    idle: Desk, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(run, "Trainer", held.fails(full))
        idle.start()
    assert "not enough memory to train" in idle.failed.problem.message
    network: Any = idle.loop._work._network
    assert network.trained is not None
    idle.work(1)
    assert held.free == [True]
    assert network.trained is None, "only what is shown is left"
    idle.start()
    idle.work(1)
    assert idle.loop.state is WorkerState.TRAINING


def _commands(desk: Desk) -> dict[type[Command], tuple[type, str, Command]]:
    """What can be asked for while training goes on, and what of it runs short of memory."""
    item = desk.project.items[0]
    image: dict[str, Any] = {"image_id": item.image_id, "image_path": item.image_path, "request_id": 5}
    return {
        CompareCheckpoints: (
            CheckpointDesk,
            "serve",
            CompareCheckpoints(request_id=5, before="", after="", images={}),
        ),
        Inspect: (InspectionDesk, "serve", Inspect(**image)),
        Predict: (ScreenPrediction, "begin", Predict(**image)),
        AnnotationChanged: (ScreenPrediction, "corrected", AnnotationChanged(item=item)),
        Evaluate: (training_desk, "measurement_of", Evaluate(items=desk.project.items)),  # type: ignore[dict-item]
    }


@pytest.mark.parametrize("kind", [CompareCheckpoints, Inspect, Predict, AnnotationChanged, Evaluate])
def test_what_has_no_room_fails_alone_and_training_goes_on(
    desk: Desk, held: Held, monkeypatch: pytest.MonkeyPatch, kind: type[Command]
) -> None:
    owner, name, command = _commands(desk)[kind]
    before = _trainer(desk).step_count
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, held.fails(full))
        desk.give(command)
    assert _told(desk) == [kind.__name__]
    problem = desk.failed.problem
    assert "not enough memory" in problem.message
    assert "Stop training" in problem.hint
    assert problem.report == ""
    desk.work(3)
    assert held.free == [True]
    assert _told(desk) == [kind.__name__]
    assert desk.loop.state is WorkerState.TRAINING
    assert _trainer(desk).step_count > before


def test_an_image_off_screen_without_room_is_not_tried_again_and_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.give(StopTraining())
    item = desk.project.items[1]
    name = (item.image_id,)
    monkeypatch.setattr(ScoringDesk, "_score", lambda *_: _raise(full()))
    desk.give(ScoreImages(paths={item.image_id: item.image_path}, describe=(), score=name, ahead=()))
    desk.work(8)
    assert _told(desk) == ["ScoreImages"]


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.logs_allowed
def test_a_class_table_followed_by_half_is_no_network_to_go_on_with(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "follow", lambda *_: _raise(full()))
    desk.give(ClassesChanged(classes=CLASSES.add("tree")))
    assert desk.heard.of(StateChanged)[-1].state is WorkerState.FAULTED


@pytest.mark.logs_allowed
def test_a_run_that_has_no_room_to_end_is_over_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody must be left with a worker that trains no more and says that it does."""
    with monkeypatch.context() as patch:
        patch.setattr(Run, "close", lambda *_, **__: _raise(full()))
        desk.open()
    assert desk.heard.of(TrainingStopped)
    assert desk.loop.state is WorkerState.IDLE
    desk.start(SMALLEST)
    desk.work(2)
    assert _trainer(desk).step_count > 0
