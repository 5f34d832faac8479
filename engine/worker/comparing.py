"""Checkpoints as a person handles them: name, delete, promote, compare by pictures. Worker thread."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from engine.errors import CheckpointError, EngineError
from engine.learn.checkpoint import read_checkpoint, restore
from engine.messages import (
    CandidateJudged,
    CompareCheckpoints,
    ComparisonReady,
    DeleteCheckpoints,
    Event,
    LearningCommand,
    NameCheckpoint,
    Notice,
    PromoteCandidate,
    SaveCheckpoint,
)
from engine.opencv import cv2
from engine.predict.predictor import Predictor
from engine.project.images import read_image
from engine.worker.checkpoint_names import delete_checkpoints, mark_better, name_checkpoint
from engine.worker.last_word import LastWord
from engine.worker.network import LiveNetwork
from engine.worker.run import Run
from models.base import SegmentationModel


class CheckpointDesk:
    """Serves what people do with checkpoints; holds a comparison under way and a judgement that was left.

    Args:
        emit: Receives the answers.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._comparison: Comparison | None = None
        self._last_word: LastWord | None = None

    @property
    def is_busy(self) -> bool:
        """Whether pictures are still to be made, or weights to be judged."""
        return self._comparison is not None or self._last_word is not None

    @property
    def task(self) -> str:
        """Class name of the command `advance` works for, for who is told that it failed."""
        return (SaveCheckpoint if self._comparison is None else CompareCheckpoints).__name__

    def forget(self) -> None:
        """Drop what is under way."""
        self._comparison = self._last_word = None

    def judge_on(self, left: LastWord | None) -> None:
        """Go on with the judgement that a run left behind; None drops one that is no longer of interest."""
        self._last_word = left

    def serve(self, command: LearningCommand, network: LiveNetwork, run: Run | None) -> bool:
        """Do what a command says; return whether other weights are shown now.

        Args:
            command: What to do. Without a run a checkpoint to promote has been loaded already.
            network: The network.
            run: The run that goes on, or None.

        Raises:
            CheckpointError: A checkpoint cannot be used; what is shown stays.
            StorageError: The disk refuses.
            EngineError: Nothing is being trained that could be promoted.
        """
        match command:
            case PromoteCandidate():
                self._promote(command, network, run)
                return True
            case NameCheckpoint():
                self._emit(name_checkpoint(command, network))
            case DeleteCheckpoints():
                self._emit(delete_checkpoints(command, network))
            case CompareCheckpoints():
                self._comparison = None
                self._comparison = Comparison(command, network, self._emit)
            case _ as never:
                assert_never(never)
        return False

    def advance(self) -> bool:
        """Make one more prediction of the comparison, else judge on; return whether other weights are shown.

        Raises:
            StorageError: The disk refuses to keep what was found better.
        """
        # Put back only if all is well and not done: what failed is over.
        comparison, self._comparison = self._comparison, None
        if comparison is not None:
            if not comparison.advance():
                self._comparison = comparison
            return False
        left, self._last_word = self._last_word, None
        if left is None or left.advance():
            return left is not None and left.has_shown
        self._last_word = left
        return False

    def _promote(self, command: PromoteCandidate, network: LiveNetwork, run: Run | None) -> None:
        self._last_word = None  # a person has it
        path = Path(command.path)
        if not command.path:
            self._promote_trained(network, run)
            return
        if run is not None:
            for sentence in show_checkpoint(network, path):
                self._emit(Notice(text=sentence))
            run.candidates.shown_changed()
        moved = mark_better(path, network)
        if moved is not None:
            self._emit(moved)
        self._emit(_chosen(network, str(path.with_name(network.checkpoint))))

    def _promote_trained(self, network: LiveNetwork, run: Run | None) -> None:
        if network.trained is None:
            raise EngineError("Nothing was trained since what is shown.", "Choose a checkpoint.")
        if run is not None:
            run.promote()
            return
        network.show_trained()
        network.end_training()
        self._emit(_chosen(network, ""))


def _chosen(network: LiveNetwork, checkpoint: str) -> CandidateJudged:
    return CandidateJudged(
        step=network.shown_step,
        miou=None,
        shown_miou=None,
        flipped=None,
        promoted=True,
        reason="Shown because you chose it.",
        checkpoint=checkpoint,
    )


def show_checkpoint(network: LiveNetwork, path: Path) -> tuple[str, ...]:
    """Show the weights of a checkpoint; those being trained stay as they are.

    Returns:
        Sentences about what did not fit.

    Raises:
        CheckpointError: It cannot be used here; what is shown stays.
    """
    model, sentences, step = _network_of(network, path)
    network.model.load_state_dict(model.state_dict())
    network.shown_step = network.saved_step = step
    network.checkpoint, network.is_descent = path.name, False
    return sentences


def _network_of(network: LiveNetwork, path: Path) -> tuple[SegmentationModel[Any], tuple[str, ...], int]:
    """Return a copy of the network with a checkpoint's weights."""
    checkpoint = read_checkpoint(path)
    if checkpoint.about.network != network.request.network:
        raise CheckpointError(
            f"“{path.name}” was saved with another network or other settings.",
            "Stop training and go back to it to use it.",
        )
    model = copy.deepcopy(network.model)
    report = restore(model, checkpoint, network.classes)
    model.to(network.device.device)
    return model, report.sentences, checkpoint.about.step


class Comparison:
    """Predicts images with two checkpoints, one prediction at a time.

    Args:
        command: What to compare.
        network: Gives the network, and the weights for paths that are "".
        emit: Receives `ComparisonReady`, and a `Notice` for an image that cannot be read.

    Raises:
        CheckpointError: A checkpoint cannot be used.
    """

    def __init__(
        self, command: CompareCheckpoints, network: LiveNetwork, emit: Callable[[Event], None]
    ) -> None:
        self._command = command
        self._emit = emit
        before = network.predictor() if not command.before else _predictor(network, command.before)
        after = network.candidate_predictor() if not command.after else _predictor(network, command.after)
        self._steps = self._pictures(before, after)

    def advance(self) -> bool:
        """Predict one image with both; return whether that was the last."""
        return next(self._steps, True)

    def _pictures(self, before: Predictor, after: Predictor) -> Generator[bool, None, None]:
        command = self._command
        for image_id, path in command.images.items():
            try:
                image = read_image(Path(path))
            except EngineError as error:
                self._emit(Notice(text=f"Left out of the comparison: {error.message}"))
                continue
            first = before.predict_whole(image)[0]
            yield False
            second = after.predict_whole(image)[0]
            self._emit(
                ComparisonReady(
                    request_id=command.request_id,
                    image_id=image_id,
                    image=_small(image, command.edge, cv2.INTER_AREA),
                    before=_small(first, command.edge, cv2.INTER_NEAREST),
                    after=_small(second, command.edge, cv2.INTER_NEAREST),
                    changed=float((first != second).mean()),
                )
            )
            yield False


def _predictor(network: LiveNetwork, path: str) -> Predictor:
    model = _network_of(network, Path(path))[0]
    return Predictor(
        model, network.classes, network.request.predict, network.device.device, network.precision
    )


def _small(array: NDArray[np.uint8], edge: int, way: int) -> NDArray[np.uint8]:
    scale = min(1.0, edge / max(array.shape[:2]))
    size = max(1, round(array.shape[1] * scale)), max(1, round(array.shape[0] * scale))
    small = np.asarray(cv2.resize(array, size, interpolation=way), np.uint8)
    small.setflags(write=False)
    return small
