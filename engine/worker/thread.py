"""The network's thread. This module is imported with the window: torch comes with the thread's first line."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable

from engine.messages import (
    Command,
    CommandFailed,
    Event,
    OpenNetwork,
    Problem,
    Shutdown,
    StateChanged,
    WorkerState,
)
from engine.priority import step_aside
from engine.worker.inbox import Inbox
from engine.worker.states import Answer, answer

_log = logging.getLogger(__name__)


class Worker:
    """A plain thread with one inbox.

    The loop outlives the bugs of what it does. Should the loop itself end by one, or torch not start, the
    thread says so and answers whoever still asks; the next `OpenNetwork` begins with a new loop.

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
        while (error := self._live()) is not None:
            _log.error("the worker's loop ended", exc_info=error)
            problem = _ended(error)
            self._tell(StateChanged(state=WorkerState.FAULTED, problem=problem))
            if not self._is_wanted_again(problem):
                self._tell(StateChanged(state=WorkerState.STOPPED))
                return

    def _live(self) -> Exception | None:
        """Import torch and run the loop; return what ended it, None for `Shutdown`."""
        self._tell(StateChanged(state=WorkerState.STARTING))
        try:
            from engine.worker.loop import run_loop

            run_loop(self._tell, self._inbox, self._threads)
        except Exception as error:  # noqa: BLE001 - the end of the thread: whoever waits must hear of it
            return error
        return None

    def _is_wanted_again(self, problem: Problem) -> bool:
        """Answer commands until one opens a network anew; return False where `Shutdown` came first.

        What waited when the loop ended gets an answer instead of being tried: it may be what ended the loop.
        """
        for waiting in self._inbox.take_all():
            if isinstance(waiting, Shutdown):
                return False
            self._refuse(waiting, problem)
        while (command := self._inbox.take(wait=True)) is not None:
            if isinstance(command, Shutdown):
                return False
            if isinstance(command, OpenNetwork):
                self._inbox.put_back(command)
                return True
            self._refuse(command, problem)
        return False

    def _refuse(self, command: Command, problem: Problem) -> None:
        """Tell who waits for an answer that there is none."""
        if answer(WorkerState.FAULTED, command) in (Answer.DO, Answer.REFUSE):
            self._tell(CommandFailed(command=type(command).__name__, problem=problem))

    def _tell(self, event: Event) -> None:
        try:
            self._emit(event)
        except Exception:  # noqa: BLE001 - whoever listens must not be able to end the learning
            _log.exception("An event of the worker could not be delivered.")


def _ended(error: Exception) -> Problem:
    return Problem(
        message=f"The network's part of the program ended ({type(error).__name__}: {error}).",
        hint="Your annotations and all saved checkpoints are safe. Restart the network; please report it.",
        report="".join(traceback.format_exception(error)),
    )
