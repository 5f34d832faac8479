"""Keys that need more than a shortcut: text fields keep theirs, and Q and Space mean more while held."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTableWidget,
    QTextEdit,
    QWidget,
)

from app.actions import ACTIONS

TAP_S = 0.2
"""Q released sooner than this toggles; later it only peeked."""

_TEXT_FIELDS = (QLineEdit, QAbstractSpinBox, QPlainTextEdit, QTextEdit)
_OWN_KEYS = (QAbstractButton, QAbstractSlider, QComboBox, QTableWidget)
_WATCHED = frozenset(
    {
        QEvent.Type.ShortcutOverride,
        QEvent.Type.KeyPress,
        QEvent.Type.KeyRelease,
        QEvent.Type.WindowDeactivate,
        QEvent.Type.Enter,
    }
)
_PRESS_KEYS = {
    Qt.Key.Key_Space,
    Qt.Key.Key_Return,
    Qt.Key.Key_Enter,
    Qt.Key.Key_Tab,
    Qt.Key.Key_Backtab,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
}


def is_text_field(widget: QObject | None) -> bool:
    """Say whether a widget takes typed text."""
    editable = isinstance(widget, QComboBox) and widget.isEditable()
    return isinstance(widget, _TEXT_FIELDS) or editable


class KeyGate(QObject):
    """Filters the keys of one window.

    Args:
        window: The window; keys of its dialogs are left alone.
        canvas: Widget that gets Space wherever the focus is.
        peek: Called with True when Q goes down, with False when it comes up after being held.
        toggle: Called when Q was tapped.
    """

    def __init__(
        self, window: QWidget, canvas: QWidget, peek: Callable[[bool], None], toggle: Callable[[], None]
    ) -> None:
        super().__init__(window)
        self._window = window
        self._canvas = canvas
        self._peek = peek
        self._toggle = toggle
        self._pressed_at: float | None = None
        self._keys = _single_keys()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Decide who gets a key."""
        kind = event.type()
        if kind not in _WATCHED:  # every event of the program comes by here: the rest leaves at once
            return False
        if kind == QEvent.Type.WindowDeactivate and watched is self._window:
            self._release()
        if kind == QEvent.Type.Enter and watched is self._canvas:
            self._take_keys_from_idle_field()
        if not isinstance(event, QKeyEvent) or not self._is_ours(watched):
            return False
        if kind == QEvent.Type.ShortcutOverride:
            return self._override(watched, event)
        # What a focused field has no use for travels on to its parents, and comes by here again.
        focused = QApplication.focusWidget()
        if is_text_field(focused) or isinstance(focused, _OWN_KEYS) or not self._canvas.isVisible():
            return False
        if event.key() == Qt.Key.Key_Q and event.modifiers() == Qt.KeyboardModifier.NoModifier:
            return self._peek_key(kind, event)
        if event.key() == Qt.Key.Key_Space and watched is not self._canvas:
            return self._space(event)
        return False

    def _take_keys_from_idle_field(self) -> None:
        """Give the keys to the canvas under the pointer, unless something typed would be left behind."""
        focused = QApplication.focusWidget()
        if focused is None or not self._is_ours(focused) or self._canvas.isAncestorOf(focused):
            return
        is_pending = isinstance(focused, QLineEdit) and bool(focused.text())
        if is_text_field(focused) and not is_pending:
            self._canvas.setFocus(Qt.FocusReason.MouseFocusReason)

    def _is_ours(self, watched: QObject) -> bool:
        return isinstance(watched, QWidget) and watched.window() is self._window

    def _override(self, watched: QObject, event: QKeyEvent) -> bool:
        """Keep a key from the shortcuts where the focused widget has a use for it."""
        if watched is self._canvas and event.key() == Qt.Key.Key_Alt:
            # Alt erases here. The menu bar would take the focus when it comes up, and with it the next keys;
            # Alt+F and F10 still open the menus.
            event.accept()
            return True
        if is_text_field(watched):
            combination = QKeySequence(event.keyCombination()).toString()
            plain = not event.modifiers() & ~(
                Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
            )
            if combination in self._keys or (plain and (event.text() or event.key() in _PRESS_KEYS)):
                event.accept()
                return True
        elif isinstance(watched, _OWN_KEYS) and event.key() in _PRESS_KEYS:
            event.accept()
            return True
        return False

    def _peek_key(self, kind: QEvent.Type, event: QKeyEvent) -> bool:
        if event.isAutoRepeat():
            return True
        if kind == QEvent.Type.KeyPress and self._pressed_at is None:
            self._pressed_at = monotonic()
            self._peek(True)
        elif kind == QEvent.Type.KeyRelease:
            self._release()
        return True

    def _release(self) -> None:
        if self._pressed_at is None:
            return
        tapped = monotonic() - self._pressed_at < TAP_S
        self._pressed_at = None
        self._peek(False)
        if tapped:
            self._toggle()

    def _space(self, event: QKeyEvent) -> bool:
        """Hand Space to the canvas, wherever the focus is."""
        self._canvas.setFocus(Qt.FocusReason.OtherFocusReason)
        copy = QKeyEvent(event.type(), event.key(), event.modifiers(), event.text(), event.isAutoRepeat())
        QCoreApplication.sendEvent(self._canvas, copy)
        return True


def _single_keys() -> frozenset[str]:
    """Return the keys of the table that a person types in a text: those without Ctrl, Alt or Meta."""
    keys = {QKeySequence(key).toString() for spec in ACTIONS for key in spec.keys}
    return frozenset(key for key in keys if not key.startswith(("Ctrl+", "Alt+", "Meta+", "F")) or key == "F")
