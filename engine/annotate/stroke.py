"""What the hand did, before it becomes pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


class PaintRule(Enum):
    """What paint may cover. Locked classes are protected under every rule."""

    OVER_PREDICTIONS = "over_predictions"
    """Everything but what a hand painted: predictions, accepted and imported pixels."""

    EVERYTHING = "everything"
    """Everything."""

    ONLY_UNLABELLED = "only_unlabelled"
    """Only pixels nobody said anything about."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """A movement of the brush or the eraser.

    Attributes:
        points: (y, x) in image coordinates: the centre of the first pixel is (0.5, 0.5). At least one point.
        radius: Radius of the brush in pixels of the image, > 0. Below 0.7071 it paints single pixels.
        class_index: Class to paint, 254 for void, 255 to erase.

    Raises:
        ValueError: no point, a value that is not finite, a radius that is not positive, or no such class
            index.
    """

    points: tuple[tuple[float, float], ...]
    radius: float
    class_index: int

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("a stroke needs at least one point")
        if not all(math.isfinite(value) for point in self.points for value in point):
            raise ValueError("a point of the stroke is not finite")
        if not (math.isfinite(self.radius) and self.radius > 0):
            raise ValueError(f"radius {self.radius} is not positive")
        if not 0 <= self.class_index <= 255:
            raise ValueError(f"class index {self.class_index} is not within 0 to 255")
