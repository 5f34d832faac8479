"""What happens when the program itself is wrong: a report in the log folder and one plain dialog.

Annotations are journalled stroke by stroke, so a crash costs nothing that was painted; the dialog says so.
"""

from __future__ import annotations

import datetime as dt
import faulthandler
import logging
import platform
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from PySide6.QtCore import QObject, Qt, QtMsgType, Signal, qInstallMessageHandler, qVersion

from app.logs import log_folder

_LOG = logging.getLogger("maskloop.crash")
_QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def write_report(text: str, folder: Path | None = None) -> Path | None:
    """Write a crash report and return its file, or None where no folder can be written."""
    target = folder or log_folder()
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%d-%H%M%S-%f")
    head = f"Maskloop · Python {platform.python_version()} · Qt {qVersion()} · {platform.platform()}\n\n"
    try:
        target.mkdir(parents=True, exist_ok=True)
        path = target / f"crash-{stamp}.txt"
        path.write_text(head + text, encoding="utf-8")
    except OSError:
        return None
    return path


class CrashReporter(QObject):
    """Catches every exception nobody else caught, on any thread, and tells the window once per cause.

    Attributes:
        crashed: (summary, full report, report file or ""); delivered on the GUI thread.
    """

    crashed = Signal(str, str, str)

    def __init__(self, folder: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = folder
        self._seen: set[str] = set()
        self._previous: tuple[Callable[..., object], Callable[..., object]] | None = None
        self._fault_file: IO[str] | None = None

    def install(self) -> None:
        """Take over the exception hooks and Qt's messages."""
        self._previous = (sys.excepthook, threading.excepthook)
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception
        qInstallMessageHandler(_log_qt_message)

    def uninstall(self) -> None:
        """Give the hooks back."""
        if self._previous is not None:
            sys.excepthook, threading.excepthook = self._previous
            self._previous = None
            qInstallMessageHandler(None)
        if self._fault_file is not None:
            faulthandler.disable()
            self._fault_file.close()
            self._fault_file = None

    def catch_faults(self) -> None:
        """Let crashes of native code leave their traces in the log folder, until `uninstall`."""
        folder = self._folder or log_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Kept open for the life of the process: the fault handler writes to it when nothing else works.
            file = (folder / "fault.txt").open("w", encoding="utf-8")
        except OSError:
            return
        faulthandler.enable(file)
        self._fault_file = file

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        self.report(kind, error, trace)

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            self.report(args.exc_type, args.exc_value, args.exc_traceback)

    def report(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Log an error, write its report, and emit `crashed` unless the same place failed before."""
        text = "".join(traceback.format_exception(kind, error, trace))
        frames = traceback.extract_tb(trace)
        cause = f"{kind.__name__} {frames[-1].filename}:{frames[-1].lineno}" if frames else kind.__name__
        _LOG.error("unexpected error: %s", text)
        if cause in self._seen:
            return
        self._seen.add(cause)
        path = write_report(text, self._folder)
        self.crashed.emit(f"{kind.__name__}: {error}", text, str(path) if path else "")

    def connect_dialog(self, show: Callable[[str, str, str], None]) -> None:
        """Let a function show the dialog; it runs on the GUI thread after the failing code has been left."""
        self.crashed.connect(show, Qt.ConnectionType.QueuedConnection)


def _log_qt_message(kind: QtMsgType, _context: object, message: str) -> None:
    logging.getLogger("qt").log(_QT_LEVELS.get(kind, logging.WARNING), "%s", message)
