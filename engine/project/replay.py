"""Bringing the layers of an annotation forward by the records of its journal. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.annotate.journal import HISTORY_LIMIT, History, Record, RecordKind
from engine.annotate.patch import Patch
from engine.errors import AnnotationError

_REMEDY = "Nothing will overwrite it. Restore its files from a backup, or move them away to start anew."


@dataclass(slots=True, eq=False)
class Layer:
    """Values of one layer and the revision that they stand for; both move while records are replayed."""

    values: NDArray[np.uint8]
    revision: int


class _UndoStack:
    """The undo stack while records are replayed.

    Steps that fell out of the history are kept here, so that a journal which takes one of them back all the
    same can be read.
    """

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._undone: list[bytes] = []
        self._reach = 0  # how many of the done steps the history holds

    def move(self, record: Record, where: str) -> tuple[bytes, bool]:
        """Go on by one record; return the patch concerned and whether it is taken back."""
        if record.kind is RecordKind.PATCH:
            self._done.append(record.payload)
            self._undone.clear()
            self._reach = min(self._reach + 1, HISTORY_LIMIT)
            return record.payload, False
        back = record.kind is RecordKind.UNDO
        source, target = (self._done, self._undone) if back else (self._undone, self._done)
        if not source:
            raise AnnotationError(
                f"The journal of “{where}” is damaged: it takes back a step that is not in it.", _REMEDY
            )
        target.append(source.pop())
        self._reach = max(self._reach - 1, 0) if back else min(self._reach + 1, HISTORY_LIMIT)
        return target[-1], back

    def history(self) -> History:
        """Return what can be taken back and done again."""
        done = self._done[len(self._done) - self._reach :]
        return History(done=tuple(done), undone=tuple(self._undone[-HISTORY_LIMIT:]))


def replay(records: Sequence[Record], label_map: Layer, provenance: Layer, where: str) -> History:
    """Apply to each layer the records that are newer than it, in place.

    Args:
        records: all records of the journal, in order.
        label_map: layer of class indices.
        provenance: layer of provenances.
        where: image id, for messages.

    Returns:
        The undo stack after the last record.

    Raises:
        AnnotationError: records and layers do not fit together.
    """
    stack = _UndoStack()
    for record in records:
        payload, backwards = stack.move(record, where)
        layers = [layer for layer in (label_map, provenance) if record.revision > layer.revision]
        if not layers:
            continue
        patch = _decoded(payload, where)
        patch = patch.inverse() if backwards else patch
        if label_map in layers:
            _advance(label_map, record.revision, patch, patch.before, patch.after, where)
        if provenance in layers:
            _advance(
                provenance, record.revision, patch, patch.provenance_before, patch.provenance_after, where
            )
    return stack.history()


def compacted(history: History, revision: int) -> list[Record]:
    """Return the shortest records that give an undo history and end at a revision.

    Undone steps are written as done and then taken back. The result never holds more records than the journal
    it replaces, so its revisions stay above zero.
    """
    done, undone = history.done, history.undone
    kinds = [(RecordKind.PATCH, payload) for payload in (*done, *reversed(undone))]
    kinds += [(RecordKind.UNDO, b"")] * len(undone)
    first = revision - len(kinds) + 1
    return [Record(kind, first + place, payload) for place, (kind, payload) in enumerate(kinds)]


def _decoded(payload: bytes, where: str) -> Patch:
    try:
        return Patch.decode(payload)
    except AnnotationError as error:
        raise AnnotationError(f"The journal of “{where}” is damaged: {error.message}", _REMEDY) from error


def _advance(
    layer: Layer, revision: int, patch: Patch, before: NDArray[np.uint8], after: NDArray[np.uint8], where: str
) -> None:
    if revision != layer.revision + 1:
        raise AnnotationError(
            f"Steps {layer.revision + 1} to {revision - 1} of “{where}” are missing: "
            "one of its annotation files is gone or older than its journal.",
            _REMEDY,
        )
    height, width = layer.values.shape
    box = patch.box
    part = layer.values[box.slices]
    if not Box(0, 0, height, width).contains(box):
        raise AnnotationError(f"The journal of “{where}” was made for an image of another size.", _REMEDY)
    if not np.array_equal(part[patch.mask], before[patch.mask]):
        raise AnnotationError(f"The journal of “{where}” does not fit its annotation file.", _REMEDY)
    part[patch.mask] = after[patch.mask]
    layer.revision = revision
