"""How long stop and cancel take with the real worker thread: `pytest -m bench -s` on this file.

Limits are those of the program: 2 s from stop to idle, 0.5 s from cancel to the end of an export. What counts
is the time between posting the command and hearing the event; on a computer that is busy with other things
it says little.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.messages import (
    CancelExport,
    CommandFailed,
    Export,
    ExportItem,
    NetworkOpened,
    Progress,
    StartTraining,
    StateChanged,
    StepsDone,
    StopTraining,
    WorkerState,
)
from engine.worker import Worker
from tests.support.learning import CLASSES, TRAINING, Listener, SmallProject, make_project, running_worker

pytestmark = pytest.mark.bench

STOP_S, CANCEL_S, TIMES = 2.0, 0.5, 5
PATIENCE_S = 600.0
CONFIG = replace(TRAINING, crop=replace(TRAINING.crop, size=256), refresh_s=1.0, checkpoint_every_s=1000.0)


@pytest.fixture
def heard() -> Listener:
    return Listener()


@pytest.fixture
def worker(heard: Listener) -> Iterator[Worker]:
    with running_worker(heard) as worker:
        yield worker


def _worst(measure: Callable[[], float]) -> float:
    return max(measure() for _ in range(TIMES))


def test_stop_is_done_in_two_seconds(worker: Worker, heard: Listener, tmp_path: Path) -> None:
    project = make_project(tmp_path)
    worker.post(project.open_network())
    heard.wait(NetworkOpened, timeout=PATIENCE_S)

    def measure() -> float:
        heard.clear()
        worker.post(StartTraining(config=CONFIG, items=project.items))
        heard.wait(StepsDone, timeout=PATIENCE_S)
        heard.clear()
        start = time.perf_counter()
        worker.post(StopTraining())
        heard.wait(StateChanged, lambda event: event.state is WorkerState.IDLE)
        return time.perf_counter() - start

    longest = _worst(measure)
    print(f"stop: {1e3 * longest:.0f} ms at most of {TIMES}")
    assert longest < STOP_S


def test_cancel_is_done_in_half_a_second(worker: Worker, heard: Listener, tmp_path: Path) -> None:
    project = make_project(tmp_path)
    places = iter(range(TIMES))

    def measure() -> float:
        heard.clear()
        worker.post(_export(project, tmp_path / f"out{next(places)}"))
        heard.wait(Progress, timeout=PATIENCE_S)
        start = time.perf_counter()
        worker.post(CancelExport())
        heard.wait(CommandFailed)
        return time.perf_counter() - start

    longest = _worst(measure)
    print(f"cancel: {1e3 * longest:.0f} ms at most of {TIMES}")
    assert longest < CANCEL_S


def _export(project: SmallProject, folder: Path) -> Export:
    """Far more images than can be written before the cancel is heard."""
    items = tuple(
        ExportItem(image_id=item.image_id, image_path=item.image_path, size=item.size)
        for item in project.items * 500
    )
    return Export(
        items=items,
        classes=CLASSES,
        format="png",
        folder=str(folder),
        fill_with_prediction=False,
        store_folder=str(project.folder),
    )
