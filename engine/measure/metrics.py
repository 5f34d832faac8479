"""Confusion matrix and the figures derived from it; numpy only, no thread of its own."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

IGNORE = 255
_BLOCK = 1 << 20


class ConfusionMatrix:
    """Counts how often target channel ``i`` was predicted as channel ``j``.

    Everything works on channels (0 … K-1), not on permanent class indices; map with ``ClassTable.channel_of``
    first. Memory stays bounded whatever the image size, because pixels are counted in blocks of a million.
    """

    def __init__(self, num_classes: int) -> None:
        """Start empty.

        Args:
            num_classes: K, at least 1 and at most 255.

        Raises:
            ValueError: K is outside these bounds.
        """
        if not 1 <= num_classes <= IGNORE:
            raise ValueError(f"the number of classes must be between 1 and {IGNORE}, not {num_classes}")
        self.num_classes = num_classes
        self._counts: NDArray[np.int64] = np.zeros((num_classes, num_classes), np.int64)
        self._missed: NDArray[np.int64] = np.zeros(num_classes, np.int64)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(K, K) copy; rows are the target's channels, columns the predicted ones."""
        return self._counts.copy()

    @property
    def missed(self) -> NDArray[np.int64]:
        """(K,) copy; target pixels of each channel whose prediction was no channel at all."""
        return self._missed.copy()

    @property
    def pixels(self) -> int:
        """How many target pixels were counted."""
        return int(self._counts.sum() + self._missed.sum())

    def update(self, prediction: NDArray[np.integer], target: NDArray[np.integer]) -> None:
        """Count one image.

        Pixels whose target is 255 (or any value outside 0 … K-1) say nothing and are left out. A prediction
        outside 0 … K-1 where the target is known counts as wrong for the target's class.

        Args:
            prediction: integer channels of any shape.
            target: integer channels of the same shape.

        Raises:
            ValueError: the shapes differ.
        """
        if prediction.shape != target.shape:
            raise ValueError(f"prediction {prediction.shape} and target {target.shape} differ in shape")
        flat_prediction, flat_target = prediction.reshape(-1), target.reshape(-1)
        for start in range(0, flat_target.size, _BLOCK):
            self._count(flat_prediction[start : start + _BLOCK], flat_target[start : start + _BLOCK])

    def _count(self, prediction: NDArray[np.integer], target: NDArray[np.integer]) -> None:
        k = self.num_classes
        wide_target = target.astype(np.int64)
        wide_prediction = prediction.astype(np.int64)
        known = (wide_target >= 0) & (wide_target < k)
        wide_prediction = np.where((wide_prediction < 0) | (wide_prediction >= k), k, wide_prediction)
        pairs = wide_target[known] * (k + 1) + wide_prediction[known]
        table = np.bincount(pairs, minlength=k * (k + 1)).reshape(k, k + 1)
        self._counts += table[:, :k]
        self._missed += table[:, k]

    def merge(self, other: "ConfusionMatrix") -> None:
        """Add the counts of another matrix with the same K.

        Raises:
            ValueError: K differs.
        """
        if other.num_classes != self.num_classes:
            raise ValueError(f"cannot merge {other.num_classes} classes into {self.num_classes}")
        self._counts += other.counts
        self._missed += other.missed

    def iou_per_class(self) -> tuple[float | None, ...]:
        """Intersection over union of each channel, 0 … 1; ``None`` where neither side has the class."""
        hits = self._counts.diagonal()
        union = self._counts.sum(axis=1) + self._missed + self._counts.sum(axis=0) - hits
        return tuple(float(h / u) if u else None for h, u in zip(hits, union, strict=True))

    def miou(self) -> float | None:
        """Mean of the classes' IoU over those that occur in target or prediction; ``None`` without pixels."""
        known = [value for value in self.iou_per_class() if value is not None]
        return float(np.mean(known)) if known and self.pixels else None

    def pixel_accuracy(self) -> float | None:
        """Share of counted pixels that are right, 0 … 1; ``None`` without pixels."""
        pixels = self.pixels
        return float(self._counts.diagonal().sum() / pixels) if pixels else None

    def frequency_weighted_iou(self) -> float | None:
        """IoU of the classes weighted by their share of the target's pixels; ``None`` without pixels."""
        pixels = self.pixels
        if not pixels:
            return None
        shares = (self._counts.sum(axis=1) + self._missed) / pixels
        return float(sum(s * v for s, v in zip(shares, self.iou_per_class(), strict=True) if v is not None))

    def sums(self) -> NDArray[np.float64]:
        """(K · K + K,) copy of all counts; see :meth:`take_sums`."""
        return np.concatenate([self._counts.reshape(-1), self._missed]).astype(np.float64)

    def take_sums(self, values: NDArray[np.float64]) -> None:
        """Replace all counts, by the sum over several processes for instance."""
        counts = np.rint(values).astype(np.int64)
        k = self.num_classes
        self._counts, self._missed = counts[: k * k].reshape(k, k), counts[k * k :]

    def named_iou(self, names: Sequence[str]) -> Mapping[str, float | None]:
        """IoU by class name, in channel order.

        Args:
            names: K names.
        """
        return dict(zip(names, self.iou_per_class(), strict=True))
