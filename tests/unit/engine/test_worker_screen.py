"""Predictions, measuring and checkpoints by the worker, without its thread."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.annotate.classes import ClassTable
from engine.annotate.geometry import Box
from engine.config import PredictConfig
from engine.errors import StorageError
from engine.learn.checkpoint_files import list_checkpoints
from engine.messages import (
    CheckpointSaved,
    ClassesChanged,
    CommandFailed,
    Evaluate,
    EvaluationDone,
    LoadCheckpoint,
    NetworkOpened,
    Predict,
    PredictionReady,
    Progress,
    SaveCheckpoint,
    Shutdown,
    StepsDone,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.project.manifest import Split
from models.configs import TinyBackboneConfig
from tests.support.learning import (
    BOX,
    CLASSES,
    GROUND,
    NETWORK,
    SKY,
    make_project,
    picture,
)
from tests.support.worker_desk import QUIET, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path))
    yield desk
    desk.give(Shutdown())


def test_an_untrained_network_stays_silent_until_it_has_learnt(desk: Desk) -> None:
    desk.open()
    desk.predict(7)
    desk.work(2)
    assert desk.heard.of(PredictionReady) == []
    desk.start(replace(QUIET, refresh_s=1.0))
    ready = desk.work_until(PredictionReady)
    assert ready.request_id == 7
    assert ready.complete
    assert ready.prediction.step >= 1
    assert set(np.unique(ready.prediction.label_map)) <= {SKY, GROUND, BOX}


def test_the_image_on_screen_is_renewed_while_training(desk: Desk) -> None:
    desk.open()
    desk.start(replace(QUIET, refresh_s=1.0))
    desk.predict(7)
    desk.work(250)  # fifty seconds, of which judging takes a tenth
    steps = [event.prediction.step for event in desk.heard.of(PredictionReady)]
    # Not each time: what is no better than what is shown stays unseen.
    assert 2 <= len(steps) <= 7
    assert steps == sorted(set(steps))


def test_a_request_is_answered_before_the_next_step(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(3)
    desk.heard.clear()
    desk.predict(9)
    desk.work(1)
    assert [type(event) for event in desk.heard.events] == [PredictionReady]


def test_tiles_on_screen_come_first_and_steps_go_on_beside_the_rest(desk: Desk) -> None:
    tiles = PredictConfig(single_tile_megapixels=0.0, tile=64, overlap=8)
    desk.open(predict=tiles)
    from PIL import Image

    large = desk.project.images / "large.png"
    Image.fromarray(picture(9, (256, 256))[0]).save(large)
    desk.start()
    desk.work(2)
    desk.heard.clear()
    visible = Box(130, 130, 180, 180)
    desk.give(Predict(image_id="large.png", image_path=str(large), request_id=1, visible=visible))
    desk.work(200)
    kinds = [type(event) for event in desk.heard.events if isinstance(event, PredictionReady | StepsDone)]
    first_step = kinds.index(StepsDone)
    parts = desk.heard.of(PredictionReady)
    assert 2 <= first_step < 12
    assert len(parts) == 25
    assert [part.complete for part in parts] == [False] * 24 + [True]
    assert StepsDone in kinds[: kinds.index(PredictionReady, first_step) + 4]


def test_the_newest_request_replaces_the_one_under_way(desk: Desk) -> None:
    desk.open(predict=PredictConfig(single_tile_megapixels=0.0, tile=64, overlap=8))
    desk.start()
    desk.work(1)
    desk.give(StopTraining())
    desk.heard.clear()
    desk.predict(1, number=0)
    desk.work(1)
    desk.predict(2, number=1)
    desk.work(10)
    requests = [(event.request_id, event.prediction.image_id) for event in desk.heard.of(PredictionReady)]
    assert requests == [(1, "0.png"), (2, "1.png"), (2, "1.png")]


def test_an_image_that_cannot_be_read_fails_its_request_only(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(1)
    desk.give(Predict(image_id="x.png", image_path=str(desk.project.images / "x.png"), request_id=3))
    assert desk.failed.command == "Predict"
    assert "x.png" in desk.failed.problem.message
    assert desk.loop.state is WorkerState.TRAINING


def test_held_out_images_are_measured_and_the_best_weights_kept(desk: Desk) -> None:
    desk.open()
    desk.start(replace(QUIET, evaluate_every_s=4.0))
    done = desk.work_until(EvaluationDone)
    assert done.images == 1
    assert done.miou is not None
    assert set(done.iou_per_class) == {"sky", "ground", "box"}
    saved = desk.work_until(CheckpointSaved)
    assert saved.is_best
    assert saved.miou == pytest.approx(done.miou)
    assert saved.step == done.step
    assert desk.heard.of(Progress)[-1].task == "Measuring"


def test_measuring_on_request_uses_val_images_only(desk: Desk) -> None:
    desk.open()
    desk.give(Evaluate(items=desk.project.items))
    assert desk.work_until(EvaluationDone).images == 1
    desk.heard.clear()
    train_only = tuple(item for item in desk.project.items if item.split is Split.TRAIN)
    desk.give(Evaluate(items=train_only))
    done = desk.work_until(EvaluationDone)
    assert (done.images, done.miou) == (0, None)


def test_old_checkpoints_make_room(desk: Desk) -> None:
    desk.open()
    desk.start(replace(QUIET, checkpoint_every_s=1.0, keep_checkpoints=2))
    desk.work(3)
    desk.give(SaveCheckpoint(name="mine"))
    desk.work(30)
    found = list_checkpoints(desk.project.folder / "checkpoints")
    assert [info.step for info in found if info.name == "mine"] == [3]
    # Those that were kept only never push out those that were shown.
    assert 1 <= len([info for info in found if info.better and not info.name]) <= 2
    assert len([info for info in found if not info.better and not info.name]) <= 2


def test_a_full_disk_stops_no_training(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise StorageError("The disk is full.", "Free some space.")

    monkeypatch.setattr("engine.learn.checkpoint.atomic_write", full)
    desk.open()
    desk.start(replace(QUIET, checkpoint_every_s=1.0))
    desk.work(12)
    assert desk.failed.command == "SaveCheckpoint"
    assert desk.failed.problem.message == "The disk is full."
    assert desk.loop.state is WorkerState.TRAINING


def test_a_loaded_checkpoint_continues_where_it_was_saved(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(12)
    desk.give(SaveCheckpoint(name=None))
    desk.predict(1)
    desk.work(1)
    shown = desk.heard.of(PredictionReady)[-1].prediction
    desk.work(10)
    desk.give(LoadCheckpoint(path=desk.heard.of(CheckpointSaved)[-1].path))
    assert desk.heard.of(TrainingStopped)[-1].reason == "A checkpoint was loaded."
    opened = desk.heard.of(NetworkOpened)[-1]
    assert opened.step == 12
    desk.heard.clear()
    desk.work(1)
    again = desk.heard.of(PredictionReady)[-1].prediction
    assert again.step == 12
    assert (again.label_map == shown.label_map).all()
    assert again.checkpoint.startswith("step-00000012")
    desk.start()
    desk.work(1)
    assert desk.heard.of(StepsDone)[-1].step == 13


def test_a_checkpoint_brings_its_own_network(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(2)
    desk.give(StopTraining())
    path = desk.heard.of(CheckpointSaved)[-1].path
    desk.open(network=replace(NETWORK, backbone=TinyBackboneConfig(width=12, depth=2)))
    parameters = desk.heard.of(NetworkOpened)[-1].parameters
    desk.give(LoadCheckpoint(path=path))
    opened = desk.heard.of(NetworkOpened)[-1]
    assert opened.parameters < parameters
    assert "another network" in opened.notices[0]


def test_a_damaged_checkpoint_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.open()
    desk.start()
    desk.work(1)
    (tmp_path / "bad.pt").write_bytes(b"PK nothing")
    desk.give(LoadCheckpoint(path=str(tmp_path / "bad.pt")))
    assert "bad.pt" in desk.failed.problem.message
    assert desk.loop.state is WorkerState.TRAINING
    opened = desk.open(checkpoint=str(tmp_path / "bad.pt"))
    assert opened.checkpoint is None
    assert "starts untrained" in opened.notices[0]


def test_classes_change_while_training_and_nothing_else_is_lost(desk: Desk) -> None:
    desk.open()
    desk.start(replace(QUIET, refresh_s=1.0))
    desk.predict()
    desk.work(40)
    before = desk.heard.of(PredictionReady)[-1].prediction.label_map
    desk.heard.clear()
    desk.give(ClassesChanged(classes=CLASSES.add("tree").move(BOX, 0)))
    desk.work(1)
    after = desk.heard.of(PredictionReady)[-1].prediction.label_map
    # The new class knows nothing yet and may win a few pixels; the others stay what they were.
    assert (after == before).mean() > 0.7
    desk.work(20)
    assert desk.loop.state is WorkerState.TRAINING
    assert desk.heard.of(CommandFailed) == []


def test_a_rename_changes_no_weight(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.predict()
    desk.work(10)
    desk.give(ClassesChanged(classes=CLASSES.rename(SKY, "heaven")))
    desk.give(Evaluate(items=desk.project.items))
    assert "heaven" in desk.work_until(EvaluationDone).iou_per_class


def test_losing_the_last_class_is_refused(desk: Desk) -> None:
    desk.open()
    desk.give(ClassesChanged(classes=ClassTable()))
    assert "last class" in desk.failed.problem.message
    desk.give(desk.project.open_network(classes=ClassTable()))
    assert "no classes" in desk.failed.problem.message
