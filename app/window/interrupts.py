"""Ctrl+C in the terminal, or a polite request to end, closes the window as its own button does."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable
from types import FrameType

from PySide6.QtCore import QObject, QSocketNotifier, Qt

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts(QObject):
    """Turns signals of the system into a call on the GUI thread. Make it on the main thread.

    Python looks at a signal only when it runs Python code, and a resting window runs none; so the system also
    writes a byte to a socket, and Qt wakes up for that.

    Args:
        close: Called once for each signal, from Qt's event loop, never in the middle of other work.
    """

    def __init__(self, close: Callable[[], object], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._close = close
        self._far, self._near = socket.socketpair()
        for end in (self._far, self._near):
            end.setblocking(False)
        self._notifier = QSocketNotifier(self._near.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._woken, Qt.ConnectionType.QueuedConnection)
        self._before = {number: signal.signal(number, self._ignore) for number in _SIGNALS}
        self._wakeup_before = signal.set_wakeup_fd(self._far.fileno(), warn_on_full_buffer=False)

    def uninstall(self) -> None:
        """Give the signals back. Call it once."""
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._notifier.setEnabled(False)
        self._far.close()
        self._near.close()

    @staticmethod
    def _ignore(_number: int, _frame: FrameType | None) -> None:
        """Do nothing here, between any two lines of Python: the byte in the socket does the work."""

    def _woken(self) -> None:
        received = b""
        with contextlib.suppress(BlockingIOError):
            received = self._near.recv(64)
        if any(number in _SIGNALS for number in received):
            self._close()
