"""Masks on their way out to other programs and in from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.dialogs.export import ExportDialog
from app.dialogs.import_masks import ImportDialog
from app.window.opening import masks_near
from engine.messages import EXPORT_TASK, IMPORT_TASK

if TYPE_CHECKING:
    from app.window.main_window import MainWindow


def export_masks(window: MainWindow) -> None:
    """Ask how, then write the masks."""
    session, store = window.bridge.session, window.store
    if session is None:
        return
    window.area.view.finish_gesture()
    dialog = ExportDialog(session, store.value.export_folder, window)
    if dialog.exec():
        choice = dialog.choice()
        store.change(export_folder=str(choice.folder))
        window.long_work.begin(EXPORT_TASK, "Exporting masks", session.cancel_export)
        window.bridge.attempt(
            "The export could not start",
            lambda: session.export(
                choice.format_name, choice.folder, fill_with_prediction=choice.fill_with_prediction
            ),
        )


def import_masks(window: MainWindow) -> None:
    """Ask for a folder of masks, show what they mean, and take them over."""
    session = window.bridge.session
    if session is None or session.read_only:
        window.status.say(f"Open read-only: {session.read_only_reason}" if session else "")
        return
    window.area.view.finish_gesture()
    start = masks_near(session.folder) or session.folder
    folder = window.asking.folder("Folder of masks", str(start))
    if folder is None:
        return
    dialog = ImportDialog(session, folder, window)
    if dialog.exec() and dialog.preview is not None:
        preview, mapping = dialog.preview, dialog.mapping()
        window.long_work.begin(IMPORT_TASK, "Importing masks", session.cancel_import)
        window.bridge.attempt(
            "The masks could not be imported", lambda: session.import_masks(preview, mapping)
        )
        window.bridge.classes_changed.emit()
