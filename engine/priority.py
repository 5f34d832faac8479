"""Which thread waits for which when the cores are busy."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

_NICE = 5


def step_aside() -> None:
    """Give the calling thread a lower priority than the window's, where the system has one for each thread.

    Threads it starts later inherit that.
    """
    if sys.platform == "linux":
        # Fails only where a sandbox forbids it; the thread then runs at the priority of the window.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
