"""Where weights came from: elsewhere, or runs of this project, as its run logs tell. Worker thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.learn.checkpoint_files import CHECKPOINTS_FOLDER
from engine.learn.runlog import RUNS_FOLDER, Value, read_runlog
from engine.worker.network import LiveNetwork

_Run = Sequence[Mapping[str, Value]]


def came_from(network: LiveNetwork) -> Path | None:
    """Return the file from elsewhere that the weights of a network that was just opened go back to.

    None where they have learnt in this project alone, or nothing yet.
    """
    request = network.request
    if not (network.has_learnt and request.checkpoint and request.store_folder):
        return None
    return origin(Path(request.store_folder), Path(request.checkpoint), network.shown_step)


def origin(project_folder: Path, checkpoint: Path, step: int) -> Path | None:
    """Return the checkpoint from elsewhere that a checkpoint of a project goes back to.

    That is the checkpoint itself where no run of the project wrote it, as one that was copied here or
    imported, else the one its first run began with.

    Args:
        project_folder: Project folder.
        checkpoint: The file.
        step: Updates its weights have had.

    Returns:
        The file, None where the first run began with an untrained network or the file is gone.
    """
    runs = [_records(log) for log in sorted((project_folder / RUNS_FOLDER).glob("*.jsonl"))]
    while runs:
        run = runs.pop()
        if step not in _steps(run):
            continue
        start = run[0]
        name, before = start.get("checkpoint"), start.get("step")
        if start.get("kind") != "start" or not isinstance(name, str) or not name:
            return None
        checkpoint = project_folder / CHECKPOINTS_FOLDER / name
        step = before if isinstance(before, int) else 0
    return checkpoint if checkpoint.is_file() else None


def _records(log: Path) -> _Run:
    try:
        return read_runlog(log)
    except (OSError, UnicodeDecodeError):
        return ()


def _steps(run: _Run) -> set[Value]:
    """Return the steps of the checkpoints a run wrote."""
    return {record.get("step") for record in run if record.get("kind") == "checkpoint"}
