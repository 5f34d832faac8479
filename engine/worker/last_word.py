"""The judgement there was no time for when training was stopped. Worker thread.

Weights are shown only when they were judged, and judging takes seconds where a network is large and the
computer slow. Whoever stops does not wait for that: the weights are kept like those that are no better, and
what was begun goes on, window by window, while the worker rests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.errors import TrainingError
from engine.messages import Event
from engine.worker.checkpoint_names import mark_better
from engine.worker.judging import Candidates
from engine.worker.network import LiveNetwork, save_shown


class LastWord:
    """Goes on with the judgement of a run that is over.

    Args:
        network: Still has the weights that are judged, beside those shown.
        candidates: Of the run; the judgement is under way.
        saved: File the weights were kept in.
        emit: Receives the verdict.

    Attributes:
        has_shown: Whether the weights were found better and are shown now.
    """

    def __init__(
        self, network: LiveNetwork, candidates: Candidates, saved: Path, emit: Callable[[Event], None]
    ) -> None:
        self._network = network
        self._candidates = candidates
        self._saved = saved
        self._emit = emit
        self.has_shown = False

    def advance(self) -> bool:
        """Answer one more window; return whether that was the last.

        Raises:
            StorageError: The weights are shown, and the disk refuses to say so.
        """
        try:
            verdict = self._candidates.advance()
        except TrainingError:
            # It was said with the verdict; the run that would end for it is over.
            self._network.give_up_training()
            return True
        if verdict is None:
            return False
        self._network.end_training()
        self.has_shown = verdict.promoted
        path = self._kept_as_better() if verdict.promoted else self._saved
        self._candidates.say(verdict, checkpoint=str(path))
        return True

    def _kept_as_better(self) -> Path:
        """Take the mark from the file, or write one where a person has renamed or deleted it."""
        network = self._network
        moved = mark_better(self._saved, network)
        if moved is None:
            saved = save_shown(network, keep=None, labels_version=None)
            self._emit(saved)
            return Path(saved.path)
        self._emit(moved)
        (path,) = map(Path, moved.moved.values())
        network.checkpoint, network.saved_step = path.name, network.shown_step
        return path
