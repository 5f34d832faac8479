"""Region mutual information: the slow version, gradients, ignored pixels, extremes, half precision."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.build import build_loss
from models.described import ConfigError
from models.loss_configs import Balance, PixelForm, Pooling, RmiConfig
from models.losses import regions
from models.losses.pooling import pooled_one_hot
from models.losses.regions import LOG_FLOOR, RIDGE, posterior_covariance, region_bound
from models.losses.rmi import Rmi
from models.output import SegmentationOutput
from tests.bench.reference_rmi import reference_rmi

FLOOR = math.log(math.sqrt(RIDGE) + LOG_FLOOR)
"""Regional term of a class that an image does not hold, for each dimension."""


def example(seed: int, classes: int, size: tuple[int, int], ignored: float = 0.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, *size, generator=generator) * 3
    coarse = torch.randint(0, classes, (2, size[0] // 4 + 1, size[1] // 4 + 1), generator=generator)
    target = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, : size[0], : size[1]].contiguous()
    target[torch.rand(target.shape, generator=generator) < ignored] = 255
    return logits, target


def loss_of(config: RmiConfig, logits: Tensor, target: Tensor) -> Tensor:
    return torch.stack(list(Rmi(config)(logits, target).values())).sum()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    classes=st.integers(1, 5),
    height=st.integers(26, 45),
    width=st.integers(26, 45),
    ignored=st.sampled_from([0.0, 0.3, 1.0]),
    pooling=st.sampled_from(Pooling),
    factor=st.integers(1, 5),
    region=st.integers(1, 5),
)
def test_it_is_the_slow_obvious_one(
    seed: int,
    classes: int,
    height: int,
    width: int,
    ignored: float,
    pooling: Pooling,
    factor: int,
    region: int,
) -> None:
    logits, target = example(seed, classes, (height, width), ignored)
    config = RmiConfig(region=region, factor=factor, pooling=pooling, only_labelled=False)
    values, gradients = [], []
    for function in (
        lambda z: loss_of(config, z, target),
        lambda z: reference_rmi(z, target, region=region, factor=factor, way=pooling.value),
    ):
        leaf = logits.clone().requires_grad_()
        value = function(leaf)
        value.backward()
        assert leaf.grad is not None
        values.append(value.detach())
        gradients.append(leaf.grad)
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-5)
    scale = max(gradients[1].abs().max().item(), 1e-6)
    torch.testing.assert_close(*gradients, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize(
    ("pooling", "form", "only_labelled"),
    [*product(Pooling, PixelForm, [False]), (Pooling.AVERAGE, PixelForm.SIGMOID, True)],
)
def test_gradients_agree_with_differences(pooling: Pooling, form: PixelForm, only_labelled: bool) -> None:
    logits, target = example(1, 3, (11, 10))
    target[0, :3, :4] = 255
    config = RmiConfig(factor=2, pooling=pooling, form=form, only_labelled=only_labelled)
    assert torch.autograd.gradcheck(
        lambda z: loss_of(config, z, target), (logits.double().requires_grad_(),), atol=1e-6, rtol=1e-4
    )


def test_balance() -> None:
    logits, target = example(2, 4, (32, 32), 0.1)
    pixel, regional = Rmi(RmiConfig()).parts(logits, target)
    convex = Rmi(RmiConfig(share=0.3))(logits, target)
    additive = Rmi(RmiConfig(share=0.3, balance=Balance.ADDITIVE))(logits, target)
    assert list(convex) == ["sigmoid", "regions"]
    torch.testing.assert_close(convex["sigmoid"], 0.3 * pixel)
    torch.testing.assert_close(convex["regions"], 0.7 * regional)
    torch.testing.assert_close(additive["sigmoid"], pixel)
    torch.testing.assert_close(additive["regions"], 0.3 * regional)
    with pytest.raises(ConfigError, match="share"):
        RmiConfig(share=1.5)


@pytest.mark.parametrize("slope", [1.0, 0.5, 0.1, -0.5])
def test_a_linear_prediction_has_the_known_bound(slope: float) -> None:
    labels = (torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    bound = region_bound(labels, slope * labels + 0.4, 3) / 9
    expected = 0.5 * math.log(RIDGE * (1 + 1 / slope**2))
    torch.testing.assert_close(bound, torch.full_like(bound, expected), rtol=1e-4, atol=1e-4)


def test_an_absent_class_is_at_the_floor_and_has_no_gradient() -> None:
    logits, target = example(3, 4, (32, 32))
    target[target == 2] = 1
    _, one_class = Rmi(RmiConfig(region=2)).parts(logits[:, 2:3], torch.full_like(target, 255))
    assert one_class.item() == pytest.approx(FLOOR, rel=1e-6)
    logits.requires_grad_()
    Rmi(RmiConfig()).parts(logits, target)[1].backward()
    assert logits.grad is not None
    assert logits.grad[:, 2].abs().max() == 0.0
    assert logits.grad[:, 1].abs().max() > 0.0


@pytest.mark.parametrize("form", PixelForm)
@pytest.mark.parametrize("only_labelled", [False, True])
def test_nothing_labelled(form: PixelForm, only_labelled: bool) -> None:
    logits, target = example(4, 5, (40, 40), 1.0)
    logits.requires_grad_()
    parts = Rmi(RmiConfig(form=form, only_labelled=only_labelled)).parts(logits, target)
    torch.stack(parts).sum().backward()
    assert parts[0].item() == 0.0
    assert parts[1].item() == pytest.approx(5 * FLOOR, rel=1e-6)
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0.0


def test_too_few_places_for_a_region_have_no_regional_term() -> None:
    logits, target = example(5, 3, (6, 40))
    logits.requires_grad_()
    parts = Rmi(RmiConfig(factor=4)).parts(logits, target)
    torch.stack(parts).sum().backward()
    assert parts[1].item() == 0.0
    assert parts[0].item() > 0.0


@pytest.mark.parametrize("form", PixelForm)
@pytest.mark.parametrize("pooling", Pooling)
def test_only_labelled_regions_do_not_see_unlabelled_pixels(form: PixelForm, pooling: Pooling) -> None:
    logits, target = example(6, 3, (40, 48))
    target[:, :, 21:] = 255
    config = RmiConfig(factor=2, form=form, pooling=pooling)
    other = torch.where(target[:, None] == 255, 50 * torch.randn_like(logits), logits)
    for first, second in zip(
        Rmi(config).parts(logits, target), Rmi(config).parts(other, target), strict=True
    ):
        torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-6)
    leaf = logits.clone().requires_grad_()
    loss_of(config, leaf, target).backward()
    assert leaf.grad is not None
    assert leaf.grad[:, :, :, 21:].abs().max() == 0.0


def test_only_labelled_regions_are_those_of_the_labelled_part() -> None:
    logits, target = example(7, 3, (40, 48))
    labelled = torch.zeros(2, 10, 12, dtype=torch.bool)
    labelled[:, 2:9, 1:8] = True
    labels, probabilities = torch.rand(2, 3, 10, 12), torch.rand(2, 3, 10, 12)
    part = (slice(None), slice(None), slice(2, 9), slice(1, 8))
    torch.testing.assert_close(
        region_bound(labels, probabilities, 3, labelled), region_bound(labels[part], probabilities[part], 3)
    )
    full, sparse = RmiConfig(only_labelled=False), RmiConfig()
    torch.testing.assert_close(loss_of(full, logits, target), loss_of(sparse, logits, target))


@pytest.mark.parametrize("scale", [1.0, 5.0, 25.0, 1000.0])
@pytest.mark.parametrize("right", [True, False])
def test_saturated_predictions_stay_exact(scale: float, right: bool) -> None:
    """The slow version fails to factorise some of these in single precision, and loses digits in double."""
    logits, target = example(8, 4, (64, 64))
    own = torch.nn.functional.one_hot(target if right else target.roll(5, 1), 4).permute(0, 3, 1, 2)
    logits = (scale * (2.0 * own - 1) + 0.01 * logits).requires_grad_()
    value = loss_of(RmiConfig(factor=2), logits, target)
    value.backward()
    exact = loss_of(RmiConfig(factor=2), logits.detach().double(), target)
    assert value.item() == pytest.approx(exact.item(), rel=1e-5, abs=1e-4)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("classes", [1, 3, 70])
def test_what_sure_and_right_predictions_still_lose_is_not_rounded_away(classes: int) -> None:
    """Beside the logit that is taken off, the loss has 1e-5 of its size."""
    generator = torch.Generator().manual_seed(4)
    target = torch.randint(0, classes, (2, 24, 24), generator=generator)
    own = torch.nn.functional.one_hot(target, classes).permute(0, 3, 1, 2)
    logits = 10.0 * (2.0 * own - 1)
    pixel, _ = Rmi(RmiConfig()).parts(logits, target)
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        logits.double(), own.double(), reduction="sum"
    )
    assert pixel.item() == pytest.approx(each.item() / (target.numel() + 1), rel=1e-3)


@pytest.mark.parametrize(("height", "factor", "place"), [(464, 3, 77), (543, 4, 45)])
def test_interpolated_labels_are_those_of_interpolated_one_hot_maps(
    height: int, factor: int, place: int
) -> None:
    """At `place` the nearest row is right between two, and single and double precision differ."""
    target = (torch.arange(height) % 7)[None, :, None].expand(1, height, 2 * factor)
    found = pooled_one_hot(target, 7, Pooling.INTERPOLATION, factor)
    maps = torch.nn.functional.one_hot(target, 7).permute(0, 3, 1, 2).float()
    expected = torch.nn.functional.interpolate(maps, (height // factor, 2), mode="nearest")
    assert torch.equal(found[:, :, place], expected[:, :, place])
    assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_and_autocast(dtype: torch.dtype) -> None:
    logits, target = example(9, 4, (40, 40), 0.1)
    for form in PixelForm:
        config = RmiConfig(form=form)
        half = logits.to(dtype).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = loss_of(config, half, target)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, loss_of(config, half.detach().float(), target))
        value.backward()
        assert half.grad is not None
        assert half.grad.dtype == dtype
        assert torch.isfinite(half.grad).all()


@pytest.mark.parametrize("only_labelled", [False, True])
def test_leaving_absent_classes_out_changes_nothing(
    only_labelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU all maps are solved, in larger chunks; here both ways run on the processor."""
    logits, target = example(12, 6, (48, 40), 0.02)
    target[target == 3] = 1
    target[1][target[1] == 0] = 2
    config = RmiConfig(factor=2, only_labelled=only_labelled)
    leaves = [logits.clone().requires_grad_() for _ in range(2)]
    left_out = loss_of(config, leaves[0], target)
    monkeypatch.setattr(regions, "_worth_solving", lambda _: None)
    monkeypatch.setattr(regions, "_CPU_BYTES", 256 << 20)
    solved = loss_of(config, leaves[1], target)
    torch.testing.assert_close(left_out, solved, rtol=1e-7, atol=1e-7)
    left_out.backward()
    solved.backward()
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=1e-5, atol=1e-9)


def test_the_posterior_covariance_is_symmetric_and_positive() -> None:
    generator = torch.Generator().manual_seed(0)
    labels, probabilities = torch.rand(2, 2, 3, 20, 20, generator=generator)
    covariance = posterior_covariance(labels, probabilities, 3)
    torch.testing.assert_close(covariance, covariance.transpose(2, 3))
    assert torch.linalg.eigvalsh(covariance).min() >= 0.99 * RIDGE


def test_terms_are_named_and_auxiliary_logits_have_cross_entropy() -> None:
    logits, target = example(10, 3, (32, 32))
    output = SegmentationOutput(logits=logits, auxiliary_logits={"stage3": logits[..., ::2, ::2]})
    losses = build_loss(RmiConfig())(output, target)
    assert list(losses) == ["rmi: sigmoid", "rmi: regions", "auxiliary: stage3"]
    assert all(value.shape == () for value in losses.values())


# The compiler looks at every tensor's gradient where it goes on after the part that stays as it is.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("form", PixelForm)
def test_it_can_be_compiled(form: PixelForm) -> None:
    logits, target = example(11, 3, (32, 32))
    loss = Rmi(RmiConfig(form=form))
    compiled = torch.compile(loss, backend="eager")
    leaves = [logits.clone().requires_grad_() for _ in range(2)]
    for function, leaf in zip((loss, compiled), leaves, strict=True):
        torch.stack(list(function(leaf, target).values())).sum().backward()
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad)
