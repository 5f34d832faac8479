"""Closing a session waits for the disk, or asks; nothing is dropped without a word."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMessageBox

if TYPE_CHECKING:
    from app.window.main_window import MainWindow

FIRST_WAIT_S = 3.0
NEXT_WAIT_S = 10.0
WORKER_WAIT_S = 10.0


def may_close(window: MainWindow) -> bool:
    """Save everything and close the session; returns False if the person wants to stay."""
    bridge = window.bridge
    session = bridge.session
    if session is None:
        return True
    window.area.view.finish_gesture()
    wait = FIRST_WAIT_S
    while not _waiting(partial(session.flush, wait)):
        answer = window.asking.unsaved(bridge.saved_state)
        if answer is QMessageBox.StandardButton.Cancel:
            return False
        if answer is QMessageBox.StandardButton.Discard:
            break
        wait = NEXT_WAIT_S
    _waiting(partial(bridge.close, WORKER_WAIT_S))
    return True


def _waiting(do: Callable[[], bool]) -> bool:
    """Do something that takes a while under the waiting cursor."""
    QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
    try:
        return do()
    finally:
        QApplication.restoreOverrideCursor()
