"""No order of commands leads to a dead worker or to a state that never ends. Without the worker's thread."""

import tempfile
from dataclasses import replace
from enum import Enum
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.learn.trainer import Trainer
from engine.messages import (
    AnnotationChanged,
    CancelExport,
    CheckpointSaved,
    ClassesChanged,
    Command,
    Evaluate,
    Export,
    ExportItem,
    LoadCheckpoint,
    NetworkOpened,
    Predict,
    SaveCheckpoint,
    Shutdown,
    StartTraining,
    StateChanged,
    StepsDone,
    StopTraining,
    WorkerState,
)
from tests.support.learning import CLASSES, make_project, picture, sparse
from tests.support.worker_desk import QUIET, Desk

pytestmark = [pytest.mark.logs_allowed, pytest.mark.usefixtures("one_thread")]

TURNS_TO_REST = 600
CONFIG = replace(QUIET, refresh_s=1.0, evaluate_every_s=3.0, checkpoint_every_s=5.0, batch_size=1)


class Move(Enum):
    """What a person, or fate, may do next."""

    OPEN = "open"
    LOAD = "load the newest checkpoint"
    LOAD_NOTHING = "load a file that is not there"
    START = "start, or resume"
    STOP = "stop, or pause"
    SHOW = "show an image"
    SHOW_NOTHING = "show an image that is not there"
    CORRECT = "correct an image"
    CLASSES = "add a class"
    MEASURE = "measure"
    SAVE = "save"
    EXPORT = "export"
    CANCEL = "cancel"
    BUG = "meet a bug"
    WORK = "work"


@settings(max_examples=30)
@given(st.lists(st.sampled_from(Move), min_size=1, max_size=14))
@example([Move.OPEN, Move.START, Move.WORK, Move.MEASURE, Move.STOP, Move.SHOW, Move.START, Move.BUG])
@example([Move.OPEN, Move.START, Move.SHOW, Move.CORRECT, Move.SAVE, Move.LOAD, Move.START, Move.OPEN])
def test_every_order_ends_in_a_worker_that_rests_and_can_begin_again(moves: list[Move]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        play = _Play(Path(folder))
        for number, move in enumerate(moves):
            play.do(move, number)
            play.check()
        play.rests()
        play.begins_again()
        play.desk.give(Shutdown())
        assert play.desk.loop.state is WorkerState.STOPPED


class _Play:
    """A desk, and what must hold whatever was done at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desk = Desk(make_project(folder, train=2, held_out=1))
        self.classes = CLASSES
        self.may_be_faulted = False

    def do(self, move: Move, number: int) -> None:
        if move is Move.BUG:
            self._meet_a_bug()
        elif move is Move.WORK:
            self.desk.work(4)
        else:
            self.desk.give(self._command(move, number))

    def _command(self, move: Move, number: int) -> Command:
        """Return what is sent for a move; files, classes and annotations are what they were sent for."""
        project, item = self.desk.project, self.desk.project.items[number % 3]
        if move is Move.CLASSES:
            self.classes = self.classes.add(f"class {number}")
        if move is Move.CORRECT:
            project.annotate(item.image_id, sparse(picture(number)[1]), 2 + number)
        saved = self.desk.heard.of(CheckpointSaved)
        commands: dict[Move, Command] = {
            Move.OPEN: project.open_network(classes=self.classes, quick_head=bool(number % 2)),
            Move.LOAD: LoadCheckpoint(path=saved[-1].path if saved else "/nothing"),
            Move.LOAD_NOTHING: LoadCheckpoint(path="/nothing"),
            Move.START: StartTraining(config=CONFIG, items=project.items),
            Move.STOP: StopTraining(),
            Move.SHOW: Predict(image_id=item.image_id, image_path=item.image_path, request_id=number),
            Move.SHOW_NOTHING: Predict(image_id="nothing.png", image_path="/nothing", request_id=number),
            Move.CORRECT: AnnotationChanged(item=replace(item, revision=2 + number)),
            Move.CLASSES: ClassesChanged(classes=self.classes),
            Move.MEASURE: Evaluate(items=project.items),
            Move.SAVE: SaveCheckpoint(name=f"save {number}"),
            Move.EXPORT: self._export(number),
            Move.CANCEL: CancelExport(),
        }
        return commands[move]

    def _export(self, number: int) -> Export:
        return Export(
            items=tuple(
                ExportItem(image_id=item.image_id, image_path=item.image_path, size=item.size)
                for item in self.desk.project.items
            ),
            classes=self.classes,
            format="png",
            folder=str(self.folder / f"out {number}"),
            fill_with_prediction=bool(number % 2),
            store_folder=str(self.desk.project.folder),
        )

    def _meet_a_bug(self) -> None:
        trains = self.desk.loop.state is WorkerState.TRAINING
        with mock.patch.object(Trainer, "step", side_effect=ZeroDivisionError("a bug")):
            for _ in range(20):
                self.desk.work()
        # Judging or measuring may have had their turn; a step had one too.
        assert not trains or self.desk.loop.state is not WorkerState.TRAINING
        self.may_be_faulted = True

    def check(self) -> None:
        """What is said is what is so, and only a bug leads to FAULTED."""
        loop = self.desk.loop
        told = self.desk.heard.of(StateChanged)[-1].state
        assert told is loop.state
        assert loop.state in {WorkerState.IDLE, WorkerState.TRAINING, WorkerState.FAULTED}
        assert (loop._work._training.run is not None) == (loop.state is WorkerState.TRAINING)
        if loop.state is not WorkerState.FAULTED:
            self.may_be_faulted = False
        assert self.may_be_faulted or loop.state is not WorkerState.FAULTED

    def rests(self) -> None:
        """Told to stop, it comes to rest by itself."""
        desk = self.desk
        desk.give(StopTraining())
        self.check()
        assert desk.loop.state is not WorkerState.TRAINING
        for _ in range(TURNS_TO_REST):
            if not desk.loop._work.is_busy:
                break
            desk.work()
        assert not desk.loop._work.is_busy
        self.check()

    def begins_again(self) -> None:
        """From wherever it came to rest, a network can be opened and trained."""
        desk = self.desk
        desk.heard.clear()
        desk.give(desk.project.open_network(classes=self.classes))
        assert desk.heard.of(NetworkOpened)
        assert desk.loop.state is WorkerState.IDLE
        desk.start(CONFIG)
        desk.work_until(StepsDone)
        self.check()
