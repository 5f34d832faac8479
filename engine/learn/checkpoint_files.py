"""The checkpoints of a project as files: names, list, which to keep (torch-free; any thread).

A name says what a list needs, so nothing has to be opened: ``step-00001200_miou-0.5312_labels-212.pt``, with
a person's name in front ``good-start_step-00001200.pt``, and with ``_not-better`` at the end where it was
only kept.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.files import storage_errors

CHECKPOINTS_FOLDER = "checkpoints"
SUFFIX = ".pt"

_PATTERN = re.compile(
    r"(?:(?P<name>.+)_)?step-(?P<step>\d{8,})(?:_miou-(?P<miou>[01]\.\d{4}))?"
    r"(?:_labels-(?P<labels>\d+))?(?P<worse>_not-better)?\.pt"
)
_WORSE = "_not-better"
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
        is_best: Whether no other checkpoint of the folder that was shown has a higher figure.
        labels_version: Number of changes to annotations when it was saved; None where unknown.
        better: Whether it was shown, or may be; False where it was kept as "not better".
    """

    path: Path
    name: str
    step: int
    miou: float | None
    saved_at: float
    is_best: bool
    labels_version: int | None = None
    better: bool = True


def checkpoint_path(
    folder: Path,
    *,
    step: int,
    miou: float | None,
    name: str | None = None,
    labels_version: int | None = None,
    better: bool = True,
) -> Path:
    """Return the file a checkpoint goes to.

    Args:
        folder: Checkpoint folder.
        step: Training step of the weights.
        miou: Held-out figure in [0, 1], or None.
        name: What a person calls it; characters no file system likes become "-".
        labels_version: See `CheckpointInfo`.
        better: False for one that is kept but not shown.
    """
    start = f"{_safe(name)}_" if name and _safe(name) else ""
    score = "" if miou is None else f"_miou-{miou:.4f}"
    labels = "" if labels_version is None else f"_labels-{labels_version}"
    mark = "" if better else _WORSE
    return folder / f"{start}step-{step:08d}{score}{labels}{mark}{SUFFIX}"


def renamed_path(info: CheckpointInfo, *, name: str | None = None, better: bool | None = None) -> Path:
    """Return where a checkpoint goes when it gets another name or another mark; None keeps what it has."""
    return checkpoint_path(
        info.path.parent,
        step=info.step,
        miou=info.miou,
        name=info.name if name is None else name,
        labels_version=info.labels_version,
        better=info.better if better is None else better,
    )


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
    scores = (float(match["miou"]) for _, match, _ in found if match["miou"] and not match["worse"])
    best = max(scores, default=None)
    infos = [_info(path, match, saved_at, best) for path, match, saved_at in found]
    return tuple(sorted(infos, key=lambda info: (info.saved_at, info.step), reverse=True))


def prune_checkpoints(folder: Path, keep: int, *, in_use: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Delete automatic checkpoints beyond the newest `keep`; the best, the named and those in use stay.

    Those kept as not better are counted for themselves, so that they never push out what was shown.

    Returns:
        The files deleted.

    Raises:
        StorageError: A file cannot be deleted.
    """
    automatic = [info for info in list_checkpoints(folder) if not info.name]
    shown = [info for info in automatic if info.better]
    kept = [info for info in automatic if not info.better]
    deleted = []
    for info in (*shown[keep:], *kept[keep:]):
        if info.is_best or info.path in in_use:
            continue
        with storage_errors(info.path, "deleted"):
            info.path.unlink(missing_ok=True)
        deleted.append(info.path)
    return tuple(deleted)


def is_above_all(folder: Path, miou: float | None) -> bool:
    """Whether a held-out figure is above those of all checkpoints in a folder; never where there is none."""
    return miou is not None and all(
        info.miou is None or info.miou < miou for info in list_checkpoints(folder)
    )


def _info(path: Path, match: re.Match[str], saved_at: float, best: float | None) -> CheckpointInfo:
    miou = float(match["miou"]) if match["miou"] else None
    return CheckpointInfo(
        path=path,
        name=match["name"] or "",
        step=int(match["step"]),
        miou=miou,
        saved_at=saved_at,
        is_best=miou is not None and miou == best and not match["worse"],
        labels_version=int(match["labels"]) if match["labels"] else None,
        better=not match["worse"],
    )


def _safe(name: str) -> str:
    return _UNSAFE.sub("-", name).strip("-._")[:80]
