"""The status line: what the next click does; on the right what is waited for, the pointer, what is saved."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QStatusBar, QToolButton, QWidget

from app.bridge import Bridge, SavedState
from app.theme import Look
from app.widgets.marks import Dot, label, restyle
from app.widgets.notices import NoticeCenter

MESSAGE_MS = 6000


class StatusLine(QStatusBar):
    """Bottom line of the window.

    Attributes:
        bell_clicked: The list of notices is wanted.
        saved_clicked: The "saved" mark was clicked.
    """

    bell_clicked = Signal()
    saved_clicked = Signal()

    def __init__(
        self, bridge: Bridge, look: Look, notices: NoticeCenter, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._look = look
        self._notices = notices
        self._next = ""
        self.setSizeGripEnabled(False)
        self.hint = label()
        self.hint.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.wait = label(kind="muted")
        self.wait.setAccessibleName("What is being waited for")
        self.position = label(kind="muted")
        self.class_name = label()
        self.zoom = label(kind="muted")
        self.image = label(kind="muted")
        self._dot = Dot()
        self.saved = label()
        self.saved.setMinimumWidth(self.saved.fontMetrics().horizontalAdvance("read-only") + 12)
        self.bell = QToolButton()
        self.bell.setProperty("flat", True)
        self.bell.setAccessibleName("Notices")
        self.bell.clicked.connect(self.bell_clicked)
        saved = QWidget()
        saved.setObjectName("plain")
        row = QHBoxLayout(saved)
        row.setContentsMargins(0, 0, 6, 0)
        row.setSpacing(5)
        row.addWidget(self._dot)
        row.addWidget(self.saved)
        self._saved_box = saved
        self.addWidget(self.hint, 1)
        for text in (self.wait, self.class_name, self.zoom, self.image):
            text.hide()
        for widget in (self.wait, self.position, self.class_name, self.zoom, self.image, saved, self.bell):
            self.addPermanentWidget(widget)
        self.position.setMinimumWidth(self.position.fontMetrics().horizontalAdvance("00000, 00000"))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._show_next)
        bridge.saved_changed.connect(self.show_saved)
        bridge.session_changed.connect(lambda: self.show_saved(bridge.saved_state))
        notices.changed.connect(self._show_bell)
        look.changed.connect(self._recolor)
        self._recolor()

    def set_next(self, text: str) -> None:
        """Say what the next click does."""
        self._next = text
        if not self._timer.isActive():
            self._show_next()

    def say(self, text: str) -> None:
        """Say something for some seconds; an empty text goes back to what the next click does."""
        if not text:
            self._timer.stop()
            self._show_next()
            return
        self._set_hint(text, "warn")
        self._timer.start(MESSAGE_MS)

    def _show_next(self) -> None:
        self._set_hint(self._next[:1].upper() + self._next[1:], "")

    def _set_hint(self, text: str, level: str) -> None:
        self.hint.setText(text)
        self.hint.setToolTip(text)
        if self.hint.property("level") != level:
            self.hint.setProperty("level", level)
            restyle(self.hint)

    def set_pointer(self, point: tuple[float, float] | None, class_name: str) -> None:
        """Show the image point under the pointer and the class there."""
        self.position.setText("" if point is None else f"{int(point[0])}, {int(point[1])}")
        self.position.setToolTip("Row, column of the pixel under the pointer")
        _fill(self.class_name, class_name)

    def set_zoom(self, zoom: float | None) -> None:
        """Show the zoom; 1.0 is 100 %."""
        _fill(self.zoom, "" if zoom is None else f"{zoom * 100:.0f} %")

    def set_image(self, text: str) -> None:
        """Show which image of how many is open."""
        _fill(self.image, text)

    def set_wait(self, text: str, all_waits: str) -> None:
        """Show what is being waited for and since when; an empty text: nothing takes long."""
        _fill(self.wait, text)
        self.wait.setToolTip(all_waits)

    def show_saved(self, state: SavedState) -> None:
        """Show whether everything is on disk, since when not, and why."""
        session = self._bridge.session
        self._saved_box.setVisible(session is not None)
        if session is not None and session.read_only:
            self._mark("read-only", "warn", session.read_only_reason)
        elif state.problem is not None:
            since = f" since {state.since:%H:%M}" if state.since else ""
            self._mark(f"not saved{since}", "bad", f"{state.problem.message} {state.problem.hint}")
        elif not state.saved:
            self._mark("saving…", "warn", "The disk is being written.")
        else:
            self._mark("saved", "good", "Everything you did is on disk.")

    def _mark(self, text: str, token: str, why: str) -> None:
        self.saved.setText(text)
        self._dot.set_color(self._look.color(token))
        self._saved_box.setToolTip(why)

    def _show_bell(self) -> None:
        unread = self._notices.unread
        style = Qt.ToolButtonStyle
        self.bell.setText(f" {unread}" if unread else "")
        self.bell.setToolTip(f"{unread} new notices" if unread else "Notices")
        self.bell.setToolButtonStyle(style.ToolButtonTextBesideIcon if unread else style.ToolButtonIconOnly)

    def _recolor(self) -> None:
        self.bell.setIcon(self._look.icon("bell"))
        self._show_bell()
        self.show_saved(self._bridge.saved_state)


def _fill(shown: QLabel, text: str) -> None:
    """Set a text; an empty one takes no room."""
    shown.setText(text)
    shown.setVisible(bool(text))
