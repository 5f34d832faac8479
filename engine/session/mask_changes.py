"""Importing masks into annotations: the disk thread's work, and what the manifest says afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from engine.annotate.classes import UNLABELLED
from engine.errors import EngineError
from engine.exchange.mask_files import MaskValue
from engine.exchange.mask_import import ImportReport, import_masks
from engine.exchange.mask_preview import ImportPreview
from engine.messages import CommandFailed, Event, MasksImported, Problem, Progress
from engine.project.manifest import ImageRecord, ImageStatus, Manifest, Split
from engine.project.store import AnnotationStore
from engine.session.review import split_of_new


def importing(
    store: AnnotationStore,
    preview: ImportPreview,
    mapping: Mapping[MaskValue, int],
    emit: Callable[[Event], None],
) -> Callable[[], None]:
    """Return the disk thread's work of an import. What is refused ends it; images done so far stay.

    Args:
        store: The project's annotations.
        preview: What was found.
        mapping: Class index of each mask value, `UNLABELLED` for "nothing said".
        emit: Gets `Progress` after each image, at the end `MasksImported` or `CommandFailed`.
    """

    def progress(done: int, total: int) -> None:
        emit(Progress(task="importing masks", done=done, total=total))

    def work() -> None:
        try:
            report = import_masks(store, preview, mapping, progress=progress)
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
