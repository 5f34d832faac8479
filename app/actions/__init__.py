"""The one table of actions: menus, shortcuts, tooltips, shortcut sheet and command palette read it."""

from app.actions.kinds import CLASS_ACTS, TOOL_ACTS, Act, ActionSpec, Context, Menu
from app.actions.registry import Actions, clashes, shown_key, tooltip
from app.actions.table import ACTIONS, MENUS

__all__ = [
    "ACTIONS",
    "CLASS_ACTS",
    "MENUS",
    "TOOL_ACTS",
    "Act",
    "ActionSpec",
    "Actions",
    "Context",
    "Menu",
    "clashes",
    "shown_key",
    "tooltip",
]
