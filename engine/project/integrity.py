"""Looking at a whole project for damage: what is wrong, in which file, and what to do. Never writes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from engine.errors import EngineError
from engine.files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX, confined, hash_file
from engine.project.images import decode_image, scan_images
from engine.project.manifest import MANIFEST_NAME, ImageRecord, Manifest, read_manifest
from engine.project.project import locate
from engine.project.store import AnnotationStore


class Severity(Enum):
    """How bad a finding is."""

    ERROR = "error"
    """Something cannot be used as it is."""
    WARNING = "warning"
    """Something is not as it was left, but can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        path: the file concerned.
        severity: how bad it is.
        message: what is wrong, for people.
        hint: what to do about it.
    """

    path: Path
    severity: Severity
    message: str
    hint: str


def check_project(
    images_folder: Path, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> tuple[Finding, ...]:
    """Read every image, annotation and journal of a project, and the manifest.

    Works while the project is open elsewhere. Takes about as long as decoding all images.

    Args:
        images_folder: the folder of images.
        progress: called with the number of images done and their total.

    Returns:
        What is wrong; empty for a sound project, and for a folder without one whose images can be read.

    Raises:
        ProjectError: the folder is gone or may not be read.
    """
    return tuple(_Check(images_folder, progress).findings())


class _Check:
    def __init__(self, images_folder: Path, progress: Callable[[int, int], None]) -> None:
        self._images_folder = images_folder
        self._folder = locate(images_folder.absolute())
        self._present = frozenset(scan_images(images_folder).image_ids)
        self._progress = progress
        self._manifest: Manifest | None = None
        self._store = AnnotationStore(self._folder, read_only=True)

    def findings(self) -> Iterator[Finding]:
        """Yield everything that is wrong, the manifest first."""
        annotated = set(self._store.annotated_ids())
        yield from self._check_manifest(annotated)
        records = dict(self._manifest.images) if self._manifest else {}
        expected = {name: record.revision for name, record in records.items()}
        self._store = AnnotationStore(self._folder, expected=expected, read_only=True)
        lost = {name for name, record in records.items() if record.revision > 0}
        names = sorted(self._present | annotated | lost)
        for done, image_id in enumerate(names):
            self._progress(done, len(names))
            yield from self._check_image(
                image_id, records.get(image_id), has_annotation=image_id in annotated | lost
            )
        self._progress(len(names), len(names))
        yield from self._check_leftovers()

    def _check_manifest(self, annotated: set[str]) -> Iterator[Finding]:
        path = self._folder / MANIFEST_NAME
        if not path.exists():
            if annotated:
                yield _error(
                    path, f"“{path}” is missing, but there are annotations.", "Restore it from a backup."
                )
            return
        try:
            self._manifest = read_manifest(path)
        except EngineError as error:
            yield _error(path, error.message, error.hint)
            return
        yield from self._check_checkpoint(self._manifest)

    def _check_checkpoint(self, manifest: Manifest) -> Iterator[Finding]:
        if manifest.checkpoint is None:
            return
        path = confined(self._folder, manifest.checkpoint)
        if not path.is_file():
            message = f"The checkpoint in use, “{path}”, is missing."
            yield _warning(path, message, "Choose another checkpoint, or train again.")

    def _check_image(
        self, image_id: str, record: ImageRecord | None, *, has_annotation: bool
    ) -> Iterator[Finding]:
        path = self._images_folder / image_id
        size = record.size if record else None
        if image_id in self._present:
            try:
                height, width = decode_image(path).pixels.shape[:2]
                size = height, width
            except EngineError as error:
                yield _error(path, error.message, error.hint)
            yield from self._check_hash(path, record)
        elif has_annotation:
            message = f"“{path}” is missing, but it is annotated."
            hint = "Put the file back. If you renamed it, open the folder: Maskloop finds it by its content."
            yield _warning(path, message, hint)
        if has_annotation:
            yield from self._check_annotation(image_id, size)

    def _check_hash(self, path: Path, record: ImageRecord | None) -> Iterator[Finding]:
        if record is None or record.content_hash is None:
            return
        try:
            changed = hash_file(path) != record.content_hash
        except EngineError:
            return  # reported with its pixels
        if changed:
            message = f"“{path}” is not the file that was annotated: its content changed."
            yield _warning(path, message, "Check that the annotation still fits, or put the old file back.")

    def _check_annotation(self, image_id: str, size: tuple[int, int] | None) -> Iterator[Finding]:
        path = self._store.label_path(image_id)
        try:
            known = size or self._store.size_of(image_id)
            if known is None:
                message = (
                    f"The annotation of “{image_id}” cannot be checked: nothing tells how large the image is."
                )
                yield _error(path, message, "Put the image file back.")
                return
            self._store.load(image_id, known, self._manifest.classes if self._manifest else None)
        except EngineError as error:
            yield _error(path, error.message, error.hint)

    def _check_leftovers(self) -> Iterator[Finding]:
        for path in self._folder.rglob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
            message = f"“{path}” was left behind by a program that was ended while it wrote."
            yield _warning(path, message, "It is removed when the project is opened for writing.")


def _error(path: Path, message: str, hint: str) -> Finding:
    return Finding(path=path, severity=Severity.ERROR, message=message, hint=hint)


def _warning(path: Path, message: str, hint: str) -> Finding:
    return Finding(path=path, severity=Severity.WARNING, message=message, hint=hint)
