"""The simulated annotator: what a person would do next, looking at truth, prediction and own labels.

Pure functions; the only state is what the caller hands in and a random generator. Same inputs and same
generator give the same actions. The rules are those of corrective annotation studies: look for the largest
error that is more than a border slip, relabel a wholly wrong region with one click, otherwise paint along its
middle with a brush that fits, and accept the rest once it is nearly right.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, VOID
from engine.annotate.compose import final_label_map
from engine.annotate.raster import rasterise_stroke
from engine.annotate.regions import region_at
from engine.annotate.stroke import Stroke
from engine.measure.actions import (
    AcceptImage,
    AcceptRegion,
    Action,
    AnnotatorRules,
    Feedback,
    Gaze,
    Hand,
    Leave,
    Paint,
    Relabel,
    Visit,
)
from engine.measure.costs import T_GAP, CostModel
from engine.measure.medial import medial_path, path_length
from engine.measure.regions import (
    ErrorRegion,
    Truth,
    error_regions,
    know,
    unsure_regions,
    wrong_share,
)
from engine.opencv import cv2

__all__ = ["ErrorRegion", "Sight", "Truth", "error_regions", "know", "next_action", "wrong_share"]

_KNOT_SPACING = 8.0
_WHOLE_REGION = 0.8
_PURE_REGION = 0.9


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """What the person has before the eyes, beside the truth.

    Attributes:
        annotation: (H, W) uint8 label map of the person's own work.
        prediction: (H, W) uint8 of permanent class indices, or ``None`` while there is none.
        confidence: (H, W) float32, 0 … 1, or ``None`` where the tool tells none.
        provenance: (H, W) uint8 values of `Provenance`, who said each pixel of the annotation, or ``None``
            where the tool keeps no account of it.
    """

    annotation: NDArray[np.uint8]
    prediction: NDArray[np.uint8] | None = None
    confidence: NDArray[np.float32] | None = None
    provenance: NDArray[np.uint8] | None = None

    @property
    def shown(self) -> NDArray[np.uint8]:
        """(H, W) uint8: the person's work over the prediction. A full pass."""
        return final_label_map(self.annotation, self.prediction)


def next_action(
    truth: Truth, sight: Sight, *, hand: Hand, visit: Visit, rules: AnnotatorRules, rng: np.random.Generator
) -> Action:
    """What the person does next on this image.

    Args:
        truth: from :func:`know`.
        sight: what is shown.
        hand: pointer and brush now.
        visit: time and actions on this image so far.
        rules: the person.
        rng: chance; its state moves on.

    Returns:
        The action with its seconds of user time.
    """
    if rules.gaze is Gaze.BLIND:
        sight = Sight(annotation=sight.annotation)
    return _Look(truth, sight, hand, rules, rng).decide(visit)


def still_meant(
    truth: Truth, shown: NDArray[np.uint8], action: Relabel | AcceptRegion, rules: AnnotatorRules
) -> bool:
    """Whether the region at the hand is still wrong, or right, as a whole, now that the hand is there.

    The picture may have been renewed since the person decided; nobody clicks on what is another one by now.

    Args:
        truth: What the person knows.
        shown: (H, W) uint8 of permanent class indices, what is on screen now.
        action: What the person is about to do: relabel what is wrong, or accept what is right.
        rules: the person.
    """
    y, x = (int(place) for place in action.point)
    if shown[y, x] >= VOID:
        return False
    box, mask = region_at(shown, y, x)
    there = truth.label_map[box.slices][mask]
    if isinstance(action, AcceptRegion):
        return float((there == shown[y, x]).mean()) >= rules.accept_purity
    if shown[y, x] == action.class_index:
        return False
    return float((there == truth.label_map[y, x]).mean()) >= _PURE_REGION


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return math.hypot(a[0] - b[0], a[1] - b[1])


class _Look:
    """One look at the image, which ends in one action."""

    def __init__(
        self, truth: Truth, sight: Sight, hand: Hand, rules: AnnotatorRules, rng: np.random.Generator
    ) -> None:
        self._truth = truth
        self._sight = sight
        self._shown = sight.shown
        self._hand = hand
        self._rules = rules
        self._rng = rng
        height, width = truth.label_map.shape
        self._costs = CostModel.for_size((height, width), gap=T_GAP * rules.gap_factor)

    def decide(self, visit: Visit) -> Action:
        """The next action."""
        rules = self._rules
        limit = rules.strokes_per_image
        tired = (limit is not None and visit.strokes >= limit) or visit.seconds >= rules.seconds_per_image
        has_prediction = self._sight.prediction is not None
        good = has_prediction and wrong_share(self._truth, self._shown) <= rules.accept_share
        if not tired and not (good and rules.accepts_early):
            for error in self._regions():
                if not self._overlooks(error):
                    return self._correct(error)
        if rules.accepts_regions and has_prediction and not good and not tired:
            point = _pure_region(self._truth, self._shown, self._sight.annotation, visit, rules)
            if point is not None:
                travel = _distance(self._hand.position, point)
                return AcceptRegion(
                    point=point,
                    seconds=self._costs.accept_region(travel=travel),
                    within=self._allowed(self._shown),
                )
        return self._close(good=good)

    def _regions(self) -> list[ErrorRegion]:
        if self._rules.gaze is Gaze.UNSURE and self._sight.confidence is not None:
            return unsure_regions(self._truth, self._sight.annotation, self._sight.confidence, self._rules)
        return error_regions(self._truth, self._sight.annotation, self._shown, self._rules)

    def _overlooks(self, error: ErrorRegion) -> bool:
        reach = self._rules.overlook_area * self._truth.scale**2
        return reach > 0.0 and bool(self._rng.random() < math.exp(-error.area / reach))

    def _allowed(self, meant: int | NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Where a mark of the class that is meant may go: never where nobody knows the truth."""
        if self._rules.exact:
            return np.asarray(self._truth.known & (self._truth.label_map == meant))
        return self._truth.known

    def _close(self, *, good: bool) -> Action:
        """Leave the image: accept what is there, or not."""
        seconds = self._costs.key()
        confidence = self._sight.confidence
        match self._rules.feedback:
            case Feedback.ACCEPT if good:
                return AcceptImage(seconds=seconds, within=self._allowed(self._shown))
            case Feedback.REPLAY if confidence is not None:
                sure = confidence >= self._rules.confident
                return AcceptImage(seconds=seconds, within=self._allowed(self._shown) & sure)
            case _:
                return Leave(seconds=seconds, reviewed=good)

    # --- correcting ---------------------------------------------------------------------------------------

    def _correct(self, error: ErrorRegion) -> Action:
        """Relabel the region if it is wrong as a whole, otherwise paint into it."""
        class_index = self._class_for(error)
        if self._sight.prediction is not None and self._is_whole(error):
            point = (error.centre[0] + 0.5, error.centre[1] + 0.5)
            return Relabel(
                point=point,
                class_index=class_index,
                seconds=self._costs.relabel(travel=_distance(self._hand.position, point)),
                within=self._allowed(error.class_index),
            )
        if error.area < self._rules.click_area * self._truth.scale**2:
            return self._click(error, class_index)
        return self._paint(error, class_index)

    def _class_for(self, error: ErrorRegion) -> int:
        if self._rng.random() < self._rules.wrong_class:
            present = np.unique(self._truth.label_map[self._truth.known])
            others = np.setdiff1d(present, [error.class_index])
            if others.size:
                return int(self._rng.choice(others))
        return error.class_index

    def _is_whole(self, error: ErrorRegion) -> bool:
        """Whether the shown region around an error is wrong as a whole."""
        y, x = error.centre
        if self._shown[y, x] >= VOID:
            return False
        box, mask = region_at(self._shown, y, x)
        total = int(mask.sum())
        truth = self._truth.label_map[box.slices]
        pure = int((mask & (truth == error.class_index)).sum())
        return error.area >= _WHOLE_REGION * total and pure >= _PURE_REGION * total

    def _radius(self, error: ErrorRegion) -> float:
        largest = self._rules.largest_brush * self._truth.scale
        return float(np.clip(math.floor(self._rules.brush_share * error.radius), 1.0, max(1.0, largest)))

    def _click(self, error: ErrorRegion, class_index: int) -> Paint:
        """One dab in the middle of a small error."""
        centre = np.asarray([error.centre], np.float64) + 0.5
        (point,) = self._trembling(centre, np.asarray([[0.0, 1.0]]))
        stroke = Stroke(points=(point,), radius=self._radius(error), class_index=class_index)
        seconds = self._costs.click(
            travel=_distance(self._hand.position, point), class_changed=self._hand.changes_to(class_index)
        )
        return self._finished(stroke, seconds, error.class_index)

    def _paint(self, error: ErrorRegion, class_index: int) -> Paint:
        """A stroke along the middle of an error, with a brush that stays inside the true class."""
        truth, rules = self._truth, self._rules
        height, width = error.mask.shape
        depth = truth.depth[error.top : error.top + height, error.left : error.left + width]
        radius = self._radius(error)
        safe = error.mask & (depth > radius)
        if not safe.any():
            safe = error.mask & (depth >= float(depth[error.mask].max()) - 1e-6)
        path = medial_path(
            safe, depth, longest=rules.longest_stroke * truth.scale, step=max(1, round(truth.scale))
        )
        knots = _knots(np.asarray(path, np.float64), _KNOT_SPACING * truth.scale)
        points = self._trembling(knots + np.asarray([error.top + 0.5, error.left + 0.5]), _sideways(knots))
        stroke = Stroke(points=points, radius=radius, class_index=class_index)
        seconds = self._costs.stroke(
            travel=_distance(self._hand.position, points[0]),
            length=path_length(points),
            class_changed=self._hand.changes_to(class_index),
            brush_ratio=radius / self._hand.radius,
        )
        return self._finished(stroke, seconds, error.class_index)

    def _trembling(
        self, points: NDArray[np.float64], sideways: NDArray[np.float64]
    ) -> tuple[tuple[float, float], ...]:
        """Points (N, 2) as an unsteady hand sets them, within the image."""
        height, width = self._truth.label_map.shape
        sigma = self._rules.jitter * self._truth.scale
        if sigma > 0.0:
            points = points + sideways * self._rng.normal(0.0, sigma, (len(points), 1))
        inside = np.clip(points, 0.0, (height, width))
        return tuple((float(y), float(x)) for y, x in inside)

    def _finished(self, stroke: Stroke, seconds: float, meant: int) -> Paint:
        """The stroke with what is taken back of it."""
        within = self._allowed(meant)
        spilt = not self._rules.exact and _spill(self._truth, stroke, meant) > self._rules.undo_spill
        seconds += self._costs.undo() if spilt else 0.0
        return Paint(stroke=stroke, seconds=seconds, undo=spilt, within=within)


def _knots(path: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """Some of a path's (N, 2) points: the first, the last, and others about ``spacing`` apart."""
    steps = np.hypot(*np.diff(path, axis=0).T)
    whole = float(steps.sum())
    if len(path) < 2 or whole < spacing:
        return path[[0, -1]] if len(path) > 1 else path
    along = np.concatenate(([0.0], np.cumsum(steps)))
    wanted = np.linspace(0.0, whole, max(2, round(whole / spacing) + 1))
    chosen: NDArray[np.float64] = path[np.unique(np.searchsorted(along, wanted).clip(0, len(path) - 1))]
    return chosen


def _sideways(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors (N, 2) across a path."""
    if len(path) < 2:
        return np.asarray([[0.0, 1.0]])
    along = np.gradient(path, axis=0)
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    return np.stack((-along[:, 1] / length, along[:, 0] / length), axis=1)


def _spill(truth: Truth, stroke: Stroke, meant: int) -> float:
    """Share of a stroke, 0 … 1, that lies on another class than the one meant."""
    height, width = truth.label_map.shape
    box, mask = rasterise_stroke(stroke.points, stroke.radius, (height, width))
    covered = truth.label_map[box.slices][mask]
    return float((covered != meant).mean()) if covered.size else 0.0


def _pure_region(
    truth: Truth,
    shown: NDArray[np.uint8],
    annotation: NDArray[np.uint8],
    visit: Visit,
    rules: AnnotatorRules,
) -> tuple[float, float] | None:
    """The deepest point of the largest predicted region that is right and not yet the person's own."""
    best: tuple[int, int, int] | None = None
    done = set(visit.settled)
    right = (shown == truth.label_map) & truth.known
    for value in np.unique(shown[right]):
        count, parts, stats, _ = cv2.connectedComponentsWithStats(
            (shown == value).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
        )
        for part in range(1, count):
            left, top, width, height, area = (int(number) for number in stats[part])
            if area < 20 * rules.smallest_area * truth.scale**2 or (best is not None and area <= best[0]):
                continue
            box = np.s_[top : top + height, left : left + width]
            mask = parts[box] == part
            if (
                right[box][mask].mean() < rules.accept_purity
                or (annotation[box][mask] != UNLABELLED).mean() > 0.5
            ):
                continue
            open_depth = np.where(mask & (annotation[box] == UNLABELLED), truth.depth[box], -1.0)
            y, x = np.unravel_index(int(open_depth.argmax()), open_depth.shape)
            place = (int(y) + top, int(x) + left)
            if place not in done:
                best = (area, *place)
    return None if best is None else (best[1] + 0.5, best[2] + 0.5)
