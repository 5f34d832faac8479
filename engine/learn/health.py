"""Watching the loss without making the accelerator wait: sums stay on the device until somebody asks.

A run is poisoned when the loss is no number, when over a window of steps it is far worse than that of a
network that knows nothing, or when a network that knew a lot scores like one that knows nothing for several
windows: such weights are worth no more than untrained ones, and the trainer goes back to the last good ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import TrainingError

_WINDOW = 20
_FEW = 3
_FAR, _SLACK = 2.0, 0.5
# A network that is sure and wrong pays a lot for a while when it is corrected; that is no poison.
_KNEW, _GUESSES, _LOST_WINDOWS = 0.5, 0.9, 4
_GRACE_STEPS, _GRACE_FAR, _GRACE_SLACK = 60, 5.0, 5.0


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
        num_classes: K; the loss of a guess is about ln K.
    """

    def __init__(self, num_classes: int) -> None:
        self._guess = math.log(max(2, num_classes))
        self._reference: float | None = None
        self._first: Tensor | None = None
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._window_sum = 0.0
        self._window_steps = 0
        self._grace = 0
        self._lowest = math.inf
        self._lost_windows = 0

    @property
    def steps(self) -> int:
        """Steps added since the last reading."""
        return self._steps

    @property
    def is_healthy(self) -> bool:
        """Whether the losses read last are no worse than a guess: such weights may be shown."""
        return self._window_steps < _FEW or self._window_sum / self._window_steps <= self._limit()

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add one step's terms (scalars); does not wait for the device."""
        if self._first is None:
            # A term may be far below zero by the luck of one batch, as a log-determinant over regions can.
            self._first = torch.stack([value.detach().float().abs() for value in losses.values()]).sum()
        for name, value in losses.items():
            held = self._sums.get(name)
            self._sums[name] = value.detach().float() if held is None else held + value.detach().float()
        self._steps += 1

    def forgive(self) -> None:
        """Allow a higher loss for a while: there is something new to learn."""
        self._grace = _GRACE_STEPS

    def discard(self) -> None:
        """Forget the losses since the last reading and the window being judged."""
        self._sums, self._steps = {}, 0
        self._window_sum, self._window_steps = 0.0, 0

    def read(self) -> LossReport | None:
        """Return the means since the last reading, or None where there was no step. Waits for the device.

        Raises:
            TrainingError: The loss is no finite number, or far worse than a guess over a window of steps.
        """
        if not self._steps or self._first is None:
            return None
        names, sums, steps = list(self._sums), list(self._sums.values()), self._steps
        # Training may have moved to the processor since the first step.
        self._first = self._first.to(sums[0].device)
        *values, first = torch.stack([*sums, self._first]).cpu().tolist()
        self._sums, self._steps = {}, 0
        report = LossReport(losses={n: v / steps for n, v in zip(names, values, strict=True)}, steps=steps)
        self._judge(report, first)
        return report

    def _judge(self, report: LossReport, first: float) -> None:
        if not math.isfinite(report.total):
            raise _poisoned("The loss is no longer a number: training left the rails.")
        if self._reference is None:
            # The first step's loss was computed before any update, so no learning rate can have spoiled it.
            self._reference = max(self._guess, first)
        self._grace = max(0, self._grace - report.steps)
        self._window_sum += report.total * report.steps
        self._window_steps += report.steps
        if self._window_steps < _WINDOW:
            return
        mean = self._window_sum / self._window_steps
        if mean > self._limit():
            raise _poisoned(
                f"The loss rose to {mean:.1f}, where a guess scores {self._reference:.1f}: "
                "training left the rails."
            )
        self._window_sum, self._window_steps = 0.0, 0
        self._notice_loss_of_all(mean)

    def _notice_loss_of_all(self, mean: float) -> None:
        """Notice a network that knew a lot and now scores like a guess, window after window."""
        reference = self._reference or self._guess
        self._lowest = min(self._lowest, mean)
        lost = not self._grace and self._lowest <= _KNEW * reference and mean >= _GUESSES * reference
        self._lost_windows = self._lost_windows + 1 if lost else 0
        if self._lost_windows >= _LOST_WINDOWS:
            raise _poisoned(
                f"The loss is {mean:.1f} again, as of a guess, where it had been {self._lowest:.1f}: "
                "training forgot what it knew."
            )

    def _limit(self) -> float:
        reference = self._guess if self._reference is None else self._reference
        if self._grace:
            return _GRACE_FAR * reference + _GRACE_SLACK
        return _FAR * reference + _SLACK


def _poisoned(message: str) -> TrainingError:
    return TrainingError(
        f"{message} The last good weights are back in place.",
        "Choose a smaller learning rate, then start training again.",
    )
