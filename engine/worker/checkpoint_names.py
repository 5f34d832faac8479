"""Checkpoint files under other names: named by a person, no longer "not better", deleted. Worker thread."""

from __future__ import annotations

from pathlib import Path

from engine.errors import CheckpointError
from engine.files import storage_errors
from engine.learn.checkpoint_files import CheckpointInfo, list_checkpoints, renamed_path
from engine.messages import CheckpointsChanged, DeleteCheckpoints, NameCheckpoint
from engine.worker.network import LiveNetwork


def name_checkpoint(command: NameCheckpoint, network: LiveNetwork | None) -> CheckpointsChanged:
    """Give a checkpoint file a name, or take it away.

    Raises:
        CheckpointError: It is no checkpoint of the project, or the name is taken.
        StorageError: The disk refuses.
    """
    info = _info_of(Path(command.path))
    return _moved(info, renamed_path(info, name=command.name.strip()), network)


def mark_better(path: Path, network: LiveNetwork | None) -> CheckpointsChanged | None:
    """Take the mark "not better" from a checkpoint file; None where it has none or is no project's.

    Raises:
        CheckpointError: Another file has the name it would get.
        StorageError: The disk refuses.
    """
    info = next((info for info in list_checkpoints(path.parent) if info.path == path), None)
    if info is None or info.better:
        return None
    return _moved(info, renamed_path(info, better=True), network)


def delete_checkpoints(command: DeleteCheckpoints, network: LiveNetwork | None) -> CheckpointsChanged:
    """Delete checkpoint files; the one that is in use stays.

    Raises:
        StorageError: A file cannot be deleted; those before it are gone.
    """
    gone = {}
    for name in command.paths:
        path = Path(name)
        if network is not None and path.name == network.checkpoint:
            continue
        _info_of(path)
        with storage_errors(path, "deleted"):
            path.unlink(missing_ok=True)
        gone[name] = ""
    return CheckpointsChanged(moved=gone)


def _info_of(path: Path) -> CheckpointInfo:
    for info in list_checkpoints(path.parent):
        if info.path == path:
            return info
    raise CheckpointError(
        f"“{path}” is not one of the project's checkpoints.", "It may be gone; choose another one."
    )


def _moved(info: CheckpointInfo, target: Path, network: LiveNetwork | None) -> CheckpointsChanged:
    if target == info.path:
        return CheckpointsChanged(moved={})
    if target.exists():
        raise CheckpointError(f"There is already a checkpoint “{target.name}”.", "Choose another name.")
    with storage_errors(info.path, "renamed"):
        info.path.rename(target)
    if network is not None and network.checkpoint == info.path.name:
        network.checkpoint = target.name
    return CheckpointsChanged(moved={str(info.path): str(target)})
