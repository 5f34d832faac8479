"""A window on a fake session, and the ways a hand touches it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from app.actions import Act
from app.bridge import Bridge
from app.logs import LogFeed
from app.preferences import PreferenceStore
from app.theme import Look, Theme
from app.window import MainWindow, Services
from app.window.asking import Asking
from tests.support.fake_session import FakeSession, Opener


class Answers(Asking):
    """Answers questions without a dialog; what was asked is kept in `asked`."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.given: dict[str, Any] = {}
        self.asked: list[str] = []

    def _answer(self, name: str) -> Any:
        self.asked.append(name)
        answer = self.given[name]
        return answer.pop(0) if isinstance(answer, list) else answer

    def folder(self, title: str, start: str) -> Path | None:
        return self._answer("folder")

    def class_file(self, start: str) -> Path | None:
        return self._answer("class_file")

    def checkpoint_file(self, start: str) -> Path | None:
        return self._answer("checkpoint_file")

    def inspection_file(self, start: str) -> Path | None:
        return self._answer("inspection_file")

    def checkpoint_name(self) -> str | None:
        return self._answer("checkpoint_name")

    def open_read_only(self, message: str, hint: str) -> bool:
        return self._answer("open_read_only")

    def unsaved(self, state: Any) -> Any:
        return self._answer("unsaved")

    def details(self, message: str, hint: str, report: str) -> None:
        self.asked.append(f"details: {message}")


class Desk:
    """A window with everything a test wants to hold."""

    def __init__(self, folder: Path, opener: Opener, *, theme: Theme = Theme.DARK_NATIVE) -> None:
        self.opener = opener
        self.look = Look()
        self.look.apply(theme)
        self.store = PreferenceStore.load(folder / "preferences.json")
        self.feed = LogFeed()
        self.bridge = Bridge(opener)
        self.window = MainWindow(Services(self.bridge, self.look, self.store, self.feed))
        self.answers = Answers(self.window)
        self.window.asking = self.answers
        self.window.resize(1200, 800)
        self.window.show()
        self.window.activateWindow()
        assert QTest.qWaitForWindowActive(self.window, 5000)
        self.settle()

    @property
    def session(self) -> FakeSession:
        return self.opener.sessions[-1]

    def open(self, folder: Path = Path("/fake/images")) -> FakeSession:
        assert self.window.opening.open(folder)
        self.settle()
        self.window.area.view.settle()
        return self.session

    def settle(self) -> None:
        """Let everything that is waiting in Qt's queue happen."""
        for _ in range(6):
            QCoreApplication.sendPostedEvents()
            QApplication.processEvents()

    def key(self, key: Qt.Key | str, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Type a key where the focus is."""
        target = QApplication.focusWidget() or self.window
        QTest.keyClick(target, key, modifier)
        self.settle()

    def point(self, y: float, x: float) -> QPoint:
        return self.window.area.view.widget_point(y, x).toPoint()

    def hover(self, y: float, x: float) -> None:
        """Move the pointer over an image point."""
        self._mouse(QEvent.Type.MouseMove, self.point(y, x), Qt.MouseButton.NoButton)

    def drag(self, points: Sequence[tuple[float, float]], *, release: bool = True) -> None:
        """Paint with the left button through image points."""
        view = self.window.area.view
        places = [self.point(y, x) for y, x in points]
        QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=places[0])
        for place in places[1:]:
            self._mouse(QEvent.Type.MouseMove, place, Qt.MouseButton.LeftButton)
        if release:
            QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=places[-1])
        self.settle()

    def _mouse(self, kind: QEvent.Type, place: QPoint, held: Qt.MouseButton) -> None:
        view = self.window.area.view
        event = QMouseEvent(
            kind,
            QPointF(place),
            QPointF(view.mapToGlobal(place)),
            Qt.MouseButton.NoButton,
            held,
            Qt.KeyboardModifier.NoModifier,
        )
        QCoreApplication.sendEvent(view, event)
        self.settle()

    def focus(self, widget: QWidget) -> None:
        """Give a widget the focus."""
        self.window.activateWindow()
        widget.setFocus()
        self.settle()

    def close(self) -> None:
        """Close without questions."""
        self.window.close()
        self.window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        self.settle()


MakeDesk = Callable[..., Desk]


def answer_next(kind: type[QDialog], do: Callable[..., object]) -> None:
    """When a dialog of this kind runs, do something to it."""

    def look() -> None:
        found = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, kind)]
        shown = [widget for widget in found if widget.isVisible()]
        if shown:
            do(shown[0])
        else:
            QTimer.singleShot(10, look)

    QTimer.singleShot(0, look)


def trigger(desk: Desk, act: Act) -> None:
    desk.window.actions_table[act].trigger()
    desk.settle()
