"""Which image teaches most: pure functions of the image records and of what small looks found.

The expected gain of an image is a product, so that an image must be doubtful *and* new to be worth the time:

    gain = doubt x novelty x neighbours x need

- doubt: how unsure the shown model is there, and how often its answer flickered as it learnt; that of a
  quick model counts the more, the more images it has learnt from;
- novelty: how far the image looks from the nearest annotated one (k-centre: Gonzalez 1985; Sener and
  Savarese, ICLR 2018), relative to how far images of this folder usually are;
- neighbours: an image beside an annotated one in folder order and alike to it (the next frame of a video)
  gains less;
- need: how rarely the classes predicted there have been annotated so far.

N images, D numbers of a descriptor. Any thread; nothing is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.messages import ImageScored, PredictionSource
from engine.project.manifest import ImageRecord, ImageStatus

SAMPLE = 512
"""Images that are described; of longer folders an even selection."""

UNSURE_SHARE = 1.25
"""An image is unsure where its doubt is this many times the median of its folder, and not by a hair."""

CHANGED_SHARE = 0.02
"""An image has changed where more of its pixels have another class than at the last look."""

ALIKE = 0.35
"""Images are alike where they are less than this share of the usual distance apart: four of five frames a
second apart are, and one in four of images drawn from the same films beside eight others."""

_FEW = 2
"""Images a person has to have labelled before it shows which way they go through the folder."""
_NEAR_FRAMES = 4.0
_FLICKER_WEIGHT = 0.5
_TRUSTED_AFTER = 8
"""Annotated images after which the doubt of a quick model counts with the power of a half."""
_LEAST_NOVELTY, _MOST_NOVELTY = 0.1, 2.0
_LEAST_NEED = 0.25
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What small looks found so far, by image id.

    Attributes:
        scores: The newest answer about each image that was predicted.
        descriptors: (D,) float32 of each image that was described.
        looked: Images a person had on screen, in the order of their last look.
    """

    scores: Mapping[str, ImageScored] = field(default_factory=dict)
    descriptors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    looked: Sequence[str] = ()


def doubt(score: ImageScored) -> float | None:
    """Return how doubtful the prediction of an image is, 0 or more; None where nobody predicted it."""
    if score.uncertainty is None:
        return None
    return score.uncertainty + _FLICKER_WEIGHT * score.flicker


def gains(records: Mapping[str, ImageRecord], looks: Looks) -> dict[str, float]:
    """Return the expected gain of every described image that is neither annotated nor reviewed.

    Args:
        records: All image records in folder order.
        looks: What is known of them.

    Returns:
        Gain by image id, in folder order, relative figures without unit; empty before anything is
        described. An image nobody has predicted yet counts as doubtful as the median of the others.
    """
    names = [name for name in records if name in looks.descriptors]
    known = [name for name in names if is_known(records[name])]
    open_ = [name for name in names if not is_known(records[name])]
    if not open_:
        return {}
    novelty = _novelty(open_, known, looks)
    apart = _neighbours(list(records), open_, known, novelty)
    doubts = _doubts(open_, looks.scores)
    need = _needs(open_, records, looks.scores)
    doubts **= _trust(looks.scores, len(known))
    product = doubts * np.maximum(novelty, _LEAST_NOVELTY) * apart * need
    return dict(zip(open_, product.tolist(), strict=True))


def is_known(record: ImageRecord) -> bool:
    """Whether a person has said something about an image."""
    return bool(record.labelled) or record.status is ImageStatus.REVIEWED


def useful_order(records: Mapping[str, ImageRecord], looks: Looks) -> tuple[str, ...]:
    """Return every image id, the most useful first.

    Images that were predicted come by their gain; then those that were only described, then others, both in
    folder order where nothing tells them apart; then images already looked at, the one seen longest ago
    first; reviewed ones last. Equal gains keep folder order, so the answer depends on nothing else.
    """
    gain = gains(records, looks)
    seen = {name: place for place, name in enumerate(looks.looked)}

    def key(item: tuple[int, str]) -> tuple[int, float, int]:
        place, name = item
        record = records[name]
        if record.status is ImageStatus.REVIEWED:
            return 4, 0.0, place
        if name in seen or record.labelled:
            return 3, float(seen.get(name, -1)), place
        if name not in gain:
            return 2, 0.0, place
        return int(name not in looks.scores and bool(looks.scores)), -gain[name], place

    return tuple(name for _, name in sorted(enumerate(records), key=key))


def next_useful(
    records: Mapping[str, ImageRecord],
    looks: Looks,
    current: str | None,
    among: Collection[str] | None = None,
) -> str | None:
    """Return the image to open next, or None when all others are reviewed.

    Args:
        records: All image records in folder order.
        looks: What is known of them.
        current: The image on screen, never the answer.
        among: Images to choose from; None for all that are not reviewed.
    """
    order = useful_order(records, looks)
    return next(
        (
            name
            for name in order
            if name != current
            and (name in among if among is not None else records[name].status is not ImageStatus.REVIEWED)
        ),
        None,
    )


def looks_known(records: Mapping[str, ImageRecord], looks: Looks, image_id: str) -> bool:
    """Whether an image looks like one a person has said something about, such as the frame before it.

    Never so before they have gone on to a second image: until then nobody knows which way they go. Nor where
    all other images look so, too.
    """
    described = [name for name in looks.descriptors if name in records]
    if image_id not in looks.descriptors or image_id not in records or is_known(records[image_id]):
        return False
    known = np.array([is_known(records[name]) for name in described])
    if np.count_nonzero(known) < _FEW:
        return False
    points = _points(described, looks)
    apart, bound = _apart(points[~known], points[known]), ALIKE * _usual(points)
    mine = apart[np.count_nonzero(~known[: described.index(image_id)])]
    return bool(mine < bound <= apart.max())


def unsure(looks: Looks) -> frozenset[str]:
    """Return the images whose doubt stands out among those predicted."""
    found = {name: value for name, score in looks.scores.items() if (value := doubt(score)) is not None}
    if len(found) < 2:
        return frozenset()
    bar = UNSURE_SHARE * float(np.median(list(found.values())))
    return frozenset(name for name, value in found.items() if value >= bar and value > 0.05)


def levels(looks: Looks) -> dict[str, int]:
    """Return how doubtful each predicted image is beside the others: 1 little, 2 middling, 3 unsure."""
    found = {name: value for name, score in looks.scores.items() if (value := doubt(score)) is not None}
    if not found:
        return {}
    middle = float(np.median(list(found.values())))
    high = unsure(looks)
    return {name: 3 if name in high else 1 + int(value >= 0.8 * middle) for name, value in found.items()}


def changed(looks: Looks) -> frozenset[str]:
    """Return the images whose prediction has changed since a person last looked."""
    return frozenset(
        name
        for name, score in looks.scores.items()
        if score.changed is not None and score.changed > CHANGED_SHARE
    )


def sample(names: Sequence[str], most: int = SAMPLE) -> tuple[str, ...]:
    """Return at most so many names, evenly spread, in an order whose every beginning is spread as well.

    Steps of the golden ratio through the folder (Weyl's equidistribution): whoever reads only the first ten
    has seen all parts of the folder.
    """
    count = len(names)
    places = (int(((number * _GOLDEN) % 1.0) * count) for number in range(4 * max(count, 1)))
    spread = dict.fromkeys(names[place] for place in places) if count else {}
    every = [*spread, *(name for name in names if name not in spread)]
    return tuple(every[:most])


def _novelty(open_: Sequence[str], known: Sequence[str], looks: Looks) -> NDArray[np.float64]:
    """Return distance to the nearest known image over the usual distance, at most `_MOST_NOVELTY` (N,).

    With nothing known, an image is the better the nearer it lies to all others: the first one shall be
    typical of the folder.
    """
    points = _points(open_, looks)
    if not known:
        away = np.sqrt(np.square(points - points.mean(axis=0)).sum(axis=1))
        return np.asarray(1.0 / (1.0 + away / max(float(away.mean()), 1e-9)), np.float64)
    centres = _points(known, looks)
    apart = _apart(points, centres) / max(_usual(np.concatenate([points, centres])), 1e-9)
    return np.asarray(np.clip(apart, 0.0, _MOST_NOVELTY), np.float64)


def _points(names: Sequence[str], looks: Looks) -> NDArray[np.float64]:
    """Return the descriptors of images, (N, D)."""
    return np.stack([looks.descriptors[name] for name in names]).astype(np.float64)


def _apart(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each point (N, D) is from the nearest centre (M, D), (N,)."""
    squares = np.square(points).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)
    nearest = (squares - 2.0 * points @ centres.T).min(axis=1)
    return np.asarray(np.sqrt(np.maximum(nearest, 0.0)), np.float64)


def _usual(points: NDArray[np.float64]) -> float:
    """Return how far two points (N, D) usually are from each other."""
    return float(np.sqrt(2.0 * np.square(points - points.mean(axis=0)).sum(axis=1).mean()))


def _neighbours(
    order: Sequence[str], open_: Sequence[str], known: Sequence[str], novelty: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return 1 far from every annotated image in folder order, less beside one that looks alike (N,)."""
    if not known:
        return np.ones(len(open_))
    place_of = {name: place for place, name in enumerate(order)}
    taken = np.asarray(sorted(place_of[name] for name in known), np.float64)
    places = np.asarray([place_of[name] for name in open_], np.float64)
    right = np.clip(np.searchsorted(taken, places), 0, len(taken) - 1)
    left = np.maximum(right - 1, 0)
    steps = np.minimum(np.abs(taken[right] - places), np.abs(places - taken[left]))
    return np.asarray(
        1.0 - np.clip(1.0 - novelty, 0.0, 1.0) * np.exp(-(steps - 1.0) / _NEAR_FRAMES), np.float64
    )


def _doubts(open_: Sequence[str], scores: Mapping[str, ImageScored]) -> NDArray[np.float64]:
    found = [doubt(scores[name]) if name in scores else None for name in open_]
    there = [value for value in found if value is not None]
    middle = float(np.median(there)) if there else 1.0
    return np.asarray([middle if value is None else value for value in found], np.float64)


def _trust(scores: Mapping[str, ImageScored], known: int) -> float:
    """Return the power doubt counts with, in [0, 1].

    A quick model of two images is unsure at random; a network is shown only where it has proved better, or
    comes with what it learnt elsewhere.
    """
    is_quick = any(score.source is PredictionSource.QUICK for score in scores.values())
    return known / (known + _TRUSTED_AFTER) if is_quick else 1.0


def _needs(
    open_: Sequence[str], records: Mapping[str, ImageRecord], scores: Mapping[str, ImageScored]
) -> NDArray[np.float64]:
    """Return how rarely what is predicted in an image has been annotated, in [_LEAST_NEED, 1] (N,)."""
    counts = np.zeros(256)
    for record in records.values():
        if record.labelled:
            counts[list(record.labelled)] += 1
    rarity = 1.0 / (1.0 + counts)
    found = np.ones(len(open_))
    for place, name in enumerate(open_):
        shares = scores[name].shares if name in scores else {}
        if shares:
            # Roots: a thin pole must not drown in the road beneath it.
            weights = np.sqrt(list(shares.values()))
            found[place] = float((rarity[list(shares)] * weights).sum())
    has = np.asarray([name in scores and bool(scores[name].shares) for name in open_])
    if has.any():
        found[has] /= max(float(found[has].max()), 1e-9)
        found[~has] = float(np.median(found[has]))
    return np.maximum(found, _LEAST_NEED)
