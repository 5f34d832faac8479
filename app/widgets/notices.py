"""Notices: one for each cause, with a count, and never one on top of another."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.theme import Look
from app.widgets.marks import label, restyle

SHOWN_MS = 9000


class Level(Enum):
    """How much a notice matters; the value is what the sheet selects by."""

    INFO = "info"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class NoticeAction:
    """What a person can do about a notice.

    Attributes:
        text: What the button says.
        do: Called when it is pressed.
    """

    text: str
    do: Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something the person should know.

    Attributes:
        cause: What notices are told apart by; the same cause only counts up.
        text: What happened and why.
        hint: What to do; may be empty.
        level: How much it matters.
        report: Details for a bug report; may be empty.
        action: What can be done at once, or None.
        count: How often it came.
        at: Local time of the last one.
    """

    cause: str
    text: str
    hint: str = ""
    level: Level = Level.INFO
    report: str = ""
    action: NoticeAction | None = None
    count: int = 1
    at: dt.datetime | None = None

    @property
    def sentence(self) -> str:
        """The text with its count and hint, as shown."""
        times = f" (×{self.count})" if self.count > 1 else ""
        return f"{self.text}{times} {self.hint}".strip()


class NoticeCenter(QObject):
    """Keeps the notices of this start of the program.

    Attributes:
        posted: The notice that is new or has counted up.
        changed: The list or the number of unread ones changed.
    """

    posted = Signal(object)
    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._notices: dict[str, Notice] = {}
        self._unread: set[str] = set()

    @property
    def notices(self) -> tuple[Notice, ...]:
        """All notices, the newest first."""
        return tuple(reversed(self._notices.values()))

    @property
    def unread(self) -> int:
        """How many came since the list was last looked at."""
        return len(self._unread)

    def post(
        self,
        cause: str,
        text: str,
        *,
        hint: str = "",
        level: Level = Level.INFO,
        report: str = "",
        action: NoticeAction | None = None,
    ) -> None:
        """Tell something; the same cause replaces the older notice and counts up."""
        older = self._notices.pop(cause, None)
        notice = Notice(
            cause=cause,
            text=text,
            hint=hint,
            level=level,
            report=report,
            action=action,
            count=older.count + 1 if older else 1,
            at=dt.datetime.now().astimezone(),
        )
        self._notices[cause] = notice
        self._unread.add(cause)
        self.posted.emit(notice)
        self.changed.emit()

    def holds(self, cause: str) -> bool:
        """Say whether there is a notice of this cause."""
        return cause in self._notices

    def withdraw(self, cause: str) -> None:
        """Forget a notice whose cause is gone."""
        if self._notices.pop(cause, None) is not None:
            self._unread.discard(cause)
            self.changed.emit()

    def mark_read(self) -> None:
        """The list was looked at."""
        self._unread.clear()
        self.changed.emit()

    def clear(self) -> None:
        """Forget everything."""
        self._notices.clear()
        self._unread.clear()
        self.changed.emit()


class NoticeCard(QFrame):
    """Shows the newest notice over the image until it is closed; information leaves by itself.

    Args:
        center: Where notices come from.
        look: Gives the icons.
        show_details: Called with a notice that has a report.

    Attributes:
        reshaped: The card came, went or has another size.
    """

    reshaped = Signal()

    def __init__(
        self,
        center: NoticeCenter,
        look: Look,
        show_details: Callable[[Notice], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self._look = look
        self._show_details = show_details
        self._notice: Notice | None = None
        self._icon = label()
        self._text = label()
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._hint = label(kind="muted")
        self._hint.setWordWrap(True)
        self._details = QPushButton("Details")
        self._details.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._details.clicked.connect(self._open_details)
        self._act = QPushButton()
        self._act.setProperty("primary", True)
        self._act.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._act.clicked.connect(self._do)
        close = QToolButton()
        close.setProperty("flat", True)
        close.setToolTip("Close this notice; it stays in the list under the bell.")
        close.setIcon(look.icon("close"))
        close.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        close.clicked.connect(self._close_clicked)
        self._close = close
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._lapse)
        self._center = center
        self._covered: Notice | None = None
        center.posted.connect(self.show_notice)
        center.changed.connect(self._forget_withdrawn)
        look.changed.connect(self._recolor)
        self.hide()

    def _lay_out(self) -> None:
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._text)
        words.addWidget(self._hint)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 9, 9, 9)
        row.setSpacing(10)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        row.addWidget(self._details, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._act, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)

    @property
    def notice(self) -> Notice | None:
        """The notice shown last."""
        return self._notice

    def show_notice(self, notice: Notice) -> None:
        """Show a notice in place of the one before, which comes back if it matters more."""
        older = self._notice
        if self.isVisible() and older is not None and _stays(older) and older.cause != notice.cause:
            self._covered = older
        self._notice = notice
        self._text.setText(replace(notice, hint="").sentence)
        self._hint.setText(notice.hint)
        self._hint.setVisible(bool(notice.hint))
        self._details.setVisible(bool(notice.report))
        self._act.setVisible(notice.action is not None)
        self._act.setText(notice.action.text if notice.action else "")
        self.setProperty("level", notice.level.value)
        restyle(self)
        self._recolor()
        self.show()
        self.raise_()
        self.adjustSize()
        self.reshaped.emit()
        self._timer.stop()
        if not _stays(notice):
            self._timer.start(SHOWN_MS)

    def hideEvent(self, event: QHideEvent) -> None:
        """Tell that there is room."""
        super().hideEvent(event)
        self.reshaped.emit()

    def _recolor(self) -> None:
        self._close.setIcon(self._look.icon("close"))
        level = self._notice.level if self._notice else Level.INFO
        name = {Level.INFO: "info", Level.WARN: "warning", Level.BAD: "error"}[level]
        self._icon.setPixmap(self._look.pixmap(name, _COLOR_OF[level], 20, self.devicePixelRatioF()))

    def _close_clicked(self) -> None:
        self._timer.stop()
        self._lapse()

    def _lapse(self) -> None:
        """Go, and make room for what was covered."""
        self.hide()
        covered, self._covered = self._covered, None
        if covered is not None and self._center.holds(covered.cause):
            self.show_notice(covered)

    def _forget_withdrawn(self) -> None:
        if self._notice is not None and self.isVisible() and not self._center.holds(self._notice.cause):
            self._lapse()

    def _do(self) -> None:
        self.hide()
        if self._notice is not None and self._notice.action is not None:
            self._notice.action.do()

    def _open_details(self) -> None:
        if self._notice is not None:
            self._show_details(self._notice)


def _stays(notice: Notice) -> bool:
    """Say whether a notice stays until it is closed."""
    return notice.level is not Level.INFO or notice.action is not None


_COLOR_OF = {Level.INFO: "accent", Level.WARN: "warn", Level.BAD: "bad"}
