"""Every action of the window, once, in the order of menus and shortcut sheet."""

from app.actions.inspect_rows import INSPECT_ROWS
from app.actions.kinds import ActionSpec, Menu
from app.actions.label_rows import CLASS_ROWS, LABEL_ROWS, QUEUE_ROWS
from app.actions.window_rows import EDIT_ROWS, FILE_ROWS, HELP_ROWS, TRAIN_ROWS, VIEW_ROWS

ACTIONS: tuple[ActionSpec, ...] = (
    *FILE_ROWS,
    *EDIT_ROWS,
    *VIEW_ROWS,
    *LABEL_ROWS,
    *CLASS_ROWS,
    *QUEUE_ROWS,
    *TRAIN_ROWS,
    *INSPECT_ROWS,
    *HELP_ROWS,
)
MENUS: tuple[Menu, ...] = tuple(Menu)
