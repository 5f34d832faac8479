"""The end of a journal file: where the next record goes."""

import os
from dataclasses import dataclass
from pathlib import Path

from engine.annotate.journal import read_journal
from engine.errors import AnnotationError
from engine.project.disk_steps import truncate


@dataclass(frozen=True, slots=True)
class Tail:
    """End of a journal.

    Attributes:
        length: bytes up to the end of the last whole record.
        revision: revision of that record; 0 without one.
    """

    length: int
    revision: int


def find_tail(path: Path) -> Tail:
    """Read a journal to its end, and cut off a record that a crash left unfinished.

    Raises:
        AnnotationError: the journal is damaged; it stays as it is.
        StorageError: the disk refuses.
    """
    if not path.exists():
        return Tail(0, 0)
    contents = read_journal(path)
    if contents.damage is not None:
        raise AnnotationError(
            f"“{path}” is damaged: {contents.damage}.",
            "Nothing will overwrite it. Restore it from a backup, or move it away to start anew.",
        )
    if contents.valid_length < path.stat().st_size:
        truncate(path, contents.valid_length)
    return Tail(contents.valid_length, contents.records[-1].revision if contents.records else 0)


def ends_with(path: Path, record: bytes) -> bool:
    """Whether a file ends with exactly these bytes."""
    if not path.exists() or path.stat().st_size < len(record):
        return False
    with path.open("rb") as file:
        file.seek(-len(record), os.SEEK_END)
        return file.read() == record
