"""The way from a published checkpoint to the network of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.dialogs.import_checkpoint import ImportCheckpointDialog

if TYPE_CHECKING:
    from app.window.main_window import MainWindow

CHECKPOINTS_FOLDER = "checkpoints"


def import_checkpoint(window: MainWindow) -> None:
    """Ask for a published checkpoint, show what fits, and go over to it."""
    session = window.bridge.session
    if session is None or session.read_only:
        window.status.say(f"Open read-only: {session.read_only_reason}" if session else "")
        return
    window.area.view.finish_gesture()
    file = window.asking.checkpoint_file(str(session.folder))
    if file is None:
        return
    folder = session.project.folder / CHECKPOINTS_FOLDER
    dialog = ImportCheckpointDialog(file, folder, session.classes, window)
    if not dialog.exec() or dialog.imported is None or dialog.written is None:
        return
    written, about, table = dialog.written, dialog.imported.checkpoint.about, dialog.table()
    if table != session.classes:
        session.set_classes(table)
        window.bridge.classes_changed.emit()

    def adopt() -> None:
        session.choose_network(about.network, about.loss)
        window.bridge.load_checkpoint(written)
        # Saved once more with the classes of the project: that is what the project opens with from now on.
        session.save_checkpoint(file.stem)

    window.bridge.attempt("The checkpoint could not be used", adopt)
    window.details.refresh()
