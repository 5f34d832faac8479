"""The simulated annotator: what a careful person would do next, looking at truth, prediction and own labels.

Pure functions; the only state is what the caller hands in and a random generator. Same inputs and same
generator give the same actions. The rules are those of corrective annotation studies in their simplest form:
look for the largest error that is more than a border slip, relabel a wholly wrong region with one click,
otherwise paint along its middle with a brush that fits, and accept the rest once it is nearly right.
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
    Hand,
    Leave,
    Paint,
    Relabel,
    Visit,
)
from engine.measure.costs import CostModel
from engine.measure.medial import medial_path, path_length
from engine.opencv import cv2

_REFERENCE_AREA = 480 * 360


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """What the person knows about an image.

    Attributes:
        label_map: (H, W) uint8 of class indices; 255 where nobody knows.
        depth: (H, W) float32, pixels to the nearest pixel of another class; the image's border is no border.
        scale: side length relative to a 480 x 360 image.
    """

    label_map: NDArray[np.uint8]
    depth: NDArray[np.float32]
    scale: float

    @property
    def known(self) -> NDArray[np.bool_]:
        """(H, W) bool, true where there is a class."""
        return self.label_map < VOID


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorRegion:
    """A connected place where what is shown is wrong.

    Attributes:
        class_index: the class that belongs there.
        top: first row.
        left: first column.
        mask: (h, w) bool.
        area: pixels.
        radius: largest distance to the border of the true class, in pixels.
    """

    class_index: int
    top: int
    left: int
    mask: NDArray[np.bool_]
    area: int
    radius: float


def know(label_map: NDArray[np.uint8]) -> Truth:
    """Prepare the truth of an image: depths are worked out once.

    Args:
        label_map: (H, W) uint8 of class indices, 255 or 254 where nobody knows.
    """
    depth = np.zeros(label_map.shape, np.float32)
    for value in np.unique(label_map[label_map < VOID]):
        inside = label_map == value
        if inside.all():
            depth[:] = min(label_map.shape)
            continue
        distance = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        depth[inside] = distance[inside]
    scale = math.sqrt(label_map.size / _REFERENCE_AREA)
    return Truth(label_map=label_map, depth=depth, scale=scale)


def wrong_share(truth: Truth, shown: NDArray[np.uint8]) -> float:
    """Share of known pixels, 0 … 1, that show another class than the true one."""
    known = truth.known
    total = int(known.sum())
    return float((known & (shown != truth.label_map)).sum() / total) if total else 0.0


def error_regions(
    truth: Truth, annotation: NDArray[np.uint8], shown: NDArray[np.uint8], rules: AnnotatorRules
) -> list[ErrorRegion]:
    """All errors a person would care about, the most urgent first; ties by class, row, column."""
    scale = truth.scale
    wrong = truth.known & (shown != truth.label_map) & (annotation == UNLABELLED)
    wrong &= truth.depth > rules.border * scale
    found: list[ErrorRegion] = []
    for value in np.unique(truth.label_map[wrong]):
        count, parts, stats, _ = cv2.connectedComponentsWithStats(
            (wrong & (truth.label_map == value)).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
        )
        for part in range(1, count):
            left, top, width, height, area = (int(number) for number in stats[part])
            if area < rules.smallest_area * scale * scale:
                continue
            box = np.s_[top : top + height, left : left + width]
            mask = parts[box] == part
            radius = float(truth.depth[box][mask].max())
            if radius < rules.smallest_radius * scale:
                continue
            found.append(
                ErrorRegion(class_index=int(value), top=top, left=left, mask=mask, area=area, radius=radius)
            )
    share = np.bincount(truth.label_map[truth.known], minlength=256) / max(1, int(truth.known.sum()))

    def urgency(error: ErrorRegion) -> tuple[float, int, int, int]:
        weight = error.area / float(share[error.class_index]) ** rules.rarity
        return (-weight, error.class_index, error.top, error.left)

    return sorted(found, key=urgency)


def next_action(
    truth: Truth,
    prediction: NDArray[np.uint8] | None,
    annotation: NDArray[np.uint8],
    *,
    hand: Hand,
    visit: Visit,
    rules: AnnotatorRules,
    rng: np.random.Generator,
) -> Action:
    """What the person does next on this image.

    Args:
        truth: from :func:`know`.
        prediction: (H, W) uint8 of permanent class indices, or ``None`` while there is none.
        annotation: (H, W) uint8 label map of the person's own work.
        hand: pointer and brush now.
        visit: time and actions on this image so far.
        rules: the person.
        rng: chance; its state moves on.

    Returns:
        The action with its seconds of user time.
    """
    height, width = truth.label_map.shape
    costs = CostModel.for_size((height, width))
    shown = final_label_map(annotation, prediction)
    tired = visit.strokes >= rules.strokes_per_image or visit.seconds >= rules.seconds_per_image
    if not tired:
        for error in error_regions(truth, annotation, shown, rules):
            if rng.random() < math.exp(-error.area / (rules.overlook_area * truth.scale**2)):
                continue
            return _correct(truth, prediction, shown, error, hand, rules, rng, costs)
    if prediction is not None and wrong_share(truth, shown) <= rules.accept_share:
        return AcceptImage(seconds=costs.key())
    if prediction is not None and not tired:
        point = _pure_region(truth, shown, annotation, visit, rules)
        if point is not None:
            return AcceptRegion(
                point=point, seconds=costs.accept_region(travel=_distance(hand.position, point))
            )
    return Leave(seconds=costs.key())


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return math.hypot(a[0] - b[0], a[1] - b[1])


def _correct(
    truth: Truth,
    prediction: NDArray[np.uint8] | None,
    shown: NDArray[np.uint8],
    error: ErrorRegion,
    hand: Hand,
    rules: AnnotatorRules,
    rng: np.random.Generator,
    costs: CostModel,
) -> Action:
    """Relabel the region if it is wrong as a whole, otherwise paint into it."""
    class_index = error.class_index
    if rng.random() < rules.wrong_class:
        others = np.setdiff1d(np.unique(truth.label_map[truth.known]), [class_index])
        if others.size:
            class_index = int(rng.choice(others))
    if prediction is not None:
        point = _whole_region(truth, shown, error)
        if point is not None:
            seconds = costs.relabel(travel=_distance(hand.position, point))
            return Relabel(point=point, class_index=class_index, seconds=seconds)
    return _paint(truth, error, class_index, hand, rules, rng, costs)


def _whole_region(truth: Truth, shown: NDArray[np.uint8], error: ErrorRegion) -> tuple[float, float] | None:
    """A point of the shown region around an error, if that region is wrong as a whole."""
    rows, columns = np.nonzero(error.mask)
    depths = truth.depth[rows + error.top, columns + error.left]
    deepest = int(depths.argmax())
    y, x = int(rows[deepest]) + error.top, int(columns[deepest]) + error.left
    if shown[y, x] >= VOID:
        return None
    box, mask = region_at(shown, y, x)
    total = int(mask.sum())
    pure = int((mask & (truth.label_map[box.slices] == error.class_index)).sum())
    if error.area < 0.8 * total or pure < 0.9 * total:
        return None
    return (y + 0.5, x + 0.5)


def _paint(
    truth: Truth,
    error: ErrorRegion,
    class_index: int,
    hand: Hand,
    rules: AnnotatorRules,
    rng: np.random.Generator,
    costs: CostModel,
) -> Paint:
    """A stroke along the middle of an error, with a brush that stays inside the true class."""
    height, width = error.mask.shape
    depth = truth.depth[error.top : error.top + height, error.left : error.left + width]
    largest = rules.largest_brush * truth.scale
    radius = float(np.clip(math.floor(rules.brush_share * error.radius), 1.0, largest))
    safe = error.mask & (depth > radius)
    if not safe.any():
        safe = error.mask & (depth >= float(depth[error.mask].max()) - 1e-6)
    path = medial_path(safe, depth, longest=rules.longest_stroke * truth.scale)
    inside = min(float(depth[int(y), int(x)]) for y, x in path)
    radius = max(0.5, min(radius, inside - 0.5))
    sigma = rules.jitter * truth.scale
    points = tuple(
        (
            float(np.clip(y + error.top + 0.5 + rng.normal(0.0, sigma), 0.0, truth.label_map.shape[0])),
            float(np.clip(x + error.left + 0.5 + rng.normal(0.0, sigma), 0.0, truth.label_map.shape[1])),
        )
        for y, x in path
    )
    stroke = Stroke(points=points, radius=radius, class_index=class_index)
    seconds = costs.stroke(
        travel=_distance(hand.position, points[0]),
        length=path_length(points),
        class_changed=hand.class_index is not None and hand.class_index != class_index,
        brush_ratio=radius / hand.radius,
    )
    undo = _spill(truth, stroke, error.class_index) > rules.undo_spill or class_index != error.class_index
    if undo and class_index != error.class_index:
        undo = bool(rng.random() < 0.5)
    return Paint(stroke=stroke, seconds=seconds + (costs.undo() if undo else 0.0), undo=undo)


def _spill(truth: Truth, stroke: Stroke, class_index: int) -> float:
    """Share of a stroke, 0 … 1, that lies on another class than the one meant."""
    height, width = truth.label_map.shape
    box, mask = rasterise_stroke(stroke.points, stroke.radius, (height, width))
    painted = truth.label_map[box.slices][mask]
    return float((painted != class_index).mean()) if painted.size else 0.0


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
