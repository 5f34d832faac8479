"""Turns the action table into Qt actions of one window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from app.actions.kinds import Act, ActionSpec, Context
from app.actions.table import ACTIONS
from app.theme import Look


def shown_key(spec: ActionSpec) -> str:
    """Return the first key of an action as this system spells it, or an empty text."""
    if not spec.keys:
        return ""
    return QKeySequence(spec.keys[0]).toString(QKeySequence.SequenceFormat.NativeText)


def clashes(specs: Iterable[ActionSpec]) -> tuple[str, ...]:
    """Return one sentence for each key that two actions claim in contexts that are live together.

    Keys of `Context.ALWAYS` are live on an open image as well, so they may not be used again there.
    """
    users: dict[str, list[ActionSpec]] = defaultdict(list)
    for spec in specs:
        for key in spec.keys:
            users[QKeySequence(key).toString()].append(spec)
    return tuple(
        f"{key}: " + ", ".join(spec.text for spec in found)
        for key, found in users.items()
        if len(found) > 1 and _live_together(found)
    )


def _live_together(specs: list[ActionSpec]) -> bool:
    contexts = [spec.context for spec in specs]
    return Context.ALWAYS in contexts or len(set(contexts)) < len(contexts)


class Actions(QObject):
    """The actions of one window, by name.

    Args:
        window: Widget the shortcuts belong to.
        look: Gives the icons; they are renewed when the theme changes.
    """

    def __init__(self, window: QWidget, look: Look) -> None:
        super().__init__(window)
        self._look = look
        self.specs: Mapping[Act, ActionSpec] = {spec.act: spec for spec in ACTIONS}
        self._actions: dict[Act, QAction] = {}
        for spec in ACTIONS:
            action = QAction(spec.text, window)
            action.setCheckable(spec.checkable)
            action.setMenuRole(_ROLES.get(spec.act, QAction.MenuRole.NoRole))
            action.setStatusTip(spec.help)
            action.setToolTip(tooltip(spec))
            if spec.keys and not spec.held:
                action.setShortcuts([QKeySequence(key) for key in spec.keys])
                action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
                action.setAutoRepeat(spec.act in _REPEATING)
            self._actions[spec.act] = action
            window.addAction(action)
        self.renew_icons()
        look.changed.connect(self.renew_icons)

    def __getitem__(self, act: Act) -> QAction:
        """Return an action by its name."""
        return self._actions[act]

    def connect_all(self, table: Mapping[Act, Callable[[], object]]) -> None:
        """Say what each action does; the boolean of `triggered` is dropped."""
        for act, do in table.items():
            self._actions[act].triggered.connect(lambda _checked=False, do=do: do())

    def renew_icons(self) -> None:
        """Draw all icons in the colours of the theme."""
        for act, spec in self.specs.items():
            if spec.icon:
                self._actions[act].setIcon(self._look.icon(spec.icon))

    def set_image_open(self, is_open: bool) -> None:
        """Switch the actions that need an open image on or off."""
        for act, spec in self.specs.items():
            if spec.context is Context.IMAGE:
                self._actions[act].setEnabled(is_open)

    def set_checked(self, act: Act, checked: bool) -> None:
        """Show a switch as on or off without triggering it."""
        self._actions[act].setChecked(checked)

    def enabled_specs(self) -> tuple[ActionSpec, ...]:
        """Return the rows whose actions can be used now."""
        return tuple(spec for act, spec in self.specs.items() if self._actions[act].isEnabled())


def tooltip(spec: ActionSpec) -> str:
    """Return name, key and help of an action as rich text."""
    key = shown_key(spec)
    head = f"<b>{spec.text.rstrip('…')}</b>" + (f"&nbsp;&nbsp;{key.replace('<', '&lt;')}" if key else "")
    return f"{head}<br>{spec.help}"


_ROLES = {
    Act.QUIT: QAction.MenuRole.QuitRole,
    Act.PREFERENCES: QAction.MenuRole.PreferencesRole,
    Act.ABOUT: QAction.MenuRole.AboutRole,
}
_REPEATING = {
    Act.NEXT_IMAGE,
    Act.PREVIOUS_IMAGE,
    Act.BRUSH_SMALLER,
    Act.BRUSH_LARGER,
    Act.ZOOM_IN,
    Act.ZOOM_OUT,
    Act.UNDO,
    Act.REDO,
    Act.OPACITY_LESS,
    Act.OPACITY_MORE,
}
