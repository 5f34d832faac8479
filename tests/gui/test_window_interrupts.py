"""Ctrl+C in the terminal and a request to end close the window; nothing is left behind."""

import os
import signal

import pytest
from PySide6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from app.window.interrupts import Interrupts

pytestmark = pytest.mark.gui


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_from_the_event_loop(qtbot: QtBot, number: int) -> None:
    before = signal.getsignal(number)
    closed: list[bool] = []
    interrupts = Interrupts(lambda: closed.append(True))
    try:
        QTimer.singleShot(0, lambda: os.kill(os.getpid(), number))
        qtbot.waitUntil(lambda: bool(closed), timeout=60_000)
    finally:
        interrupts.uninstall()
    assert closed == [True]
    assert signal.getsignal(number) is before


def test_other_signals_close_nothing(qtbot: QtBot) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: heard.append(number))
    closed: list[bool] = []
    interrupts = Interrupts(lambda: closed.append(True))
    try:
        QTimer.singleShot(0, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        qtbot.waitUntil(lambda: bool(heard), timeout=60_000)
        os.kill(os.getpid(), signal.SIGTERM)
        qtbot.waitUntil(lambda: bool(closed), timeout=60_000)
    finally:
        interrupts.uninstall()
        signal.signal(signal.SIGUSR1, before)
    assert closed == [True]
