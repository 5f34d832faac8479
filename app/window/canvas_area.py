"""The middle of the window: the canvas, and what floats over it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.canvas.view import CanvasView
from app.panels.class_strip import ClassStrip
from app.panels.start import SideNote
from app.theme import Look
from app.widgets.inline_field import InlineField
from app.widgets.marks import label
from app.widgets.notices import NoticeAction, NoticeCard
from app.widgets.progress_card import ProgressCard

MARGIN = 14
CARD_WIDTH = 560


class Banner(QFrame):
    """One line over the canvas: why this image or project cannot be changed, and what to do about it."""

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self._look = look
        self._icon = label()
        self.text = label()
        self.text.setWordWrap(True)
        self.buttons: list[QPushButton] = []
        row = self._row = QHBoxLayout(self)
        row.setContentsMargins(14, 8, 14, 8)
        row.setSpacing(10)
        row.addWidget(self._icon)
        row.addWidget(self.text, 1)
        look.changed.connect(self._recolor)
        self._recolor()
        self.hide()

    def say(self, text: str, actions: Sequence[NoticeAction] = ()) -> None:
        """Show a text with a button for each action; an empty text hides the banner."""
        self.text.setText(text)
        for button in self.buttons:
            self._row.removeWidget(button)
            button.deleteLater()
        self.buttons = [self._button(action) for action in actions]
        self.setVisible(bool(text))

    def _button(self, action: NoticeAction) -> QPushButton:
        button = QPushButton(action.text)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(action.do)
        self._row.addWidget(button)
        return button

    def _recolor(self) -> None:
        self._icon.setPixmap(self._look.pixmap("warning", "warn", 18, self.devicePixelRatioF()))


class CanvasArea(QWidget):
    """Canvas with banner, class strip, side note, notice and the inline field.

    Args:
        look: Gives the colours.
        card: Shows the newest notice.
    """

    def __init__(self, look: Look, card: NoticeCard, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.banner = Banner(look)
        self.view = CanvasView()
        self.view.setAccessibleName("Canvas")
        self.strip = ClassStrip(look, self.view)
        self.side_note = SideNote(look, self.view)
        self.side_note.hide()
        self.field = InlineField(self.view)
        self.card = card
        card.setParent(self.view)
        card.reshaped.connect(self.place)
        self.work = ProgressCard(self.view)
        for floating in (self.strip, self.side_note, card, self.work, self.field):
            floating.setCursor(Qt.CursorShape.ArrowCursor)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.banner)
        layout.addWidget(self.view, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep what floats in its place."""
        super().resizeEvent(event)
        self.place()

    def place(self) -> None:
        """Put what floats where it belongs."""
        width, height = self.view.width(), self.view.height()
        self.strip.fit_to(max(160, width - 2 * MARGIN))
        self.strip.move((width - self.strip.width()) // 2, height - self.strip.height() - MARGIN)
        self.card.setFixedWidth(min(CARD_WIDTH, max(200, width - 2 * MARGIN)))
        self.card.adjustSize()
        self.card.move((width - self.card.width()) // 2, MARGIN)
        self.side_note.adjustSize()
        left = width - self.side_note.width() - MARGIN
        is_in_the_way = not self.card.isHidden() and self.card.geometry().right() >= left
        self.side_note.move(left, self.card.geometry().bottom() + MARGIN if is_in_the_way else MARGIN)

        self.work.setFixedWidth(min(CARD_WIDTH, max(200, width - 2 * MARGIN)))
        self.work.adjustSize()
        above = self.strip.height() + MARGIN if self.strip.isVisible() else 0
        self.work.move((width - self.work.width()) // 2, height - self.work.height() - MARGIN - above)

    def pointer_position(self) -> QPoint:
        """Return where the pointer is on the canvas, or its middle."""
        point = self.view.pointer_point()
        if point is None:
            return self.view.rect().center()
        return self.view.widget_point(*point).toPoint()
