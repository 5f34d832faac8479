"""The list under the bell: what the program told so far, newest first."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.dialogs.frame import PlainDialog
from app.dialogs.problem import ProblemDialog
from app.theme import Look
from app.widgets.marks import label
from app.widgets.notices import Level, Notice, NoticeAction, NoticeCenter

_TOKENS = {Level.INFO: ("info", "accent"), Level.WARN: ("warning", "warn"), Level.BAD: ("error", "bad")}


class NoticesDialog(PlainDialog):
    """All notices with their time, count and details.

    Args:
        center: The notices; they count as read from now on.
        look: Gives the icons.
        parent: The window.
    """

    def __init__(self, center: NoticeCenter, look: Look, parent: QWidget | None = None) -> None:
        super().__init__("Notices", "", parent)
        self._look = look
        holder = QWidget()
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(8)
        for notice in center.notices:
            column.addWidget(self._row(notice))
        if not center.notices:
            column.addWidget(label("Nothing so far.", kind="muted"))
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(holder)
        self.body.addWidget(area, 1)
        if center.notices:
            forget = self.add_button("Forget all")
            forget.clicked.connect(center.clear)
            forget.clicked.connect(self.reject)
        center.mark_read()
        self.resize(640, 420)

    def _row(self, notice: Notice) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        icon = label()
        name, token = _TOKENS[notice.level]
        icon.setPixmap(self._look.pixmap(name, token, 18, self.devicePixelRatioF()))
        text = label(notice.sentence)
        text.setWordWrap(True)
        when = label(f"{notice.at:%H:%M}" if notice.at else "", kind="muted")
        row = QHBoxLayout(card)
        row.setContentsMargins(12, 9, 12, 9)
        row.setSpacing(10)
        row.addWidget(icon)
        row.addWidget(text, 1)
        if notice.report:
            button = QPushButton("Details")
            button.clicked.connect(
                lambda: ProblemDialog(notice.text, notice.hint, notice.report, self).exec()
            )
            row.addWidget(button)
        if notice.action is not None:
            row.addWidget(self._action_button(notice.action))
        row.addWidget(when)
        return card

    def _action_button(self, action: NoticeAction) -> QPushButton:
        def leave_and_do() -> None:
            self.accept()
            action.do()

        button = QPushButton(action.text)
        button.clicked.connect(leave_and_do)
        return button
