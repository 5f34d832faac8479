"""What a row of the action table is made of. No Qt here: the table is plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Context(Enum):
    """When an action's keys are live."""

    ALWAYS = "anywhere in the window"
    IMAGE = "on an open image"


class Menu(Enum):
    """The menus, in their order."""

    FILE = "&File"
    EDIT = "&Edit"
    VIEW = "&View"
    LABEL = "&Label"
    QUEUE = "&Images"
    TRAIN = "&Train"
    INSPECT = "I&nspect"
    HELP = "&Help"


class Act(Enum):
    """Names of the actions."""

    OPEN_FOLDER = auto()
    OPEN_EXAMPLE = auto()
    CLOSE_FOLDER = auto()
    LOAD_CLASSES = auto()
    IMPORT_MASKS = auto()
    EXPORT = auto()
    SAVE_NOW = auto()
    PREFERENCES = auto()
    QUIT = auto()
    UNDO = auto()
    REDO = auto()
    CLEAR_IMAGE = auto()
    CANCEL = auto()
    FIT = auto()
    ACTUAL_SIZE = auto()
    ZOOM_IN = auto()
    ZOOM_OUT = auto()
    TOGGLE_PREDICTION = auto()
    TOGGLE_CORRECTIONS = auto()
    TOGGLE_IMAGE = auto()
    OPACITY_LESS = auto()
    OPACITY_MORE = auto()
    CLASS_STRIP = auto()
    FULL_SCREEN = auto()
    RESET_LAYOUT = auto()
    TOOL_BRUSH = auto()
    TOOL_ERASER = auto()
    TOOL_POLYGON = auto()
    TOOL_FILL = auto()
    TOOL_PICK = auto()
    TOOL_MOVE = auto()
    TOOL_PROBE = auto()
    BRUSH_SMALLER = auto()
    BRUSH_LARGER = auto()
    RELABEL = auto()
    ACCEPT_REGION = auto()
    REJECT_REGION = auto()
    VOID_REGION = auto()
    SWAP_CLASS = auto()
    CYCLE_RULE = auto()
    ADD_CLASS = auto()
    FIND_CLASS = auto()
    LOCK_CLASS = auto()
    CLASS_1 = auto()
    CLASS_2 = auto()
    CLASS_3 = auto()
    CLASS_4 = auto()
    CLASS_5 = auto()
    CLASS_6 = auto()
    CLASS_7 = auto()
    CLASS_8 = auto()
    CLASS_9 = auto()
    CLASS_10 = auto()
    ACCEPT_IMAGE = auto()
    NEXT_IMAGE = auto()
    PREVIOUS_IMAGE = auto()
    NEXT_UNREVIEWED = auto()
    PREVIOUS_UNREVIEWED = auto()
    TOGGLE_REVIEWED = auto()
    TRAIN = auto()
    TRAIN_ON_ALL_CARDS = auto()
    SAVE_CHECKPOINT = auto()
    IMPORT_CHECKPOINT = auto()
    TRAINING_DETAILS = auto()
    INSPECT = auto()
    PIN_PIXEL = auto()
    TAKE_OVERLAY_AWAY = auto()
    INSPECT_PIXEL = auto()
    INSPECT_STAGES = auto()
    INSPECT_RELATIONS = auto()
    INSPECT_MEMORY = auto()
    INSPECT_DOUBT = auto()
    INSPECT_STRUCTURE = auto()
    INSPECT_ERRORS = auto()
    INSPECT_EFFECT = auto()
    EXPORT_INSPECTION = auto()
    SHORTCUTS = auto()
    COMMANDS = auto()
    NOTICES = auto()
    ABOUT = auto()


CLASS_ACTS = (
    Act.CLASS_1,
    Act.CLASS_2,
    Act.CLASS_3,
    Act.CLASS_4,
    Act.CLASS_5,
    Act.CLASS_6,
    Act.CLASS_7,
    Act.CLASS_8,
    Act.CLASS_9,
    Act.CLASS_10,
)
TOOL_ACTS = (
    Act.TOOL_BRUSH,
    Act.TOOL_ERASER,
    Act.TOOL_POLYGON,
    Act.TOOL_FILL,
    Act.TOOL_PICK,
    Act.TOOL_MOVE,
    Act.TOOL_PROBE,
)


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One row of the table.

    Attributes:
        act: Its name.
        text: What the menu says.
        keys: Shortcuts in Qt's portable spelling; the first is the one shown.
        help: One sentence for tooltip, status line and shortcut sheet.
        icon: File name of its drawing, or "".
        context: When its keys are live.
        menu: The menu it stands in, or None.
        section: Rows with the same number stand together in the menu.
        checkable: Whether it is a switch.
        held: Whether the key means something else while held (a tap triggers the action); such keys are
            watched by the window and are no Qt shortcut.
    """

    act: Act
    text: str
    keys: tuple[str, ...]
    help: str
    icon: str = ""
    context: Context = Context.IMAGE
    menu: Menu | None = None
    section: int = 0
    checkable: bool = False
    held: bool = False
