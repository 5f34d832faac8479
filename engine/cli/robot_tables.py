"""The robot's results as lines of text: one tool alone, or several paired by seed."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

from engine.cli.robot_files import Outcome
from engine.measure.costs import constants
from engine.measure.robot.results import RIGHT_SHARES, TARGETS, Measured, RunResult, Visited
from engine.measure.robot.statistics import (
    Arrival,
    Interval,
    arrival,
    at_other_prices,
    interval,
    latency,
    mean_classes,
    moments,
    paired,
)

_AREAS_TO = (300.0, 600.0, 1800.0)
_OF_FULL_MASKS = (50, 80, 90)
_TEN = 10
_SHORTEST = 60.0
"""Before this user time there is not yet a curve whose times could be stretched."""


def summary(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The tables as lines of text."""
    for outcome in outcomes:
        yield from _one(outcome)
        yield ""
    if len(outcomes) == 1:
        yield from _own_sensitivity(outcomes[0])
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
    for name, miou in marks([outcome]):
        yield f"  {name:<20} {reached(runs, miou)}"
    for name, value in mean_classes(runs).items():
        yield f"    {name[:20]:<20} {'–' if value is None else f'{100 * value:5.1f} %'}"
    for name, text in effort(runs):
        yield f"  {name:<36} {text}"


def effort(runs: Sequence[RunResult]) -> Iterator[tuple[str, str]]:
    """Work, safety and speed as (name, text)."""
    yield from _work([visit for run in runs for visit in run.visits], len(runs))
    yield from _reviewed_over_time(runs)
    yield from _safety(runs)
    yield "stroke to renewed picture, p50 / p95", f"{_s(latency(runs, 50))} / {_s(latency(runs, 95))}"
    yield "seconds the person waited", f"{sum(run.blocked for run in runs) / len(runs):.2f}"
    peaks = [run.peak_memory_mib for run in runs if run.peak_memory_mib is not None]
    yield "peak memory of the process", f"{max(peaks):.0f} MiB" if peaks else "–"


def _work(visits: Sequence[Visited], seeds: int) -> Iterator[tuple[str, str]]:
    """What the person did on each image, and what that came to."""
    count = max(1, len(visits))
    keys = [visit.keys for visit in visits if visit.keys is not None]
    yield "images", f"{len(visits) / seeds:.1f}"
    yield "strokes per image", f"{sum(visit.strokes for visit in visits) / count:.2f}"
    yield "dabs per image", f"{sum(visit.clicks for visit in visits) / count:.2f}"
    yield "regions relabelled per image", f"{sum(visit.relabels for visit in visits) / count:.2f}"
    yield "regions accepted per image", f"{sum(visit.regions for visit in visits) / count:.2f}"
    yield "keys per image", f"{sum(keys) / count:.2f}" if len(keys) == len(visits) else "–"
    yield "images accepted", f"{100 * sum(visit.accepted for visit in visits) / count:.0f} %"
    yield "seconds per image", f"{sum(visit.seconds for visit in visits) / count:.1f}"
    if visits:
        yield "seconds per image, median", f"{statistics.median(visit.seconds for visit in visits):.1f}"
    yield from _arrivals_on_images(visits)
    left = [1.0 - visit.wrong_after for visit in visits]
    yield "pixels right when an image is left", percent(interval(left))
    for share in (0.90, 0.95):
        good = [visit for visit in visits if visit.wrong_after <= 1.0 - share]
        mean = f", {sum(visit.seconds for visit in good) / len(good):.1f} s each" if good else ""
        yield f"images left {100 * share:.0f} % right", f"{100 * len(good) / count:.0f} %{mean}"


def _arrivals_on_images(visits: Sequence[Visited]) -> Iterator[tuple[str, str]]:
    """Mean seconds until so much of an image was right, over the images on which it ever was."""
    told = [visit.right_by for visit in visits if visit.right_by is not None]
    for place, share in enumerate(RIGHT_SHARES if told else ()):
        there = [seconds for each in told if (seconds := each[place]) is not None]
        mean = f"{statistics.mean(there):.1f} " if there else ""
        yield (
            f"seconds on an image until {100 * share:.0f} % are right",
            f"{mean}(on {len(there)} of {len(told)})",
        )


def _reviewed_over_time(runs: Sequence[RunResult]) -> Iterator[tuple[str, str]]:
    """Median seconds of accepted images: of the first ten of a session, the next ten and so on."""
    longest = max((len(run.visits) for run in runs), default=0)
    for first in range(0, longest, _TEN):
        visits = [visit for run in runs for visit in run.visits[first : first + _TEN] if visit.accepted]
        median = f"{statistics.median(visit.seconds for visit in visits):.1f} " if visits else ""
        name = f"seconds of accepted images {first + 1} to {first + _TEN}, median"
        yield name, f"{median}(of {len(visits)})"


def _safety(runs: Sequence[RunResult]) -> Iterator[tuple[str, str]]:
    """How much of the person's word later models still say."""
    last = [run.curve[-1] for run in runs if run.curve]
    yield "person's pixels the model agrees with", percent(interval([point.agreement for point in last]))
    # Seeds that were never asked again would make the rounds differ by who is in them.
    rounds = max((len(run.recalled) for run in runs), default=0)
    asked = [run.recalled for run in runs if len(run.recalled) == rounds]
    for then in zip(*asked, strict=True):
        after = f"after {then[0].images}, by the network / the model alone / shown"
        said = ([one.network for one in then], [one.alone for one in then], [one.shown for one in then])
        yield f"of the first three images' pixels {after}", _shares(said)
        said = (
            [one.accepted_network for one in then],
            [one.accepted_alone for one in then],
            [one.accepted_shown for one in then],
        )
        yield f"of the first three images' accepted pixels {after}", _shares(said)
    flips = [point.flipped for run in runs for point in run.curve if point.flipped is not None]
    yield "person's pixels flipped by the model alone, at worst", _worst(flips)
    shown = [point.shown_flipped for run in runs for point in run.curve if point.shown_flipped is not None]
    yield "person's pixels flipped in what is shown, at worst", _worst(shown)
    yield "later models that were worse", str(sum(run.worse for run in runs))
    error = interval([point.calibration_error for point in last])
    yield "calibration error on held-out images, end", percent(error)
    for tenth in range(10):
        yield f"right where confidence is {tenth / 10:.1f} to {(tenth + 1) / 10:.1f}", _sure_as(last, tenth)


def _sure_as(last: Sequence[Measured], tenth: int) -> str:
    """How much of a tenth of confidence is right, and how much of all held-out pixels that is."""
    told = [point.sure_as for point in last if point.sure_as]
    pixels = sum(tenths[tenth].pixels for tenths in told)
    if not pixels:
        return "–"
    right = sum(tenths[tenth].pixels * (tenths[tenth].right or 0.0) for tenths in told) / pixels
    of_all = pixels / sum(one.pixels for tenths in told for one in tenths)
    return f"{100 * right:.1f} % of {100 * of_all:.1f} % of the pixels"


def _shares(columns: Sequence[Sequence[float | None]]) -> str:
    return " / ".join(percent(interval(column)) for column in columns)


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
    yield f"{first.title} minus {other.title}, paired by seed"
    for name, difference in differences(first.runs, other.runs):
        yield f"  {name:<24} {points(difference)}"
    for name, text in arrivals(first, other):
        yield f"  {name:<24} {text}"


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


def _own_sensitivity(outcome: Outcome) -> Iterator[str]:
    """What one tool's figures are with other costs."""
    yield f"{outcome.title} with other costs of the person's actions (the same sessions)"
    for prices, name, text in own_sensitivity(outcome):
        yield f"  {prices:<28} {name:<36} {text}"


def own_sensitivity(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """One tool's figures with each of `PRICES` as (prices, figure, text), to a time that all prices reach."""
    priced = [(prices, _at_prices(outcome, factors)) for prices, factors in PRICES]
    end = min((run.seconds for _, runs in priced for run in runs), default=0.0)
    for prices, runs in priced:
        yield prices, f"mIoU at {end:.0f} s", percent(interval([run.between(end) for run in runs]))
        area = interval([run.area(end) for run in runs])
        yield prices, f"area under the curve to {end:.0f} s", percent(area)
        for target in TARGETS:
            yield prices, f"seconds to {target:.2f}", reached(runs, target)


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


def marks(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, float]]:
    """Values of mIoU whose time of arrival is told, as (name, mIoU).

    Shares of what whole masks give are told where one of the outcomes knows it, the first that does.
    """
    for target in TARGETS:
        yield f"seconds to {target:.2f}", target
    whole = next((one.full_masks for one in outcomes if one.full_masks is not None), None)
    if whole is not None:
        for percents in _OF_FULL_MASKS:
            miou = whole * percents / 100
            yield f"seconds to {percents} % of full masks ({miou:.2f})", miou


def arrivals(first: Outcome, other: Outcome) -> Iterator[tuple[str, str]]:
    """When two tools reached each mark, paired by seed, as (name, text); less is sooner."""
    for name, miou in marks([first, other]):
        yield name, _sooner(arrival(first.runs, other.runs, miou), first, other)


def _sooner(found: Arrival, first: Outcome, other: Outcome) -> str:
    """A difference of seconds with its interval, and on how many seeds each of the two arrived at all."""
    if not found.seeds:
        return "– (no seed in common)"
    said = (
        f"reached by {first.title} on {found.ours} of {found.seeds} seeds, "
        f"by {other.title} on {found.theirs} of {found.seeds}"
    )
    value = found.difference
    if value is None:
        return f"– ({said})"
    text = f"{value.mean:+.0f} s [{value.low:+.0f}, {value.high:+.0f}]"
    if value.count < found.seeds:
        return f"{text} over {value.count} of {found.seeds} seeds only: no claim ({said})"
    if value.count < 3:
        return f"{text}, {value.count} seeds: too few for a claim ({said})"
    return f"{text}{', below 0' if value.is_below_zero else ''} ({said})"


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
