"""Every question the window asks in a dialog, in one place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QInputDialog, QMessageBox

from app.bridge import SavedState
from app.dialogs.problem import ProblemDialog

if TYPE_CHECKING:
    from app.window.main_window import MainWindow


class Asking:
    """Asks and returns answers; tests put their own answers in its place.

    Args:
        window: Parent of the dialogs.
    """

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def folder(self, title: str, start: str) -> Path | None:
        """Ask for a folder."""
        chosen = QFileDialog.getExistingDirectory(self._window, title, start)
        return Path(chosen) if chosen else None

    def class_file(self, start: str) -> Path | None:
        """Ask for a class list."""
        chosen, _ = QFileDialog.getOpenFileName(
            self._window, "Load class list", start, "Class lists (*.json *.txt);;All files (*)"
        )
        return Path(chosen) if chosen else None

    def checkpoint_file(self, start: str) -> Path | None:
        """Ask for a published checkpoint."""
        chosen, _ = QFileDialog.getOpenFileName(
            self._window, "Import published checkpoint", start, "Checkpoints (*.pth *.pt);;All files (*)"
        )
        return Path(chosen) if chosen else None

    def inspection_file(self, start: str) -> Path | None:
        """Ask where to write picture and numbers of a view."""
        chosen, _ = QFileDialog.getSaveFileName(
            self._window, "Export picture and numbers", start, "PNG, with CSV and JSON beside it (*.png)"
        )
        return Path(chosen) if chosen else None

    def checkpoint_name(self) -> str | None:
        """Ask for the name of a checkpoint; an empty text is a name as well."""
        text, accepted = QInputDialog.getText(self._window, "Save checkpoint", "Name of the checkpoint:")
        return text.strip() if accepted else None

    def open_read_only(self, message: str, hint: str) -> bool:
        """Ask whether a locked folder shall be opened to look only."""
        box = QMessageBox(self._window)
        box.setWindowTitle("Folder in use")
        box.setIcon(QMessageBox.Icon.Warning)
        box.setText(message)
        box.setInformativeText(hint)
        look = box.addButton("Open read-only", QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.exec()
        return box.clickedButton() is look

    def unsaved(self, state: SavedState) -> QMessageBox.StandardButton:
        """Ask what to do when the disk does not take what was painted.

        Returns:
            Retry to keep waiting, Discard to close anyway, Cancel to stay.
        """
        buttons = QMessageBox.StandardButton
        box = QMessageBox(self._window)
        box.setWindowTitle("Not everything is saved")
        box.setIcon(QMessageBox.Icon.Warning)
        box.setText("Not everything you painted is on disk yet.")
        reason = f"{state.problem.message} {state.problem.hint}" if state.problem else "The disk is slow."
        box.setInformativeText(reason)
        box.setStandardButtons(buttons.Retry | buttons.Discard | buttons.Cancel)
        box.button(buttons.Retry).setText("Keep waiting")
        box.button(buttons.Discard).setText("Close anyway")
        box.setDefaultButton(buttons.Retry)
        return QMessageBox.StandardButton(box.exec())

    def details(self, message: str, hint: str, report: str) -> None:
        """Show everything known about a problem."""
        ProblemDialog(message, hint, report, self._window).exec()
