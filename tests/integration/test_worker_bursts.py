"""The real worker under commands in any order, faster than it can follow: it answers and comes to rest."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from engine.messages import (
    AnnotationChanged,
    CancelExport,
    CheckpointSaved,
    Command,
    CommandFailed,
    Evaluate,
    LoadCheckpoint,
    NetworkOpened,
    Predict,
    SaveCheckpoint,
    StartTraining,
    StateChanged,
    StepsDone,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.worker import Worker
from tests.support.learning import TRAINING, Listener, SmallProject, make_project, running_worker

CONFIG = replace(TRAINING, batch_size=1, refresh_s=0.2, evaluate_every_s=1.0, checkpoint_every_s=1.0)
BURSTS, LONGEST = 12, 6


def _commands(project: SmallProject, saved: str, number: int) -> list[Command]:
    """One command of each kind that people send."""
    item = project.items[number % len(project.items)]
    return [
        project.open_network(quick_head=bool(number % 2)),
        StartTraining(config=CONFIG, items=project.items),
        StopTraining(),
        LoadCheckpoint(path=saved),
        SaveCheckpoint(),
        Predict(image_id=item.image_id, image_path=item.image_path, request_id=number),
        AnnotationChanged(item=replace(item, revision=number)),
        Evaluate(items=project.items),
        CancelExport(),
    ]


def _await_answer(worker: Worker, heard: Listener, number: int) -> None:
    """Ask something that every living worker answers, in whatever state, without doing anything."""
    name = f"nothing {number}.pt"
    worker.post(LoadCheckpoint(path=f"/{name}"))
    heard.wait(CommandFailed, lambda event: name in event.problem.message)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_it_answers_after_every_burst_and_rests_when_told(tmp_path: Path, seed: int) -> None:
    choose, heard, project = random.Random(seed), Listener(), make_project(tmp_path)
    with running_worker(heard) as worker:
        worker.post(project.open_network())
        worker.post(SaveCheckpoint(name="first"))
        saved = heard.wait(CheckpointSaved).path
        for number in range(BURSTS):
            for _ in range(choose.randint(1, LONGEST)):
                worker.post(choose.choice(_commands(project, saved, choose.randrange(100))))
            _await_answer(worker, heard, number)
        worker.post(StopTraining())
        _await_answer(worker, heard, BURSTS)
        states = [event.state for event in heard.of(StateChanged)]
        assert states[-1] is WorkerState.IDLE
        assert WorkerState.FAULTED not in states
        starts = states.count(WorkerState.TRAINING)
        assert starts <= len(heard.of(TrainingStopped))
        heard.clear()
        worker.post(project.open_network())
        heard.wait(NetworkOpened)
        worker.post(StartTraining(config=CONFIG, items=project.items))
        heard.wait(StepsDone)
    # That it was told to end and has ended is checked by `running_worker`.
    assert heard.of(StateChanged)[-1].state is WorkerState.STOPPED
