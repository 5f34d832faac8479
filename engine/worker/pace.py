"""When something is due again, without ever taking more than its share of the time (torch-free)."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]


class Pace:
    """Repeats something every so many seconds, more rarely where it takes long itself.

    Args:
        clock: Monotonic seconds.
        every: Seconds from one beginning to the next.
        share: Largest share of the time it may take; what is slow is done less often.
    """

    def __init__(self, clock: Clock, every: float, *, share: float = 1.0) -> None:
        self._clock = clock
        self._share = share
        self.every = every
        self._began = self._ended = clock()
        self._is_running = False

    @property
    def is_due(self) -> bool:
        """Whether it is time again."""
        took = self._ended - self._began
        return self._clock() >= max(self._began + self.every, self._began + took / self._share)

    def begin(self) -> None:
        """Note that it begins."""
        self._began = self._ended = self._clock()
        self._is_running = True

    def end(self) -> None:
        """Note that it is done; what follows until it begins again is none of its time."""
        if self._is_running:
            self._ended, self._is_running = self._clock(), False
