"""The command `maskloop`: with a verb it works without a window and without Qt, else it opens the window."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

SWITCH_INTERVAL_S = 0.0005
"""Measured: with it a brush stroke stays under 6 ms while the worker trains; the usual 5 ms do not."""

_FOREIGN_QT = ("QT_PLUGIN_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH")
_HELP = """maskloop [FOLDER]        open the window, with a folder of images or the start page
maskloop VERB …          work without a window; `maskloop --help` lists the verbs
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0 done, 1 failed, 2 misuse."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and wants_no_window(given):
        from engine import cli

        return cli.run(given)
    if len(given) > 1:
        sys.stderr.write(f"maskloop: one folder at most, not {len(given)}.\n{_HELP}")
        return 2
    return open_window(Path(given[0]) if given else None)


def wants_no_window(given: Sequence[str]) -> bool:
    """Say whether a command line asks for a verb or an option.

    A single word that is both a verb and a folder here is the folder; a verb with arguments is the verb.
    """
    first = given[0]
    if first.startswith("-"):
        return True
    from engine import cli

    return first in cli.VERBS and (len(given) > 1 or not Path(first).is_dir())


def prepare_environment() -> None:
    """Choose the Qt binding and drop other programs' Qt plug-ins; must run before the first import of Qt."""
    os.environ["QT_API"] = "pyside6"
    for name in _FOREIGN_QT:
        os.environ.pop(name, None)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def open_window(folder: Path | None) -> int:
    """Open the window, with a folder or the start page, and stay until it is closed."""
    prepare_environment()
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from app.bridge import Bridge
    from app.crash import CrashReporter
    from app.dialogs.problem import crash_dialog
    from app.logs import LogFeed, start_logging
    from app.preferences import PreferenceStore
    from app.theme import Look
    from app.window import MainWindow, Services
    from app.window.interrupts import Interrupts

    application = QApplication(sys.argv[:1])
    application.setApplicationName("maskloop")
    application.setApplicationDisplayName("Maskloop")
    application.setDesktopFileName("maskloop")
    feed = LogFeed()
    start_logging(feed)
    reporter = CrashReporter()
    reporter.install()
    reporter.catch_faults()
    store = PreferenceStore.load()
    look = Look()
    look.apply(store.value.theme)
    window = MainWindow(Services(Bridge(), look, store, feed))
    reporter.connect_dialog(lambda summary, report, path: crash_dialog(summary, report, path, window).open())
    interrupts = Interrupts(application.closeAllWindows)
    window.show()
    if folder is not None:
        # After the first paint, so that a slow disk never looks like a program that does not start.
        QTimer.singleShot(0, lambda: window.opening.open(folder.expanduser().absolute()))
    status = application.exec()
    interrupts.uninstall()
    reporter.uninstall()
    return status
