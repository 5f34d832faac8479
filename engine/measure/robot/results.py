"""What a run of the robot came to, as plain figures that go to JSON and back."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

FORMAT = 2
"""Number of the JSON's form; figures that came later without changing what was there have a default."""

_MEASURED_LATER = frozenset({"peak_memory_mib"})

RIGHT_SHARES = (0.90, 0.95)
"""Shares of right pixels whose time of arrival on an image is reported."""

TARGETS = (0.40, 0.50, 0.60)
"""Values of mIoU whose time of arrival is reported."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SureAs:
    """Held-out pixels whose confidence lies in one tenth of 0 … 1.

    Attributes:
        pixels: how many.
        right: share of them that is right, 0 … 1; None without pixels.
    """

    pixels: int
    right: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The held-out images at a moment.

    Attributes:
        seconds: user time.
        miou: mean intersection over union, 0 … 1; 0 while there is no model.
        pixel_accuracy: share of right pixels, 0 … 1.
        iou_per_class: by class name; None for a class that neither side has.
        strokes: strokes, dabs and relabelled regions so far.
        images: images left behind so far.
        updates: models that became visible so far.
        agreement: share of the person's pixels, on the first images of the session, that the visible model
            alone gets as the person said; None before there are any.
        flipped: share of those that an earlier measurement found in agreement and this one does not.
        shown_flipped: the same of what is shown, in which a tool may let the person's word stand.
        delivered_miou: of the masks the folder's images have now, visited or not: the person's word, and the
            model's where there is none; None where they are not measured.
        delivered_accuracy: share of right pixels of these masks; None where they are not measured.
        calibration_error: mean distance of confidence and share of right held-out pixels, 0 … 1; None while
            there is no model, and in results from before it was measured.
        sure_as: held-out pixels by tenths of confidence, least sure first; none where there is no error.
    """

    seconds: float
    miou: float
    pixel_accuracy: float
    iou_per_class: Mapping[str, float | None]
    strokes: int
    images: int
    updates: int
    agreement: float | None = None
    flipped: float | None = None
    shown_flipped: float | None = None
    delivered_miou: float | None = None
    delivered_accuracy: float | None = None
    calibration_error: float | None = None
    sure_as: tuple[SureAs, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What a tool still knows of the first images.

    All are shares of what the person had said on the first three images by the time the third was left;
    None where they had said nothing or there is no model.

    Attributes:
        images: images left behind by then.
        alone: what the visible model alone gets as they said.
        shown: what is shown as they said; a tool may let the person's word stand there.
        accepted_alone: of the pixels they had accepted there, one by one or with the image, those the visible
            model alone gets the same; None also where the tool keeps no account of who said what.
        accepted_shown: of these pixels, those that are shown the same.
        network: what the network alone gets as they said, whatever say it has in the visible model; None also
            where it had no weights to show yet. A tool of one model is that network.
        accepted_network: the same of the pixels they had accepted.
    """

    images: int
    alone: float | None
    shown: float | None
    accepted_alone: float | None = None
    accepted_shown: float | None = None
    network: float | None = None
    accepted_network: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """One image of the session: counts of actions, seconds, and whether its rest was accepted.

    ``regions`` are those accepted one by one; ``keys`` are the key presses that were paid for, ``right_by``
    the seconds from opening it until what was shown was right on each of `RIGHT_SHARES`, None where it never
    was; both are None in results from before they were measured.
    """

    image_id: str
    strokes: int
    clicks: int
    relabels: int
    undone: int
    accepted: bool
    seconds: float
    blocked: float
    wrong_before: float
    wrong_after: float
    regions: int = 0
    keys: int | None = None
    right_by: tuple[float | None, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One seed.

    Attributes:
        tool: name of the tool.
        seed: the seed.
        curve: measurements by time.
        visits: images in their order.
        seconds: user time, waiting included.
        blocked: seconds of it the person waited for the tool.
        latencies: seconds from a stroke, dab or relabelled region to the next renewal of the picture, one for
            each that was not undone, from the second class on, unless its image was left before that.
        worse: later models that were more than half a point worse than the measurement before.
        journal: SHA-256 of the journal.
        facts: what the tool says about itself.
        real_seconds: seconds the whole took on this machine.
        recalled: what the tool knows of the first three images when they are left, and seven images later.
        peak_memory_mib: most memory the process had held by the end of this seed, earlier seeds included, in
            MiB; None where the system does not tell, and in results from before it was measured.
    """

    tool: str
    seed: int
    curve: tuple[Measured, ...]
    visits: tuple[Visited, ...]
    seconds: float
    blocked: float
    latencies: tuple[float, ...]
    worse: int
    journal: str
    facts: Mapping[str, object]
    real_seconds: float
    recalled: tuple[Recalled, ...] = ()
    peak_memory_mib: float | None = None

    def measured_at(self, seconds: float) -> Measured | None:
        """The measurement at a user time, or None if that was not measured."""
        return next((point for point in self.curve if abs(point.seconds - seconds) < 0.5), None)

    def at(self, seconds: float) -> float | None:
        """The mIoU measured at a user time, or None if that was not measured."""
        point = self.measured_at(seconds)
        return None if point is None else point.miou

    def delivered_at(self, seconds: float) -> float | None:
        """The mIoU of the folder's masks measured at a user time, or None if that was not measured."""
        point = self.measured_at(seconds)
        return None if point is None else point.delivered_miou

    def between(self, seconds: float) -> float | None:
        """The mIoU at any user time, between measurements in a straight line; None: after the last one."""
        before = (0.0, 0.0)
        for point in self.curve:
            now = (point.seconds, point.miou)
            if now[0] >= seconds:
                share = (seconds - before[0]) / (now[0] - before[0]) if now[0] > before[0] else 1.0
                return before[1] + share * (now[1] - before[1])
            before = now
        return None

    def seconds_to(self, miou: float) -> float | None:
        """User time at which a mIoU was reached, between measurements in a straight line; None: never."""
        before = (0.0, 0.0)
        for point in self.curve:
            now = (point.seconds, point.miou)
            if now[1] >= miou:
                share = (miou - before[1]) / (now[1] - before[1]) if now[1] > before[1] else 1.0
                return before[0] + share * (now[0] - before[0])
            before = now
        return None

    def area(self, until: float = math.inf) -> float:
        """Mean mIoU over the session, or its first so many seconds, 0 … 1, from nothing at its start."""
        places = [(point.seconds, point.miou) for point in self.curve if point.seconds < until]
        last = self.between(until)
        if last is not None:
            places.append((until, last))
        total, before = 0.0, (0.0, 0.0)
        for place in places:
            total += (place[0] - before[0]) * (place[1] + before[1]) / 2
            before = place
        return total / before[0] if before[0] else 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = dataclasses.asdict(self)
        plain["seconds_to"] = {f"{target:.2f}": self.seconds_to(target) for target in TARGETS}
        plain["area"] = self.area()
        return plain


def result_from(plain: Mapping[str, Any]) -> RunResult:
    """The opposite of :meth:`RunResult.as_json`; what an older program did not measure yet has its default.

    Raises:
        KeyError: a value is missing.
        TypeError: a value is none of ours.
    """
    fields = {
        field.name: plain[field.name]
        for field in dataclasses.fields(RunResult)
        if field.name in plain or field.name not in _MEASURED_LATER
    }
    fields["curve"] = tuple(_measured(point) for point in fields["curve"])
    fields["visits"] = tuple(_visited(visit) for visit in fields["visits"])
    fields["latencies"] = tuple(fields["latencies"])
    fields["recalled"] = tuple(Recalled(**one) for one in fields["recalled"])
    return RunResult(**fields)


def _measured(plain: Mapping[str, Any]) -> Measured:
    sure_as = tuple(SureAs(**tenth) for tenth in plain.get("sure_as", ()))
    return Measured(**{**plain, "sure_as": sure_as})


def _visited(plain: Mapping[str, Any]) -> Visited:
    right_by = plain.get("right_by")
    return Visited(**{**plain, "right_by": None if right_by is None else tuple(right_by)})


def count_worse(curve: Sequence[Measured], tolerance: float = 0.005) -> int:
    """How many measurements of a newer model lie more than ``tolerance`` below the one before."""
    return sum(
        later.miou < earlier.miou - tolerance and later.updates != earlier.updates
        for earlier, later in itertools.pairwise(curve)
    )
