"""Cross-entropy variants, learning rates and mIoU against numbers of the papers' code base."""

import numpy as np
import pytest
import torch

from engine.config import Floor, OptimizerConfig
from engine.learn.schedule import Schedule
from engine.measure.metrics import ConfusionMatrix
from models.losses.cross_entropy import CrossEntropy
from tests.support.reference_data import stored

pytestmark = pytest.mark.golden

WEIGHTS = (0.5, 0.75, 1.0, 1.25, 1.5)
LOSSES = {
    "mean": (CrossEntropy(), 1.0),
    "scaled": (CrossEntropy(), 0.4),
    "sum": (CrossEntropy(), 294.0),
    "smooth": (CrossEntropy(label_smoothing=0.1), 1.0),
    "class_weight": (CrossEntropy(class_weights=WEIGHTS), 1.0),
    "class_weight_not_normalised": (CrossEntropy(class_weights=WEIGHTS, divide_by_count=True), 1.0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_cross_entropy(name: str) -> None:
    case = stored("misc_cross_entropy")
    loss, factor = LOSSES[name]
    logits = case["logits"].clone().requires_grad_()
    value = factor * loss(logits, torch.where(case["target"] < 0, 255, case["target"]))
    value.backward()
    torch.testing.assert_close(value, case[name]["loss"], rtol=1e-6, atol=0)
    torch.testing.assert_close(logits.grad, case[name]["grad"], rtol=1e-5, atol=1e-7 * factor)


@pytest.mark.parametrize(
    ("name", "rate", "config"),
    [
        (
            "poly_sgd",
            0.01,
            OptimizerConfig(floor=0.01, warmup_steps=0, cycle_steps=100, floor_way=Floor.BLEND),
        ),
        (
            "poly_swin",
            6e-5,
            OptimizerConfig(
                floor=0.0,
                poly_power=1.0,
                warmup_steps=15,
                warmup_start=1e-6,
                cycle_steps=100,
                floor_way=Floor.BLEND,
            ),
        ),
    ],
)
def test_learning_rates(name: str, rate: float, config: OptimizerConfig) -> None:
    curve = stored("misc_lr_curves")[name].numpy()
    schedule, found = Schedule(config), []
    for _ in curve:
        found.append(rate * schedule.factor())
        schedule.advance()
    np.testing.assert_allclose(found, curve, rtol=1e-9, atol=1e-18)


def test_miou() -> None:
    case = stored("misc_metric")
    matrix = ConfusionMatrix(len(case["iou"]))
    for prediction, target in zip(case["preds"].numpy(), case["targets"].numpy(), strict=True):
        matrix.update(prediction, target)
    found = [float("nan") if value is None else value for value in matrix.iou_per_class()]
    np.testing.assert_allclose(found, case["iou"].numpy(), rtol=1e-12)
    assert matrix.miou() == pytest.approx(case["miou"].item(), rel=1e-12)
    assert matrix.pixel_accuracy() == pytest.approx(case["all_accuracy"].item(), rel=1e-12)
