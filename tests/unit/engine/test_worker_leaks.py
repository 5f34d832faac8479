"""Starting and stopping training twenty times leaves nothing behind."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.messages import Shutdown, StopTraining, TrainingStopped, WorkerState
from tests.support.learning import make_project
from tests.support.resident import living_tensors
from tests.support.worker_desk import QUIET, Desk

CYCLES = 20


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path, train=2, held_out=0))
    yield desk
    desk.give(Shutdown())


def _cycle(desk: Desk) -> None:
    desk.start(replace(QUIET, batch_size=1))
    desk.work(2)
    assert desk.loop.state is WorkerState.TRAINING
    desk.give(StopTraining())
    assert desk.heard.of(TrainingStopped)
    assert desk.loop.state is WorkerState.IDLE
    desk.heard.clear()


@pytest.mark.slow
def test_twenty_runs_leave_nothing_behind(desk: Desk) -> None:
    desk.open()
    for _ in range(2):
        _cycle(desk)
    count, size = living_tensors()
    tracemalloc.start()
    try:
        held = tracemalloc.get_traced_memory()[0]
        for _ in range(CYCLES):
            _cycle(desk)
        after = living_tensors()
        grown = tracemalloc.get_traced_memory()[0] - held
    finally:
        tracemalloc.stop()
    assert after[0] <= count + CYCLES // 2
    assert after[1] <= size + 2**16
    # Names of twenty checkpoint files and the like; a kept run would be ten times as much.
    assert grown < 4 * 2**20


def test_stop_is_served_at_the_next_step_boundary(desk: Desk) -> None:
    """One turn of the loop is one step: a stop costs no more than the step under way."""
    desk.open()
    desk.start(QUIET)
    desk.work(1)
    desk.inbox.post(StopTraining())
    desk.loop.turn(wait=False)
    assert desk.loop.state is WorkerState.IDLE
    assert desk.heard.of(TrainingStopped)
