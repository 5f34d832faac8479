"""What another minute of work is worth: the held-out curve against the seconds a person really worked.

The curve is that of what is shown, quick model and network together; that of the network in training only
where nothing else measures, without a quick model. Held-out mIoU against seconds t is fitted as

    m(t) = c - a * s_p(t),   s_p(t) = (t / T)^-p for p > 0, -log(t / T) for p = 0,   a >= 0

(power laws of learning curves: Hestness et al. 2017; T the last second measured). For each exponent p of a
few, c and a follow by least squares; what the exponents say is averaged, each weighing as its fit deserves
(Akaike weights: Burnham and Anderson 2002). The spread of the answer is that between exponents together with
that of each fit. Owner thread only; pure but for the clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.messages import EvaluationDone, Event, NetworkOpened, ShownScored

MINUTE_S = 60.0
STOP_BELOW = 0.1
"""Points of mIoU per minute under which going on is not worth it."""

IDLE_S = 20.0
"""Longest pause between two actions that counts as work."""

FEWEST_POINTS = 6
FEWEST_SECONDS = 180.0
FEWEST_IMAGES = 2
FEWEST_PIXELS = 2000

_OPTIMISM = 2.0
"""Standard errors above the expectation that must lie below `STOP_BELOW` as well."""

_RECENT = 0.2
"""Only what was measured after this share of the time is fitted: early learning follows another law."""

_EXPONENTS = (0.0, 0.25, 0.5, 1.0, 2.0)
_MOST_POINTS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What another minute is expected to bring.

    Attributes:
        points: Points of mIoU (percent), or None where nobody can know.
        spread: Standard error of `points`; 0 where nobody can know.
        stop: Whether even an optimistic reading is below `STOP_BELOW`.
        sentence: The same for people.
    """

    points: float | None
    spread: float
    stop: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A held-out figure: seconds worked by then, mIoU in [0, 1]."""

    seconds: float
    miou: float


def worth_of_a_minute(curve: Sequence[Measured], *, images: int, pixels: int) -> Worth:
    """Return what another minute is worth by the curve so far.

    Args:
        curve: Measurements by time.
        images: Held-out images of the last measurement.
        pixels: Held-out pixels of the last measurement.
    """
    reason = _why_unknown(curve, images, pixels)
    if reason:
        return Worth(points=None, spread=0.0, stop=False, sentence=reason)
    gain, spread = _expected_gain(curve)
    points, error = 100 * gain, 100 * spread
    stop = points + _OPTIMISM * error < STOP_BELOW
    return Worth(points=points, spread=error, stop=stop, sentence=_sentence(points, error, stop=stop))


def _why_unknown(curve: Sequence[Measured], images: int, pixels: int) -> str:
    if images < FEWEST_IMAGES or pixels < FEWEST_PIXELS:
        return "Another minute: too few held-out pixels to say."
    distinct = len({point.seconds for point in curve})
    if distinct < FEWEST_POINTS or curve[-1].seconds - curve[0].seconds < FEWEST_SECONDS / 2:
        return "Another minute: too few measurements to say."
    if curve[-1].seconds < FEWEST_SECONDS:
        return "Another minute: too early to say."
    return ""


def _sentence(points: float, error: float, *, stop: bool) -> str:
    if stop:
        return f"A good place to stop: a minute brings under {STOP_BELOW:g} points."
    shown = max(points, 0.0)
    return f"Another minute: about {shown:.1f} points (± {error:.1f})."


def _expected_gain(curve: Sequence[Measured]) -> tuple[float, float]:
    """Return the gain of mIoU in the next minute and its standard error."""
    seconds = np.asarray([point.seconds for point in curve], np.float64)
    figures = np.asarray([point.miou for point in curve], np.float64)
    last = float(seconds[-1])
    recent = seconds >= _RECENT * last
    if recent.sum() >= FEWEST_POINTS:
        seconds, figures = seconds[recent], figures[recent]
    fits = [_fitted(p, seconds, figures, last) for p in _EXPONENTS]
    misfit = np.asarray([fit[2] for fit in fits])
    weights = np.exp(-0.5 * len(seconds) * np.log(np.maximum(misfit / misfit.min(), 1.0)))
    weights /= weights.sum()
    found = np.asarray([fit[0] for fit in fits])
    gain = float((weights * found).sum())
    within = np.asarray([fit[1] for fit in fits])
    variance = float((weights * (np.square(within) + np.square(found - gain))).sum())
    return gain, math.sqrt(variance)


def _fitted(
    p: float, seconds: NDArray[np.float64], figures: NDArray[np.float64], last: float
) -> tuple[float, float, float]:
    """Return gain of the next minute, its standard error and the mean squared misfit for one exponent."""
    times = np.maximum(seconds, 1.0) / last
    shape = _shape(p, times)
    middle = float(shape.mean())
    spread = float(np.square(shape - middle).sum())
    slope = float(((shape - middle) * (figures - figures.mean())).sum()) / max(spread, 1e-12)
    slope = min(slope, 0.0)  # learning more never makes the expected curve fall
    rest = figures - figures.mean() - slope * (shape - middle)
    misfit = float(np.square(rest).sum()) / max(1, len(figures) - 2)
    step = float(_shape(p, np.asarray([1.0 + MINUTE_S / last]))[0] - _shape(p, np.asarray([1.0]))[0])
    error = math.sqrt(misfit / max(spread, 1e-12)) * abs(step)
    return slope * step, error, max(misfit, 1e-10)


def _shape(p: float, times: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-np.log(times) if p == 0.0 else times**-p, np.float64)


class WorthControl:
    """Counts the seconds a person works, and keeps the held-out curve against them.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self._curve: list[Measured] = []
        self._images = 0
        self._pixels = 0
        self._is_of_shown = False
        self.seconds = 0.0

    def worked(self) -> None:
        """Note that the person did something: the time since the last action counts, long pauses in part."""
        now = self._clock()
        if self._last is not None:
            self.seconds += min(max(now - self._last, 0.0), IDLE_S)
        self._last = now

    def handle(self, event: Event) -> None:
        """Take in one event; those that measure nothing are passed over."""
        match event:
            case NetworkOpened():
                self._begin(is_of_shown=False)
            case ShownScored():
                if not self._is_of_shown:
                    self._begin(is_of_shown=True)
                self._add(event.miou, event.images, event.pixels)
            case EvaluationDone(miou=miou) if miou is not None and not self._is_of_shown:
                self._add(miou, event.images, event.pixels)
            case _:
                pass

    def _begin(self, *, is_of_shown: bool) -> None:
        """Begin anew: what is measured from now on is something else."""
        self._curve.clear()
        self._is_of_shown = is_of_shown

    def _add(self, miou: float, images: int, pixels: int) -> None:
        self._images, self._pixels = images, pixels
        self._curve.append(Measured(self.seconds, miou))
        if len(self._curve) > _MOST_POINTS:
            del self._curve[1::2]  # thinner, from beginning to end

    def now(self) -> Worth | None:
        """Return what another minute is worth; None before anything was measured."""
        if not self._curve:
            return None
        return worth_of_a_minute(self._curve, images=self._images, pixels=self._pixels)
