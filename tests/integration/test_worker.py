"""The worker with its real thread: nothing here sleeps, everything waits for an event."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.messages import (
    AnnotationChanged,
    CheckpointSaved,
    Event,
    NetworkOpened,
    Predict,
    PredictionReady,
    Shutdown,
    StartTraining,
    StateChanged,
    StepsDone,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.project.manifest import Split
from engine.worker import Worker
from tests.support.learning import TRAINING, Listener, make_project, picture, running_worker

CONFIG = replace(TRAINING, refresh_s=0.2, evaluate_every_s=1000.0, checkpoint_every_s=1000.0)


@pytest.fixture
def heard() -> Listener:
    return Listener()


@pytest.fixture
def worker(heard: Listener) -> Iterator[Worker]:
    with running_worker(heard) as worker:
        yield worker


def test_the_corrective_loop_end_to_end(worker: Worker, heard: Listener, tmp_path: Path) -> None:
    project = make_project(tmp_path)
    item = project.items[0]
    worker.post(project.open_network())
    worker.post(Predict(image_id=item.image_id, image_path=item.image_path, request_id=1))
    worker.post(StartTraining(config=CONFIG, items=project.items))
    heard.wait(StepsDone)
    ready = heard.wait(PredictionReady, lambda event: event.complete)
    assert ready.prediction.image_id == item.image_id
    project.annotate(item.image_id, picture(0)[1], 2)
    worker.post(AnnotationChanged(item=replace(item, revision=2)))
    step = heard.of(StepsDone)[-1].step
    heard.wait(StepsDone, lambda event: event.step > step + 20)
    worker.post(StopTraining())
    heard.wait(TrainingStopped)
    assert heard.of(CheckpointSaved)
    late = heard.of(PredictionReady)[-1].prediction
    assert (late.label_map == picture(0)[1]).mean() > 0.6


def test_states_come_in_order_and_training_starts_again_and_again(
    worker: Worker, heard: Listener, tmp_path: Path
) -> None:
    project = make_project(tmp_path)
    worker.post(project.open_network())
    heard.wait(NetworkOpened)
    last, learnt_from = 0, sum(item.split is Split.TRAIN for item in project.items)
    for _ in range(3):
        heard.clear()
        worker.post(StartTraining(config=CONFIG, items=project.items))
        done = heard.wait(StepsDone)
        assert done.step > last
        assert (done.first_step, done.images) == (last, learnt_from)
        worker.post(StopTraining())
        heard.wait(TrainingStopped)
        last = heard.of(CheckpointSaved)[-1].step
        assert [event.state for event in heard.of(StateChanged)] == [WorkerState.TRAINING, WorkerState.IDLE]
    heard.clear()
    worker.post(Shutdown())
    assert heard.wait(StateChanged).state is WorkerState.STOPPED


def test_events_come_on_the_worker_thread_only(tmp_path: Path) -> None:
    threads: set[str] = set()

    def emit(event: Event) -> None:
        threads.add(threading.current_thread().name)

    worker = Worker(emit, threads=1)
    worker.start()
    worker.post(make_project(tmp_path).open_network())
    worker.post(Shutdown())
    assert worker.join(60)
    assert threads == {"worker"}


def test_a_worker_never_started_has_ended() -> None:
    assert Worker(Listener()).join(0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a priority to one thread")
def test_the_worker_steps_aside_for_the_window(worker: Worker, heard: Listener) -> None:
    heard.wait(StateChanged, lambda event: event.state is WorkerState.IDLE)
    thread = next(thread for thread in threading.enumerate() if thread.name == "worker")
    assert thread.native_id is not None
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert os.getpriority(os.PRIO_PROCESS, thread.native_id) == max(own, 5)


def test_torch_is_imported_by_the_thread_and_not_before() -> None:
    code = (
        "import sys, threading\n"
        "import engine.messages, engine.config, engine.learn.checkpoint_files, engine.worker as w\n"
        "assert 'torch' not in sys.modules\n"
        "worker = w.Worker(lambda event: None, threads=1)\n"
        "worker.post(engine.messages.Shutdown())\n"
        "worker.start()\n"
        "assert worker.join(400)\n"
        "assert 'torch' in sys.modules\n"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=450)
