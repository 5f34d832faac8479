"""Where the program's log goes: a file in the user's log folder, and the log panel."""

from __future__ import annotations

import logging
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path

from platformdirs import user_log_path
from PySide6.QtCore import QObject, Qt, Signal

KEPT_LINES = 2000
_FORMAT = "%(asctime)s  %(levelname)-7s  %(name)s  %(message)s"


def log_folder() -> Path:
    """Return the folder of log files and crash reports."""
    return user_log_path("maskloop", appauthor=False)


class LogFeed(QObject):
    """Carries log lines from any thread to the window.

    Attributes:
        line_added: (text, level number); delivered on the GUI thread.
    """

    line_added = Signal(str, int)
    _crossed = Signal(str, int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lines: deque[tuple[str, int]] = deque(maxlen=KEPT_LINES)
        self._crossed.connect(self._keep, Qt.ConnectionType.QueuedConnection)

    @property
    def lines(self) -> tuple[tuple[str, int], ...]:
        """The newest lines and their levels, oldest first."""
        return tuple(self._lines)

    def send(self, text: str, level: int) -> None:
        """Take in a line; callable from any thread."""
        self._crossed.emit(text, level)

    def _keep(self, text: str, level: int) -> None:
        self._lines.append((text, level))
        self.line_added.emit(text, level)


class FeedHandler(logging.Handler):
    """Hands log records to a `LogFeed`."""

    def __init__(self, feed: LogFeed) -> None:
        super().__init__(logging.INFO)
        self._feed = feed
        self.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Format a record and send it; a window that is gone already is no reason to fail."""
        try:
            self._feed.send(self.format(record), record.levelno)
        except RuntimeError:
            return


def start_logging(feed: LogFeed | None, folder: Path | None = None) -> list[logging.Handler]:
    """Send the log to the log file and to the window.

    Args:
        feed: Where the log panel reads, or None without a window.
        folder: Where the file goes; the user's log folder by default.

    Returns:
        The handlers installed, so that tests can take them away. Without a writable folder there is no file.
    """
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    handlers: list[logging.Handler] = []
    if feed is not None:
        handlers.append(FeedHandler(feed))
    target = folder or log_folder()
    try:
        target.mkdir(parents=True, exist_ok=True)
        file = RotatingFileHandler(
            target / "maskloop.log", maxBytes=1_000_000, backupCount=2, encoding="utf-8"
        )
    except OSError:
        root.addHandler(logging.NullHandler())
    else:
        file.setFormatter(logging.Formatter(_FORMAT))
        handlers.append(file)
    for handler in handlers:
        root.addHandler(handler)
    return handlers
