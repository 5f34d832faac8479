"""All keys on one sheet, made from the action table."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.actions import ActionSpec, Menu
from app.dialogs.frame import PlainDialog
from app.widgets.marks import label

MOUSE = (
    ("Left-drag", "use the tool"),
    ("Alt + left-drag", "erase to unlabelled"),
    ("Ctrl+click", "pick the class under the cursor"),
    ("Wheel", "zoom about the cursor"),
    ("Shift+wheel, Alt+right-drag", "brush size"),
    ("Middle-drag, Space+drag", "move the view"),
)
_COLUMNS = ((Menu.LABEL,), (Menu.QUEUE, Menu.TRAIN, Menu.EDIT, None), (Menu.VIEW, Menu.FILE, Menu.HELP))


class ShortcutSheet(PlainDialog):
    """Three columns of keys; rows without a key are left out.

    Args:
        specs: The action table.
        parent: The window.
    """

    def __init__(self, specs: Iterable[ActionSpec], parent: QWidget | None = None) -> None:
        super().__init__("Keyboard shortcuts", "", parent)
        rows = [spec for spec in specs if spec.keys and (spec.menu is not None or spec.keys[0] in "15")]
        sheet = QWidget()
        columns = QHBoxLayout(sheet)
        columns.setSpacing(36)
        for menus in _COLUMNS:
            column = QVBoxLayout()
            column.setSpacing(14)
            for menu in menus:
                if menu is None:
                    column.addLayout(_section("Classes", (("1 … 9, 0", "choose a class of the list"),)))
                    column.addLayout(_section("Mouse", MOUSE))
                else:
                    lines = [(_keys(spec), spec.text.rstrip("…")) for spec in rows if spec.menu is menu]
                    column.addLayout(_section(menu.value.replace("&", ""), lines))
            column.addStretch(1)
            columns.addLayout(column, 1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(sheet)
        self.body.addWidget(area, 1)
        self.resize(1180, 720)


def _keys(spec: ActionSpec) -> str:
    form = QKeySequence.SequenceFormat.NativeText
    return ", ".join(QKeySequence(key).toString(form) for key in spec.keys if key not in ("Enter", "Ctrl+="))


def _section(title: str, lines: Iterable[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(14)
    grid.setVerticalSpacing(5)
    grid.setColumnStretch(1, 1)
    grid.setColumnMinimumWidth(0, 150)
    grid.addWidget(label(title, kind="subheading"), 0, 0, 1, 2)
    for row, (keys, text) in enumerate(lines, start=1):
        left = label(keys, kind="value")
        left.setWordWrap(True)
        left.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        right = label(text, kind="muted")
        right.setWordWrap(True)
        grid.addWidget(left, row, 0)
        grid.addWidget(right, row, 1)
    return grid
