"""The robot's results as lines of text: one tool alone, or several paired by seed."""

from collections.abc import Iterator, Sequence

from engine.cli.robot_files import Outcome
from engine.measure.costs import constants
from engine.measure.robot.results import TARGETS, RunResult
from engine.measure.robot.statistics import Interval, interval, latency, mean_classes, moments, paired


def summary(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The tables as lines of text."""
    for outcome in outcomes:
        yield from _one(outcome)
        yield ""
    first = outcomes[0]
    for other in outcomes[1:]:
        yield from _difference(first, other)
        yield ""
    costs = ", ".join(f"{name} {value:g}" for name, value in constants().items())
    yield f"Cost model (seconds, screen pixels): {costs}."


def _one(outcome: Outcome) -> Iterator[str]:
    runs = outcome.runs
    seeds = ", ".join(str(run.seed) for run in runs)
    yield f"{outcome.title}   seeds {seeds}   {outcome.options.get('material', '')}"
    for seconds in moments(runs):
        yield f"  mIoU at {seconds:6.0f} s   {percent(interval([run.at(seconds) for run in runs]))}"
    yield f"  mIoU at the end      {percent(interval([run.curve[-1].miou for run in runs]))}"
    yield f"  area under the curve {percent(interval([run.area() for run in runs]))}"
    for target in TARGETS:
        yield f"  seconds to {target:.2f}      {reached(runs, target)}"
    for name, value in mean_classes(runs).items():
        yield f"    {name[:20]:<20} {'–' if value is None else f'{100 * value:5.1f} %'}"
    for name, text in effort(runs):
        yield f"  {name:<36} {text}"


def effort(runs: Sequence[RunResult]) -> Iterator[tuple[str, str]]:
    """Work, safety and speed as (name, text)."""
    visits = [visit for run in runs for visit in run.visits]
    count = max(1, len(visits))
    yield "images", f"{len(visits) / len(runs):.1f}"
    yield "strokes per image", f"{sum(visit.strokes for visit in visits) / count:.2f}"
    yield "dabs per image", f"{sum(visit.clicks for visit in visits) / count:.2f}"
    yield "regions relabelled per image", f"{sum(visit.relabels for visit in visits) / count:.2f}"
    yield "images accepted", f"{100 * sum(visit.accepted for visit in visits) / count:.0f} %"
    yield "seconds per image", f"{sum(visit.seconds for visit in visits) / count:.1f}"
    left = [1.0 - visit.wrong_after for visit in visits]
    yield "pixels right when an image is left", percent(interval(left))
    last = [run.curve[-1] for run in runs if run.curve]
    yield "person's pixels the model agrees with", percent(interval([point.agreement for point in last]))
    flips = [point.flipped for run in runs for point in run.curve if point.flipped is not None]
    yield "person's pixels flipped, at worst", f"{100 * max(flips):.2f} %" if flips else "–"
    yield "later models that were worse", str(sum(run.worse for run in runs))
    yield "stroke to renewed picture, p50 / p95", f"{_s(latency(runs, 50))} / {_s(latency(runs, 95))}"
    yield "seconds the person waited", f"{sum(run.blocked for run in runs) / len(runs):.2f}"


def _difference(first: Outcome, other: Outcome) -> Iterator[str]:
    """How far the first is ahead of another, paired by seed."""
    ours, theirs = first.runs, other.runs
    yield f"{first.title} minus {other.title}, paired by seed"
    for name, difference in differences(ours, theirs):
        yield f"  {name:<24} {points(difference)}"


def differences(
    ours: Sequence[RunResult], theirs: Sequence[RunResult]
) -> Iterator[tuple[str, Interval | None]]:
    """Differences of mIoU at the moments both measured, and of the area under the curve."""
    for seconds in moments([*ours, *theirs]):

        def at(run: RunResult, seconds: float = seconds) -> float | None:
            return run.at(seconds)

        yield f"mIoU at {seconds:.0f} s", paired(ours, theirs, at)
    yield "area under the curve", paired(ours, theirs, RunResult.area)


def percent(value: Interval | None) -> str:
    """A share as percent with its interval."""
    if value is None:
        return "–"
    text = f"{100 * value.mean:5.1f} %"
    return text if value.count < 2 else f"{text} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def points(value: Interval | None) -> str:
    """A difference in points with its interval, and whether it may be claimed."""
    if value is None:
        return "– (no seed in common)"
    text = f"{100 * value.mean:+5.1f} points [{100 * value.low:+.1f}, {100 * value.high:+.1f}]"
    if value.count < 3:
        return f"{text}, {value.count} seeds: too few for a claim"
    return f"{text}, above 0" if value.is_above_zero else text


def reached(runs: Sequence[RunResult], miou: float) -> str:
    """When a mIoU was reached, over the seeds that reached it."""
    times = [run.seconds_to(miou) for run in runs]
    mean = interval(times)
    if mean is None:
        return "never"
    missing = "" if mean.count == len(runs) else f" ({mean.count} of {len(runs)} seeds)"
    return f"{mean.mean:.0f} s [{mean.low:.0f}, {mean.high:.0f}]{missing}"


def _s(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.2f} s"
