"""Watching the loss without making the accelerator wait: sums stay on the device until somebody asks.

A run is poisoned when the loss is no number, or when it has been far above where it started for a while: such
weights know less than untrained ones, and the trainer goes back to the last good ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import TrainingError

_FAR = 3.0
_SLACK = 5.0
_PATIENCE_STEPS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LossReport:
    """Means of the named loss terms over `steps` steps."""

    losses: Mapping[str, float]
    steps: int

    @property
    def total(self) -> float:
        """Sum of the terms."""
        return sum(self.losses.values())


class LossWatch:
    """Adds up losses on the device and judges them when they are read.

    Args:
        num_classes: K; the loss of a guess is about ln K, below which no reference is taken.
    """

    def __init__(self, num_classes: int) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._bad = 0
        self._bad_steps = 0
        self._reference: float | None = None
        self._guess = math.log(max(2, num_classes))

    @property
    def steps(self) -> int:
        """Steps added since the last reading."""
        return self._steps

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add one step's terms (scalars); does not wait for the device."""
        for name, value in losses.items():
            held = self._sums.get(name)
            self._sums[name] = value.detach().float() if held is None else held + value.detach().float()
        self._steps += 1

    def discard(self) -> None:
        """Forget what was added since the last reading, and the count of bad readings."""
        self._sums, self._steps, self._bad, self._bad_steps = {}, 0, 0, 0

    @property
    def is_healthy(self) -> bool:
        """Whether the last reading was in order."""
        return self._bad == 0

    def read(self) -> LossReport | None:
        """Return the means since the last reading, or None where there was no step. Waits for the device.

        Raises:
            TrainingError: The loss is no finite number, or has been far too high in several readings.
        """
        if not self._steps:
            return None
        names, steps = list(self._sums), self._steps
        values = torch.stack(list(self._sums.values())).cpu().tolist()
        self._sums, self._steps = {}, 0
        report = LossReport(losses={n: v / steps for n, v in zip(names, values, strict=True)}, steps=steps)
        self._judge(report.total, steps)
        return report

    def _judge(self, total: float, steps: int) -> None:
        if not math.isfinite(total):
            raise _poisoned("The loss is no longer a number: training left the rails.")
        if self._reference is None:
            # The very first reading may itself be poisoned; a network that knows nothing scores about ln K.
            self._reference = max(self._guess, min(total, 3.0 * self._guess))
        # Fresh corrections of a network that was sure and wrong cost a lot for a few steps; that is no
        # poison.
        if total <= _FAR * self._reference + _SLACK:
            self._bad = self._bad_steps = 0
            return
        self._bad += 1
        self._bad_steps += steps
        if self._bad > 1 and self._bad_steps >= _PATIENCE_STEPS:
            raise _poisoned(
                f"The loss rose to {total:.1f} from {self._reference:.1f}: training left the rails."
            )


def _poisoned(message: str) -> TrainingError:
    return TrainingError(
        f"{message} The last good weights are back in place.",
        "Choose a smaller learning rate, then start training again.",
    )
