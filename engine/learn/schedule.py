"""The learning rate over a run: warm-up, poly decay over a cycle, warm restart (torch-free)."""

from __future__ import annotations

import math

from engine.config import Floor, OptimizerConfig

_KEPT = 0.5


class Schedule:
    """Factor on the learning rate, step by step.

    A cycle falls from 1 to `floor` as (1 - progress) ** poly_power and then starts again, twice as long: what
    is nearly learnt is disturbed ever more rarely. New corrections go back to the short cycle; as somebody
    who paints steadily would otherwise hold the rate at its top forever, they take back only half of what the
    cycle has done. A schedule that does not repeat, as a paper's, runs down once whatever happens.

    Args:
        config: Shape of the cycle.
    """

    def __init__(self, config: OptimizerConfig) -> None:
        self._config = config
        self._position = 0.0
        self._length = config.cycle_steps
        self._since_start = 0

    @property
    def position(self) -> float:
        """Steps into the present cycle."""
        return self._position

    def restart(self) -> None:
        """Raise the rate again because there is something new to learn."""
        if not self._config.repeats:
            return
        share = self._position / self._length
        self._length = self._config.cycle_steps
        self._position = share * self._length * _KEPT

    def restore(self, position: float) -> None:
        """Go on from a saved position."""
        self._position = min(max(0.0, position), float(self._config.cycle_steps))

    def reconfigure(self, config: OptimizerConfig) -> None:
        """Take over another shape and stay at the same share of the cycle."""
        self._position *= config.cycle_steps / self._length
        self._length = config.cycle_steps
        self._config = config

    def factor(self) -> float:
        """Return the factor for the step to come, in [0, 1]."""
        return self._decayed() * self._warm()

    def _decayed(self) -> float:
        config = self._config
        before = min(config.warmup_steps, self._length - 1) if config.decay_after_warmup else 0
        progress = max(0.0, self._position - before) / (self._length - before)
        decay = math.pow(1.0 - min(1.0, progress), config.poly_power)
        match config.floor_way:
            case Floor.CUT:
                return max(config.floor, decay)
            case Floor.BLEND:
                return decay * (1.0 - config.floor) + config.floor

    def _warm(self) -> float:
        config = self._config
        if self._since_start >= config.warmup_steps:
            return 1.0
        start = 1.0 / (config.warmup_steps + 1) if config.warmup_start is None else config.warmup_start
        return 1.0 - (1.0 - self._since_start / config.warmup_steps) * (1.0 - start)

    def advance(self) -> None:
        """Count one step; a cycle that ended starts again."""
        self._since_start += 1
        self._position += 1.0
        if self._position < self._length:
            return
        if self._config.repeats:
            self._position = 0.0
            self._length *= 2
        else:
            self._position = float(self._length)
