"""The program's log, for those who want to see what it did."""

from __future__ import annotations

import logging

from PySide6.QtGui import QColor, QFontDatabase, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from app.logs import KEPT_LINES, LogFeed
from app.theme import Look


class LogPanel(QWidget):
    """Bottom dock, closed at first.

    Args:
        feed: Where lines come from.
        look: Gives the colours.
    """

    def __init__(self, feed: LogFeed, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setMaximumBlockCount(KEPT_LINES)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName("Log")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 2, 10, 10)
        layout.addWidget(self.text)
        for line, level in feed.lines:
            self._add(line, level)
        feed.line_added.connect(self._add)

    def _add(self, line: str, level: int) -> None:
        form = QTextCharFormat()
        form.setForeground(QColor(self._look.color(_token(level))))
        cursor = QTextCursor(self.text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if not self.text.document().isEmpty():
            cursor.insertBlock()
        cursor.insertText(line, form)
        bar = self.text.verticalScrollBar()
        bar.setValue(bar.maximum())


def _token(level: int) -> str:
    if level >= logging.ERROR:
        return "bad"
    return "warn" if level >= logging.WARNING else "text"
