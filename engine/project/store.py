"""Annotations on disk: for each image two PNG layers and the journal of its steps.

A journal record is on disk before anybody is told that a stroke is stored; the layers follow when the hand
rests. Each layer knows its own revision and is brought forward by the records above it, so a crash at any
moment loses nothing.

Reading never writes. What cannot be read is an error and is never overwritten.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.annotate.annotation import Annotation
from engine.annotate.classes import UNLABELLED, VOID, ClassTable, Provenance
from engine.annotate.journal import HISTORY_LIMIT, History, Record, RecordKind, encode_record, read_journal
from engine.errors import AnnotationError, StorageError
from engine.files import append_durable, atomic_write, confined, read_bytes
from engine.project.disk_steps import make_parent, move_all, stamp
from engine.project.image_ids import check_image_id
from engine.project.journal_tail import Tail, ends_with, find_tail
from engine.project.layers import decode_layer, encode_layer, layer_revision, layer_size
from engine.project.replay import Layer, compacted, replay

_COMPACT_ABOVE: Final = 3 * HISTORY_LIMIT
_LAYER_LIMIT: Final = 1 << 30
_ATTEMPTS: Final = 6
_REMEDY: Final = (
    "Nothing will overwrite it. Restore its files from a backup, or move them away to start anew."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedAnnotation:
    """An annotation as it was on disk.

    Attributes:
        annotation: label map, provenance and revision; belongs to whoever asked for it.
        history: steps that can be taken back or redone.
    """

    annotation: Annotation
    history: History


@dataclass(frozen=True, slots=True)
class _Loaded:
    label_map: Layer
    provenance: Layer
    history: History
    records: int


class AnnotationStore:
    """The annotations of one project folder.

    `load` is safe on any thread and while another store, or another process, writes. Everything that writes
    belongs to the writer thread (or to a command line without one); it is serialised within one store.

    Args:
        folder: the project folder.
        expected: revisions known from the manifest by image id; an annotation that is older is reported as
            lost instead of being shown empty.
        read_only: refuse every write.
    """

    def __init__(
        self, folder: Path, *, expected: Mapping[str, int] | None = None, read_only: bool = False
    ) -> None:
        self.folder = folder
        self.read_only = read_only
        self._expected = dict(expected or {})
        self._tails: dict[str, Tail] = {}
        self._writing = threading.RLock()

    # --- where ----------------------------------------------------------------------------------

    def label_path(self, image_id: str) -> Path:
        """File of the label map. Raises `ProjectError` for an id that leaves the folder."""
        return self._path("annotations", image_id, ".png")

    def provenance_path(self, image_id: str) -> Path:
        """File of the provenances. Raises `ProjectError` for an id that leaves the folder."""
        return self._path("provenance", image_id, ".png")

    def journal_path(self, image_id: str) -> Path:
        """File of the journal. Raises `ProjectError` for an id that leaves the folder."""
        return self._path("journal", image_id, ".journal")

    def paths(self, image_id: str) -> tuple[Path, Path, Path]:
        """Files of label map, provenances and journal, whether they exist or not."""
        return self.label_path(image_id), self.provenance_path(image_id), self.journal_path(image_id)

    def annotated_ids(self) -> tuple[str, ...]:
        """Ids of all images of which any annotation file exists, sorted."""
        kinds = (("annotations", ".png"), ("provenance", ".png"), ("journal", ".journal"))
        return tuple(sorted({image_id for kind in kinds for image_id, _ in self._files(*kind)}))

    def journals_since(self, time_s: float) -> tuple[str, ...]:
        """Ids of images whose journal was written at or after a time (seconds since the epoch), sorted."""
        found = [name for name, path in self._files("journal", ".journal") if path.stat().st_mtime >= time_s]
        return tuple(sorted(found))

    def _files(self, kind: str, suffix: str) -> Iterator[tuple[str, Path]]:
        root = self.folder / kind
        for path in root.rglob("*" + suffix):
            if not path.name.startswith("."):
                yield path.relative_to(root).as_posix().removesuffix(suffix), path

    def _path(self, kind: str, image_id: str, suffix: str) -> Path:
        check_image_id(image_id)
        return confined(self.folder, f"{kind}/{image_id}{suffix}")

    # --- reading --------------------------------------------------------------------------------

    def load(
        self, image_id: str, size: tuple[int, int], classes: ClassTable | None = None
    ) -> LoadedAnnotation:
        """Read what people said about an image; empty if nobody said anything yet.

        Args:
            image_id: the image.
            size: its (H, W).
            classes: if given, every label must be one of these classes, void or unlabelled.

        Raises:
            AnnotationError: damaged, lost, of another size, or with a class that does not exist.
            StorageError: the disk cannot be read.
        """
        loaded = self._steadily(image_id, lambda: self._load(image_id, size))
        self._check_values(image_id, loaded, classes)
        return LoadedAnnotation(
            annotation=Annotation.from_arrays(
                loaded.label_map.values, loaded.provenance.values, loaded.label_map.revision
            ),
            history=loaded.history,
        )

    def size_of(self, image_id: str) -> tuple[int, int] | None:
        """Return the (H, W) that a layer file of an image has; None if there is none that can be read."""
        for path in (self.label_path(image_id), self.provenance_path(image_id)):
            if path.exists():
                try:
                    return layer_size(read_bytes(path, limit=_LAYER_LIMIT), str(path))
                except AnnotationError:
                    continue
        return None

    def _load(self, image_id: str, size: tuple[int, int]) -> _Loaded:
        # Layers before the journal: what is appended meanwhile only brings them further forward.
        label_map = _read_layer(self.label_path(image_id), size, UNLABELLED)
        provenance = _read_layer(self.provenance_path(image_id), size, Provenance.NOBODY)
        records = self._records(image_id)
        history = replay(records, label_map, provenance, image_id)
        if label_map.revision != provenance.revision:
            raise AnnotationError(
                f"The files of “{image_id}” do not belong together: its label map is at step "
                f"{label_map.revision}, its provenance at {provenance.revision}.",
                _REMEDY,
            )
        if label_map.revision < self._expected.get(image_id, 0):
            if not self.folder.is_dir():
                raise StorageError(
                    f"The project folder “{self.folder}” is gone.",
                    "Connect the drive again, then open the image once more.",
                )
            raise AnnotationError(
                f"The annotation of “{image_id}” is lost or older than it was: step {label_map.revision} "
                f"instead of {self._expected[image_id]}.",
                _REMEDY,
            )
        return _Loaded(label_map, provenance, history, len(records))

    def _records(self, image_id: str) -> Sequence[Record]:
        path = self.journal_path(image_id)
        if not path.exists():
            return ()
        contents = read_journal(path)
        if contents.damage is not None:
            raise AnnotationError(f"“{path}” is damaged: {contents.damage}.", _REMEDY)
        return contents.records

    def _steadily(self, image_id: str, read: Callable[[], _Loaded]) -> _Loaded:
        """Read again if a writer exchanged files in the middle: what then looks damaged is not."""
        for attempt in range(_ATTEMPTS):
            before = self._signature(image_id)
            try:
                return read()
            except AnnotationError:
                if self._signature(image_id) == before:
                    raise
                time.sleep(0.01 * attempt)
        return read()

    def _signature(self, image_id: str) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(stamp(path) for path in self.paths(image_id))

    def _check_values(self, image_id: str, loaded: _Loaded, classes: ClassTable | None) -> None:
        if int(loaded.provenance.values.max(initial=0)) > max(Provenance):
            raise AnnotationError(
                f"The provenance file of “{image_id}” holds values without a meaning.", _REMEDY
            )
        if classes is None:
            return
        known = {*classes.indices, VOID, UNLABELLED}
        present = np.flatnonzero(np.bincount(loaded.label_map.values.reshape(-1), minlength=256))
        strange = [str(value) for value in present.tolist() if value not in known]
        if strange:
            raise AnnotationError(
                f"The annotation of “{image_id}” holds values without a class: {', '.join(strange[:8])}.",
                "Nothing will overwrite it. Restore project.json with these classes from a backup.",
            )

    # --- writing --------------------------------------------------------------------------------

    def append(self, image_id: str, kind: RecordKind, revision: int, patch: bytes | None = None) -> None:
        """Add one step to the journal; it is on disk when this returns.

        Doing the same again after an error whose outcome is unknown adds nothing twice.

        Args:
            image_id: the image.
            kind: what happened.
            revision: one more than the last one.
            patch: the encoded patch of a `RecordKind.PATCH`, otherwise None.

        Raises:
            AnnotationError: the journal is damaged, or does not stand where the caller thinks.
            StorageError: the disk refuses; the journal is as before.
        """
        with self._writing:
            self._refuse_read_only()
            path = self.journal_path(image_id)
            record = encode_record(kind, revision, patch or b"")
            tail = self._tail(image_id, path)
            if revision == tail.revision and ends_with(path, record):
                return
            if revision != tail.revision + 1:
                raise AnnotationError(
                    f"Step {revision} of “{image_id}” cannot be stored: the last one is {tail.revision}.",
                    "Another program may have changed the project; open the folder again.",
                )
            make_parent(path, self.folder)
            self._tails.pop(image_id, None)
            append_durable(path, record)
            self._tails[image_id] = Tail(tail.length + len(record), revision)
            self._expected[image_id] = revision  # so that a folder that goes is not taken for an empty one

    def write_snapshot(
        self, image_id: str, label_map: NDArray[np.uint8], provenance: NDArray[np.uint8], revision: int
    ) -> None:
        """Replace both layers by newer ones.

        Args:
            image_id: the image.
            label_map: (H, W) uint8.
            provenance: (H, W) uint8.
            revision: of these values.

        Raises:
            AnnotationError: the files there are damaged, or newer than `revision`; they stay as they are.
            StorageError: the disk refuses; the old files are still there.
        """
        with self._writing:
            self._refuse_read_only()
            height, width = label_map.shape
            present = self._load(image_id, (height, width))
            if present.label_map.revision > revision:
                raise AnnotationError(
                    f"Step {revision} of “{image_id}” is older than the stored {present.label_map.revision}.",
                    "Open the folder again.",
                )
            self._write_layers(image_id, label_map, provenance, revision)

    def settle(self, image_id: str, size: tuple[int, int]) -> int:
        """Bring both layers up to the end of the journal, and shorten a journal that has grown long.

        Args:
            image_id: the image.
            size: its (H, W).

        Returns:
            The revision of the layers now.

        Raises:
            AnnotationError: the files are damaged; they stay as they are.
            StorageError: the disk refuses; the old files are still there.
        """
        with self._writing:
            self._refuse_read_only()
            loaded = self._load(image_id, size)
            revision = loaded.label_map.revision
            self._write_layers(image_id, loaded.label_map.values, loaded.provenance.values, revision)
            if loaded.records > _COMPACT_ABOVE:
                self._replace_journal(image_id, compacted(loaded.history, revision))
            return revision

    def rewrite(
        self, image_id: str, label_map: NDArray[np.uint8], provenance: NDArray[np.uint8], revision: int
    ) -> None:
        """Replace an annotation and forget its steps, for changes that cannot be taken back.

        Raises:
            AnnotationError: the files there are damaged, or newer than `revision`; they stay as they are.
            StorageError: the disk refuses.
        """
        with self._writing:
            self.write_snapshot(image_id, label_map, provenance, revision)
            self._replace_journal(image_id, [])

    def move(self, old_id: str, new_id: str) -> None:
        """Give an annotation to an image under another name.

        Raises:
            AnnotationError: the new name has an annotation already; nothing was changed.
            StorageError: the disk refuses; nothing was changed.
        """
        with self._writing:
            self._refuse_read_only()
            if any(path.exists() for path in self.paths(new_id)):
                raise AnnotationError(f"“{new_id}” has an annotation of its own.", "Keep one of the two.")
            move_all(list(zip(self.paths(old_id), self.paths(new_id), strict=True)))
            self._tails.pop(old_id, None)
            if old_id in self._expected:
                self._expected[new_id] = self._expected.pop(old_id)

    def set_aside(self, image_id: str) -> Path:
        """Move the files of a damaged annotation away, to annotate the image anew. Nothing is deleted.

        Returns:
            The folder that holds them now.

        Raises:
            StorageError: the disk refuses; nothing was changed.
        """
        with self._writing:
            self._refuse_read_only()
            number = 1
            while (self.folder / "set-aside" / str(number)).exists():
                number += 1
            root = self.folder / "set-aside" / str(number)
            move_all([(path, root / path.relative_to(self.folder)) for path in self.paths(image_id)])
            self._tails.pop(image_id, None)
            self._expected.pop(image_id, None)
            return root

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise StorageError(
                f"“{self.folder}” is open read-only.", "Open it for writing to change annotations."
            )

    def _write_layers(
        self, image_id: str, label_map: NDArray[np.uint8], provenance: NDArray[np.uint8], revision: int
    ) -> None:
        for path, values in (
            (self.label_path(image_id), label_map),
            (self.provenance_path(image_id), provenance),
        ):
            make_parent(path, self.folder)
            atomic_write(path, encode_layer(values, revision))

    def _replace_journal(self, image_id: str, records: Sequence[Record]) -> None:
        """Exchange the journal. Only after both layers stand at its end: they carry what is dropped here."""
        path = self.journal_path(image_id)
        self._tails.pop(image_id, None)
        make_parent(path, self.folder)
        atomic_write(
            path, b"".join(encode_record(record.kind, record.revision, record.payload) for record in records)
        )

    def _tail(self, image_id: str, path: Path) -> Tail:
        """Where the journal ends. A record that a crash cut in the middle is removed first."""
        known = self._tails.get(image_id)
        if known is not None and path.exists() and known.length == path.stat().st_size:
            return known
        tail = find_tail(path)
        return tail if tail.revision else Tail(tail.length, self._layers_revision(image_id))

    def _layers_revision(self, image_id: str) -> int:
        paths = (self.label_path(image_id), self.provenance_path(image_id))
        revisions = {layer_revision(read_bytes(p, limit=_LAYER_LIMIT), str(p)) for p in paths if p.exists()}
        if len(revisions) > 1:
            raise AnnotationError(f"The files of “{image_id}” do not belong together.", _REMEDY)
        return revisions.pop() if revisions else 0


def _read_layer(path: Path, size: tuple[int, int], empty: int) -> Layer:
    if not path.exists():
        return Layer(np.full(size, empty, np.uint8), 0)
    return Layer(*decode_layer(read_bytes(path, limit=_LAYER_LIMIT), size, str(path)))
