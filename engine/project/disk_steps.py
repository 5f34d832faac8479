"""Small steps on files that the store is made of; a refusing disk becomes a `StorageError`."""

import os
from collections.abc import Sequence
from pathlib import Path

from engine.errors import StorageError
from engine.files import storage_error


def stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is exchanged or written; None if it is not there."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def make_parent(path: Path, root: Path) -> None:
    """Make the folders of a file below `root`, but never `root` itself.

    A project on a drive that was taken out must not come up again in the empty place where the drive was.

    Raises:
        StorageError: the root is gone, or the disk refuses.
    """
    if not root.is_dir():
        raise StorageError(
            f"The project folder “{root}” is gone.",
            "Connect the drive again; everything is kept in memory and written then.",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path.parent, "written", error) from error


def truncate(path: Path, length: int) -> None:
    """Cut a file, durably.

    Raises:
        StorageError: the disk refuses.
    """
    try:
        with path.open("r+b") as file:
            file.truncate(length)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise storage_error(path, "written", error) from error


def move_all(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Move files that belong together, those that exist; on a failure those already moved go back.

    Raises:
        StorageError: the disk refuses.
    """
    moved: list[tuple[Path, Path]] = []
    for source, target in pairs:
        if not source.exists():
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        except OSError as error:
            for old, new in reversed(moved):
                new.rename(old)
            raise storage_error(source, "moved", error) from error
        moved.append((source, target))
