"""Means with intervals over seeds, and differences paired by seed."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.measure.costs import T_GAP
from engine.measure.robot.results import RunResult

_DRAWS = 4000
_LOW, _HIGH = 2.5, 97.5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and its 95 % interval by bootstrap over seeds; with one seed the interval is the mean.

    Attributes:
        mean: the mean.
        low: lower end.
        high: upper end.
        count: seeds that have a value.
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def is_above_zero(self) -> bool:
        """Whether the whole interval is above 0, from at least three seeds."""
        return self.count >= 3 and self.low > 0.0

    @property
    def is_below_zero(self) -> bool:
        """Whether the whole interval is below 0, from at least three seeds."""
        return self.count >= 3 and self.high < 0.0


def interval(values: Sequence[float | None]) -> Interval | None:
    """The mean of the values that are there, with its interval; None where there is none."""
    there = np.asarray([value for value in values if value is not None], np.float64)
    if not there.size:
        return None
    draws = np.random.default_rng(0).integers(0, there.size, (_DRAWS, there.size))
    means: NDArray[np.float64] = there[draws].mean(axis=1)
    low, high = np.percentile(means, [_LOW, _HIGH])
    return Interval(mean=float(there.mean()), low=float(low), high=float(high), count=int(there.size))


def paired(
    ours: Sequence[RunResult], theirs: Sequence[RunResult], figure: Callable[[RunResult], float | None]
) -> Interval | None:
    """The difference ours minus theirs over the seeds both have; None where there is no such seed.

    Args:
        ours: runs of one tool.
        theirs: runs of the other.
        figure: what is compared.
    """
    by_seed = {run.seed: figure(run) for run in theirs}
    differences = [
        mine - other
        for run in ours
        if (mine := figure(run)) is not None and (other := by_seed.get(run.seed)) is not None
    ]
    return interval(differences)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When two tools reached a mIoU, over the seeds both were run with.

    A seed on which one of them never got there has no difference of seconds: it is counted, not guessed.

    Attributes:
        seeds: how many seeds both have.
        ours: on how many of them the first reached it.
        theirs: on how many of them the other reached it.
        difference: seconds of the first minus those of the other, over the seeds on which both reached it;
            None where there is no such seed.
    """

    seeds: int
    ours: int
    theirs: int
    difference: Interval | None


def arrival(ours: Sequence[RunResult], theirs: Sequence[RunResult], miou: float) -> Arrival:
    """When two tools reached a mIoU, paired by seed."""
    shared = {run.seed for run in ours} & {run.seed for run in theirs}

    def reached(runs: Sequence[RunResult]) -> int:
        return sum(run.seed in shared and run.seconds_to(miou) is not None for run in runs)

    return Arrival(
        seeds=len(shared),
        ours=reached(ours),
        theirs=reached(theirs),
        difference=paired(ours, theirs, lambda run: run.seconds_to(miou)),
    )


def at_other_prices(run: RunResult, *, pause: float = 1.0, work: float = 1.0, paid: float = 1.0) -> RunResult:
    """The same session with other prices of the person's actions: every measurement lies at another time.

    What the tool learnt between two actions stays as it was, so this tells how far a result hangs on the
    prices, not what a slower or faster person would have got; that takes another session (``--gap``).

    Args:
        run: the session.
        pause: what the pause before each action is multiplied by, on top of the cost model.
        work: what all seconds of the person are multiplied by; those they waited for the tool stay.
        paid: what the pause was multiplied by when the session was measured.
    """
    waited = _waits(run)
    curve = []
    for point in run.curve:
        blocked = sum(seconds for at, seconds in waited if at <= point.seconds)
        own = point.seconds - blocked + (pause - paid) * T_GAP * point.strokes
        curve.append(dataclasses.replace(point, seconds=own * work + blocked))
    return dataclasses.replace(run, curve=tuple(curve), seconds=curve[-1].seconds if curve else 0.0)


def _waits(run: RunResult) -> list[tuple[float, float]]:
    """User time at the end of each image and the seconds the person waited on it."""
    ends = itertools.accumulate(visit.seconds for visit in run.visits)
    return [(end, visit.blocked) for end, visit in zip(ends, run.visits, strict=True)]


def moments(runs: Sequence[RunResult]) -> tuple[float, ...]:
    """User times that every run measured, in order; the ends of sessions of differing length are left out."""
    shared = [{point.seconds for point in run.curve} for run in runs]
    return tuple(sorted(set.intersection(*shared))) if shared else ()


def mean_classes(runs: Sequence[RunResult], seconds: float | None = None) -> dict[str, float | None]:
    """IoU of each class, averaged over seeds.

    Args:
        runs: the seeds.
        seconds: a user time that every seed measured; ``None``: the end of the session.
    """
    points = [run.curve[-1] if seconds is None else run.measured_at(seconds) for run in runs if run.curve]
    measured = [point for point in points if point is not None]
    found: dict[str, float | None] = {}
    for name in measured[0].iou_per_class if measured else ():
        mean = interval([point.iou_per_class.get(name) for point in measured])
        found[name] = None if mean is None else mean.mean
    return found


def latency(runs: Sequence[RunResult], percent: float) -> float | None:
    """Percentile of the seconds from a stroke to the next renewal of the picture, over all runs."""
    values = [value for run in runs for value in run.latencies]
    return float(np.percentile(values, percent)) if values else None
