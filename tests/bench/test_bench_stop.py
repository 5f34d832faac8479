"""How long stop and cancel take with the real worker and disk thread: `pytest -m bench -s` on this file.

Limits are those of the program: 2 s from stop until all is saved and memory is given back, 0.5 s from cancel
to the end of an export or import. What counts is the time between posting the command and hearing the event;
on a computer that is busy with other things it says little.
"""

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from engine.config import Device
from engine.messages import (
    IMPORT_TASK,
    CancelExport,
    CheckpointSaved,
    CommandFailed,
    Event,
    Export,
    ExportItem,
    LoadCheckpoint,
    MasksImported,
    NetworkOpened,
    Progress,
    SaveCheckpoint,
    StartTraining,
    StepsDone,
    StopTraining,
    TrainingStopped,
)
from engine.session import Session
from engine.worker import Worker
from models.configs import NetworkConfig
from models.cost import without_weights
from models.presets import fcn_resnet18, tiny
from tests.support.learning import (
    CLASSES,
    TRAINING,
    Listener,
    SmallProject,
    make_project,
    picture,
    running_worker,
)

pytestmark = pytest.mark.bench

STOP_S, CANCEL_S, TIMES = 2.0, 0.5, 5
PATIENCE_S = 600.0
CONFIG = replace(TRAINING, crop=replace(TRAINING.crop, size=256), refresh_s=5.0, checkpoint_every_s=1000.0)
LARGE, SMALLER = (2160, 3840), (1080, 1920)
RESNET18 = without_weights(fcn_resnet18())
NETWORKS = pytest.mark.parametrize("network", [tiny(), RESNET18], ids=["tiny", "fcn-resnet18"])


@pytest.fixture
def heard() -> Listener:
    return Listener()


@pytest.fixture
def worker(heard: Listener) -> Iterator[Worker]:
    with running_worker(heard) as worker:
        yield worker


def _worst(measure: Callable[[], float]) -> float:
    return max(measure() for _ in range(TIMES))


@NETWORKS
def test_stop_is_done_in_two_seconds(
    worker: Worker, heard: Listener, tmp_path: Path, network: NetworkConfig
) -> None:
    project = make_project(tmp_path, train=12, held_out=8, size=(720, 960))
    worker.post(project.open_network(network=network))
    heard.wait(NetworkOpened, timeout=PATIENCE_S)

    def measure() -> float:
        heard.clear()
        worker.post(StartTraining(config=CONFIG, items=project.items))
        first = heard.wait(StepsDone, timeout=PATIENCE_S).step
        heard.wait(StepsDone, lambda event: event.step > first, timeout=PATIENCE_S)
        heard.clear()
        start = time.perf_counter()
        worker.post(StopTraining())
        heard.wait(TrainingStopped, timeout=PATIENCE_S)
        return time.perf_counter() - start

    longest = _worst(measure)
    print(f"stop: {1e3 * longest:.0f} ms at most of {TIMES}")
    assert longest < STOP_S


@pytest.mark.parametrize("fill", [False, True], ids=["as painted", "filled"])
@NETWORKS
def test_cancel_of_an_export_is_done_in_half_a_second(
    worker: Worker, heard: Listener, tmp_path: Path, network: NetworkConfig, fill: bool
) -> None:
    # Of a large network one tile takes seconds; what matters is one tile and what follows the last one.
    size = SMALLER if network is RESNET18 else LARGE
    project = make_project(tmp_path, train=2, held_out=0, size=size)
    worker.post(project.open_network(network=network))
    # A checkpoint may be shown, so it may fill, however little it has learnt.
    worker.post(SaveCheckpoint())
    saved = heard.wait(CheckpointSaved, timeout=PATIENCE_S).path
    worker.post(LoadCheckpoint(path=saved))
    heard.wait(NetworkOpened, lambda event: event.checkpoint == saved, timeout=PATIENCE_S)
    numbers = iter(range(TIMES))

    def measure() -> float:
        number = next(numbers)
        heard.clear()
        worker.post(_export(project, tmp_path / f"out{number}", fill=fill))
        heard.wait(Progress, timeout=PATIENCE_S)
        start = time.perf_counter()
        worker.post(CancelExport())
        failed = heard.wait(CommandFailed, timeout=PATIENCE_S)
        assert "cancelled" in failed.problem.message
        return time.perf_counter() - start

    longest = _worst(measure)
    print(f"cancel of an export: {1e3 * longest:.0f} ms at most of {TIMES}")
    assert longest < CANCEL_S


def _export(project: SmallProject, folder: Path, *, fill: bool) -> Export:
    """Far more images than can be written before the cancel is heard."""
    items = tuple(
        ExportItem(image_id=f"{number}/{item.image_id}", image_path=item.image_path, size=item.size)
        for number in range(500)
        for item in project.items
    )
    return Export(
        items=items,
        classes=CLASSES,
        format="png",
        folder=str(folder),
        fill_with_prediction=fill,
        store_folder=str(project.folder),
    )


def test_cancel_of_an_import_is_done_in_half_a_second(tmp_path: Path) -> None:
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    for number in range(3 * TIMES):
        image, labels = picture(number, LARGE)
        Image.fromarray(image).save(images / f"{number}.png", compress_level=1)
        Image.fromarray(labels).save(masks / f"{number}.png")
    events: queue.Queue[Event] = queue.Queue()
    session = Session.open(images, emit=events.put, device=Device.CPU)

    def wait(fits: Callable[[Event], bool]) -> Event:
        while not fits(event := events.get(timeout=PATIENCE_S)):
            session.handle(event)
        session.handle(event)
        return event

    def measure() -> float:
        session.import_masks(preview, preview.mapping)
        wait(lambda event: isinstance(event, Progress) and event.task == IMPORT_TASK)
        start = time.perf_counter()
        session.cancel_import()
        done = wait(lambda event: isinstance(event, MasksImported))
        took = time.perf_counter() - start
        assert isinstance(done, MasksImported)
        assert any("left out" in note for note in done.notes)
        return took

    try:
        preview = session.preview_import(masks)
        longest = _worst(measure)
    finally:
        session.close()
    print(f"cancel of an import: {1e3 * longest:.0f} ms at most of {TIMES}")
    assert longest < CANCEL_S
