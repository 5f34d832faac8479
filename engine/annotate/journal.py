"""The journal of an annotation: an append-only file of checksummed records, and the undo history it tells.

A record is a header with its own checksum, the payload, and a checksum of both. The header's checksum makes
its length trustworthy, so what a crash left at the end (a record begun and not finished) is told from damage:
the former was never acknowledged to anybody and is left out, the latter is reported.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final, assert_never

from engine.errors import AnnotationError
from engine.files import read_bytes

HISTORY_LIMIT: Final = 200
"""Steps that can be undone."""

MAX_JOURNAL_BYTES: Final = 1 << 31

_MAGIC: Final = b"MLJ1"
_FIELDS: Final = struct.Struct("<4sBQI")  # magic, kind, revision, length of the payload
_CHECKSUM: Final = struct.Struct("<I")
_HEADER_SIZE: Final = _FIELDS.size + _CHECKSUM.size
_SMALLEST: Final = _HEADER_SIZE + _CHECKSUM.size


class RecordKind(IntEnum):
    """What happened to the annotation; the values stand in the file."""

    PATCH = 1
    UNDO = 2
    REDO = 3


@dataclass(frozen=True, slots=True)
class Record:
    """One step of an annotation.

    Attributes:
        kind: PATCH is a new change; UNDO takes back the last one that stands; REDO does it again.
        revision: Number of the step: one more than that of the step before.
        payload: The encoded patch of a PATCH, otherwise empty.
    """

    kind: RecordKind
    revision: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class JournalContents:
    """What a journal holds.

    Attributes:
        records: All records up to the end, or up to the damage.
        valid_length: Bytes up to the end of the last of them; a new record belongs there. Where there is no
            damage, anything behind is an unfinished record that must be cut off before the next is appended.
        damage: What is wrong, as part of a sentence, or None. A damaged journal must not be written.
    """

    records: tuple[Record, ...]
    valid_length: int
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The undo stack of an annotation: encoded patches.

    Attributes:
        done: Changes that can be undone, the oldest first; at most `HISTORY_LIMIT` together with `undone`.
        undone: Changes that can be redone; the next one is the last.
    """

    done: tuple[bytes, ...] = ()
    undone: tuple[bytes, ...] = ()

    def after(self, kind: RecordKind, payload: bytes = b"") -> History:
        """Return the undo stack after one more step.

        Args:
            kind: What happened.
            payload: The encoded patch of a PATCH.

        Raises:
            AnnotationError: there is nothing to undo or redo.
        """
        match kind:
            case RecordKind.PATCH:
                return History((*self.done, payload)[-HISTORY_LIMIT:], ())
            case RecordKind.UNDO:
                return History(self.done[:-1], (*self.undone, _last(self.done, "undone")))
            case RecordKind.REDO:
                return History((*self.done, _last(self.undone, "redone")), self.undone[:-1])
            case _:
                assert_never(kind)


def _last(stack: tuple[bytes, ...], what: str) -> bytes:
    if not stack:
        raise AnnotationError(
            f"The journal says that a change was {what} which is not in it.", "Restore it from a backup."
        )
    return stack[-1]


def encode_record(kind: RecordKind, revision: int, payload: bytes = b"") -> bytes:
    """Return the bytes to append for one step.

    Args:
        kind: What happened.
        revision: Number of the step, at least 1.
        payload: The encoded patch of a PATCH; empty for the others.

    Raises:
        ValueError: a PATCH without payload, another kind with one, or a revision below 1.
    """
    if (kind is RecordKind.PATCH) != bool(payload):
        raise ValueError(f"{len(payload)} bytes of payload do not belong to {kind.name}")
    if revision < 1:
        raise ValueError(f"revision {revision} is not possible")
    fields = _FIELDS.pack(_MAGIC, kind, revision, len(payload))
    body = fields + _CHECKSUM.pack(zlib.crc32(fields)) + payload
    return body + _CHECKSUM.pack(zlib.crc32(body))


def read_journal(path: Path) -> JournalContents:
    """Read a journal; one that is not there is empty. Never writes.

    Raises:
        StorageError: the file cannot be read or is larger than `MAX_JOURNAL_BYTES`.
    """
    return parse_journal(read_bytes(path, limit=MAX_JOURNAL_BYTES) if path.exists() else b"")


def parse_journal(data: bytes) -> JournalContents:
    """Return the records in the bytes of a journal.

    Any beginning of a whole journal gives a beginning of its records and no damage.
    """
    records: list[Record] = []
    offset = 0
    while offset < len(data):
        found = _record_at(data, offset)
        if found is None:
            damage = None if _is_unfinished(data, offset) else f"no readable record at byte {offset:,}"
            return JournalContents(tuple(records), offset, damage)
        record, end = found
        if records and record.revision != records[-1].revision + 1:
            damage = f"step {record.revision} at byte {offset:,} follows step {records[-1].revision}"
            return JournalContents(tuple(records), offset, damage)
        records.append(record)
        offset = end
    return JournalContents(tuple(records), offset)


def _header_at(data: bytes, offset: int) -> tuple[RecordKind, int, int] | None:
    """Return kind, revision and payload length of a readable header, else None."""
    if len(data) - offset < _HEADER_SIZE:
        return None
    magic, kind, revision, length = _FIELDS.unpack_from(data, offset)
    (checksum,) = _CHECKSUM.unpack_from(data, offset + _FIELDS.size)
    if magic != _MAGIC or checksum != zlib.crc32(memoryview(data)[offset : offset + _FIELDS.size]):
        return None
    possible = kind in set(RecordKind) and revision >= 1 and (kind == RecordKind.PATCH) == bool(length)
    return (RecordKind(kind), revision, length) if possible else None


def _record_at(data: bytes, offset: int) -> tuple[Record, int] | None:
    """Return a whole and undamaged record and where it ends, else None."""
    header = _header_at(data, offset)
    if header is None:
        return None
    kind, revision, length = header
    end = offset + _SMALLEST + length
    if end > len(data):
        return None
    (checksum,) = _CHECKSUM.unpack_from(data, end - _CHECKSUM.size)
    if checksum != zlib.crc32(memoryview(data)[offset : end - _CHECKSUM.size]):
        return None
    return Record(kind, revision, data[offset + _HEADER_SIZE : end - _CHECKSUM.size]), end


def _is_unfinished(data: bytes, offset: int) -> bool:
    """Whether what begins at `offset`, and is no record, is what a crash leaves of the last one.

    That is a record cut short, or one whose end the disk had made room for (zeros) but not written. Anything
    that is followed by a whole record is damage.
    """
    if _has_record_after(data, offset):
        return False
    rest = len(data) - offset
    if rest < _HEADER_SIZE:
        return _MAGIC.startswith(data[offset:].rstrip(b"\0")[: len(_MAGIC)])
    header = _header_at(data, offset)
    if header is not None:
        end = offset + _SMALLEST + header[2]
        return end > len(data) or not any(data[end - _CHECKSUM.size :])
    return not any(data[offset + _HEADER_SIZE - 1 :])


def _has_record_after(data: bytes, offset: int) -> bool:
    place = data.find(_MAGIC, offset + 1)
    while place >= 0:
        if _record_at(data, place) is not None:
            return True
        place = data.find(_MAGIC, place + 1)
    return False
