"""From the command to stop until all is saved and released: seconds, whatever the network.

The limit is loose, as a test runs on any computer beside anything else; `tests/bench/test_bench_stop.py` has
that of the program.
"""

import gc
import time
from dataclasses import replace
from pathlib import Path

import pytest

from engine.learn.checkpoint import read_checkpoint
from engine.learn.trainer import Trainer
from engine.messages import (
    CheckpointSaved,
    NetworkOpened,
    StartTraining,
    StepsDone,
    StopTraining,
    TrainingStopped,
)
from models.configs import NetworkConfig
from models.cost import without_weights
from models.presets import fcn_resnet18
from tests.support.learning import NETWORK, TRAINING, Listener, make_project, running_worker

LIMIT_S = 8.0
PATIENCE_S = 240.0
WINDOWS = 32
"""To be judged on: together they take a large network far longer than the limit."""


@pytest.mark.slow
@pytest.mark.parametrize("network", [NETWORK, without_weights(fcn_resnet18())], ids=["tiny", "resnet18"])
def test_stopping_takes_no_longer_than_a_step_and_a_save(tmp_path: Path, network: NetworkConfig) -> None:
    project = make_project(tmp_path, train=WINDOWS, held_out=WINDOWS // 2, size=(288, 320))
    config = replace(
        TRAINING,
        promotion=replace(TRAINING.promotion, windows=WINDOWS),
        refresh_s=1000.0,
        evaluate_every_s=1000.0,
        checkpoint_every_s=1000.0,
    )
    heard = Listener()
    with running_worker(heard) as worker:
        worker.post(project.open_network(network=network))
        heard.wait(NetworkOpened, timeout=PATIENCE_S)
        for _ in range(2):  # the second run's weights have others to be judged by
            heard.clear()
            worker.post(StartTraining(config=config, items=project.items))
            heard.wait(StepsDone, timeout=PATIENCE_S)
            began = time.perf_counter()
            worker.post(StopTraining())
            heard.wait(TrainingStopped, timeout=PATIENCE_S)
            took = time.perf_counter() - began
            step = heard.of(StepsDone)[-1].step
            saved = heard.of(CheckpointSaved)[-1]
            assert read_checkpoint(Path(saved.path)).about.step >= step
            gc.collect()
            assert not [item for item in gc.get_objects() if type(item) is Trainer]
            assert took < LIMIT_S
