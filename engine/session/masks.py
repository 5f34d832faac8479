"""A session's side of importing masks: what is asked of the disk thread, and what follows."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.annotate.classes import ClassTable
from engine.exchange.mask_files import MaskValue
from engine.exchange.mask_preview import ImportPreview, preview_import
from engine.messages import Event, MasksImported
from engine.project.manifest import Manifest
from engine.project.project import Project
from engine.session.mask_changes import import_images, importing, manifest_with
from engine.session.view import SessionView
from engine.writer import Writer


class MaskImports(SessionView):
    """Importing masks, one folder at a time. Owner thread only, but for `preview_import`.

    Args:
        project: The open project.
        emit: Receives what the disk thread says.
    """

    _writer: Writer

    def __init__(self, project: Project, emit: Callable[[Event], None]) -> None:
        super().__init__(project)
        self._emit = emit
        self._import_cancelled = threading.Event()

    @abstractmethod
    def set_classes(self, classes: ClassTable) -> None:
        """Replace the class table."""

    @abstractmethod
    def _update(self, manifest: Manifest) -> None:
        """Take over and store a manifest."""

    def preview_import(self, masks_folder: Path, class_file: Path | None = None) -> ImportPreview:
        """Look at all masks of a folder and propose what their values mean. Slow; any thread.

        Raises:
            ExchangeError: Nothing there can be imported; the message says why.
        """
        return preview_import(import_images(self.project), masks_folder, self.classes, class_file=class_file)

    def import_masks(self, preview: ImportPreview, mapping: Mapping[MaskValue, int]) -> None:
        """Write masks into the annotations, undoable per image. `Progress`, then `MasksImported` follow.

        Returns at once; until the disk thread is done nothing can be painted.
        """
        if self.read_only:
            return
        self._busy = "Importing masks; a moment."
        self.set_classes(preview.classes)
        self._import_cancelled.clear()
        cancelled = self._import_cancelled.is_set
        work = importing(self.project.store, preview, mapping, self._emit, cancelled)
        self._writer.run("imported masks", work)

    def cancel_import(self) -> None:
        """End a running import before another mask is written; `MasksImported` tells what was done."""
        self._import_cancelled.set()

    def _masks_imported(self, event: MasksImported) -> None:
        self._busy = ""
        self._opened.forget_all()
        self._update(manifest_with(self.manifest, event))
        for image_id in event.labelled:
            self.worker.annotation_changed(self.manifest.images[image_id])
