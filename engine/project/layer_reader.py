"""Reads annotations again and again, as who learns from every stroke does.

Reading one whole unpacks two layers of image size. After a stroke only a step was added to the journal, so
the layers read last are kept and brought forward by what is new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.journal import Record, read_journal
from engine.errors import AnnotationError
from engine.project.disk_steps import stamp
from engine.project.replay import Layer, replay
from engine.project.store import AnnotationStore

_Stamps = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    image_id: str
    size: tuple[int, int]
    stamps: _Stamps
    label_map: NDArray[np.uint8]
    provenance: NDArray[np.uint8]
    revision: int


class LayerReader:
    """Reads the layers of annotations, remembering those of one image. One thread only; never writes.

    Args:
        store: The project's annotations.
    """

    def __init__(self, store: AnnotationStore) -> None:
        self._store = store
        self._last: _Read | None = None

    def read(self, image_id: str, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return label map and provenance as they are on disk now, both (H, W) uint8 and read-only.

        Args:
            image_id: The image.
            size: Its (H, W).

        Raises:
            AnnotationError: See `AnnotationStore.load`.
            StorageError: The disk cannot be read.
        """
        stamps = tuple(stamp(path) for path in self._store.paths(image_id)[:2])
        known = self._last
        self._last = None
        if known is not None and (known.image_id, known.size, known.stamps) == (image_id, size, stamps):
            self._last = self._forward(known)
        if self._last is None:
            loaded = self._store.load(image_id, size).annotation
            self._last = _Read(image_id, size, stamps, loaded.label_map, loaded.provenance, loaded.revision)
        return self._last.label_map, self._last.provenance

    def _forward(self, known: _Read) -> _Read | None:
        """Return what was read last with the steps added since; None where the journal is another one."""
        contents = read_journal(self._store.journal_path(known.image_id))
        reached = _reached(contents.records)
        if contents.damage is not None or reached < known.revision:
            return None
        if reached == known.revision:
            return known
        # Copies: the arrays handed out before stay as they were.
        label_map = Layer(known.label_map.copy(), known.revision)
        provenance = Layer(known.provenance.copy(), known.revision)
        try:
            replay(contents.records, label_map, provenance, known.image_id)
        except AnnotationError:
            return None
        for values in (label_map.values, provenance.values):
            values.setflags(write=False)
        return _Read(
            known.image_id, known.size, known.stamps, label_map.values, provenance.values, label_map.revision
        )


def _reached(records: tuple[Record, ...]) -> int:
    return records[-1].revision if records else 0
