"""After a crash: the manifest learns what the journals know already.

Strokes are on disk at once, the manifest a moment later. A program that was killed in between leaves records
that are older than the annotations; they are brought up to date when the project is opened.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from engine.annotate.classes import UNLABELLED
from engine.annotate.patch import Patch
from engine.errors import EngineError
from engine.project.images import probe
from engine.project.manifest import ImageRecord, ImageStatus, Manifest
from engine.project.store import AnnotationStore, LoadedAnnotation

_CLOCK_S: Final = 2.0
"""Some file systems keep times to two seconds only."""


def recovered(
    manifest: Manifest, manifest_path: Path, store: AnnotationStore, images_folder: Path
) -> Manifest:
    """Return the manifest with the records of annotations that are newer than it brought up to date.

    Looks only into journals that were written after the manifest, and into those of images that it calls
    unannotated: a crash came between giving them the annotation of a renamed image and saying so.
    Annotations that cannot be read are left to whoever opens them.

    Args:
        manifest: as it was read; its images are those of the folder.
        manifest_path: its file; may be missing.
        store: the annotations.
        images_folder: the folder of images.
    """
    saved = manifest_path.stat().st_mtime if manifest_path.exists() else 0.0
    newer = set(store.journals_since(saved - _CLOCK_S))
    unknown = {name for name in store.journals_since(0.0) if not _is_known(manifest, name)}
    for image_id in sorted(newer | unknown):
        record = manifest.images.get(image_id)
        if record is None:
            continue
        try:
            size = probe(images_folder / image_id).size
            loaded = store.load(image_id, size)
        except EngineError:
            continue
        if loaded.annotation.revision > record.revision:
            manifest = manifest.with_record(_up_to_date(record, loaded))
    return manifest


def _is_known(manifest: Manifest, image_id: str) -> bool:
    record = manifest.images.get(image_id)
    return record is None or record.revision > 0


def _up_to_date(record: ImageRecord, loaded: LoadedAnnotation) -> ImageRecord:
    annotation, history = loaded.annotation, loaded.history
    present = set(np.unique(annotation.label_map).tolist())
    for payload in (*history.done, *history.undone):  # what undo and redo can bring back counts too
        patch = Patch.decode(payload)
        present |= set(np.unique(patch.after[patch.mask]).tolist())
        present |= set(np.unique(patch.before[patch.mask]).tolist())
    return replace(
        record,
        size=annotation.size,
        revision=annotation.revision,
        labelled=tuple(sorted((present | set(record.labelled)) - {UNLABELLED})),
        status=ImageStatus.STARTED if record.status is ImageStatus.NEW else record.status,
    )
