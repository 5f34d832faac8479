"""Agreement with what people said about the held-out images. Worker thread.

Every pixel a person vouched for counts: strokes, accepted predictions and imported labels alike. Leaving
accepted pixels out would measure almost only places where the network was wrong before. Unlabelled and
void pixels never count.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.measure.agreement import Agreement
from engine.predict.predictor import Predictor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationSample:
    """One image with what is known about it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        label_map: (H, W) uint8 permanent class indices; 255, 254 and unknown classes do not count.
    """

    image: NDArray[np.uint8]
    label_map: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """Figures over all samples; see `engine.messages.EvaluationDone`.

    Attributes:
        miou, iou_per_class, pixel_accuracy: What a curve shows.
        images: Number of samples.
        pixels: Number of pixels that counted.
        agreement: Everything that was counted.
    """

    miou: float | None
    iou_per_class: Mapping[str, float | None]
    pixel_accuracy: float | None
    images: int
    pixels: int
    agreement: Agreement


Join = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Adds up a vector over processes that measured different images."""


def _alone(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values


def evaluation(
    predictor: Predictor,
    samples: Iterable[EvaluationSample],
    classes: ClassTable,
    *,
    detailed: bool = False,
    join: Join = _alone,
) -> Generator[int, None, EvaluationResult]:
    """Evaluate piece by piece: yields the number of images done after every tile, returns the result.

    The caller decides at each piece whether to go on, so that nothing waits longer than one tile.
    Arguments as in `evaluate`.
    """
    channel_of = classes.channel_of()
    agreement = Agreement(max(1, len(classes)), detailed=detailed)
    for sample in samples:
        predicted = np.zeros(sample.label_map.shape, np.uint8)
        confidence = np.zeros(sample.label_map.shape, np.float32)
        for part in predictor.predict(sample.image):
            predicted[part.box.slices] = part.label_map
            confidence[part.box.slices] = part.confidence
            yield agreement.images
        agreement.add(channel_of[predicted], confidence, channel_of[sample.label_map])
        yield agreement.images
    agreement.take_sums(join(agreement.sums()))
    matrix = agreement.matrix
    return EvaluationResult(
        miou=matrix.miou(),
        iou_per_class=matrix.named_iou(classes.names),
        pixel_accuracy=matrix.pixel_accuracy(),
        images=agreement.images,
        pixels=matrix.pixels,
        agreement=agreement,
    )


def evaluate(
    predictor: Predictor,
    samples: Iterable[EvaluationSample],
    classes: ClassTable,
    *,
    progress: Callable[[int], None] = lambda _: None,
    detailed: bool = False,
    join: Join = _alone,
) -> EvaluationResult:
    """Evaluate in one go.

    Args:
        predictor: Predicts with the weights to be measured.
        samples: Read one at a time.
        classes: Class table of the labels; its order is the order of the channels.
        progress: Called with the number of images done.
        detailed: Also measure outlines and the reliability of the confidence, which costs time.
        join: Adds up the counts over processes that measure other images; called once, at the end.
    """
    steps = evaluation(predictor, samples, classes, detailed=detailed, join=join)
    while True:
        try:
            progress(next(steps))
        except StopIteration as stop:
            result: EvaluationResult = stop.value
            return result
