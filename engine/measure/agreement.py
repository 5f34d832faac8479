"""Every figure of one evaluation, added up image by image; numpy and OpenCV, no thread of its own."""

import numpy as np
from numpy.typing import NDArray

from engine.measure.boundary import BoundaryScores
from engine.measure.calibration import Calibration
from engine.measure.metrics import ConfusionMatrix


class Agreement:
    """How predictions agree with targets.

    Attributes:
        matrix: the confusion matrix.
        boundary: boundary scores, or ``None`` where they were not asked for.
        calibration: reliability of the confidence, or ``None`` where it was not asked for.
        images: how many images were added.
    """

    def __init__(self, num_classes: int, *, detailed: bool) -> None:
        """Start empty.

        Args:
            num_classes: K.
            detailed: also outlines and confidence, which cost time.
        """
        self.matrix = ConfusionMatrix(num_classes)
        self.boundary = BoundaryScores(num_classes) if detailed else None
        self.calibration = Calibration() if detailed else None
        self.images = 0

    def add(
        self, prediction: NDArray[np.uint8], confidence: NDArray[np.float32], target: NDArray[np.uint8]
    ) -> None:
        """Take in one image.

        Args:
            prediction: (H, W) channels.
            confidence: (H, W) largest softmax probability, 0 … 1.
            target: (H, W) channels; 255 (any value outside 0 … K-1) does not count.
        """
        self.matrix.update(prediction, target)
        if self.boundary is not None:
            self.boundary.update(prediction, target)
        if self.calibration is not None:
            known = target < self.matrix.num_classes
            self.calibration.update(confidence[known], (prediction == target)[known])
        self.images += 1

    def sums(self) -> NDArray[np.float64]:
        """Everything that was added up as one vector, for :meth:`take_sums`; counts are exact below 2⁵³."""
        parts = [np.array([self.images], np.float64), self.matrix.sums()]
        parts += [part.sums() for part in (self.boundary, self.calibration) if part is not None]
        return np.concatenate(parts)

    def take_sums(self, values: NDArray[np.float64]) -> None:
        """Replace what was added up: the sum of several processes' :meth:`sums` gives their joint figures."""
        self.images = round(float(values[0]))
        start = 1
        for part in (self.matrix, self.boundary, self.calibration):
            if part is not None:
                size = part.sums().size
                part.take_sums(values[start : start + size])
                start += size
