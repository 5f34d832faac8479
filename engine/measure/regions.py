"""Where what is shown is wrong: connected error regions as a person would see them."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, VOID
from engine.measure.actions import AnnotatorRules
from engine.opencv import cv2

LabelMap = NDArray[np.uint8]

_REFERENCE_AREA = 480 * 360
_UNSURE_PERCENT = 20.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """What the person knows about an image.

    Attributes:
        label_map: (H, W) uint8 of class indices; 255 where nobody knows.
        depth: (H, W) float32, pixels to the nearest pixel of another class; the image's border is no border.
        scale: side length relative to a 480 x 360 image.
    """

    label_map: LabelMap
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
        centre: (y, x) of the middle of the largest disc inside, in pixels of the image.
        weight: how much it calls for attention: its area, or the doubt in it.
    """

    class_index: int
    top: int
    left: int
    mask: NDArray[np.bool_]
    area: int
    radius: float
    centre: tuple[int, int]
    weight: float


def know(label_map: LabelMap) -> Truth:
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


def wrong_share(truth: Truth, shown: LabelMap) -> float:
    """Share of known pixels, 0 … 1, that show another class than the true one."""
    known = truth.known
    total = int(known.sum())
    return float((known & (shown != truth.label_map)).sum() / total) if total else 0.0


def error_regions(
    truth: Truth, annotation: LabelMap, shown: LabelMap, rules: AnnotatorRules
) -> list[ErrorRegion]:
    """All errors a person would care about, the most urgent first; ties by class, row, column."""
    wrong = (shown != truth.label_map) & (annotation == UNLABELLED)
    return _ordered(truth, _found(truth, wrong, rules), rules)


def unsure_regions(
    truth: Truth, annotation: LabelMap, confidence: NDArray[np.float32], rules: AnnotatorRules
) -> list[ErrorRegion]:
    """Places nobody spoke about where confidence is lowest, right or wrong, the most doubtful first.

    Args:
        truth: from :func:`know`.
        annotation: (H, W) uint8, the person's own work.
        confidence: (H, W) float32, 0 … 1.
        rules: the person.
    """
    open_pixels = truth.known & (annotation == UNLABELLED)
    if not open_pixels.any():
        return []
    limit = np.percentile(confidence[open_pixels], _UNSURE_PERCENT)
    found = [
        dataclasses.replace(region, weight=float((1.0 - confidence[_box(region)])[region.mask].sum()))
        for region in _found(truth, open_pixels & (confidence <= limit), rules)
    ]
    return _ordered(truth, found, rules)


def _box(region: ErrorRegion) -> tuple[slice, slice]:
    height, width = region.mask.shape
    return np.s_[region.top : region.top + height, region.left : region.left + width]


def _ordered(
    truth: Truth, found: Iterator[ErrorRegion] | list[ErrorRegion], rules: AnnotatorRules
) -> list[ErrorRegion]:
    share = np.bincount(truth.label_map[truth.known], minlength=256) / max(1, int(truth.known.sum()))

    def urgency(error: ErrorRegion) -> tuple[float, int, int, int]:
        weight = error.weight / float(share[error.class_index]) ** rules.rarity
        return (-weight, error.class_index, error.top, error.left)

    return sorted(found, key=urgency)


def _found(truth: Truth, wanted: NDArray[np.bool_], rules: AnnotatorRules) -> Iterator[ErrorRegion]:
    """Connected regions of one true class among wanted pixels, without slips along borders."""
    wanted = wanted & truth.known & (truth.depth >= rules.border * truth.scale)
    for value in np.unique(truth.label_map[wanted]):
        parts_of_class = wanted & (truth.label_map == value)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(
            parts_of_class.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
        )
        for part in range(1, count):
            if stats[part][4] >= rules.smallest_area * truth.scale**2:
                region = _region(truth, int(value), parts, part, stats[part], rules)
                if region is not None:
                    yield region


def _region(
    truth: Truth,
    value: int,
    parts: NDArray[np.int32],
    part: int,
    stats: NDArray[np.int32],
    rules: AnnotatorRules,
) -> ErrorRegion | None:
    """A component as a region, or None if it is too thin."""
    left, top, width, height, area = (int(number) for number in stats)
    # One pixel more on each side where the image has it: the image's border is no border of the region.
    y0, x0 = max(0, top - 1), max(0, left - 1)
    around = parts[y0 : top + height + 1, x0 : left + width + 1] == part
    if around.all():
        inner, centre = float(min(around.shape)), (around.shape[0] // 2, around.shape[1] // 2)
    else:
        distance = cv2.distanceTransform(around.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        y, x = np.unravel_index(int(distance.argmax()), distance.shape)
        inner, centre = float(distance[y, x]), (int(y), int(x))
    if inner < rules.smallest_radius * truth.scale:
        return None
    mask = parts[top : top + height, left : left + width] == part
    return ErrorRegion(
        class_index=value,
        top=top,
        left=left,
        mask=mask,
        area=area,
        radius=float(truth.depth[top : top + height, left : left + width][mask].max()),
        centre=(centre[0] + y0, centre[1] + x0),
        weight=float(area),
    )
