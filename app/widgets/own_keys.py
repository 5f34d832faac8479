"""Keys a widget needs for itself while it has the focus, before the window's shortcuts get them."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent

MOVING = frozenset(
    {
        Qt.Key.Key_Up,
        Qt.Key.Key_Down,
        Qt.Key.Key_Left,
        Qt.Key.Key_Right,
        Qt.Key.Key_Return,
        Qt.Key.Key_Enter,
        Qt.Key.Key_Tab,
        Qt.Key.Key_Backtab,
    }
)
"""To go about in a view, choose in it, and leave it for the next."""


def claims(event: QEvent, keys: Collection[int] = MOVING) -> bool:
    """Claim a key from the shortcuts; call it first in `event` and return True where it says so."""
    if event.type() != QEvent.Type.ShortcutOverride or not isinstance(event, QKeyEvent):
        return False
    modified = event.modifiers() & ~(Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier)
    if modified or event.key() not in keys:
        return False
    event.accept()
    return True
