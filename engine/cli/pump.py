"""Events of a session without a window: a queue, emptied on the main thread."""

import queue
import time
from collections.abc import Iterator

from engine.errors import EngineError
from engine.messages import Event
from engine.session import Session


class Pump:
    """Carries events from the session's threads to the thread that owns the session."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Event] = queue.Queue()

    def emit(self, event: Event) -> None:
        """Take an event; any thread, never waits."""
        self._queue.put(event)

    def waiting(self, session: Session, timeout: float = 0.0) -> Iterator[Event]:
        """Hand every event that is there to the session, then to the caller.

        Args:
            session: the owner of the events.
            timeout: seconds to wait for the first one.
        """
        try:
            event = self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait()
            while True:
                session.handle(event)
                yield event
                event = self._queue.get_nowait()
        except queue.Empty:
            return

    def until(self, session: Session, last: type[Event], timeout: float = 3600.0) -> Iterator[Event]:
        """Hand events on until one of type ``last`` came; it is handed on too.

        Args:
            session: the owner of the events.
            last: what to wait for.
            timeout: seconds of silence after which nothing is expected any more.

        Raises:
            EngineError: nothing came for so long.
        """
        heard = time.monotonic()
        while time.monotonic() - heard < timeout:
            for event in self.waiting(session, timeout=0.25):
                heard = time.monotonic()
                yield event
                if isinstance(event, last):
                    return
        raise EngineError(f"Nothing was heard for {timeout:.0f} s.", hint="Try again; the log may tell more.")
