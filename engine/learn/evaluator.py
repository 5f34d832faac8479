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
from engine.measure.metrics import ConfusionMatrix
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
    """Figures over all samples; see `engine.messages.EvaluationDone`. `pixels` is the number that counted."""

    miou: float | None
    iou_per_class: Mapping[str, float | None]
    pixel_accuracy: float | None
    images: int
    pixels: int


def evaluation(
    predictor: Predictor, samples: Iterable[EvaluationSample], classes: ClassTable
) -> Generator[int, None, EvaluationResult]:
    """Evaluate piece by piece: yields the number of images done after every tile, returns the result.

    The caller decides at each piece whether to go on, so that nothing waits longer than one tile.
    """
    channel_of = classes.channel_of()
    matrix = ConfusionMatrix(max(1, len(classes)))
    done = 0
    for sample in samples:
        predicted = np.zeros(sample.label_map.shape, np.uint8)
        for part in predictor.predict(sample.image):
            predicted[part.box.slices] = part.label_map
            yield done
        matrix.update(channel_of[predicted], channel_of[sample.label_map])
        done += 1
        yield done
    return EvaluationResult(
        miou=matrix.miou(),
        iou_per_class=matrix.named_iou(classes.names),
        pixel_accuracy=matrix.pixel_accuracy(),
        images=done,
        pixels=matrix.pixels,
    )


def evaluate(
    predictor: Predictor,
    samples: Iterable[EvaluationSample],
    classes: ClassTable,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> EvaluationResult:
    """Evaluate in one go.

    Args:
        predictor: Predicts with the weights to be measured.
        samples: Read one at a time.
        classes: Class table of the labels; its order is the order of the channels.
        progress: Called with the number of images done.
    """
    steps = evaluation(predictor, samples, classes)
    while True:
        try:
            progress(next(steps))
        except StopIteration as stop:
            result: EvaluationResult = stop.value
            return result
