"""What a person asks about the inside of the network, and what the worker answers.

Arrays are read-only NumPy arrays on the processor. Classes are permanent class indices everywhere; (H, W) is
the size of the whole image, (h, w) that of a feature map, which is drawn stretched over the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.messages.questions import (
    DeleteRepresentations,
    EndInspection,
    ExplainPixel,
    FindLabelErrors,
    FitCalibration,
    Inspect,
    InspectionCommand,
    MakeOverlay,
    MapMemory,
    OverlayKind,
    PreviewEffect,
    Projection,
)
from engine.messages.values import PredictionSource
from models.inspection import InspectionKind

__all__ = [
    "CalibrationFitted",
    "Contribution",
    "DeleteRepresentations",
    "Effect",
    "EffectPreviewed",
    "EndInspection",
    "ExplainPixel",
    "FindLabelErrors",
    "FitCalibration",
    "Inspect",
    "InspectedView",
    "InspectionCommand",
    "InspectionEvent",
    "InspectionKind",
    "InspectionReady",
    "LabelError",
    "LabelErrorsFound",
    "MakeOverlay",
    "MapMemory",
    "MemoryMapped",
    "Method",
    "OverlayKind",
    "OverlayReady",
    "PixelExplained",
    "PreviewEffect",
    "Projection",
    "StrokeDot",
    "WhatIfReady",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InspectedView:
    """One inner state of the network, ready to be drawn by its kind.

    Attributes:
        name: Stable name, e.g. "relation_mean"; the network chooses it.
        kind: Meaning and shape of `values`, without the batch axis where the kind has one.
        title: A few words.
        explanation: One sentence for the person.
        values: float32, or int64 channels for LABEL_MAP.
    """

    name: str
    kind: InspectionKind
    title: str
    explanation: str
    values: NDArray[np.float32] | NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InspectionReady:
    """The network's inner state at an image.

    Attributes:
        request_id: Of the `Inspect`.
        image_id: The image.
        size: (H, W) of the image.
        step: Training step of the weights.
        classes: Permanent class index of each channel.
        views: What this network shows.
        label_map: (H, W) uint8 final prediction, permanent indices.
        coarse: (H, W) uint8 prediction of the first stage (pseudo-label), or None.
        can_delete: Whether class representations can be deleted to see what changes.
        explains: How a pixel is explained, for people; "" where it cannot be.
    """

    request_id: int
    image_id: str
    size: tuple[int, int]
    step: int
    classes: tuple[int, ...]
    views: tuple[InspectedView, ...]
    label_map: NDArray[np.uint8]
    coarse: NDArray[np.uint8] | None
    can_delete: bool
    explains: str


class Method(Enum):
    """How contributions were computed."""

    LINEAR = "linear"
    """The head is linear in them: they and the remainder add up to the logit margin."""
    DELETION = "deletion"
    """Change of the margin when the representation alone is deleted; they need not add up."""
    WEIGHTS = "weights"
    """Weights or gate values: how much was taken in, not what it did to the margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one source added to the margin of the label over the runner-up.

    `class_index` is the class whose representation it is, or None for another source named by `name`.
    """

    name: str
    class_index: int | None
    value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelExplained:
    """Why one pixel got its label.

    Attributes:
        request_id: Of the `ExplainPixel`.
        image_id: The image.
        y: Row.
        x: Column.
        label: Class predicted.
        runner_up: Second class, or None with one class.
        margin: Logit of the label minus that of the runner-up.
        probabilities: Softmax by class index.
        contributions: Largest absolute value first.
        remainder: Margin minus the sum of contributions where the method is LINEAR, else 0.
        method: How the contributions were computed.
        sentence: The explanation in one sentence.
        nearest_memory: Class whose memory is nearest to this pixel's feature, or None.
        influence: (h, w) float32 in [0, 1], regions of the image that acted on this pixel, or None.
    """

    request_id: int
    image_id: str
    y: int
    x: int
    label: int
    runner_up: int | None
    margin: float
    probabilities: Mapping[int, float]
    contributions: tuple[Contribution, ...]
    remainder: float
    method: Method
    sentence: str
    nearest_memory: int | None = None
    influence: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WhatIfReady:
    """The prediction without some class representations.

    `label_map` is (H, W) uint8; `changes` counts pixels by (class before, class after). An answer that is not
    `exact` is rough, and the exact one follows with the same number.
    """

    request_id: int
    image_id: str
    deleted: tuple[int, ...]
    label_map: NDArray[np.uint8]
    changes: Mapping[tuple[int, int], int]
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OverlayReady:
    """One picture over the image. `values` is (h, w) float32 in [low, high]."""

    request_id: int
    image_id: str
    kind: OverlayKind
    title: str
    explanation: str
    values: NDArray[np.float32]
    low: float
    high: float
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrokeDot:
    """One human stroke (a connected painted region) on the memory plane.

    `nearest` is the class of which what is remembered is nearest (`engine.inspect.remembered`); another class
    than `class_index` makes it suspicious.
    """

    image_id: str
    y: int
    x: int
    class_index: int
    position: tuple[float, float]
    nearest: int
    distance_own: float
    distance_nearest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryMapped:
    """Class memory on a plane; the same vectors give the same plane.

    `classes` holds for each class its memory vectors' places; distances are cosine distances. `explained` is
    the share of variance of each axis, 0 where the projection has no such axes.
    """

    request_id: int
    step: int
    classes: Mapping[int, tuple[tuple[float, float], ...]]
    strokes: tuple[StrokeDot, ...]
    within: Mapping[int, float]
    between: float
    explained: tuple[float, float]
    projection: Projection = Projection.PRINCIPAL


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFitted:
    """How far confidence can be trusted on pixels people labelled.

    Attributes:
        request_id: Of the `FitCalibration`.
        pixels: Held-out pixels measured.
        temperature: Divisor of the logits that fits best.
        ece: Expected calibration error in [0, 1] of curves fitted on half of the images, on the other half.
        ece_before: The same of confidence as it is, on the same images.
        bins: (mean confidence, share right, share of pixels) for each bin with pixels.
        shift: Added to the log-odds after the temperature; see `engine.inspect.calibration.Curve`.
        knots: (confidence, share right) of the curve's rising line; see there.
        chance: The error that chance alone would give a perfect curve on so few places.
        images: How many whole images the labels are of; 0 where they are strokes.
        source: Whose confidence it is: NETWORK, QUICK or JOINT. A quick model had not learnt from what it was
            asked about.
        share: The network's share of it, in [0, 1].
        step: Training step of the network's weights; 0 of the quick model alone.
    """

    request_id: int
    pixels: int
    temperature: float
    ece: float
    ece_before: float
    bins: tuple[tuple[float, float, float], ...]
    shift: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    chance: float = 0.0
    images: int = 0
    source: PredictionSource = PredictionSource.NETWORK
    share: float = 1.0
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelError:
    """One labelled region that is perhaps wrong; `score` in [0, 1], largest first."""

    image_id: str
    box: Box
    y: int
    x: int
    class_index: int
    suggested: int
    pixels: int
    score: float
    loss: float
    distance: float
    contradiction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelErrorsFound:
    """Labelled regions, most suspicious first, and how many were looked at."""

    request_id: int
    errors: tuple[LabelError, ...]
    regions: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effect:
    """What would flip in one image: `better` and `worse` are (h, w) bool, towards and against labels.

    Pixels nobody labelled count as better where they flip to the class of the stroke.
    """

    image_id: str
    better: NDArray[np.bool_]
    worse: NDArray[np.bool_]
    label_map: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectPreviewed:
    """Which pixels would flip if the newest stroke were learnt, image on screen first."""

    request_id: int
    effects: tuple[Effect, ...]


InspectionEvent = (
    InspectionReady
    | PixelExplained
    | WhatIfReady
    | OverlayReady
    | MemoryMapped
    | CalibrationFitted
    | LabelErrorsFound
    | EffectPreviewed
)
