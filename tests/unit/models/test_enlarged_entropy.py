"""Cross-entropy band by band against enlarging first."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.blocks import resize
from models.losses import enlarged_entropy
from models.losses.cross_entropy import CrossEntropy
from models.losses.enlarged_entropy import _Reach, enlarged_losses, enlarged_sum

SIZES = [((5, 7), (40, 56)), ((4, 4), (33, 29)), ((1, 3), (32, 17)), ((6, 6), (9, 13))]
VARIANTS = {
    "plain": CrossEntropy(),
    "balanced": CrossEntropy(class_balance=0.5),
    "weighted": CrossEntropy(class_weights=(0.5, 1.0, 2.0, 3.0, 0.1)),
    "by count": CrossEntropy(class_weights=(0.5, 1.0, 2.0, 3.0, 0.1), divide_by_count=True),
    "smooth": CrossEntropy(label_smoothing=0.1),
}


def example(cells: tuple[int, int], pixels: tuple[int, int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(2, 5, *cells, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 6, (2, *pixels), generator=generator)
    return logits.requires_grad_(), torch.where(target == 5, 255, target)


@pytest.fixture(params=[1, 3000, 2**22])
def _bands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enlarged_entropy, "_BAND_BYTES", {"cpu": request.param})


@pytest.mark.usefixtures("_bands")
@pytest.mark.parametrize(("cells", "pixels"), SIZES)
def test_values_and_gradients_are_those_of_enlarging_first(
    cells: tuple[int, int], pixels: tuple[int, int]
) -> None:
    logits, target = example(cells, pixels)
    weights = torch.rand(target.shape, dtype=torch.float64) * (target != 255)
    found, losses = enlarged_sum(logits, target, weights)
    each = F.cross_entropy(resize(logits, pixels), target, ignore_index=255, reduction="none")
    expected = (each * weights).sum()
    # Positions of pixels are float32, as everywhere where features are enlarged in effect.
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(3 * found, logits)
    torch.testing.assert_close(gradient, torch.autograd.grad(3 * expected, logits)[0], rtol=1e-5, atol=1e-6)
    for pixels_losses in (losses, enlarged_losses(logits, target)):
        torch.testing.assert_close(pixels_losses, each.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("scale", "far", "reach"),
    [(3.0, 0.0, _Reach.NEAR), (3.0, 1e6, _Reach.SOME_FAR), (3.0, 50.0, _Reach.ANY), (30.0, 0.0, _Reach.ANY)],
)
def test_however_far_logits_reach(scale: float, far: float, reach: _Reach) -> None:
    """Also where the target is a class that is out of the question."""
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(2, 9, 5, 7, generator=generator).clamp(-2.5, 2.5)
    logits[:, 6:] -= far
    logits.requires_grad_()
    target = torch.randint(0, 9, (2, 40, 56), generator=generator)
    assert enlarged_entropy._settled(logits.detach())[1] is reach
    found, losses = enlarged_sum(logits, target, torch.ones(target.shape))
    assert not losses.requires_grad
    each = F.cross_entropy(resize(logits.double(), (40, 56)), target, reduction="none")
    torch.testing.assert_close(found.double(), each.sum(), rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(found, logits)
    torch.testing.assert_close(gradient, torch.autograd.grad(each.sum(), logits)[0], rtol=1e-5, atol=1e-4)
    for pixels_losses in (losses, enlarged_losses(logits, target)):
        torch.testing.assert_close(pixels_losses.double(), each.detach(), rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_differences() -> None:
    logits, target = example((3, 2), (11, 9))
    weights = torch.rand(target.shape, dtype=torch.float64) * (target != 255)
    assert torch.autograd.gradcheck(lambda values: enlarged_sum(values, target, weights)[0], logits)


def test_logits_far_apart_give_finite_losses_and_gradients() -> None:
    logits, target = example((5, 7), (40, 56))
    far = (1e5 * logits.detach()).float().requires_grad_()
    found = CrossEntropy()(far, target)
    expected = CrossEntropy()(resize(far, (40, 56)), target)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    gradients = [torch.autograd.grad(value, far)[0] for value in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(enlarged_losses(far, target).isfinite().all(), torch.tensor(True))


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_takes_small_logits(name: str, trusted: bool) -> None:
    logits, target = example((5, 7), (40, 56))
    trust = torch.rand(target.shape) if trusted else None
    loss = VARIANTS[name]
    found, expected = loss(logits, target, trust), loss(resize(logits, (40, 56)), target, trust)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    gradients = [torch.autograd.grad(value, logits)[0] for value in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-8)


def test_nothing_labelled_is_no_loss_and_no_gradient() -> None:
    logits, target = example((5, 7), (40, 56))
    value = CrossEntropy()(logits, torch.full_like(target, 255))
    value.backward()
    assert value.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_short_numbers_are_computed_long() -> None:
    logits, target = example((5, 7), (40, 56))
    short = logits.detach().bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = CrossEntropy()(short, target)
    expected = CrossEntropy()(resize(short.float(), (40, 56)), target)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
