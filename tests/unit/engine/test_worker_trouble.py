"""The worker when memory is short, files are gone, or somebody changes their mind."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from engine.config import Device
from engine.learn.device import ResolvedDevice
from engine.messages import (
    CommandFailed,
    Evaluate,
    EvaluationDone,
    LoadCheckpoint,
    NetworkOpened,
    Notice,
    Predict,
    PredictionReady,
    SaveCheckpoint,
    Shutdown,
    StartTraining,
    StepsDone,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.project.manifest import Split
from models.configs import FcnConfig, ResNetConfig, ResNetDepth
from tests.support.learning import CLASSES, SKY, make_project
from tests.support.worker_desk import QUIET, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path))
    yield desk
    desk.give(Shutdown())


def test_reading_annotations_ends_when_somebody_stops(desk: Desk) -> None:
    desk.open()
    desk.inbox.post(StartTraining(config=QUIET, items=desk.project.items))
    desk.inbox.post(StopTraining())
    desk.loop.turn(wait=False)
    assert desk.heard.of(TrainingStopped)[-1].reason == "Training was stopped."
    assert desk.loop.state is WorkerState.IDLE


def test_a_full_card_leaves_the_network_on_the_processor(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    card = ResolvedDevice(device=torch.device("cuda"), title="Card 9000")
    cpu = ResolvedDevice(device=torch.device("cpu"), title="processor, 1 thread")
    monkeypatch.setattr(
        "engine.worker.network.resolve_device", lambda wanted: cpu if wanted is Device.CPU else card
    )
    move = torch.nn.Module.to

    def full(module: torch.nn.Module, *where: object, **how: object) -> torch.nn.Module:
        if where and str(where[0]) == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return move(module, *where, **how)  # type: ignore[arg-type, call-overload, no-any-return]

    monkeypatch.setattr(torch.nn.Module, "to", full)
    opened = desk.open()
    assert opened.device == "processor, 1 thread"
    assert opened.notices == ("The memory of Card 9000 is full: the network runs on the processor.",)


def test_a_run_that_does_not_fit_at_all_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **more: object) -> object:
        raise MemoryError

    desk.open()
    with monkeypatch.context() as patch:
        patch.setattr("engine.worker.run.Trainer", full)
        desk.start()
    assert "not enough memory to train" in desk.heard.of(CommandFailed)[-1].problem.message
    assert desk.loop.state is WorkerState.IDLE
    desk.start()
    assert desk.loop.state is WorkerState.TRAINING


def test_held_out_images_that_are_gone_or_changed_are_named(desk: Desk, tmp_path: Path) -> None:
    items = [replace(item, split=Split.VAL) for item in desk.project.items]
    Path(items[0].image_path).unlink()
    Image.new("RGB", (9, 7)).save(items[1].image_path)
    desk.open()
    desk.give(Evaluate(items=tuple(items)))
    assert desk.work_until(EvaluationDone).images == 2
    gone, changed = desk.heard.of(Notice)
    assert "0.png" in gone.text
    assert "no longer has the size" in changed.text


def test_what_was_learnt_is_saved_when_another_network_is_opened(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(2)
    desk.predict(1)
    desk.open(images_folder="/elsewhere")
    assert desk.heard.of(TrainingStopped)[-1].reason == "Another network was opened."
    assert len(desk.checkpoints()) == 1
    desk.heard.clear()
    # Another folder's image is no longer on screen.
    desk.work(3)
    assert desk.heard.of(PredictionReady) == []


def test_a_reopened_project_resumes_from_its_checkpoint(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(5)
    desk.give(StopTraining())
    path = desk.checkpoints()[-1]
    again = Desk(desk.project)
    again.open(checkpoint=str(path))
    opened = again.heard.of(NetworkOpened)[-1]
    assert (opened.step, opened.checkpoint, opened.notices) == (5, str(path), ())
    again.predict(1)
    again.work(1)
    assert again.heard.of(PredictionReady)[-1].prediction.checkpoint == path.name
    again.start()
    again.work(1)
    assert again.heard.of(StepsDone)[-1].step == 6
    again.give(Shutdown())


def test_a_checkpoint_of_another_class_table_says_what_is_new_and_what_is_gone(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(2)
    desk.give(StopTraining())
    table = CLASSES.remove(SKY).add("tree")
    opened = desk.open(classes=table, checkpoint=str(desk.checkpoints()[-1]))
    assert any("tree" in notice and "afresh" in notice for notice in opened.notices)
    assert any("sky" in notice and "left out" in notice for notice in opened.notices)


def test_an_image_too_large_for_memory_fails_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open()
    desk.start()
    desk.work(1)
    from engine.predict.predictor import Predictor

    def full(predictor: Predictor, image: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    item = desk.project.items[0]
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "_softmax", full)
        desk.give(Predict(image_id=item.image_id, image_path=item.image_path, request_id=1))
        desk.work(1)
    failed = desk.heard.of(CommandFailed)[-1]
    assert failed.command == "Predict"
    assert "not even in small tiles" in failed.problem.message
    desk.work(2)
    assert desk.loop.state is WorkerState.TRAINING


def test_a_checkpoint_that_cannot_be_saved_is_the_worlds_fault(desk: Desk) -> None:
    desk.open()
    (desk.project.folder / "checkpoints").write_text("in the way")
    desk.give(SaveCheckpoint())
    problem = desk.heard.of(CommandFailed)[-1].problem
    assert "could not be written" in problem.message
    assert problem.report == ""
    assert desk.loop.state is WorkerState.IDLE


def test_a_project_folder_that_is_gone_is_not_made_anew(desk: Desk) -> None:
    desk.open()
    desk.project.folder.rename(desk.project.folder.with_name("taken out"))
    desk.give(SaveCheckpoint())
    assert "is gone" in desk.heard.of(CommandFailed)[-1].problem.message
    assert not desk.project.folder.exists()


def test_a_checkpoint_needs_no_published_weights(desk: Desk) -> None:
    # Nobody published weights of this width; a fresh network says so.
    backbone = ResNetConfig(depth=ResNetDepth.RESNET18, base_width=8)
    desk.open(network=FcnConfig(backbone=backbone, width=8))
    assert "no published weights" in desk.heard.of(NetworkOpened)[-1].notices[-1]
    desk.give(SaveCheckpoint())
    path = str(desk.checkpoints()[-1])
    assert desk.open(network=FcnConfig(backbone=backbone, width=8), checkpoint=path).notices == ()
    desk.heard.clear()
    desk.give(LoadCheckpoint(path=path))
    assert desk.heard.of(NetworkOpened)[-1].notices == ()
