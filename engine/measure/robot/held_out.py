"""The images nobody annotates: how right a tool's predictions are there, and how well it knows that."""

from collections.abc import Mapping

import numpy as np

from engine.annotate.classes import UNLABELLED
from engine.measure.calibration import Calibration
from engine.measure.metrics import ConfusionMatrix
from engine.measure.robot.results import SureAs
from engine.measure.robot.tool import Guess, Material

_TENTHS = 10


class HeldOutScores:
    """Adds up one measurement.

    Args:
        material: Images and truth.
    """

    def __init__(self, material: Material) -> None:
        self._material = material
        self._matrix = ConfusionMatrix(len(material.classes))
        self._calibration = Calibration(_TENTHS)
        self._channel_of = material.classes.channel_of()

    def add(self, name: str, found: Guess | None) -> None:
        """Count an image, ``None`` without a model; one that is not held out counts nothing."""
        if name not in self._material.held_out:
            return
        truth = self._material.read_truth(name)
        shown = np.full(truth.shape, UNLABELLED, np.uint8) if found is None else found.label_map
        self._matrix.update(self._channel_of[shown], self._channel_of[truth])
        if found is not None:
            known = (self._channel_of[truth] != UNLABELLED) & (shown != UNLABELLED)
            self._calibration.update(found.confidence[known], (shown == truth)[known])

    @property
    def miou(self) -> float:
        """Mean intersection over union, 0 … 1."""
        return self._matrix.miou() or 0.0

    @property
    def pixel_accuracy(self) -> float:
        """Share of right pixels, 0 … 1."""
        return self._matrix.pixel_accuracy() or 0.0

    @property
    def iou_per_class(self) -> Mapping[str, float | None]:
        """By class name; None for a class that neither side has."""
        return self._matrix.named_iou(self._material.classes.names)

    @property
    def calibration_error(self) -> float | None:
        """Mean distance of confidence and share of right pixels, 0 … 1; None without a model."""
        return self._calibration.error()

    @property
    def sure_as(self) -> tuple[SureAs, ...]:
        """Pixels by tenths of confidence, least sure first; none without a model."""
        if self._calibration.error() is None:
            return ()
        return tuple(SureAs(pixels=one.pixels, right=one.accuracy) for one in self._calibration.bins())
