import numpy as np
import pytest
import torch

from engine.annotate.classes import UNLABELLED, VOID
from engine.config import PredictConfig
from engine.learn.evaluator import EvaluationSample, evaluate
from engine.predict.predictor import Predictor
from models.output import SegmentationOutput
from tests.support.learning import BOX, CLASSES, GROUND, SKY
from tests.unit.engine.test_predictor import ByColour

CPU = torch.device("cpu")


class AlwaysSky(ByColour):
    def forward(self, image: torch.Tensor, *, inspect: bool = False) -> SegmentationOutput:
        logits = torch.zeros(1, 3, *image.shape[-2:])
        logits[:, 0] = 5.0
        return SegmentationOutput(logits=logits)


def _sample(labels: list[list[int]]) -> EvaluationSample:
    label_map = np.array(labels, np.uint8)
    return EvaluationSample(image=np.zeros((*label_map.shape, 3), np.uint8), label_map=label_map)


def test_only_what_people_labelled_counts() -> None:
    predictor = Predictor(AlwaysSky(), CLASSES, PredictConfig(), CPU)
    samples = [_sample([[SKY, SKY, GROUND], [UNLABELLED, VOID, 77]]), _sample([[SKY]])]
    seen: list[int] = []
    result = evaluate(predictor, samples, CLASSES, progress=seen.append)
    assert (result.pixels, result.images) == (4, 2)
    assert result.pixel_accuracy == 0.75
    assert result.iou_per_class == {"sky": 0.75, "ground": 0.0, "box": None}
    assert result.miou == pytest.approx(0.375)
    assert seen[-1] == 2


def test_nothing_labelled_has_no_figure() -> None:
    predictor = Predictor(AlwaysSky(), CLASSES, PredictConfig(), CPU)
    result = evaluate(predictor, [_sample([[UNLABELLED]])], CLASSES)
    assert (result.miou, result.pixel_accuracy, result.pixels) == (None, None, 0)
    assert evaluate(predictor, [], CLASSES).images == 0


def test_channels_follow_the_order_of_the_class_list() -> None:
    moved = CLASSES.move(BOX, 0)
    predictor = Predictor(AlwaysSky(), moved, PredictConfig(), CPU)  # channel 0 is "box" now
    result = evaluate(predictor, [_sample([[BOX, BOX]])], moved)
    assert result.iou_per_class["box"] == 1.0


def test_large_images_are_measured_in_tiles() -> None:
    predictor = Predictor(
        AlwaysSky(), CLASSES, PredictConfig(single_tile_megapixels=0.0, tile=64, overlap=8), CPU
    )
    result = evaluate(predictor, [_sample([[SKY] * 200] * 150)], CLASSES)
    assert (result.miou, result.pixels) == (1.0, 30_000)
