"""What the worker gives back of a graphics card's memory: after every stop, and at its end."""

import gc
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.config import Device
from engine.messages import NetworkOpened, StartTraining, StepsDone, StopTraining, TrainingStopped
from tests.support.learning import TRAINING, Listener, make_project, running_worker

pytestmark = pytest.mark.gpu

CYCLES = 20
BACK_S = 3.0
MIB = 2**20
SLACK = 24 * MIB
"""A block of the allocator that something small lives in now, which lived elsewhere before."""
CONFIG = replace(
    TRAINING,
    crop=replace(TRAINING.crop, size=512),
    batch_size=8,
    # What is judged may be judged after the stop, and takes memory for that long.
    promotion=replace(TRAINING.promotion, enabled=False),
    refresh_s=1000.0,
    evaluate_every_s=1000.0,
    checkpoint_every_s=1000.0,
)


@pytest.fixture(autouse=True)
def _card() -> Iterator[None]:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA card on this machine")
    gc.collect()
    torch.cuda.empty_cache()
    yield
    gc.collect()
    torch.cuda.empty_cache()


def test_memory_is_back_within_seconds_of_every_stop(tmp_path: Path) -> None:
    project, heard = make_project(tmp_path), Listener()

    def cycle() -> tuple[float, int, int]:
        """Train and stop; return the seconds that took, and the bytes used and held then."""
        heard.clear()
        torch.cuda.reset_peak_memory_stats()
        worker.post(StartTraining(config=CONFIG, items=project.items))
        first = heard.wait(StepsDone).step
        heard.wait(StepsDone, lambda event: event.step > first)
        began = time.perf_counter()
        worker.post(StopTraining())
        heard.wait(TrainingStopped)
        took = time.perf_counter() - began
        return took, torch.cuda.memory_allocated(), torch.cuda.memory_reserved()

    with running_worker(heard) as worker:
        worker.post(project.open_network(device=Device.CUDA))
        assert "processor" not in heard.wait(NetworkOpened).device
        # From the first time on libraries keep some room of their own.
        _, used, held = cycle()
        for _ in range(CYCLES):
            took, used_now, held_now = cycle()
            assert torch.cuda.max_memory_allocated() > used + 2 * SLACK, "training takes what is to come back"
            assert took < BACK_S
            assert used_now <= used + MIB
            assert held_now <= held + SLACK
    gc.collect()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_allocated() < used, "the network is gone, too"
