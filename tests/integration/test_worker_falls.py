"""The worker's loop itself fails, outside of everything that is guarded: it is told, and nothing is lost."""

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.messages import (
    CheckpointSaved,
    CommandFailed,
    Event,
    Export,
    ExportDone,
    ExportItem,
    LoadCheckpoint,
    NetworkOpened,
    OpenNetwork,
    Predict,
    PredictionReady,
    SaveCheckpoint,
    Shutdown,
    StartTraining,
    StateChanged,
    StepsDone,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.worker import Worker
from engine.worker.loop import Loop
from engine.worker.work import Work
from tests.support.driver import Driver, two_classes, write_images
from tests.support.learning import (
    CLASSES,
    TRAINING,
    Listener,
    SmallProject,
    make_project,
    running_worker,
)

pytestmark = pytest.mark.logs_allowed

CONFIG = replace(TRAINING, refresh_s=1000.0, evaluate_every_s=1000.0, checkpoint_every_s=1000.0)


class Trap:
    """Lets the loop fail between two pieces of work, so many times in a row."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = 0
        self._lock = threading.Lock()
        turn = Loop.turn

        def turned(loop: Loop, *, wait: bool) -> None:
            if self._snaps():
                raise ZeroDivisionError("nobody guards this")
            turn(loop, wait=wait)

        monkeypatch.setattr(Loop, "turn", turned)

    def set(self, times: int) -> None:
        with self._lock:
            self._left = times

    def _snaps(self) -> bool:
        with self._lock:
            snaps = self._left > 0
            self._left -= snaps
            return snaps


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch) -> Trap:
    return Trap(monkeypatch)


@pytest.fixture
def heard() -> Listener:
    return Listener()


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return make_project(tmp_path)


@pytest.fixture
def worker(heard: Listener, project: SmallProject, trap: Trap) -> Iterator[Worker]:
    """A worker that trains and has saved a checkpoint."""
    with running_worker(heard) as worker:
        worker.post(project.open_network())
        worker.post(StartTraining(config=CONFIG, items=project.items))
        heard.wait(StepsDone)
        worker.post(SaveCheckpoint(name="safe"))
        heard.wait(CheckpointSaved)
        yield worker


def _is_fallen(event: StateChanged) -> bool:
    return event.state is WorkerState.FAULTED


def _faulted(heard: Listener) -> StateChanged:
    return heard.wait(StateChanged, _is_fallen)


def _export(project: SmallProject, folder: Path) -> Export:
    return Export(
        items=tuple(
            ExportItem(image_id=item.image_id, image_path=item.image_path, size=item.size)
            for item in project.items
        ),
        classes=CLASSES,
        format="png",
        folder=str(folder),
        fill_with_prediction=False,
        store_folder=str(project.folder),
    )


def _trains_again(worker: Worker, heard: Listener, project: SmallProject) -> None:
    heard.clear()
    worker.post(StartTraining(config=CONFIG, items=project.items))
    heard.wait(StepsDone)
    worker.post(StopTraining())
    heard.wait(TrainingStopped)


def test_it_is_told_with_name_cause_and_remedy_and_goes_on_from_the_checkpoint(
    worker: Worker, heard: Listener, project: SmallProject, trap: Trap, tmp_path: Path
) -> None:
    saved = heard.of(CheckpointSaved)[-1]
    trap.set(1)
    # Whatever was asked for by then is still done, as far as it needs no network.
    worker.post(_export(project, tmp_path / "out"))
    problem = _faulted(heard).problem
    assert problem is not None
    assert "ZeroDivisionError in its loop" in problem.message
    assert "annotations are safe" in problem.hint
    assert "checkpoint" in problem.hint
    assert "nobody guards this" in problem.report
    assert heard.wait(ExportDone).files == 3 * len(project.items) + 1
    worker.post(LoadCheckpoint(path=saved.path))
    opened = heard.wait(NetworkOpened, lambda event: event.step == saved.step)
    assert opened.checkpoint == saved.path
    _trains_again(worker, heard, project)


def test_where_it_fails_at_once_again_everybody_gets_an_answer_and_a_network_can_be_opened(
    worker: Worker, heard: Listener, project: SmallProject, trap: Trap, tmp_path: Path
) -> None:
    saved = heard.of(CheckpointSaved)[-1]
    heard.clear()
    trap.set(2)
    told = heard.wait(StateChanged, _fell(2))
    assert told.state is WorkerState.FAULTED
    assert told.problem is not None
    assert "ZeroDivisionError: nobody guards this" in told.problem.message
    assert "checkpoints are safe" in told.problem.hint
    heard.clear()
    worker.post(Predict(image_id="0.png", image_path=project.items[0].image_path, request_id=1))
    worker.post(_export(project, tmp_path / "out"))
    failed = heard.wait(CommandFailed)
    assert (failed.command, failed.problem) == (Export.__name__, told.problem)
    worker.post(project.open_network(checkpoint=saved.path))
    assert heard.wait(NetworkOpened).step == saved.step
    assert [event.state for event in heard.of(StateChanged)][:2] == [WorkerState.STARTING, WorkerState.IDLE]
    _trains_again(worker, heard, project)


def test_a_worker_that_cannot_start_says_why_and_ends_when_told(
    heard: Listener, project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "engine.worker.loop", None)
    worker = Worker(heard, threads=1)
    worker.post(project.open_network())
    worker.start()
    assert heard.wait(CommandFailed).command == OpenNetwork.__name__
    problem = _faulted(heard).problem
    assert problem is not None
    assert "engine.worker.loop" in problem.message
    # Trying again fails again, and is answered again.
    heard.clear()
    worker.post(project.open_network())
    assert heard.wait(CommandFailed).command == OpenNetwork.__name__
    monkeypatch.undo()
    worker.post(project.open_network())
    heard.wait(NetworkOpened)
    worker.post(Shutdown())
    assert worker.join(60)
    assert heard.of(StateChanged)[-1].state is WorkerState.STOPPED


def test_a_fall_during_a_request_is_told_at_once_and_a_restart_answers_it(
    worker: Worker, heard: Listener, project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("in the middle of it")

    saved = heard.of(CheckpointSaved)[-1]
    heard.clear()
    with monkeypatch.context() as broke:
        broke.setattr(Work, "predict", broken)
        worker.post(Predict(image_id="0.png", image_path=project.items[0].image_path, request_id=1))
        told = heard.wait(StateChanged, _is_fallen, timeout=5.0)
    assert told.problem is not None
    assert "ZeroDivisionError in Predict" in told.problem.message
    assert "Restart" in told.problem.hint
    worker.post(project.open_network(checkpoint=saved.path))
    worker.post(Predict(image_id="0.png", image_path=project.items[0].image_path, request_id=2))
    assert heard.wait(PredictionReady, lambda event: event.complete).request_id == 2


def test_a_fallen_worker_can_be_shut_down(worker: Worker, heard: Listener, trap: Trap) -> None:
    trap.set(2)
    heard.wait(StateChanged, _fell(2))
    worker.post(Shutdown())
    assert worker.join(60)
    assert heard.of(StateChanged)[-1].state is WorkerState.STOPPED


def test_a_listener_that_fails_costs_no_training(project: SmallProject) -> None:
    heard = Listener()

    def hear(event: Event) -> None:
        heard(event)
        if not isinstance(event, StepsDone):
            return
        raise RuntimeError("this window is gone")

    with running_worker(hear) as worker:
        worker.post(project.open_network())
        worker.post(StartTraining(config=CONFIG, items=project.items))
        heard.wait(StepsDone, lambda event: event.step > 5)
        worker.post(StopTraining())
        heard.wait(TrainingStopped)
    states = [event.state for event in heard.of(StateChanged)]
    assert WorkerState.FAULTED not in states
    assert heard.of(CheckpointSaved)


@pytest.mark.parametrize("times", [1, 2])
def test_a_session_keeps_what_was_painted_and_goes_on_after_a_restart(
    tmp_path: Path, trap: Trap, times: int
) -> None:
    write_images(tmp_path / "photos", count=1)
    with Driver(tmp_path / "photos") as driver:
        session = driver.session
        session.set_classes(two_classes())
        session.set_training(CONFIG)
        driver.show("image_0.png")
        driver.dab(20, 10, 0)
        driver.dab(20, 50, 1)
        assert session.flush()
        session.start_training()
        driver.wait(StepsDone)
        trap.set(times)
        driver.wait(StateChanged, _fell(times))
        assert session.worker.state is WorkerState.FAULTED
        driver.dab(30, 10, 0)
        expected = session.annotation.label_map.copy()
        session.restart_network()
        driver.wait(NetworkOpened)
        assert session.flush()
        session.start_training()
        driver.wait(StepsDone)
        assert session.close()
    with Driver(tmp_path / "photos") as again:
        again.show("image_0.png")
        assert (again.session.annotation.label_map == expected).all()
        assert again.session.checkpoints()


def _fell(times: int) -> Callable[[StateChanged], bool]:
    words = "in its loop" if times == 1 else "part of the program ended"
    return lambda event: event.problem is not None and words in event.problem.message
