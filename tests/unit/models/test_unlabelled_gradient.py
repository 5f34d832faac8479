"""What nobody said teaches nothing: the gradient at unlabelled pixels is exactly zero, for every loss."""

from typing import Any

import pytest
import torch
from torch import Tensor

from models.build import build_loss
from models.configs import CrossEntropyConfig
from models.loss_configs import AffinityConfig, PixelForm, Pooling, RmiConfig
from models.losses.cross_entropy import CrossEntropy
from models.losses.rmi import Rmi
from models.output import SegmentationOutput

RMI = [RmiConfig(only_labelled=True, form=form, pooling=way) for form in PixelForm for way in Pooling]
LOSSES: list[Any] = [
    CrossEntropyConfig(),
    CrossEntropyConfig(class_balance=0.5, label_smoothing=0.1),
    AffinityConfig(),
    *RMI,
    *[RmiConfig(form=form) for form in PixelForm],
]


def strokes(size: int = 40) -> Tensor:
    """Return a (2, size, size) target with two blocks of strokes, and nothing said elsewhere."""
    target = torch.full((2, size, size), 255, dtype=torch.int64)
    target[0, 4:24, 4:16], target[0, 4:24, 16:30] = 1, 0
    target[1, 20:36, 8:36] = 2
    return target


@pytest.mark.parametrize("config", LOSSES, ids=repr)
def test_unlabelled_pixels_have_no_gradient(config: Any) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 40, 40, requires_grad=True)
    target = strokes()
    trust = torch.full(target.shape, 0.5)
    terms = build_loss(config)(SegmentationOutput(logits=logits, auxiliary_logits={}), target, trust)
    torch.stack(list(terms.values())).sum().backward()
    assert logits.grad is not None
    gradient = logits.grad.abs().sum(1)
    assert (gradient[target == 255] == 0).all()
    assert (gradient[target != 255] > 0).float().mean() > 0.5


@pytest.mark.parametrize("form", list(PixelForm))
def test_regions_that_touch_unlabelled_pixels_do_not_count(form: PixelForm) -> None:
    # A single labelled row cannot hold a region; only the pixel term is left.
    config = RmiConfig(only_labelled=True, form=form)
    torch.manual_seed(0)
    target = torch.full((1, 40, 40), 255, dtype=torch.int64)
    target[0, 10] = 1
    logits = torch.randn(1, 3, 40, 40, requires_grad=True)
    _, regional = Rmi(config).parts(logits, target)
    (gradient,) = torch.autograd.grad(regional, logits)
    assert (gradient == 0).all()


def test_trust_weighs_pixels_in_a_weighted_mean() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 40, 40, dtype=torch.float64), strokes()
    loss = CrossEntropy()
    ones = torch.ones(target.shape)
    torch.testing.assert_close(loss(logits, target, ones), loss(logits, target))
    torch.testing.assert_close(loss(logits, target, 0.25 * ones), loss(logits, target))
    painted = target == 1
    trust = torch.where(painted, 1.0, 0.2)
    pixels = torch.nn.functional.cross_entropy(logits, target, ignore_index=255, reduction="none")
    counts = trust.double() * (target != 255)
    torch.testing.assert_close(loss(logits, target, trust), (pixels * counts).sum() / counts.sum())
    assert loss(logits, target, 0 * ones) == 0


def test_trust_joins_balance_and_given_weights() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 40, 40), strokes()
    ones = torch.ones(target.shape)
    for loss in (CrossEntropy(class_balance=0.7), CrossEntropy(class_weights=(1.0, 2.0, 3.0))):
        torch.testing.assert_close(loss(logits, target, ones), loss(logits, target))
