"""Whether confidence means what it says (expected calibration error); numpy only, no thread of its own.

Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017, equations 2, 3 and 5.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""As in the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """One bin of the reliability diagram.

    Attributes:
        low: lower end of the confidences in it, exclusive (but for 0).
        high: upper end, inclusive.
        pixels: how many fell into it.
        confidence: their mean confidence, or ``None`` without pixels.
        accuracy: share of them that was right, or ``None`` without pixels.
    """

    low: float
    high: float
    pixels: int
    confidence: float | None
    accuracy: float | None


class Calibration:
    """Counts how often pixels of each confidence are right, in bins of equal width."""

    def __init__(self, bins: int = BINS) -> None:
        """Start empty.

        Args:
            bins: number of bins over 0 … 1, at least 1.
        """
        self._bins = bins
        self._table: NDArray[np.float64] = np.zeros((3, bins), np.float64)

    def update(self, confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> None:
        """Take in pixels.

        Args:
            confidence: largest softmax probability of each pixel that counts, 0 … 1, any shape.
            right: whether its prediction was right, same shape.

        Raises:
            ValueError: the shapes differ.
        """
        if confidence.shape != right.shape:
            raise ValueError(f"confidence {confidence.shape} and right {right.shape} differ in shape")
        flat = confidence.reshape(-1).astype(np.float64)
        place = np.clip(np.ceil(flat * self._bins).astype(np.int64) - 1, 0, self._bins - 1)
        for row, weights in enumerate((None, flat, right.reshape(-1).astype(np.float64))):
            self._table[row] += np.bincount(place, weights=weights, minlength=self._bins)

    def bins(self) -> tuple[ReliabilityBin, ...]:
        """The bins, least confident first."""
        return tuple(self._bin(number) for number in range(self._bins))

    def _bin(self, number: int) -> ReliabilityBin:
        pixels, confidence, right = (float(value) for value in self._table[:, number])
        return ReliabilityBin(
            low=number / self._bins,
            high=(number + 1) / self._bins,
            pixels=round(pixels),
            confidence=confidence / pixels if pixels else None,
            accuracy=right / pixels if pixels else None,
        )

    def error(self) -> float | None:
        """Expected calibration error, 0 … 1: mean distance of accuracy and confidence, weighted by pixels."""
        pixels, confidence, right = self._table
        total = pixels.sum()
        return float(np.abs(right - confidence).sum() / total) if total else None

    def sums(self) -> NDArray[np.float64]:
        """(3 · bins,) copy of what was added up; see :meth:`take_sums`."""
        return self._table.reshape(-1).copy()

    def take_sums(self, values: NDArray[np.float64]) -> None:
        """Replace what was added up, by the sum over several processes for instance."""
        self._table = values.reshape(3, self._bins).astype(np.float64)
