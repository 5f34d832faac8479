"""The command palette: type what you want to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QIcon, QKeyEvent, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import (
    QDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

KEY_ROLE = Qt.ItemDataRole.UserRole + 1
Index = QModelIndex | QPersistentModelIndex
_MOVES = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8, Qt.Key.Key_PageUp: -8}


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that can be done.

    Attributes:
        text: What it is called.
        do: Does it.
        key: Its shortcut, shown beside it.
        help: Searched as well, and shown as a tooltip.
        icon: Its drawing.
    """

    text: str
    do: Callable[[], object]
    key: str = ""
    help: str = ""
    icon: QIcon | None = None


def rank(typed: str, command: Command) -> int | None:
    """Return how well a command fits what was typed: lower is better, None does not fit."""
    words = typed.casefold().split()
    text, rest = command.text.casefold(), command.help.casefold()
    if not all(word in text or word in rest for word in words):
        return None
    if words and text.startswith(words[0]):
        return 0
    if all(word in text for word in words):
        return 1
    return 2


class _KeyDelegate(QStyledItemDelegate):
    """Writes the key at the right end of a row."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the row, then its key."""
        super().paint(painter, option, index)
        key = str(index.data(KEY_ROLE) or "")
        if key:
            selected = bool(option.state & QStyle.StateFlag.State_Selected)
            role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
            color = option.palette.color(role)
            color.setAlphaF(0.75)
            painter.setPen(color)
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(option.rect.adjusted(0, 0, -12, 0), flags, key)


def _blank() -> QIcon:
    """Return an empty icon, so that names stand under each other."""
    pixmap = QPixmap(18, 18)
    pixmap.fill(Qt.GlobalColor.transparent)
    return QIcon(pixmap)


class CommandPalette(QDialog):
    """A field and a list; Enter does the chosen command.

    Args:
        commands: What can be done now.
        parent: The window.
    """

    def __init__(self, commands: Sequence[Command], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Find a command")
        self.setModal(True)
        self._commands = tuple(commands)
        self._found: list[Command] = []
        self.line = QLineEdit()
        self.line.setPlaceholderText("Type what you want to do")
        self.line.setAccessibleName("Command")
        self.list = QListWidget()
        self.list.setIconSize(QSize(18, 18))
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setUniformItemSizes(True)
        self.list.setItemDelegate(_KeyDelegate(self.list))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 14, 14, 14)
        layout.setSpacing(10)
        layout.addWidget(self.line)
        layout.addWidget(self.list, 1)
        self.line.textChanged.connect(self._search)
        self.line.returnPressed.connect(self._do)
        self.line.installEventFilter(self)
        self.list.itemClicked.connect(lambda _item: self._do())
        self.resize(620, 460)
        self._search("")

    def _search(self, typed: str) -> None:
        ranked = [(rank(typed, command), place) for place, command in enumerate(self._commands)]
        order = sorted((score, place) for score, place in ranked if score is not None)
        self._found = [self._commands[place] for _, place in order]
        self.list.clear()
        for command in self._found:
            item = QListWidgetItem(command.text)
            item.setData(KEY_ROLE, command.key)
            item.setIcon(command.icon or _blank())
            item.setToolTip(command.help)
            item.setSizeHint(QSize(0, 32))
            self.list.addItem(item)
        if not self._found:
            item = QListWidgetItem("Nothing fits. Try another word.")
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(item)
        else:
            self.list.setCurrentRow(0)

    def _do(self) -> None:
        row = self.list.currentRow()
        if 0 <= row < len(self._found):
            command = self._found[row]
            self.accept()
            command.do()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the arrow keys move through the list while the field keeps the focus."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() in _MOVES:
            rows = max(1, len(self._found))
            row = self.list.currentRow() + _MOVES[Qt.Key(event.key())]
            self.list.setCurrentRow(min(max(row, 0), rows - 1))
            return True
        return super().eventFilter(watched, event)
