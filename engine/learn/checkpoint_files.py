"""The checkpoints of a project as files: names, list, which to keep (torch-free; any thread).

A name says what a list needs, so nothing has to be opened: ``step-00001200_miou-0.5312.pt``, and with a
person's name in front ``good-start_step-00001200.pt``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import StorageError

CHECKPOINTS_FOLDER = "checkpoints"
SUFFIX = ".pt"

_PATTERN = re.compile(r"(?:(?P<name>.+)_)?step-(?P<step>\d{8,})(?:_miou-(?P<miou>[01]\.\d{4}))?\.pt")
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """A checkpoint on disk, as its file name tells.

    Attributes:
        path: The file.
        name: What a person called it, "" for those saved automatically.
        step: Training step of the weights.
        miou: Held-out figure of the weights, or None where none was known.
        saved_at: Seconds since the epoch.
        is_best: Whether no other checkpoint of the folder has a higher figure.
    """

    path: Path
    name: str
    step: int
    miou: float | None
    saved_at: float
    is_best: bool


def checkpoint_path(folder: Path, *, step: int, miou: float | None, name: str | None = None) -> Path:
    """Return the file a checkpoint goes to.

    Args:
        folder: Checkpoint folder.
        step: Training step of the weights.
        miou: Held-out figure in [0, 1], or None.
        name: What a person calls it; characters no file system likes become "-".
    """
    start = f"{_safe(name)}_" if name and _safe(name) else ""
    score = "" if miou is None else f"_miou-{miou:.4f}"
    return folder / f"{start}step-{step:08d}{score}{SUFFIX}"


def list_checkpoints(folder: Path) -> tuple[CheckpointInfo, ...]:
    """Return the checkpoints of a folder, newest first; other files are skipped.

    A folder that does not exist holds none.
    """
    found = []
    for path in folder.glob(f"*{SUFFIX}") if folder.is_dir() else ():
        match = _PATTERN.fullmatch(path.name)
        if match:
            # The worker may delete old ones while somebody else looks.
            with contextlib.suppress(FileNotFoundError):
                found.append((path, match, path.stat().st_mtime))
    best = max((float(match["miou"]) for _, match, _ in found if match["miou"]), default=None)
    infos = [_info(path, match, saved_at, best) for path, match, saved_at in found]
    return tuple(sorted(infos, key=lambda info: (info.saved_at, info.step), reverse=True))


def prune_checkpoints(folder: Path, keep: int, *, in_use: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Delete automatic checkpoints beyond the newest `keep`; the best, the named and those in use stay.

    Returns:
        The files deleted.

    Raises:
        StorageError: A file cannot be deleted.
    """
    automatic = [info for info in list_checkpoints(folder) if not info.name]
    deleted = []
    for info in automatic[keep:]:
        if info.is_best or info.path in in_use:
            continue
        try:
            info.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"The old checkpoint “{info.path}” cannot be deleted: {error.strerror or error}.",
                "Check that you may write in the project folder.",
            ) from error
        deleted.append(info.path)
    return tuple(deleted)


def _info(path: Path, match: re.Match[str], saved_at: float, best: float | None) -> CheckpointInfo:
    miou = float(match["miou"]) if match["miou"] else None
    return CheckpointInfo(
        path=path,
        name=match["name"] or "",
        step=int(match["step"]),
        miou=miou,
        saved_at=saved_at,
        is_best=miou is not None and miou == best,
    )


def _safe(name: str) -> str:
    return _UNSAFE.sub("-", name).strip("-._")[:80]
