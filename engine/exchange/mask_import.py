"""Import of label maps drawn elsewhere: id, palette and colour images.

Nothing is written before the person has seen the preview (:mod:`engine.exchange.mask_preview`). What people
painted by hand stays; imported pixels get provenance ``IMPORTED``, as ordinary patches that can be taken
back.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from engine.annotate.annotation import Annotation
from engine.annotate.classes import UNLABELLED, VOID, ClassTable, Provenance
from engine.annotate.compose import make_values_patch
from engine.annotate.geometry import Box
from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch
from engine.annotate.stroke import PaintRule
from engine.errors import AnnotationError, EngineError, ExchangeError, StorageError
from engine.exchange.mask_files import MaskFile, MaskKind, MaskValue, read_mask_file
from engine.exchange.mask_preview import (
    ImportImage,
    ImportPreview,
    ImportProblem,
    MatchedMask,
    Progress,
    preview_import,
    wrong_size_message,
)
from engine.project.store import AnnotationStore

__all__ = [
    "ImportImage",
    "ImportPreview",
    "ImportProblem",
    "ImportReport",
    "ImportedMask",
    "MaskKind",
    "MatchedMask",
    "import_labels",
    "import_masks",
    "import_patch",
    "imported_labels",
    "preview_import",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportedMask:
    """One image after its import: revision 0 means that nothing changed."""

    image_id: str
    size: tuple[int, int]
    revision: int
    pixels: int
    labelled: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did; ``problems`` are files that were skipped."""

    images: tuple[ImportedMask, ...]
    problems: tuple[ImportProblem, ...]

    @property
    def pixels(self) -> int:
        """Pixels that got a label."""
        return sum(image.pixels for image in self.images)


def import_labels(mask: MaskFile, mapping: Mapping[MaskValue, int]) -> NDArray[np.uint8]:
    """(H, W) uint8 of permanent class indices for a mask; values without an entry become 255.

    Args:
        mask: the foreign mask.
        mapping: class index of each value.
    """
    lookup = np.asarray([mapping.get(value, UNLABELLED) for value in mask.values], np.uint8)
    return lookup[mask.codes]


def import_patch(
    annotation: Annotation, labels: NDArray[np.uint8], classes: ClassTable, rule: PaintRule
) -> Patch | None:
    """The change that lays imported labels over an annotation; ``None`` when nothing changes.

    Args:
        annotation: what is there now.
        labels: (H, W) uint8 of permanent class indices; 255 changes nothing.
        classes: locked classes never change.
        rule: which existing labels are protected.
    """
    height, width = labels.shape
    return make_values_patch(
        annotation,
        Box(0, 0, height, width),
        labels != UNLABELLED,
        labels,
        Provenance.IMPORTED,
        rule=rule,
        locked=classes.locked_lookup(),
    )


def imported_labels(
    preview: ImportPreview, mapping: Mapping[MaskValue, int]
) -> Iterator[tuple[MatchedMask, NDArray[np.uint8] | ImportProblem]]:
    """Read the matched masks one by one as class indices; a file that broke meanwhile yields its problem.

    Raises:
        ExchangeError: the mapping names an index that is no class.
    """
    known = {*preview.classes.indices, UNLABELLED, VOID}
    strange = sorted({index for index in mapping.values() if index not in known})
    if strange:
        raise ExchangeError(
            f"The mapping names classes that do not exist: {strange}.", hint="Choose existing classes."
        )
    for matched in preview.matched:
        try:
            mask = read_mask_file(matched.path)
        except EngineError as error:
            yield matched, ImportProblem(path=matched.path, message=error.message)
            continue
        if mask.size != matched.size:
            yield (
                matched,
                ImportProblem(
                    path=matched.path, message=wrong_size_message(matched.path, mask.size, matched.size)
                ),
            )
            continue
        yield matched, import_labels(mask, mapping)


def import_masks(
    store: AnnotationStore,
    preview: ImportPreview,
    mapping: Mapping[MaskValue, int],
    *,
    rule: PaintRule = PaintRule.OVER_PREDICTIONS,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ImportReport:
    """Write masks into the annotation files; on the thread that owns them. Damaged annotations are skipped.

    The manifest's class table must already be ``preview.classes``, and its records are the caller's to
    update. Where the disk refuses or ``cancelled`` says so, the import ends there: what was done so far
    stays, and the report says it.

    Raises:
        ExchangeError: the mapping names an index that is no class.
    """
    images: list[ImportedMask] = []
    problems: list[ImportProblem] = []
    for done, (matched, labels) in enumerate(imported_labels(preview, mapping), start=1):
        if cancelled():  # while it was read
            problems.append(_left_out(matched, len(preview.matched) - done + 1))
            break
        if isinstance(labels, ImportProblem):
            problems.append(labels)
        else:
            try:
                images.append(_import_one(store, matched, labels, preview.classes, rule))
            except AnnotationError as error:
                problems.append(ImportProblem(path=matched.path, message=error.message))
            except StorageError as error:
                problems.append(ImportProblem(path=matched.path, message=f"{error.message} {error.hint}"))
                break
        if progress is not None:
            progress(done, len(preview.matched))
        if cancelled() and done < len(preview.matched):
            problems.append(_left_out(matched, len(preview.matched) - done))
            break
    return ImportReport(images=tuple(images), problems=tuple(problems))


def _left_out(matched: MatchedMask, count: int) -> ImportProblem:
    message = f"Cancelled: {count} {'mask was' if count == 1 else 'masks were'} left out."
    return ImportProblem(path=matched.path, message=message)


def _import_one(
    store: AnnotationStore,
    matched: MatchedMask,
    labels: NDArray[np.uint8],
    classes: ClassTable,
    rule: PaintRule,
) -> ImportedMask:
    annotation = store.load(matched.image_id, matched.size).annotation
    patch = import_patch(annotation, labels, classes, rule)
    if patch is None:
        return ImportedMask(image_id=matched.image_id, size=matched.size, revision=0, pixels=0, labelled=())
    annotation.apply(patch)
    revision = annotation.revision
    store.append(matched.image_id, RecordKind.PATCH, revision, patch.encode())
    store.write_snapshot(matched.image_id, annotation.label_map, annotation.provenance, revision)
    present = np.flatnonzero(np.bincount(annotation.label_map.reshape(-1), minlength=256)[:VOID])
    return ImportedMask(
        image_id=matched.image_id,
        size=matched.size,
        revision=revision,
        pixels=patch.pixel_count,
        labelled=tuple(int(index) for index in present),
    )
