"""The robot's results as lines of text: one tool alone, or several paired by seed."""

from collections.abc import Iterator, Mapping, Sequence

from engine.cli.robot_files import Outcome
from engine.measure.costs import constants
from engine.measure.robot.results import TARGETS, RunResult
from engine.measure.robot.statistics import (
    Interval,
    at_other_prices,
    interval,
    latency,
    mean_classes,
    moments,
    paired,
)

_AREAS_TO = (300.0, 600.0, 1800.0)
_SHORTEST = 60.0
"""Before this user time there is not yet a curve whose times could be stretched."""


def summary(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The tables as lines of text."""
    for outcome in outcomes:
        yield from _one(outcome)
        yield ""
    first = outcomes[0]
    for other in outcomes[1:]:
        yield from _difference(first, other)
        yield ""
        yield from _sensitivity(first, other)
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
    for name, area in areas(runs):
        yield f"  {name:<36} {percent(area)}"
    for name, masks in delivered(runs):
        yield f"  {name:<36} {percent(masks)}"
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
    for share in (0.90, 0.95):
        good = [visit for visit in visits if visit.wrong_after <= 1.0 - share]
        mean = f", {sum(visit.seconds for visit in good) / len(good):.1f} s each" if good else ""
        yield f"images left {100 * share:.0f} % right", f"{100 * len(good) / count:.0f} %{mean}"
    last = [run.curve[-1] for run in runs if run.curve]
    yield "person's pixels the model agrees with", percent(interval([point.agreement for point in last]))
    # Seeds that were never asked again would make the rounds differ by who is in them.
    rounds = max((len(run.recalled) for run in runs), default=0)
    asked = [run.recalled for run in runs if len(run.recalled) == rounds]
    for then in zip(*asked, strict=True):
        alone, stands = interval([one.alone for one in then]), interval([one.shown for one in then])
        name = f"of the first three images' pixels after {then[0].images}, by the model alone / shown"
        yield name, f"{percent(alone)} / {percent(stands)}"
    flips = [point.flipped for run in runs for point in run.curve if point.flipped is not None]
    yield "person's pixels flipped by the model alone, at worst", _worst(flips)
    shown = [point.shown_flipped for run in runs for point in run.curve if point.shown_flipped is not None]
    yield "person's pixels flipped in what is shown, at worst", _worst(shown)
    yield "later models that were worse", str(sum(run.worse for run in runs))
    yield "stroke to renewed picture, p50 / p95", f"{_s(latency(runs, 50))} / {_s(latency(runs, 95))}"
    yield "seconds the person waited", f"{sum(run.blocked for run in runs) / len(runs):.2f}"


def _worst(flips: Sequence[float]) -> str:
    return f"{100 * max(flips):.2f} %" if flips else "–"


def areas(runs: Sequence[RunResult]) -> Iterator[tuple[str, Interval | None]]:
    """The area under the curve of the whole session, and to the times that sessions are compared at."""
    yield "area under the curve", interval([run.area() for run in runs])
    end = min((run.seconds for run in runs), default=0.0)
    for until in (at for at in _AREAS_TO if at < end):
        yield f"area under the curve to {until:.0f} s", interval([run.area(until) for run in runs])


def delivered(runs: Sequence[RunResult]) -> Iterator[tuple[str, Interval | None]]:
    """The masks of the whole folder, visited or not, by time and at the end; nothing where unmeasured."""
    for seconds in moments(runs):
        found = interval([run.delivered_at(seconds) for run in runs])
        if found is not None:
            yield f"mIoU of the folder's masks at {seconds:.0f} s", found
    last = [run.curve[-1] for run in runs if run.curve]
    if any(point.delivered_miou is not None for point in last):
        yield "mIoU of the folder's masks, end", interval([point.delivered_miou for point in last])
        yield "right pixels of the folder's masks", interval([point.delivered_accuracy for point in last])


def _difference(first: Outcome, other: Outcome) -> Iterator[str]:
    """How far the first is ahead of another, paired by seed."""
    ours, theirs = first.runs, other.runs
    yield f"{first.title} minus {other.title}, paired by seed"
    for name, difference in differences(ours, theirs):
        yield f"  {name:<24} {points(difference)}"


PRICES: tuple[tuple[str, dict[str, float]], ...] = (
    ("as measured", {}),
    ("pause between actions x 0.5", {"pause": 0.5}),
    ("pause between actions x 2", {"pause": 2.0}),
    ("every action x 0.5", {"work": 0.5}),
    ("every action x 2", {"work": 2.0}),
)
"""Cost models a difference is looked at with."""


def _sensitivity(first: Outcome, other: Outcome) -> Iterator[str]:
    """What the lead is with other costs."""
    yield f"{first.title} minus {other.title} with other costs of the person's actions (the same sessions)"
    for prices, name, difference in sensitivity(first, other):
        yield f"  {prices:<28} {name:<24} {points(difference)}"


def sensitivity(first: Outcome, other: Outcome) -> Iterator[tuple[str, str, Interval | None]]:
    """Differences with each of `PRICES` as (prices, figure, difference), paired by seed."""
    seconds = [at for at in moments([*first.runs, *other.runs]) if at >= _SHORTEST]
    for prices, factors in PRICES:
        ours, theirs = (_at_prices(outcome, factors) for outcome in (first, other))
        for at in seconds:

            def miou(run: RunResult, at: float = at) -> float | None:
                return run.between(at)

            difference = paired(ours, theirs, miou)
            if difference is not None:
                yield prices, f"mIoU at {at:.0f} s", difference
        end = min((run.seconds for run in (*ours, *theirs)), default=0.0)

        def area(run: RunResult, end: float = end) -> float:
            return run.area(end)

        yield prices, "area under the curve", paired(ours, theirs, area)


def _at_prices(outcome: Outcome, factors: Mapping[str, float]) -> list[RunResult]:
    paid = outcome.options.get("gap", 1.0)
    paid = float(paid) if isinstance(paid, int | float) else 1.0
    pause = factors.get("pause", 1.0) * paid
    work = factors.get("work", 1.0)
    return [at_other_prices(run, pause=pause, work=work, paid=paid) for run in outcome.runs]


def differences(
    ours: Sequence[RunResult], theirs: Sequence[RunResult]
) -> Iterator[tuple[str, Interval | None]]:
    """Differences of mIoU at the moments both measured, and of the area under the curve."""
    for seconds in moments([*ours, *theirs]):

        def at(run: RunResult, seconds: float = seconds) -> float | None:
            return run.at(seconds)

        yield f"mIoU at {seconds:.0f} s", paired(ours, theirs, at)
    yield "area under the curve", paired(ours, theirs, RunResult.area)
    for seconds in moments([*ours, *theirs]):

        def masks(run: RunResult, seconds: float = seconds) -> float | None:
            return run.delivered_at(seconds)

        difference = paired(ours, theirs, masks)
        if difference is not None:
            yield f"folder's masks at {seconds:.0f} s", difference


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
