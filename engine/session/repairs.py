"""Putting right what happened to a project's files: renamed images, damaged annotations.

The work functions run on the disk thread, in order with the strokes before and after them; the rest belongs
to the owner thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from engine.errors import AnnotationError
from engine.messages import AnnotationSetAside, Event, ImagesRelinked, RenamedFound
from engine.project.manifest import ImageRecord, ImageStatus, Manifest, Split
from engine.project.project import Project
from engine.project.store import AnnotationStore
from engine.session import review


def manifest_opened(project: Project) -> Manifest | None:
    """Return the manifest to be written after opening; None if nothing is left to do from the last time.

    Images whose first strokes a crash kept from the manifest get their split. Annotated images without a
    content hash (the program ended before it was taken) get it by the manifest being written at all.
    """
    manifest = project.manifest
    for image_id in project.recovered:
        split = review.split_of_new(manifest.images)
        manifest = manifest.with_record(replace(manifest.images[image_id], split=split))
    hashed = all(record.content_hash for record in manifest.images.values() if record.revision > 0)
    return None if hashed and not project.recovered else manifest


def search_renamed(project: Project, emit: Callable[[Event], None], cancelled: threading.Event) -> None:
    """Look for missing annotated images on a thread of its own; `RenamedFound` follows, also for none.

    Args:
        project: The open project; only read.
        emit: Gets the event, on that thread.
        cancelled: Ends the search, and then nothing is told.
    """

    def search() -> None:
        found = project.find_renamed(cancelled.is_set)
        if not cancelled.is_set():
            emit(RenamedFound(found=found))

    threading.Thread(target=search, name="renamed images", daemon=True).start()


def relinking(
    store: AnnotationStore, pairs: Mapping[str, str], emit: Callable[[Event], None]
) -> Callable[[], None]:
    """Return the disk thread's work of giving annotations to renamed images; repeatable after an error.

    Args:
        store: The project's annotations.
        pairs: Present image id by missing image id.
        emit: Gets `ImagesRelinked` at the end.
    """
    left = dict(pairs)
    given: dict[str, str] = {}
    notes: list[str] = []

    def work() -> None:
        while left:
            missing_id, present_id = next(iter(left.items()))
            try:
                store.move(missing_id, present_id)
                given[missing_id] = present_id
            except AnnotationError as error:
                notes.append(f"{error.message} {error.hint}")
            del left[missing_id]
        emit(ImagesRelinked(pairs=dict(given), notes=tuple(notes)))

    return work


def manifest_relinked(
    manifest: Manifest, missing: Mapping[str, ImageRecord], pairs: Mapping[str, str]
) -> Manifest:
    """Return the manifest with the records of missing images under their present names."""
    known = {gone: present for gone, present in pairs.items() if gone in missing}
    found = {present: replace(missing[gone], image_id=present) for gone, present in known.items()}
    return replace(manifest, images={**manifest.images, **found})


def setting_aside(store: AnnotationStore, image_id: str, emit: Callable[[Event], None]) -> Callable[[], None]:
    """Return the disk thread's work of moving a damaged annotation away; `AnnotationSetAside` follows."""

    def work() -> None:
        emit(AnnotationSetAside(image_id=image_id, folder=str(store.set_aside(image_id))))

    return work


def manifest_set_aside(manifest: Manifest, image_id: str) -> Manifest:
    """Return the manifest with an image that nobody annotated yet."""
    record = manifest.images[image_id]
    fresh = replace(record, revision=0, labelled=(), split=Split.NONE, status=ImageStatus.NEW)
    return manifest.with_record(fresh)
