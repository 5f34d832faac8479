"""What a simulated session came to: figures, curve, pictures."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.measure.costs import constants

LabelMap = NDArray[np.uint8]
"""(H, W) uint8 of class indices."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Held-out quality at a moment: seconds since the start, training step, annotator's actions, figures."""

    seconds: float
    user_seconds: float
    step: int
    strokes: int
    miou: float
    pixel_accuracy: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOutPicture:
    """One held-out image with truth, first and last prediction; (H, W, 3) and (H, W) uint8."""

    image_id: str
    image: NDArray[np.uint8]
    truth: LabelMap
    before: LabelMap
    after: LabelMap


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """Everything the report needs."""

    classes: ClassTable
    seed: int
    device: str
    seconds: float
    curve: tuple[CurvePoint, ...]
    iou_per_class: Mapping[str, float | None]
    strokes: int
    images_corrected: int
    images_accepted: int
    user_seconds: float
    compute_seconds: float
    steps: int
    held_out: tuple[HeldOutPicture, ...]
    exported_files: int
    notes: tuple[str, ...]

    @property
    def miou_before(self) -> float:
        """Held-out figure of the untrained network."""
        return self.curve[0].miou

    @property
    def miou_after(self) -> float:
        """Held-out figure at the end."""
        return self.curve[-1].miou

    def as_json(self) -> dict[str, object]:
        """What ``report.json`` holds."""
        return {
            "miou_before": self.miou_before,
            "miou_after": self.miou_after,
            "iou_per_class": dict(self.iou_per_class),
            "strokes": self.strokes,
            "user_seconds": round(self.user_seconds, 2),
            "compute_seconds": round(self.compute_seconds, 2),
            "curve": [dataclasses.asdict(point) for point in self.curve],
            "images_corrected": self.images_corrected,
            "images_accepted": self.images_accepted,
            "held_out": [picture.image_id for picture in self.held_out],
            "steps": self.steps,
            "seed": self.seed,
            "seconds": self.seconds,
            "device": self.device,
            "costs": dict(constants()),
        }
