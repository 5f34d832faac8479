"""Waiting for events of threads, never for time."""

import threading
from collections.abc import Callable

from engine.messages import Event


class Events:
    """Collects events; `wait` returns once one of them fits."""

    def __init__(self) -> None:
        self.all: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.all.append(event)
            self._changed.notify_all()

    def wait(self, fits: Callable[[Event], bool]) -> Event:
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(fits, self.all)), 60), self.all
            return next(filter(fits, self.all))

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.all if isinstance(event, kind)]
