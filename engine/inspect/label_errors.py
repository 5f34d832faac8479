"""Which labelled regions look like slips: what people painted, ranked by three witnesses. NumPy, any thread.

The score grows with the product of the three:

- out-of-fold loss: a linear discriminant on features, fitted on the regions of the other folds, gives the
  probability of the class the region was given; its loss in nats is the geometric mean with the loss of the
  network itself where that is known (each is blind where the other is not);
- memory distance: how much nearer the region lies to what is remembered of another class than to its own
  (`engine.inspect.remembered`);
- contradiction: the share of the most alike regions that people gave another class. It may double the score
  but not veto it: small classes have few regions that are alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, VOID, Provenance
from engine.annotate.geometry import Box
from engine.inspect.remembered import class_distances
from engine.opencv import cv2

FOLDS = 10
NEIGHBOURS = 8
MIN_REGIONS = 4
"""Fewer labelled regions than this cannot contradict each other."""

_AXES = 32
_SHRINK = 0.05

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelledRegion:
    """A connected region of one class that people painted, accepted or imported.

    Attributes:
        image_id: The image.
        box: Bounding box.
        y: Row of a pixel inside, the deepest one.
        x: Column of it.
        class_index: Permanent class index it was given.
        pixels: Number of pixels.
    """

    image_id: str
    box: Box
    y: int
    x: int
    class_index: int
    pixels: int


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The three witnesses about one region, and the class they suggest.

    Attributes:
        loss: Nats, at least 0.
        distance: In [0, 1]; 0.5 where its own class is as near as the next.
        contradiction: In [0, 1].
        suggested: Permanent class index of the likeliest other class.
    """

    loss: float
    distance: float
    contradiction: float
    suggested: int

    @property
    def score(self) -> float:
        """What the three say together, in [0, 1); a half where their product is 1."""
        together = self.loss * self.distance * (0.5 + 0.5 * self.contradiction)
        return together / (1.0 + together)


def labelled_regions(
    image_id: str,
    label_map: NDArray[np.uint8],
    provenance: NDArray[np.uint8],
    *,
    sources: Sequence[Provenance] = (Provenance.STROKE, Provenance.IMPORTED),
    min_pixels: int = 12,
) -> list[tuple[LabelledRegion, NDArray[np.bool_]]]:
    """Find what people labelled, region by region.

    Args:
        image_id: The image.
        label_map: (H, W) uint8 permanent class indices.
        provenance: (H, W) uint8 `Provenance`.
        sources: Whose labels to look at.
        min_pixels: Smaller regions are left out.

    Returns:
        Regions with their masks (box-sized bool), by class and then from the top.
    """
    chosen = np.isin(provenance, [int(source) for source in sources])
    labels = np.where(chosen, label_map, UNLABELLED)
    found = []
    for index in np.unique(labels):
        if index not in (UNLABELLED, VOID):
            found.extend(_of_class(image_id, labels == index, int(index), min_pixels))
    return found


def suspicions(
    features: NDArray[np.floating],
    classes: NDArray[np.integer],
    weights: NDArray[np.floating] | None = None,
    memory: Mapping[int, NDArray[np.floating]] | None = None,
    chances: NDArray[np.floating] | None = None,
    images: NDArray[np.integer] | None = None,
    *,
    folds: int = FOLDS,
) -> list[Suspicion]:
    """Hear the witnesses about every region.

    Args:
        features: (N, C) one vector per region.
        classes: (N,) permanent class index each region was given.
        weights: (N,) pixels of the regions; large ones count more, by the root. None: all alike.
        memory: Vectors (M, C) of each class, as the network keeps them; None for a network without.
        chances: (N,) probability the network gives to the class of each region, mean over its pixels; None
            where no network was asked.
        images: (N,) the image each region is in, as any number; None: each is in one of its own.
        folds: Parts that the regions are split into; region i is in part i modulo `folds`.

    Returns:
        One suspicion per region; all zero below `MIN_REGIONS` regions or with one class.
    """
    names = np.unique(classes)
    if len(classes) < MIN_REGIONS or names.size < 2:
        return [Suspicion(0.0, 0.0, 0.0, int(index)) for index in classes]
    mass = np.ones(len(classes)) if weights is None else np.sqrt(np.maximum(weights, 1.0)).astype(np.float64)
    space = _principal(features.astype(np.float64))
    likely = _out_of_fold(space, classes, names, mass, folds)
    own = np.searchsorted(names, classes)
    rows = np.arange(len(classes))
    loss = _nats(likely[rows, own])
    if chances is not None:
        loss = np.sqrt(loss * _nats(chances))
    where = np.arange(len(classes)) if images is None else images
    distance = _memory_distance(features, own, where, names, memory or {})
    contradiction = _contradiction(space, classes)
    likely[rows, own] = -1.0
    suggested = names[likely.argmax(axis=1)]
    return [
        Suspicion(float(loss[i]), float(distance[i]), float(contradiction[i]), int(suggested[i]))
        for i in rows
    ]


def _of_class(
    image_id: str, mask: NDArray[np.bool_], index: int, min_pixels: int
) -> list[tuple[LabelledRegion, NDArray[np.bool_]]]:
    count, parts, about, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = []
    for part in range(1, count):
        left, top, width, height, pixels = (int(value) for value in about[part])
        if pixels < min_pixels:
            continue
        box = Box(top, left, top + height, left + width)
        own = np.ascontiguousarray(parts[box.slices] == part)
        depth = cv2.distanceTransform(np.pad(own, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        region = LabelledRegion(image_id, box, top + int(y), left + int(x), index, pixels)
        found.append((region, own))
    return found


def _principal(features: Floats) -> Floats:
    """Return the regions on their principal axes, whitened a little; deterministic up to signs."""
    centred = features - features.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    kept = min(_AXES, int((sizes > 1e-9 * max(sizes[0], 1e-12)).sum()), max(1, len(features) // 3))
    return np.asarray(left[:, :kept] * np.sqrt(sizes[:kept]), np.float64)


def _out_of_fold(
    space: Floats, classes: NDArray[np.integer], names: NDArray[np.integer], mass: Floats, folds: int
) -> Floats:
    """Return (N, K) probabilities by a shared-covariance discriminant that never saw the region's fold."""
    fold = np.arange(len(classes)) % folds
    chances = np.zeros((len(classes), names.size))
    for part in range(folds):
        seen, asked = fold != part, fold == part
        if asked.any():
            chances[asked] = _discriminant(space[seen], classes[seen], mass[seen], names, space[asked])
    return chances


def _discriminant(
    seen: Floats, classes: NDArray[np.integer], mass: Floats, names: NDArray[np.integer], asked: Floats
) -> Floats:
    scatter = np.zeros((seen.shape[1], seen.shape[1]))
    means = np.zeros((names.size, seen.shape[1]))
    known = np.zeros(names.size, bool)
    for place, name in enumerate(names):
        own = classes == name
        if own.any():
            known[place] = True
            means[place] = np.average(seen[own], axis=0, weights=mass[own])
            centred = seen[own] - means[place]
            scatter += (centred * mass[own, None]).T @ centred
    scatter /= mass.sum()
    scatter += _SHRINK * np.trace(scatter) / len(scatter) * np.eye(len(scatter)) + 1e-9 * np.eye(len(scatter))
    apart = asked[:, None] - means[None]
    squared = np.einsum("nkc,cd,nkd->nk", apart, np.linalg.inv(scatter), apart)
    squared[:, ~known] = np.inf  # the class is only in the fold asked about: nothing speaks for it
    likely = np.exp(-0.5 * (squared - squared.min(axis=1, keepdims=True)))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True), np.float64)


def _memory_distance(
    features: NDArray[np.floating],
    own: NDArray[np.integer],
    images: NDArray[np.integer],
    names: NDArray[np.integer],
    memory: Mapping[int, NDArray[np.floating]],
) -> Floats:
    """Return (N,) in [0, 1]: 0.5 as near to its own class as to the next, more where another is nearer."""
    kept = {place: memory[int(name)] for place, name in enumerate(names) if int(name) in memory}
    far = class_distances(features, own, images, kept, names.size).astype(np.float64)
    rows = np.arange(len(far))
    mine = far[rows, own]
    far[rows, own] = np.inf
    others = far.min(axis=1)
    # A region of a class of which nothing else is remembered can be compared with nothing.
    known = np.isfinite(mine) & np.isfinite(others)
    nearer = np.subtract(mine, others, out=np.zeros_like(mine), where=known)
    return np.asarray(np.clip(0.5 + nearer, 0.0, 1.0), np.float64)


def _contradiction(space: Floats, classes: NDArray[np.integer]) -> Floats:
    unit = _unit(space)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    count = min(NEIGHBOURS, len(classes) - 1)
    nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    return np.asarray((classes[nearest] != classes[:, None]).mean(axis=1), np.float64)


def _nats(chances: NDArray[np.floating]) -> Floats:
    return np.asarray(-np.log(np.clip(chances, 1e-9, 1.0)), np.float64)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(
        vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float64
    )
