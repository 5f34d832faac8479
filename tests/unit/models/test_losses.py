"""Cross-entropy against a slow obvious version, and the named sum."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.build import build_loss
from models.configs import CrossEntropyConfig
from models.described import ConfigError
from models.losses.cross_entropy import CrossEntropy
from models.losses.total import TotalLoss, WeightedLoss, total
from models.output import SegmentationOutput


def slow_cross_entropy(
    logits: Tensor,
    target: Tensor,
    smoothing: float,
    balance: float,
    weights: tuple[float, ...] | None = None,
) -> float:
    """Pixel by pixel in Python."""
    values = logits.double().numpy()
    labels = target.numpy()
    classes = values.shape[1]
    labelled = [tuple(place) for place in np.argwhere(labels != 255)]
    counts = {label: sum(labels[place] == label for place in labelled) for label in range(classes)}
    above = below = 0.0
    for b, y, x in labelled:
        scores = values[b, :, y, x]
        log_p = scores - (scores.max() + math.log(np.exp(scores - scores.max()).sum()))
        loss = -(1 - smoothing) * log_p[labels[b, y, x]] - smoothing * log_p.mean()
        weight = (len(labelled) / counts[labels[b, y, x]]) ** balance
        if weights is not None:
            weight = weights[labels[b, y, x]]
        above += weight * loss
        below += weight
    return above / below if below else 0.0


def example(seed: int, classes: int, share: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 5, 4, generator=generator) * 4
    target = torch.randint(0, classes, (2, 5, 4), generator=generator)
    target[torch.rand(2, 5, 4, generator=generator) < share] = 255
    return logits, target


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    classes=st.integers(1, 6),
    share=st.floats(0, 1),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    balance=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_it_is_the_slow_obvious_one(
    seed: int, classes: int, share: float, smoothing: float, balance: float
) -> None:
    logits, target = example(seed, classes, share)
    found = CrossEntropy(smoothing, balance)(logits, target)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(
        slow_cross_entropy(logits, target, smoothing, balance), rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize("balance", [0.0, 1.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_unlabelled_pixels_have_no_gradient_whatever_is_there(balance: float, smoothing: float) -> None:
    logits, target = example(0, 4, 0.5)
    ignored = (target == 255)[:, None].expand_as(logits)
    other = torch.where(ignored, 1e4 * torch.randn_like(logits), logits)
    logits.requires_grad_()
    loss = CrossEntropy(smoothing, balance)
    value = loss(logits, target)
    value.backward()
    assert logits.grad is not None
    assert (logits.grad[ignored] == 0).all()
    assert torch.equal(loss(other, target), value)


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_nothing_labelled_is_zero(balance: float) -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    value = CrossEntropy(0.1, balance)(logits, torch.full((2, 4, 4), 255))
    value.backward()
    assert value.item() == 0.0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_summed_in_single(dtype: torch.dtype) -> None:
    logits = torch.zeros(1, 2, 300, 300, dtype=dtype)
    value = CrossEntropy()(logits, torch.zeros(1, 300, 300, dtype=torch.int64))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(math.log(2), rel=1e-5)


def test_gradients_agree_with_differences() -> None:
    logits, target = example(3, 3, 0.3)
    logits = logits.double().requires_grad_()
    for balance in (0.0, 0.7):
        loss = CrossEntropy(0.1, balance)
        assert torch.autograd.gradcheck(lambda values, loss=loss: loss(values, target), (logits,))


def test_a_balanced_loss_counts_classes_alike() -> None:
    target = torch.zeros(1, 10, 10, dtype=torch.int64)
    target[0, 0, 0] = 1
    logits = torch.zeros(1, 2, 10, 10)
    logits[:, 0] = 5.0
    assert CrossEntropy()(logits, target).item() < 0.1
    assert CrossEntropy(class_balance=1.0)(logits, target).item() == pytest.approx(2.5067, abs=1e-3)


def test_terms_are_weighted_and_named() -> None:
    logits, target = example(1, 4, 0.2)
    output = SegmentationOutput(logits=logits, auxiliary_logits={"stage3": logits[..., ::2, ::2]})
    plain = CrossEntropy()(logits, target)
    losses = build_loss(CrossEntropyConfig(weight=2.0, auxiliary_weight=0.5))(output, target)
    assert list(losses) == ["cross-entropy", "auxiliary: stage3"]
    torch.testing.assert_close(losses["cross-entropy"], 2 * plain)
    resized = torch.nn.functional.interpolate(logits[..., ::2, ::2], size=(5, 4), mode="bilinear")
    torch.testing.assert_close(losses["auxiliary: stage3"], 0.5 * CrossEntropy()(resized, target))
    torch.testing.assert_close(total(losses), losses["cross-entropy"] + losses["auxiliary: stage3"])


def test_terms_without_weight_are_left_out() -> None:
    logits, target = example(1, 4, 0.2)
    output = SegmentationOutput(logits=logits, auxiliary_logits={"stage3": logits})
    assert list(build_loss(CrossEntropyConfig(auxiliary_weight=0))(output, target)) == ["cross-entropy"]
    assert list(build_loss(CrossEntropyConfig(weight=0))(output, target)) == ["auxiliary: stage3"]
    alone = TotalLoss(terms=(WeightedLoss(name="a", weight=1.0, loss=CrossEntropy()),))
    assert list(alone(output, target)) == ["a"]
    with pytest.raises(ValueError, match="no loss"):
        total({})


def test_given_class_weights_without_a_labelled_pixel_are_zero() -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    value = CrossEntropy(class_weights=(1.0, 0.0, 2.0))(logits, torch.full((2, 4, 4), 255))
    value.backward()
    assert value.item() == 0.0
    assert logits.grad is not None
    assert (logits.grad == 0).all()
    with pytest.raises(ValueError, match="either"):
        CrossEntropy(class_balance=1.0, class_weights=(1.0, 1.0))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    share=st.floats(0, 1),
    smoothing=st.sampled_from([0.0, 0.1]),
    weights=st.tuples(*[st.sampled_from([0.0, 0.3, 1.0, 7.0])] * 4),
    is_trusted=st.booleans(),
)
def test_weights_of_classes_are_those_of_the_slow_obvious_one(
    seed: int, share: float, smoothing: float, weights: tuple[float, ...], is_trusted: bool
) -> None:
    logits, target = example(seed, 4, share)
    loss = CrossEntropy(smoothing, class_weights=weights)
    found = loss(logits, target, torch.full(target.shape, 0.5) if is_trusted else None)
    expected = slow_cross_entropy(logits, target, smoothing, 0.0, weights)
    assert found.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_weights_belong_to_classes_and_not_to_channels() -> None:
    logits, target = example(4, 4, 0.3)
    weighted = build_loss(CrossEntropyConfig(class_weights=(0.5, 1.0, 2.0, 3.0)))
    output = SegmentationOutput(logits=logits, auxiliary_logits={"stage3": logits})
    before = weighted(output, target)
    assert before["cross-entropy"].item() != build_loss(CrossEntropyConfig())(output, target)["cross-entropy"]
    # The classes 3, 0, 7 (made later), 2: class 1 is gone, whatever its weight was.
    order = [3, 0, 7, 2]
    weighted.set_classes(order)
    found = weighted(output, target)
    expected = slow_cross_entropy(logits, target, 0.0, 0.0, (3.0, 0.5, 1.0, 2.0))
    assert found["cross-entropy"].item() == pytest.approx(expected, rel=1e-4)
    assert found["auxiliary: stage3"].item() == pytest.approx(0.4 * expected, rel=1e-4)
    weighted.set_classes([0, 1, 2, 3])
    assert torch.equal(weighted(output, target)["cross-entropy"], before["cross-entropy"])


def test_classes_without_a_weight_of_their_own_count_one() -> None:
    logits, target = example(5, 4, 0.0)
    short = CrossEntropy(class_weights=(2.0,))(logits, target)
    torch.testing.assert_close(short, CrossEntropy(class_weights=(2.0, 1.0, 1.0, 1.0))(logits, target))
    torch.testing.assert_close(short, CrossEntropy(class_weights=(2.0, 1.0, 1.0, 1.0, 9.0))(logits, target))


def test_weighted_classes_leave_unlabelled_pixels_alone() -> None:
    logits, target = example(0, 4, 0.5)
    ignored = (target == 255)[:, None].expand_as(logits)
    logits.requires_grad_()
    CrossEntropy(class_weights=(0.2, 1.0, 5.0, 0.0))(logits, target).backward()
    assert logits.grad is not None
    assert (logits.grad[ignored] == 0).all()
    counted = (target < 3)[:, None].expand_as(logits)
    assert (logits.grad[counted] != 0).any()
    # Nobody asked about the last class: its pixels pull nowhere.
    assert (logits.grad[(target == 3)[:, None].expand_as(logits)] == 0).all()


def test_classes_are_weighted_or_balanced() -> None:
    with pytest.raises(ConfigError, match="class_weights"):
        CrossEntropyConfig(class_weights=(1.0,), class_balance=0.5)
    with pytest.raises(ConfigError, match="between 0 and 1000"):
        CrossEntropyConfig(class_weights=(1.0, -1.0))
