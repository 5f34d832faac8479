"""The network's thread. This module is imported with the window: torch comes with the thread's first line."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.messages import Command, Event, StateChanged, WorkerState
from engine.priority import step_aside
from engine.worker.inbox import Inbox


class Worker:
    """A plain thread with one inbox.

    Args:
        emit: Receives every event, on the worker's thread; must not wait.
        threads: Processor threads for torch; None takes all cores but one, which stays for the window.
    """

    def __init__(self, emit: Callable[[Event], None], *, threads: int | None = None) -> None:
        self._emit = emit
        self._threads = threads
        self._inbox = Inbox()
        # A worker that hangs inside a driver must not keep the closed program alive.
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Start the thread; call once."""
        self._thread.start()

    def post(self, command: Command) -> None:
        """Leave a command; any thread, never waits. After `Shutdown` nothing is done any more."""
        self._inbox.post(command)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread to end; return whether it has. Post `Shutdown` first."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        # Before torch makes its own threads: they inherit the niceness.
        step_aside()
        self._emit(StateChanged(state=WorkerState.STARTING))
        from engine.worker.loop import run_loop

        run_loop(self._emit, self._inbox, self._threads)
