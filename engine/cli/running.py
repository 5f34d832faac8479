"""What a run under way leaves on disk, so that it can go on after its processes died. Imports torch."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from engine.codec import dumps, loads
from engine.errors import CheckpointError, CodecError
from engine.files import atomic_write, storage_errors
from engine.learn.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from engine.learn.launch import running_file


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far a run is.

    Attributes:
        first_step: step of the weights it began with.
        seconds: seconds of training so far, without measuring.
    """

    first_step: int
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resumed:
    """A run to go on with: its newest checkpoint, with the optimizer's state, and its progress."""

    checkpoint: Checkpoint
    progress: RunProgress


class RunningCheckpoint:
    """The newest state of a run, in two files beside the checkpoint it will end in.

    ``fcn.pt`` comes from ``fcn.running.pt`` and ``fcn.running.json``, which are removed at the end. An older
    checkpoint of the name the run will have is not touched before that.
    """

    def __init__(self, target: Path) -> None:
        """Remember where; nothing is read or written."""
        self.path = running_file(target)
        self._notes = self.path.with_suffix(".json")

    def save(self, checkpoint: Checkpoint, progress: RunProgress) -> None:
        """Replace the newest state; a crash in between leaves a whole older one.

        Raises:
            StorageError: the disk refuses.
        """
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        # Should the second file not follow, the clock of the resumed run is ahead by one interval, no more.
        atomic_write(self._notes, dumps(progress).encode("utf-8"))
        save_checkpoint(self.path, checkpoint)

    def read(self) -> Resumed | None:
        """The newest state, or ``None`` where there is none.

        Raises:
            CheckpointError: it cannot be used.
        """
        if not self.path.is_file() or not self._notes.is_file():
            return None
        try:
            progress = loads(RunProgress, self._notes.read_text("utf-8"), self._notes.name)
        except (CodecError, OSError) as error:
            raise CheckpointError(
                f"“{self._notes}” cannot be used: {error}", "Delete it and start the run again."
            ) from error
        return Resumed(checkpoint=read_checkpoint(self.path), progress=progress)

    def remove(self) -> None:
        """Forget the run; files that cannot be deleted stay, and the next run replaces them."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
            self._notes.unlink(missing_ok=True)
