"""Annotations held in memory: the image on screen, those with writes under way, and a few just left.

Owner thread only. An annotation with unwritten changes is pinned: the copy on disk is older, so it must not
be read back. That makes a quick switch away and back safe, however slow the disk is.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from engine.annotate.annotation import Annotation
from engine.annotate.journal import History
from engine.messages import ImageLoaded, Problem

KEPT = 6


@dataclass(slots=True)
class OpenImage:
    """One image's annotation in memory.

    Attributes:
        annotation: None while it loads, or if it is damaged.
        revision: Number of the newest journal record.
        history: Undo history as it was on disk when the image was opened.
        problem: Why the image or its annotation cannot be used, if so.
        damaged: The files of the annotation are there and cannot be used.
        pinned: Writes are under way.
    """

    annotation: Annotation | None = None
    revision: int = 0
    history: History = field(default_factory=History)
    problem: Problem | None = None
    damaged: bool = False
    pinned: bool = False


class OpenImages:
    """Open images by id; the least recently used unpinned ones leave."""

    def __init__(self) -> None:
        self._images: OrderedDict[str, OpenImage] = OrderedDict()

    def get(self, image_id: str) -> OpenImage | None:
        """Return an open image, or None."""
        return self._images.get(image_id)

    def touch(self, image_id: str) -> OpenImage:
        """Make an image the most recently used one; it is empty until `loaded`."""
        opened = self._images.setdefault(image_id, OpenImage())
        self._images.move_to_end(image_id)
        for name in list(self._images)[:-KEPT]:
            if not self._images[name].pinned:
                del self._images[name]
        return opened

    def loaded(self, event: ImageLoaded) -> None:
        """Take in what was read from disk, unless memory knows better."""
        opened = self._images.get(event.image_id)
        if opened is None or opened.annotation is not None:
            return
        opened.problem = event.annotation_problem
        opened.damaged = event.annotation_damaged
        if event.annotation is not None:
            opened.annotation = event.annotation.annotation
            opened.revision = event.annotation.annotation.revision
            opened.history = event.annotation.history

    def fail(self, image_id: str, problem: Problem) -> None:
        """Remember why an image could not be read."""
        opened = self._images.get(image_id)
        if opened is not None and opened.annotation is None:
            opened.problem = problem

    def pin(self, image_id: str) -> None:
        """A write of this image is under way."""
        self._images[image_id].pinned = True

    def unpin(self, image_id: str) -> None:
        """All writes of this image are on disk."""
        opened = self._images.get(image_id)
        if opened is not None:
            opened.pinned = False

    def forget(self, image_id: str) -> None:
        """Read this image anew the next time."""
        self._images.pop(image_id, None)

    def forget_all(self) -> None:
        """Read everything anew: the files were changed by something larger than a patch."""
        self._images.clear()
