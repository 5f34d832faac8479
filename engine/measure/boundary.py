"""How well the outlines of classes are met (boundary F-score); numpy and OpenCV, no thread of its own.

For every class of an image, precision is the share of predicted outline pixels that lie within a tolerance of
an outline pixel of the target, recall the share of the target's outline pixels that lie so near a predicted
one, and the score their harmonic mean (Csurka, Larlus, Perronnin: What is a good evaluation measure for
semantic segmentation?, BMVC 2013; the tolerance is a share of the image's diagonal, as there).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2

TOLERANCE = 0.0075
"""Distance that still counts as met, as a share of the image's diagonal."""

_UNKNOWN = -1


class BoundaryScores:
    """Adds up the boundary F-score of every class, image by image.

    Only pixels with a known target count, and an outline is where two of them differ: unlabelled pixels
    neither make an outline nor hide one beside them. A class scores the mean over the images in which it has
    an outline in target or prediction.
    """

    def __init__(self, num_classes: int, tolerance: float = TOLERANCE) -> None:
        """Start empty.

        Args:
            num_classes: K.
            tolerance: distance that still counts as met, as a share of the diagonal; at least one pixel.
        """
        self.tolerance = tolerance
        self._sums: NDArray[np.float64] = np.zeros(num_classes, np.float64)
        self._images: NDArray[np.float64] = np.zeros(num_classes, np.float64)

    def update(self, prediction: NDArray[np.integer], target: NDArray[np.integer]) -> None:
        """Take in one image.

        Args:
            prediction: (H, W) channels.
            target: (H, W) channels; every value outside 0 … K-1 is unknown.

        Raises:
            ValueError: the shapes differ.
        """
        if prediction.shape != target.shape:
            raise ValueError(f"prediction {prediction.shape} and target {target.shape} differ in shape")
        known = (target >= 0) & (target < len(self._sums))
        # A prediction of no class is a value of its own: it is wrong, and its edge is an outline.
        wide = np.where(known, prediction.astype(np.int32), _UNKNOWN)
        truth = np.where(known, target.astype(np.int32), _UNKNOWN)
        reach = max(1.0, self.tolerance * float(np.hypot(*target.shape)))
        for channel, ours, theirs in self._outlines(wide, truth, reach):
            self._sums[channel] += _score(ours, theirs, reach)
            self._images[channel] += 1

    def _outlines(
        self, prediction: NDArray[np.int32], target: NDArray[np.int32], reach: float
    ) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[np.bool_]]]:
        """Outlines of every class that has one, cut to the part of the image in which they can meet."""
        edges = _edges(prediction), _edges(target)
        margin = int(np.ceil(reach)) + 1
        for channel in range(len(self._sums)):
            ours, theirs = edges[0] & (prediction == channel), edges[1] & (target == channel)
            rows, columns = np.nonzero(ours | theirs)
            if not rows.size:
                continue
            box = (
                slice(max(0, int(rows.min()) - margin), int(rows.max()) + margin + 1),
                slice(max(0, int(columns.min()) - margin), int(columns.max()) + margin + 1),
            )
            yield channel, ours[box], theirs[box]

    def per_class(self) -> tuple[float | None, ...]:
        """Score of each channel, 0 … 1; ``None`` where no image showed an outline of it."""
        return tuple(
            float(total / images) if images else None
            for total, images in zip(self._sums, self._images, strict=True)
        )

    def mean(self) -> float | None:
        """Mean of the classes' scores over those that have one; ``None`` without any."""
        known = [value for value in self.per_class() if value is not None]
        return float(np.mean(known)) if known else None

    def sums(self) -> NDArray[np.float64]:
        """(2 K,) copy of what was added up; see :meth:`take_sums`."""
        return np.concatenate([self._sums, self._images])

    def take_sums(self, values: NDArray[np.float64]) -> None:
        """Replace what was added up, by the sum over several processes for instance."""
        self._sums, self._images = np.split(values.astype(np.float64), 2)


def _edges(channels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(H, W) bool: known pixels of which one of the four neighbours is known and different."""
    edges = np.zeros(channels.shape, bool)
    for here, there in (
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        one, other = channels[here], channels[there]
        differ = (one != other) & (one != _UNKNOWN) & (other != _UNKNOWN)
        edges[here] |= differ
        edges[there] |= differ
    return edges


def _score(ours: NDArray[np.bool_], theirs: NDArray[np.bool_], reach: float) -> float:
    precision, recall = _met(ours, theirs, reach), _met(theirs, ours, reach)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _met(outline: NDArray[np.bool_], other: NDArray[np.bool_], reach: float) -> float:
    """Share of an outline's pixels that lie within ``reach`` of another; 0 where either is empty."""
    if not outline.any() or not other.any():
        return 0.0
    distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(np.mean(np.asarray(distance)[outline] <= reach + 1e-3))
