"""When a run is over, and how far it is by then (torch-free)."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator

from engine.config import TrainingConfig

_PERCENT = 100
_SHORTEST_CYCLE = 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop: whichever comes first."""

    seconds: float | None
    steps: int | None


def with_cycle(config: TrainingConfig, steps: int) -> TrainingConfig:
    """The same training with a learning rate that falls over so many steps, 16 at least."""
    optimizer = dataclasses.replace(config.optimizer, cycle_steps=max(_SHORTEST_CYCLE, steps))
    return dataclasses.replace(config, optimizer=optimizer)


class Clock:
    """Seconds of training, without those spent on measuring."""

    def __init__(
        self, limits: Limits, *, spent: float = 0.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Start now.

        Args:
            limits: when to stop.
            spent: seconds of training before, where a run goes on.
            now: seconds of a clock that never goes back.
        """
        self._start = self._timed = now() - spent
        self._now = now
        self._limits = limits
        self.total = limits.steps if limits.seconds is None and limits.steps is not None else _PERCENT

    def elapsed(self) -> float:
        """Seconds so far."""
        return self._now() - self._start

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """Seconds that shall not count."""
        began = self._now()
        try:
            yield
        finally:
            lost = self._now() - began
            self._start += lost
            self._timed += lost

    def is_over(self, steps: int) -> bool:
        """Whether a limit is reached."""
        by_steps = self._limits.steps is not None and steps >= self._limits.steps
        return by_steps or (self._limits.seconds is not None and self.elapsed() >= self._limits.seconds)

    def start_timing(self) -> None:
        """The first steps are over, which are slower than others."""
        self._timed = self._now()

    def expected_steps(self, done: int, timed: int) -> int:
        """How many steps the run will have, from the speed of the last ``timed`` ones."""
        expected = self._limits.steps
        if self._limits.seconds is not None:
            speed = timed / max(1e-6, self._now() - self._timed)
            by_time = done + int(max(0.0, self._limits.seconds - self.elapsed()) * speed)
            expected = by_time if expected is None else min(expected, by_time)
        return done if expected is None else expected

    def position(self, steps: int) -> int:
        """What a progress bar of ``total`` pieces shows."""
        if self._limits.seconds is None:
            return steps
        return min(_PERCENT - 1, int(_PERCENT * self.elapsed() / self._limits.seconds))
