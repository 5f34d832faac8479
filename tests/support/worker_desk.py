"""The worker's loop at a desk: no thread, one turn at a time, with a clock the test owns."""

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.config import TrainingConfig, Voice
from engine.messages import (
    AnnotationChanged,
    CheckpointSaved,
    Command,
    CommandFailed,
    LoadCheckpoint,
    NetworkOpened,
    Predict,
    PredictedAhead,
    Prediction,
    PredictionReady,
    SaveCheckpoint,
    ScoreImages,
    StartTraining,
    StateChanged,
    WorkerState,
)
from engine.worker.inbox import Inbox
from engine.worker.loop import Loop
from tests.support.learning import (
    TRAINING,
    Listener,
    SmallProject,
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

    def predicted_ahead(self, number: int) -> Prediction:
        """Let one of the project's images be scored and predicted ahead; returns the prediction."""
        item = self.project.items[number]
        name = (item.image_id,)
        self.give(ScoreImages(paths={item.image_id: item.image_path}, describe=(), score=name, ahead=name))
        return self.work_until(PredictedAhead, turns=60).prediction

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

    def predict(
        self,
        request_id: int = 1,
        *,
        number: int = 0,
        visible: Box | None = None,
        voice: Voice = Voice.SHOWN,
    ) -> None:
        item = self.project.items[number]
        self.give(
            Predict(
                image_id=item.image_id,
                image_path=item.image_path,
                request_id=request_id,
                visible=visible,
                voice=voice,
            )
        )

    def count_as_trained(self) -> None:
        """Give the open network what it has already, as a checkpoint: from then on it may be shown."""
        self.give(SaveCheckpoint())
        self.give(LoadCheckpoint(path=self.heard.of(CheckpointSaved)[-1].path))

    def annotate(self, labels: NDArray[np.uint8], revision: int, *, number: int = 0) -> None:
        """Store an annotation and let the worker know."""
        item = self.project.items[number]
        self.project.annotate(item.image_id, labels, revision)
        self.give(AnnotationChanged(item=replace(item, revision=revision)))

    def predicted(self) -> Prediction:
        """Work until an image is predicted in full, and forget what was heard."""
        ready = self.work_until(PredictionReady, turns=5)
        assert ready.complete
        self.heard.clear()
        return ready.prediction

    def states(self) -> list[WorkerState]:
        return [event.state for event in self.heard.of(StateChanged)]

    @property
    def failed(self) -> CommandFailed:
        return self.heard.of(CommandFailed)[-1]

    def checkpoints(self) -> list[Path]:
        return sorted((self.project.folder / "checkpoints").glob("*.pt"))
