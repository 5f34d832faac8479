"""What every exporter offers, the images it gets, and the staging folder that keeps old exports safe."""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, VOID, ClassTable
from engine.annotate.compose import final_label_map
from engine.errors import AnnotationError, EngineError, ExchangeError, ImageError
from engine.files import storage_errors
from engine.messages import ExportItem
from engine.project.images import probe
from engine.project.store import AnnotationStore

IGNORE_VALUE = 255
"""What unlabelled and void pixels become in every raster format."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImage:
    """One image as exporters see it.

    Attributes:
        image_id: POSIX path relative to the images folder.
        image_path: the image file.
        label_map: (H, W) uint8 of permanent class indices, 254 void, 255 unlabelled; the annotation, over the
            prediction where one was asked for.
    """

    image_id: str
    image_path: Path
    label_map: NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What an export wrote.

    Attributes:
        folder: where the files are.
        files: how many files were written.
        images: how many images they cover.
        unlabelled_pixels: pixels nobody labelled and no prediction filled.
        void_pixels: pixels marked as "no class fits".
        notes: sentences the user should read.
    """

    folder: Path
    files: int
    images: int
    unlabelled_pixels: int
    void_pixels: int
    notes: tuple[str, ...]


ProgressCallback = Callable[[int], None]
"""Called with the number of images done, on the thread that exports, once for each or oftener; may raise to
cancel."""


@runtime_checkable
class Exporter(Protocol):
    """A foreign format; stateless, so one instance serves all threads."""

    @property
    def name(self) -> str:
        """The word used on the command line, such as ``png``."""
        ...

    @property
    def title(self) -> str:
        """What the export dialog shows."""
        ...

    @property
    def help(self) -> str:
        """One or two sentences: which files appear and what their values mean."""
        ...

    def export(
        self, items: Iterable[LabelledImage], classes: ClassTable, folder: Path, progress: ProgressCallback
    ) -> ExportReport:
        """Write all items below ``folder``; files of an earlier export are replaced only when all went well.

        Raises:
            ExchangeError: something in the data cannot be expressed in this format.
            StorageError: the disk refuses.
        """
        ...


def labelled_images(
    items: Iterable[ExportItem],
    store: AnnotationStore,
    predict: Callable[[ExportItem], NDArray[np.uint8]] | None = None,
    *,
    skipped: Callable[[EngineError], None] | None = None,
) -> Iterator[LabelledImage]:
    """Read annotations one at a time and lay them over predictions; memory holds one image.

    Args:
        items: the images to export.
        store: where the annotations lie.
        predict: returns the (H, W) uint8 prediction as permanent class indices; ``None`` exports what people
            said only.
        skipped: called with the reason when an image cannot be read; the others go on. Without it the error
            ends the export.

    Raises:
        AnnotationError: an annotation is damaged.
        ImageError: an image cannot be read for its prediction.
    """
    for item in items:
        try:
            size = item.size or probe(Path(item.image_path)).size
            annotation = store.load(item.image_id, size).annotation
            prediction = None if predict is None else predict(item)
        except (AnnotationError, ImageError) as error:
            if skipped is None:
                raise
            skipped(error)
            continue
        yield LabelledImage(
            image_id=item.image_id,
            image_path=Path(item.image_path),
            label_map=final_label_map(annotation.label_map, prediction),
        )


class ExportTally:
    """Counts what an export leaves open, and puts it into words."""

    def __init__(self) -> None:
        self.images = 0
        self.unlabelled = 0
        self.void = 0
        self.pixels = 0
        self.notes: list[str] = []

    def add(self, label_map: NDArray[np.uint8]) -> None:
        """Count one label map."""
        self.images += 1
        self.pixels += label_map.size
        self.unlabelled += int(np.count_nonzero(label_map == UNLABELLED))
        self.void += int(np.count_nonzero(label_map == VOID))

    def report(self, folder: Path, files: int, *, unlabelled_as: str) -> ExportReport:
        """Close the books.

        Args:
            folder: where the files are.
            files: how many were written.
            unlabelled_as: how this format shows unlabelled and void pixels, for the notes.
        """
        notes = list(self.notes)
        if self.unlabelled:
            share = 100.0 * self.unlabelled / max(1, self.pixels)
            notes.append(f"{self.unlabelled:,} pixels ({share:.1f} %) are unlabelled: {unlabelled_as}.")
        if self.void:
            notes.append(f"{self.void:,} pixels are void (no class fits): {unlabelled_as}.")
        return ExportReport(
            folder=folder,
            files=files,
            images=self.images,
            unlabelled_pixels=self.unlabelled,
            void_pixels=self.void,
            notes=tuple(notes),
        )


class Staging:
    """A hidden folder inside the target; its files move into place only when the whole export succeeded.

    Use as a context manager. Leaving it without :meth:`commit` removes everything written, so an export that
    fails or is cancelled leaves the previous one untouched.
    """

    def __init__(self, folder: Path) -> None:
        """Remember the target; nothing is written before ``with``."""
        self._folder = folder
        self._staging = folder
        self._names: list[PurePosixPath] = []

    def __enter__(self) -> "Staging":
        """Make the folder.

        Raises:
            StorageError: the target cannot be written.
        """
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._staging = Path(tempfile.mkdtemp(prefix=".export-", dir=self._folder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove whatever was not committed."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def path(self, relative: PurePosixPath) -> Path:
        """Where to write the file that will become ``folder/relative``; parent folders are made."""
        target = self._staging.joinpath(*relative.parts)
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        self._names.append(relative)
        return target

    def write(self, relative: PurePosixPath, data: bytes) -> None:
        """Write one whole file.

        Raises:
            StorageError: the disk refuses.
        """
        target = self.path(relative)
        with storage_errors(target):
            target.write_bytes(data)

    def commit(self) -> int:
        """Move all files into place and return their number.

        Raises:
            StorageError: the disk refuses; files moved so far stay, each of them whole.
        """
        for relative in self._names:
            source, target = self._staging.joinpath(*relative.parts), self._folder.joinpath(*relative.parts)
            with storage_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
        return len(self._names)


class OutputNames:
    """Gives every image an output name: its id with another suffix, longer where two would clash."""

    def __init__(self, suffix: str) -> None:
        """Start without names; ``suffix`` has its dot, such as ``.png``."""
        self._suffix = suffix
        self._taken: set[str] = set()
        self.renamed: list[str] = []

    def name_for(self, image_id: str) -> PurePosixPath:
        """The relative path for an image; ``a.jpg`` → ``a.png``, a second ``a.bmp`` → ``a.bmp.png``.

        Raises:
            ExchangeError: the id leaves the folder or is given twice.
        """
        path = PurePosixPath(image_id)
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise ExchangeError(
                f"“{image_id}” is not a name inside the folder.", hint="Open the images folder again."
            )
        name = path.with_suffix(self._suffix)
        if str(name).casefold() in self._taken:
            name = path.with_name(path.name + self._suffix)
            self.renamed.append(str(name))
        if str(name).casefold() in self._taken:
            raise ExchangeError(f"“{image_id}” would be written twice.", hint="Rename one of the images.")
        self._taken.add(str(name).casefold())
        return name


def value_lookup(classes: ClassTable) -> NDArray[np.uint8]:
    """(256,) uint8: permanent indices stay, void and unlabelled and unknown values become 255."""
    lookup = np.full(256, IGNORE_VALUE, np.uint8)
    indices = np.asarray(classes.indices, np.int64)
    lookup[indices] = indices
    return lookup


def check_known(label_map: NDArray[np.uint8], classes: ClassTable, image_id: str) -> None:
    """Refuse label maps with values no class has, rather than dropping them silently.

    Raises:
        ExchangeError: naming the image and the values.
    """
    known = np.zeros(256, bool)
    known[list(classes.indices)] = True
    known[[VOID, UNLABELLED]] = True
    present = np.bincount(label_map.reshape(-1), minlength=256) > 0
    strange = np.flatnonzero(present & ~known)
    if strange.size:
        raise ExchangeError(
            f"“{image_id}” holds values without a class: {', '.join(map(str, strange[:8]))}.",
            hint="Run `maskloop check` on the folder.",
        )


def classes_json(classes: ClassTable) -> bytes:
    """The class table as UTF-8 JSON: ``{"classes": [{"id", "name", "color"}], "ignore_index": 255}``."""
    entries = [{"id": spec.index, "name": spec.name, "color": list(spec.color)} for spec in classes]
    text = json.dumps({"classes": entries, "ignore_index": IGNORE_VALUE}, ensure_ascii=False, indent=1)
    return (text + "\n").encode("utf-8")
