"""Menus, tool bar and command button, all made from the action table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QActionGroup
from PySide6.QtWidgets import QDockWidget, QMainWindow, QMenu, QToolBar, QToolButton

from app.actions import ACTIONS, MENUS, TOOL_ACTS, Act, Actions, Menu, shown_key

_TOOL_BAR: tuple[tuple[Act, ...], ...] = (
    (Act.TOOL_MOVE, Act.TOOL_BRUSH, Act.TOOL_ERASER, Act.TOOL_POLYGON, Act.TOOL_FILL, Act.TOOL_PICK),
    (Act.INSPECT, Act.TOOL_PROBE),
    (Act.ACCEPT_REGION, Act.REJECT_REGION, Act.ACCEPT_IMAGE),
    (Act.UNDO, Act.REDO),
    (Act.FIT, Act.ACTUAL_SIZE),
)


def build_menus(window: QMainWindow, actions: Actions) -> dict[Menu, QMenu]:
    """Fill the menu bar and return the menus."""
    menus: dict[Menu, QMenu] = {}
    for name in MENUS:
        menu = window.menuBar().addMenu(name.value)
        menu.setToolTipsVisible(True)
        section: int | None = None
        for spec in ACTIONS:
            if spec.menu is not name:
                continue
            if section is not None and spec.section != section:
                menu.addSeparator()
            section = spec.section
            action = actions[spec.act]
            if spec.held:
                action.setText(f"{spec.text}\t{shown_key(spec)}")
            menu.addAction(action)
        menus[name] = menu
    group = QActionGroup(window)
    for act in TOOL_ACTS:
        group.addAction(actions[act])
    return menus


def add_docks_to(menu: QMenu, docks: Sequence[QDockWidget]) -> None:
    """Add switches for the docks."""
    menu.addSeparator()
    for dock in docks:
        menu.addAction(dock.toggleViewAction())


def fill_recent(menu: QMenu, folders: Sequence[str], choose: Callable[[str], object]) -> None:
    """Fill the menu of recent folders."""
    menu.clear()
    for folder in folders:
        action = menu.addAction(Path(folder).name or folder)
        action.setToolTip(folder)
        action.triggered.connect(lambda _checked=False, folder=folder: choose(folder))
    menu.setEnabled(bool(folders))


def build_tool_bar(window: QMainWindow, actions: Actions) -> QToolBar:
    """Return the tool bar, at the left edge at first."""
    bar = QToolBar("Tools", window)
    bar.setObjectName("tools")
    bar.setIconSize(QSize(22, 22))
    bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
    for number, row in enumerate(_TOOL_BAR):
        if number:
            bar.addSeparator()
        for act in row:
            bar.addAction(actions[act])
    for button in bar.findChildren(QToolButton):
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    window.addToolBar(Qt.ToolBarArea.LeftToolBarArea, bar)
    return bar


def command_button(actions: Actions) -> QToolButton:
    """Return the button in the corner of the menu bar that opens the command palette."""
    button = QToolButton()
    button.setDefaultAction(actions[Act.COMMANDS])
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    key = shown_key(actions.specs[Act.COMMANDS])
    button.setText(f"Type a command…   {key}")
    button.setIconSize(QSize(16, 16))
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button
