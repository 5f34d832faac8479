"""The worker's loop without its thread: one turn at a time, with a clock the test owns."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from engine.annotate.classes import UNLABELLED, ClassTable
from engine.annotate.geometry import Box
from engine.config import PredictConfig, TrainingConfig
from engine.errors import StorageError
from engine.learn.checkpoint import read_checkpoint
from engine.learn.runlog import read_runlog
from engine.messages import (
    AnnotationChanged,
    CancelExport,
    CheckpointSaved,
    ClassesChanged,
    Command,
    CommandFailed,
    Evaluate,
    EvaluationDone,
    Export,
    ExportDone,
    ExportItem,
    LoadCheckpoint,
    NetworkOpened,
    Notice,
    Predict,
    PredictionReady,
    Progress,
    SaveCheckpoint,
    Shutdown,
    StartTraining,
    StateChanged,
    StepsDone,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.project.manifest import Split
from engine.worker.inbox import Inbox
from engine.worker.loop import Loop
from models.configs import TinyBackboneConfig
from tests.support.learning import (
    BOX,
    CLASSES,
    GROUND,
    NETWORK,
    SKY,
    TRAINING,
    Listener,
    SmallProject,
    make_project,
    picture,
    sparse,
)

EventT = TypeVar("EventT")
# Slow enough that nothing is due unless a test lets time pass.
QUIET = replace(TRAINING, refresh_s=1000.0, evaluate_every_s=1000.0, checkpoint_every_s=1000.0)


class Desk:
    """A loop, its project, and what it said."""

    def __init__(self, project: SmallProject) -> None:
        self.project = project
        self.heard = Listener()
        self.inbox = Inbox()
        self.now = 0.0
        self.loop = Loop(self.heard, self.inbox, clock=lambda: self.now)
        self.loop.enter(WorkerState.IDLE)

    def give(self, *commands: Command) -> None:
        """Post commands and serve them all."""
        for command in commands:
            self.inbox.post(command)
        for _ in commands:
            self.loop.turn(wait=False)

    def work(self, turns: int = 1, *, seconds: float = 0.2) -> None:
        for _ in range(turns):
            self.now += seconds
            self.loop.turn(wait=False)

    def work_until(self, kind: type[EventT], *, turns: int = 300) -> EventT:
        for _ in range(turns):
            found = self.heard.of(kind)
            if found:
                return found[-1]
            self.work()
        raise AssertionError(f"no {kind.__name__}; heard {self.heard.events[-3:]}")

    def open(self, **changes: object) -> NetworkOpened:
        self.give(self.project.open_network(**changes))
        return self.heard.of(NetworkOpened)[-1]

    def start(self, config: TrainingConfig = QUIET) -> None:
        self.give(StartTraining(config=config, items=self.project.items))

    def predict(self, request_id: int = 1, *, number: int = 0, visible: Box | None = None) -> None:
        item = self.project.items[number]
        self.give(
            Predict(
                image_id=item.image_id, image_path=item.image_path, request_id=request_id, visible=visible
            )
        )

    def states(self) -> list[WorkerState]:
        return [event.state for event in self.heard.of(StateChanged)]

    @property
    def failed(self) -> CommandFailed:
        return self.heard.of(CommandFailed)[-1]

    def checkpoints(self) -> list[Path]:
        return sorted((self.project.folder / "checkpoints").glob("*.pt"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path))
    yield desk
    desk.give(Shutdown())


# ---------------------------------------------------------------------------------- training


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
    assert records[0]["images"] == 3
    assert json.dumps(records)


# ---------------------------------------------------------------------------------- predictions


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
    desk.work(30)  # six seconds
    steps = [event.prediction.step for event in desk.heard.of(PredictionReady)]
    assert 5 <= len(steps) <= 7
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


# ---------------------------------------------------------------------------------- measuring, checkpoints


def test_held_out_images_are_measured_and_the_best_weights_kept(desk: Desk) -> None:
    desk.open()
    desk.start(replace(QUIET, evaluate_every_s=4.0))
    done = desk.work_until(EvaluationDone)
    assert done.images == 1
    assert done.miou is not None
    assert set(done.iou_per_class) == {"sky", "ground", "box"}
    saved = desk.heard.of(CheckpointSaved)[-1]
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
    names = [path.name for path in desk.checkpoints()]
    assert len(names) == 3
    assert names[0].startswith("mine_step-00000003")


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


# ---------------------------------------------------------------------------------- classes


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


# ---------------------------------------------------------------------------------- export


def _export(desk: Desk, folder: Path, *, fill: bool = False, form: str = "png") -> Export:
    return Export(
        items=tuple(
            ExportItem(image_id=item.image_id, image_path=item.image_path, size=item.size)
            for item in desk.project.items
        ),
        classes=CLASSES,
        format=form,
        folder=str(folder),
        fill_with_prediction=fill,
        store_folder=str(desk.project.folder),
    )


def test_annotations_are_exported_without_any_network(desk: Desk, tmp_path: Path) -> None:
    desk.give(_export(desk, tmp_path / "out"))
    done = desk.heard.of(ExportDone)[-1]
    assert done.files == sum(path.is_file() for path in (tmp_path / "out").rglob("*"))
    assert [event.done for event in desk.heard.of(Progress)] == [1, 2, 3, 4]


def test_predictions_fill_an_export_of_a_network_that_has_learnt(desk: Desk, tmp_path: Path) -> None:
    desk.open()
    desk.give(_export(desk, tmp_path / "out", fill=True))
    assert "learnt nothing yet" in desk.failed.problem.message
    desk.start()
    desk.work(2)
    desk.give(_export(desk, tmp_path / "out", fill=True))
    from PIL import Image

    ids = np.asarray(Image.open(tmp_path / "out" / "label_ids" / "0.png"))
    labels = sparse(picture(0)[1])
    assert (ids[labels != UNLABELLED] == labels[labels != UNLABELLED]).all()
    assert set(np.unique(ids)) <= {SKY, GROUND, BOX}
    assert desk.loop.state is WorkerState.TRAINING


@pytest.mark.parametrize("ending", [CancelExport(), Shutdown()])
def test_an_export_can_be_ended_and_leaves_nothing(desk: Desk, tmp_path: Path, ending: Command) -> None:
    desk.inbox.post(_export(desk, tmp_path / "out"))
    desk.inbox.post(ending)
    desk.loop.turn(wait=False)
    assert desk.failed.command == "Export"
    assert "cancelled" in desk.failed.problem.message
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_the_screen_is_served_during_an_export(desk: Desk, tmp_path: Path) -> None:
    desk.open()
    desk.start()
    desk.work(1)
    desk.heard.clear()
    item = desk.project.items[0]
    desk.inbox.post(_export(desk, tmp_path / "out"))
    desk.inbox.post(Predict(image_id=item.image_id, image_path=item.image_path, request_id=5))
    desk.loop.turn(wait=False)
    kinds = [type(event) for event in desk.heard.events]
    assert kinds.index(PredictionReady) < kinds.index(ExportDone)


def test_an_unknown_format_is_named(desk: Desk, tmp_path: Path) -> None:
    desk.give(_export(desk, tmp_path / "out", form="crayon"))
    assert "crayon" in desk.failed.problem.message


# ---------------------------------------------------------------------------------- faults


@pytest.mark.logs_allowed
def test_a_bug_faults_the_worker_which_lives_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open()
    desk.start()
    desk.work(2)
    desk.give(SaveCheckpoint(name="safe"))
    saved = desk.heard.of(CheckpointSaved)[-1].path
    from engine.learn.trainer import Trainer

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", _broken)
        desk.work(1)
    faulted = desk.heard.of(StateChanged)[-1]
    assert faulted.state is WorkerState.FAULTED
    assert faulted.problem is not None
    assert "ZeroDivisionError" in faulted.problem.message
    assert "def _broken" not in faulted.problem.message
    assert "_broken" in faulted.problem.report
    desk.start()
    assert "cannot be trusted" in desk.failed.problem.message
    desk.predict(4)
    desk.work(1)
    assert desk.heard.of(PredictionReady) == []
    desk.give(LoadCheckpoint(path=saved))
    desk.work(1)
    assert desk.loop.state is WorkerState.IDLE
    # What was wanted meanwhile is answered now.
    assert desk.heard.of(PredictionReady)[-1].request_id == 4


def _broken(trainer: object) -> object:
    return 1 / 0


@pytest.mark.logs_allowed
def test_annotations_can_be_exported_after_a_fault(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.open()
    with monkeypatch.context() as patch:
        patch.setattr("engine.worker.work.Measurement", _broken_measurement)
        desk.give(Evaluate(items=desk.project.items))
    assert desk.loop.state is WorkerState.FAULTED
    desk.give(ClassesChanged(classes=CLASSES.add("tree")))
    desk.give(_export(desk, tmp_path / "out"))
    assert desk.heard.of(ExportDone)
    desk.open()
    assert desk.loop.state is WorkerState.IDLE


def _broken_measurement(*arguments: object) -> object:
    raise KeyError("a bug")


@pytest.mark.parametrize(
    "command",
    [StartTraining(config=QUIET, items=()), Evaluate(items=()), SaveCheckpoint(), LoadCheckpoint(path="/x")],
)
def test_without_a_network_commands_say_what_to_do(desk: Desk, command: Command) -> None:
    desk.give(command)
    assert desk.failed.command == type(command).__name__
    assert desk.failed.problem.hint
    assert desk.loop.state is WorkerState.IDLE


def test_without_a_project_nothing_is_learnt_saved_or_measured(desk: Desk) -> None:
    desk.open(store_folder="")
    for command in (StartTraining(config=QUIET, items=()), SaveCheckpoint(), Evaluate(items=())):
        desk.give(command)
        assert "no project" in desk.failed.problem.message


def test_shutting_down_saves_what_was_learnt(desk: Desk) -> None:
    desk.open()
    desk.start()
    desk.work(2)
    desk.give(Shutdown())
    assert desk.states()[-2:] == [WorkerState.IDLE, WorkerState.STOPPED]
    assert desk.heard.of(CheckpointSaved)[-1].step == 2
    desk.give(StopTraining(), desk.project.open_network())
    assert desk.states()[-1] is WorkerState.STOPPED
