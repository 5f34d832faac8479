"""Deleting a class: the one change of a project that reaches into every annotation and cannot be undone.

All annotations that hold the class are copied to a backup folder first. Then the disk thread rewrites them
one by one; each rewrite is atomic and repeatable, so a crash in the middle leaves whole files and the work
is finished at the next attempt.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.annotate.classes import UNLABELLED, Provenance
from engine.errors import StorageError
from engine.messages import ClassDeleted, Event, Progress
from engine.project.manifest import ImageRecord, Manifest, Split
from engine.project.project import Project
from engine.project.store import AnnotationStore


def holders(manifest: Manifest, index: int) -> tuple[ImageRecord, ...]:
    """Return the images whose annotation held the class at some time."""
    return tuple(record for record in manifest.images.values() if index in record.labelled and record.size)


def manifest_without(manifest: Manifest, index: int, merge_into: int | None) -> Manifest:
    """Return the manifest after a class was deleted; revisions of the rewritten annotations grow by one."""
    touched = {record.image_id for record in holders(manifest, index)}
    images = {
        name: _without(record, index, merge_into) if name in touched else record
        for name, record in manifest.images.items()
    }
    return replace(manifest, classes=manifest.classes.remove(index), images=images)


def _without(record: ImageRecord, index: int, merge_into: int | None) -> ImageRecord:
    labelled = set(record.labelled) - {index}
    if merge_into is not None:
        labelled.add(merge_into)
    split = record.split if labelled else Split.NONE
    return replace(record, labelled=tuple(sorted(labelled)), revision=record.revision + 1, split=split)


def backup_annotations(
    folder: Path, store: AnnotationStore, records: tuple[ImageRecord, ...], name: str
) -> Path:
    """Copy the annotation files of some images beside the project's own, and return the folder they went to.

    Raises:
        StorageError: The disk refuses; nothing else was changed.
    """
    number = 1
    while (target := folder / "backups" / f"{number:03d} before deleting {_file_name(name)}").exists():
        number += 1
    try:
        target.mkdir(parents=True)
        for record in records:
            for path in store.paths(record.image_id):
                if path.exists():
                    copy = target / path.relative_to(folder)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, copy)
    except OSError as error:
        raise StorageError(
            f"The backup “{target}” could not be written: {error.strerror or error}.",
            "The class is still there. Free some space, or choose another place for the project.",
        ) from error
    return target


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in " -_" else "_" for letter in name)


def deletion(
    project: Project, index: int, merge_into: int | None, emit: Callable[[Event], None]
) -> Callable[[], None]:
    """Return the disk thread's work of deleting a class from every annotation; repeatable after an error.

    Args:
        project: The open project, as it is before the class is removed from the manifest.
        index: The class to delete.
        merge_into: Class its pixels get, or None for unlabelled.
        emit: Gets `Progress` after each image, and `ClassDeleted` at the end.
    """
    manifest, store = project.manifest, project.store
    records = holders(manifest, index)
    spec = manifest.classes.by_index(index)
    name = spec.name if spec else str(index)
    left = list(records)
    backed_up: list[Path] = []

    def work() -> None:
        if not backed_up:
            backed_up.append(backup_annotations(project.folder, store, records, name))
        while left:
            _rewrite(store, left[0], index, merge_into)
            left.pop(0)
            emit(Progress(task=f"deleting {name}", done=len(records) - len(left), total=len(records)))
        emit(ClassDeleted(index=index, merge_into=merge_into))

    return work


def _rewrite(store: AnnotationStore, record: ImageRecord, index: int, merge_into: int | None) -> None:
    if record.size is None:  # never annotated; `holders` returns no such record
        return
    loaded = store.load(record.image_id, record.size).annotation
    if loaded.revision > record.revision:
        return  # rewritten already, before an error that made this work repeat
    label_map, provenance = loaded.label_map.copy(), loaded.provenance.copy()
    held = label_map == index
    label_map[held] = UNLABELLED if merge_into is None else merge_into
    if merge_into is None:
        provenance[held] = np.uint8(Provenance.NOBODY)
    store.rewrite(record.image_id, label_map, provenance, record.revision + 1)
