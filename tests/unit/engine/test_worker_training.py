"""Training by the worker, without its thread."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.annotate.classes import UNLABELLED
from engine.learn.checkpoint import read_checkpoint
from engine.learn.runlog import read_runlog
from engine.messages import (
    AnnotationChanged,
    CheckpointSaved,
    Notice,
    PredictionReady,
    Shutdown,
    StartTraining,
    StateChanged,
    StepsDone,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from tests.support.learning import (
    BOX,
    CLASSES,
    GROUND,
    SKY,
    make_project,
)
from tests.support.worker_desk import QUIET, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path))
    yield desk
    desk.give(Shutdown())


def test_training_reports_and_stops_with_a_checkpoint(desk: Desk) -> None:
    opened = desk.open()
    assert (opened.title, opened.step, opened.checkpoint) == ("Tiny", 0, None)
    assert opened.parameters > 1000
    desk.start()
    assert desk.loop.state is WorkerState.TRAINING
    desk.work(5)
    steps = desk.heard.of(StepsDone)
    assert [event.step for event in steps] == [1, 2, 3, 4, 5]
    assert steps[-1].steps_per_second == pytest.approx(5.0)
    assert set(steps[-1].losses) == {"cross-entropy"}
    assert 0 < steps[-1].learning_rate <= 1e-2
    desk.give(StopTraining())
    assert desk.states() == [WorkerState.IDLE, WorkerState.TRAINING, WorkerState.IDLE]
    assert desk.heard.of(TrainingStopped)[-1].reason == "Training was stopped."
    saved = desk.heard.of(CheckpointSaved)[-1]
    checkpoint = read_checkpoint(Path(saved.path))
    assert (saved.step, checkpoint.about.step, checkpoint.about.classes) == (5, 5, CLASSES)
    assert checkpoint.optimizer is not None
    assert len(checkpoint.optimizer.values) > 5


def test_reports_come_at_most_ten_times_a_second(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(20, seconds=0.03)
    reports = desk.heard.of(StepsDone)
    assert 4 <= len(reports) <= 6
    assert reports[-1].step >= 16


def test_nothing_to_learn_is_refused_with_the_remedy(desk: Desk) -> None:
    desk.open()
    desk.give(StartTraining(config=QUIET, items=()))
    assert "no image for training is labelled" in desk.failed.problem.message
    only_sky = np.full((64, 80), SKY, np.uint8)
    desk.project.annotate("0.png", only_sky, 2)
    desk.give(StartTraining(config=QUIET, items=desk.project.items[:1]))
    assert "one class" in desk.failed.problem.message
    assert "another class" in desk.failed.problem.hint
    assert desk.loop.state is WorkerState.IDLE


def test_a_limit_of_steps_ends_the_run(desk: Desk) -> None:
    desk.open()
    desk.start(replace(QUIET, max_steps=3))
    desk.work(6)
    assert desk.heard.of(TrainingStopped)[-1].reason == "Done: 3 steps."
    assert desk.heard.of(CheckpointSaved)[-1].step == 3
    assert desk.loop.state is WorkerState.IDLE


def test_a_second_start_takes_over_config_and_images(desk: Desk) -> None:
    desk.open()
    desk.give(StartTraining(config=QUIET, items=desk.project.items[:1]))
    desk.work(2)
    desk.start(replace(QUIET, max_steps=4))
    desk.work(4)
    assert desk.heard.of(TrainingStopped)[-1].reason == "Done: 4 steps."
    assert desk.states().count(WorkerState.TRAINING) == 1


def test_a_correction_is_learnt_from_with_the_next_step(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open()
    desk.start(replace(QUIET, crop=replace(QUIET.crop, recent_share=1.0)))
    desk.work(1)
    item = replace(desk.project.items[0], revision=2)
    labels = np.full((64, 80), UNLABELLED, np.uint8)
    labels[30, 40], labels[2, 2], labels[60, 70] = SKY, GROUND, BOX
    desk.project.annotate(item.image_id, labels, 2)
    seen: list[torch.Tensor] = []
    from engine.learn import trainer as module

    monkeypatch.setattr(module.Trainer, "_update", _spy(module.Trainer._update, seen))
    desk.give(AnnotationChanged(item=item))
    desk.work(1)
    # Only single pixels are labelled in the corrected image, and all crops come from it.
    assert [(target != 255).sum() <= 2 * 3 for target in seen] == [True]


def _spy(update: Callable[..., object], seen: list[torch.Tensor]) -> Callable[..., object]:
    def spied(trainer: object, batch: object) -> object:
        seen.append(batch.target)  # type: ignore[attr-defined]
        return update(trainer, batch)

    return spied


def test_a_poisoned_run_is_named_and_the_old_weights_answer(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(30)
    desk.give(StopTraining())
    desk.predict()
    desk.work(1)
    before = desk.heard.of(PredictionReady)[-1].prediction
    files = desk.checkpoints()
    rate = replace(QUIET.optimizer, learning_rate=10.0)
    desk.heard.clear()
    desk.start(replace(QUIET, optimizer=rate))
    stopped = desk.work_until(TrainingStopped)
    assert "left the rails" in stopped.reason
    idle = desk.heard.of(StateChanged)[-1]
    assert idle.state is WorkerState.IDLE
    assert idle.problem is not None
    assert "smaller learning rate" in idle.problem.hint
    assert desk.checkpoints() == files
    desk.heard.clear()
    desk.predict(2)
    desk.work(1)
    after = desk.heard.of(PredictionReady)[-1].prediction
    assert after.step == before.step == 30
    assert (after.label_map == before.label_map).all()


def test_predictions_of_poisoned_weights_never_reach_the_screen(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(20)
    desk.give(StopTraining())
    desk.predict()
    desk.work(1)
    desk.heard.clear()
    rate = replace(QUIET.optimizer, learning_rate=10.0)
    desk.start(replace(QUIET, optimizer=rate, refresh_s=0.2))
    desk.work_until(TrainingStopped)
    # At most what the very first steps, before any loss told, may show.
    assert all(event.prediction.step <= 20 + 3 for event in desk.heard.of(PredictionReady))


def test_memory_that_is_short_changes_the_plan_and_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.learn.batches import Batches

    draw = Batches.next

    def short(batches: Batches, count: int, size: int) -> object:
        if count > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return draw(batches, count, size)

    monkeypatch.setattr(Batches, "next", short)
    desk.open()
    desk.start()
    desk.work(2)
    (notice,) = desk.heard.of(Notice)
    assert notice.text == "Not enough memory for 2 crops of 48 px: training goes on with 1 crop of 48 px."
    assert desk.loop.state is WorkerState.TRAINING


def test_an_image_that_vanishes_is_named_and_the_rest_goes_on(desk: Desk) -> None:
    desk.open()
    desk.start()
    Path(desk.project.items[0].image_path).unlink()
    desk.work(15)
    (notice,) = desk.heard.of(Notice)
    assert "0.png" in notice.text
    for item in desk.project.items:
        Path(item.image_path).unlink(missing_ok=True)
    desk.work(20)
    assert desk.loop.state in (WorkerState.TRAINING, WorkerState.IDLE)


def test_a_run_is_logged(desk: Desk) -> None:
    desk.open()
    desk.start(replace(QUIET, evaluate_every_s=5.0))
    desk.work(60)
    desk.give(StopTraining())
    (path,) = (desk.project.folder / "runs").glob("*.jsonl")
    records = read_runlog(path)
    kinds = [record["kind"] for record in records]
    assert kinds[0] == "start"
    assert kinds.index("stop") > kinds.index("evaluation")
    assert {"steps", "checkpoint"} <= set(kinds)
    begun, sampled = records[0], QUIET.crop
    assert (begun["step"], begun["checkpoint"], begun["images"], begun["held_out"]) == (0, "", 3, 1)
    assert begun["labels_version"] == 4, "one revision of each annotation, the held-out one's too"
    assert begun["recent_share"] == sampled.recent_share
    assert begun["corrected_share"] == sampled.corrected_share
    assert json.dumps(records)
