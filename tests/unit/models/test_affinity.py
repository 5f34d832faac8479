"""Affinity fields against a slow obvious version."""

import math

import pytest
import torch
from torch import Tensor

from models.build import build_loss
from models.loss_configs import AffinityConfig
from models.losses.affinity import AffinityField
from models.output import SegmentationOutput


def example(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 6, 7, generator=generator)
    target = torch.randint(0, 3, (2, 6, 7), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.2] = 255
    return logits, target


def kl(a: float, b: float) -> float:
    return a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b))


def slow_fields(logits: Tensor, target: Tensor, distance: int, margin: float) -> tuple[float, float]:
    """Every pair of neighbours, both ways, as the formula reads."""
    probabilities = logits.double().softmax(1)
    within, across = [], []
    for n in range(2):
        for y in range(6):
            for x in range(7):
                for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
                    v, u = y + dy * distance, x + dx * distance
                    if v >= 6 or not 0 <= u < 7 or 255 in (target[n, y, x], target[n, v, u]):
                        continue
                    pairs = zip(
                        probabilities[n, :, y, x].tolist(), probabilities[n, :, v, u].tolist(), strict=True
                    )
                    divergences = [(kl(a, b), kl(b, a)) for a, b in pairs]
                    if target[n, y, x] == target[n, v, u]:
                        within.append(sum(map(sum, divergences)) / 3)
                    else:
                        lacks = [max(0.0, margin - d) for both in divergences for d in both]
                        across.append(sum(lacks) / 3)
    return sum(within) / len(within), sum(across) / len(across)


@pytest.mark.parametrize("distance", [1, 2])
def test_it_is_the_slow_obvious_one(distance: int) -> None:
    logits, target = example(distance)
    terms = AffinityField(AffinityConfig(distance=distance, margin=0.5))(logits, target)
    within, across = slow_fields(logits, target, distance, 0.5)
    assert terms["within"].item() == pytest.approx(within, rel=1e-4)
    assert terms["across"].item() == pytest.approx(across, rel=1e-4)


def test_gradients_agree_with_differences() -> None:
    logits, target = example(0)
    loss = AffinityField(AffinityConfig(margin=0.4))
    assert torch.autograd.gradcheck(
        lambda z: torch.stack(list(loss(z, target).values())), (logits.double().requires_grad_(),)
    )


@pytest.mark.parametrize("distance", [1, 16])
def test_nothing_labelled_or_no_neighbours_is_zero(distance: int) -> None:
    logits, target = example(1)
    logits.requires_grad_()
    labels = torch.full_like(target, 255) if distance == 1 else target
    terms = AffinityField(AffinityConfig(distance=distance))(logits, labels)
    torch.stack(list(terms.values())).sum().backward()
    assert terms["within"].item() == terms["across"].item() == 0.0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_terms_are_named() -> None:
    logits, target = example(2)
    losses = build_loss(AffinityConfig())(SegmentationOutput(logits=logits.half()), target)
    assert list(losses) == ["affinity: softmax", "affinity: within", "affinity: across"]
    assert all(value.dtype == torch.float32 for value in losses.values())
