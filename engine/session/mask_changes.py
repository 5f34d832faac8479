"""Importing masks into annotations: the disk thread's work, and what the manifest says afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from engine.annotate.classes import UNLABELLED
from engine.errors import EngineError
from engine.exchange.mask_files import MaskValue
from engine.exchange.mask_import import ImportReport, import_masks
from engine.exchange.mask_preview import ImportImage, ImportPreview
from engine.messages import IMPORT_TASK, CommandFailed, Event, MasksImported, Problem, Progress
from engine.project.images import probe
from engine.project.manifest import ImageRecord, ImageStatus, Manifest, Split
from engine.project.project import Project
from engine.project.store import AnnotationStore
from engine.session.review import split_of_new


def import_images(project: Project) -> tuple[ImportImage, ...]:
    """Return every image with its true size; none where it cannot be read. Slow: opens the new ones."""
    return tuple(_import_image(project, record) for record in project.manifest.images.values())


def _import_image(project: Project, record: ImageRecord) -> ImportImage:
    size = record.size
    if size is None:
        with suppress(EngineError):
            size = probe(project.image_path(record.image_id)).size
    return ImportImage(image_id=record.image_id, size=size)


def importing(
    store: AnnotationStore,
    preview: ImportPreview,
    mapping: Mapping[MaskValue, int],
    emit: Callable[[Event], None],
    cancelled: Callable[[], bool] = lambda: False,
) -> Callable[[], None]:
    """Return the disk thread's work of an import. What is refused ends it; images done so far stay.

    Args:
        store: The project's annotations.
        preview: What was found.
        mapping: Class index of each mask value, `UNLABELLED` for "nothing said".
        emit: Gets `Progress` after each image, at the end `MasksImported` or `CommandFailed`.
        cancelled: Asked after each image; True ends the import there.
    """

    def progress(done: int, total: int) -> None:
        emit(Progress(task=IMPORT_TASK, done=done, total=total))

    def work() -> None:
        try:
            report = import_masks(store, preview, mapping, progress=progress, cancelled=cancelled)
        except EngineError as error:
            emit(CommandFailed(command="ImportMasks", problem=Problem.from_error(error)))
            emit(_imported(ImportReport(images=(), problems=())))
        else:
            emit(_imported(report))

    return work


def _imported(report: ImportReport) -> MasksImported:
    changed = [image for image in report.images if image.revision > 0]
    notes = [f"{report.pixels} pixels of {len(changed)} images were labelled."]
    notes += [problem.message for problem in report.problems]
    return MasksImported(
        labelled={image.image_id: image.labelled for image in changed},
        sizes={image.image_id: image.size for image in changed},
        revisions={image.image_id: image.revision for image in changed},
        notes=tuple(notes),
    )


def manifest_with(manifest: Manifest, imported: MasksImported) -> Manifest:
    """Return the manifest after an import: revisions, and a split for images annotated for the first time."""
    images: dict[str, ImageRecord] = dict(manifest.images)
    for image_id, labelled in imported.labelled.items():
        record = images[image_id]
        known = set(record.labelled) | {value for value in labelled if value != UNLABELLED}
        images[image_id] = replace(
            record,
            size=imported.sizes[image_id],
            revision=imported.revisions[image_id],
            labelled=tuple(sorted(known)),
            split=split_of_new(images) if record.split is Split.NONE else record.split,
            status=ImageStatus.STARTED if record.status is ImageStatus.NEW else record.status,
        )
    return replace(manifest, images=images)
