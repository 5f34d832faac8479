"""Export, and what the worker does when something is missing or broken, without its thread."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.annotate.classes import UNLABELLED
from engine.messages import (
    CancelExport,
    CheckpointSaved,
    ClassesChanged,
    Command,
    Evaluate,
    Export,
    ExportDone,
    ExportItem,
    LoadCheckpoint,
    Predict,
    PredictionReady,
    Progress,
    SaveCheckpoint,
    Shutdown,
    StartTraining,
    StateChanged,
    StopTraining,
    WorkerState,
)
from tests.support.learning import (
    BOX,
    CLASSES,
    GROUND,
    SKY,
    make_project,
    picture,
    sparse,
)
from tests.support.worker_desk import QUIET, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path))
    yield desk
    desk.give(Shutdown())


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


def test_an_export_can_be_ended_in_the_middle_of_a_tile(desk: Desk, tmp_path: Path) -> None:
    desk.open()
    desk.count_as_trained()
    network = desk.loop._work._network
    assert network is not None
    layers = list(network.model.modules())
    ran: list[torch.nn.Module] = []

    def layer(module: torch.nn.Module, *_: object) -> None:
        ran.append(module)
        if len(ran) == len(layers) // 2:
            desk.inbox.post(CancelExport())

    for module in layers:
        module.register_forward_hook(layer)
    desk.give(_export(desk, tmp_path / "out", fill=True))
    assert "cancelled" in desk.failed.problem.message
    assert len(ran) <= len(layers) // 2 + 1
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
    # Nothing of that is left in the network: what is asked for next is done.
    desk.work()
    desk.heard.clear()
    desk.predict(3)
    desk.work()
    assert desk.heard.of(PredictionReady)[-1].complete
    assert all(not module._forward_pre_hooks for module in layers)


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
        patch.setattr("engine.worker.measuring.Measurement", _broken_measurement)
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
