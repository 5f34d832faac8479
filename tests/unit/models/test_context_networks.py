"""Context modules of the comparison tables against slow and obvious sums."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.attention import AttentionBlock
from models.base import normalise
from models.baseline_configs import CcNetConfig, DenseAsppConfig
from models.baseline_presets import (
    tiny_ann,
    tiny_danet,
    tiny_deeplabv3plus,
    tiny_denseaspp,
    tiny_ocrnet,
    tiny_pspnet,
)
from models.build import build_model
from models.networks.ann import AsymmetricAttention, averages
from models.networks.ccnet import CrissCrossAttention, RecurrentCrissCross
from models.networks.danet import ChannelAttention, PositionAttention
from models.networks.deeplabv3plus import SeparablePyramid
from models.networks.denseaspp import DensePyramid
from models.networks.dnl import DisentangledAttention
from models.networks.ocrnet import OcrNetOutput, gather_regions
from models.speed import measure_speed

Array = NDArray[np.float64]
SIZE = (5, 7)


def features_of(channels: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, channels, *SIZE, generator=torch.manual_seed(3))


def softmax(scores: Array) -> Array:
    weights: Array = np.exp(scores - scores.max())
    return weights / weights.sum()


def project(layer: nn.Module, features: Tensor) -> Array:
    with torch.no_grad():
        return layer(features).double().numpy()


def close(found: Tensor, expected: Array) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_criss_cross_attention_asks_row_and_column_once() -> None:
    module, features = CrissCrossAttention(6, 4, strength=0.7), features_of(6)
    query, key, value = (project(layer, features) for layer in (module.query, module.key, module.value))
    expected = features.double().numpy().copy()
    for b in range(2):
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                places = {(y, other) for other in range(SIZE[1])} | {(other, x) for other in range(SIZE[0])}
                asked = sorted(places)
                assert len(asked) == sum(SIZE) - 1
                weights = softmax(np.array([query[b, :, y, x] @ key[b, :, i, j] for i, j in asked]))
                for weight, (i, j) in zip(weights, asked, strict=True):
                    expected[b, :, y, x] += 0.7 * weight * value[b, :, i, j]
    close(module(features), expected)


def test_two_rounds_of_criss_cross_reach_every_place_and_one_does_not() -> None:
    for rounds, everywhere in ((1, False), (2, True)):
        config = CcNetConfig(width=8, attention_width=8, rounds=rounds, strength=1.0)
        module = RecurrentCrissCross(6, config).eval()
        reduced = features_of(8, batch=1).requires_grad_()
        attended = reduced
        for _ in range(module.rounds):
            attended = module.attention(attended)
        attended[0, :, 0, 0].sum().backward()
        assert reduced.grad is not None
        reached = reduced.grad[0].abs().sum(dim=0) > 0
        assert bool(reached.all()) == everywhere
        assert reached[0].all()
        assert reached[:, 0].all()


def test_with_strength_zero_attention_changes_nothing() -> None:
    features = features_of(6)
    for module in (CrissCrossAttention(6, 4, 0.0), PositionAttention(6, 4, 0.0), ChannelAttention(0.0)):
        assert torch.equal(module(features), features)


def test_position_attention_is_a_plain_softmax_over_all_places() -> None:
    module, features = PositionAttention(6, 4, strength=0.7), features_of(6)
    query, key, value = (
        project(layer, features).reshape(2, -1, math.prod(SIZE))
        for layer in (module.query, module.key, module.value)
    )
    expected = features.double().numpy().reshape(2, 6, -1).copy()
    for b in range(2):
        for p in range(math.prod(SIZE)):
            expected[b, :, p] += 0.7 * value[b] @ softmax(query[b, :, p] @ key[b])
    close(module(features).flatten(2), expected)


def test_channel_attention_prefers_what_is_least_alike() -> None:
    module, features = ChannelAttention(0.7), features_of(6) / 4
    values = features.double().numpy().reshape(2, 6, -1)
    expected = values.copy()
    for b in range(2):
        for c in range(6):
            likeness = values[b] @ values[b, c]
            expected[b, c] += 0.7 * softmax(likeness.max() - likeness) @ values[b]
    close(module(features).flatten(2), expected)


def test_channel_attention_is_exact_in_half_precision() -> None:
    """Sums over many places differ by less than half precision can tell."""
    module = ChannelAttention(1.0)
    features = features_of(6).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = module(features)
    torch.testing.assert_close(found.float(), module(features.float()), rtol=0.02, atol=0.02)


def test_disentangled_attention_is_a_centred_pairwise_term_and_a_unary_one() -> None:
    module, features = DisentangledAttention(6, 4, temperature=0.05).eval(), features_of(6)
    query, key, value, mask = (
        project(layer, features).reshape(2, -1, math.prod(SIZE))
        for layer in (module.query, module.key, module.value, module.mask)
    )
    query = query - query.mean(axis=2, keepdims=True)
    key = key - key.mean(axis=2, keepdims=True)
    context = np.zeros((2, 4, math.prod(SIZE)))
    for b in range(2):
        unary = value[b] @ softmax(mask[b, 0])
        for p in range(math.prod(SIZE)):
            context[b, :, p] = value[b] @ softmax(query[b, :, p] @ key[b] / 2 / 0.05) + unary
    with torch.no_grad():
        added = module.out(torch.from_numpy(context).float().unflatten(2, SIZE))
    attended, weights = module(features)
    close(attended, (features + added).double().numpy())
    close(weights.flatten(1), np.stack([softmax(mask[b, 0]) for b in range(2)]))


def test_biases_that_cancel_are_not_trained() -> None:
    module, features = DisentangledAttention(6, 4, temperature=0.05).eval(), features_of(6)
    before = module(features)[0]
    with torch.no_grad():
        for layer in (module.query, module.key, module.mask):
            layer.bias += 3.0
            assert not layer.bias.requires_grad
    torch.testing.assert_close(module(features)[0], before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("attention", ["pairs", "disentangled"])
def test_weights_of_all_pairs_of_places_are_never_held(attention: str) -> None:
    edge = 32
    features = torch.randn(1, 16, edge, edge)
    block = AttentionBlock(16, 16, 16)
    disentangled = DisentangledAttention(16, 16, temperature=0.05)

    def call() -> None:
        result = block(features, features) if attention == "pairs" else disentangled(features)[0]
        result.sum().backward()

    speed = measure_speed(call, torch.device("cpu"), runs=1)
    assert speed.memory_mb * 2**20 < edge**4 * 4


def test_averages_of_four_grids_are_asked() -> None:
    features = features_of(6)
    grids = averages(features)
    assert grids.shape == (2, 1 + 9 + 36 + 64, 6)
    close(grids[:, 0], features.double().numpy().mean(axis=(2, 3)))
    module = AsymmetricAttention(6, 8, 4).eval()
    other = features_of(8)
    query = project(module.query, features).reshape(2, 4, -1)
    with torch.no_grad():
        key = averages(module.key(other)).double().numpy()
        value = averages(module.value(other)).double().numpy()
    mixed = np.zeros_like(query)
    for b in range(2):
        for p in range(query.shape[2]):
            mixed[b, :, p] = softmax(key[b] @ query[b, :, p] / 2) @ value[b]
    expected = np.einsum("oc,bcp->bop", module.out.weight[:, :, 0, 0].detach().numpy(), mixed)
    close(module(features, other).flatten(2), expected)


def test_within_one_map_query_and_key_are_one_projection() -> None:
    module = AsymmetricAttention(6, None, 4).eval()
    features = features_of(6)
    twin = AsymmetricAttention(6, 6, 4).eval()
    twin.load_state_dict(
        module.state_dict() | {f"key.{name}": values for name, values in module.query.state_dict().items()}
    )
    assert torch.equal(module(features, features), twin(features, features))


def test_a_region_is_the_mean_weighted_by_its_class() -> None:
    features, coarse = features_of(6), features_of(3)
    regions = gather_regions(features, coarse)
    assert regions.shape == (2, 6, 3, 1)
    for b in range(2):
        for k in range(3):
            weights = softmax(coarse[b, k].double().numpy())
            expected = (features[b].double().numpy() * weights).sum(axis=(1, 2))
            close(regions[b, :, k, 0], expected)


def test_the_regions_come_from_the_first_prediction() -> None:
    model = build_model(tiny_ocrnet(), 4, seed=0)
    output = model(features_of(3).repeat(1, 1, 8, 8))
    assert isinstance(output, OcrNetOutput)
    assert output.coarse_logits.shape[:2] == (2, 4)
    assert set(output.auxiliary_logits) == {"stage3"}
    model.eval()
    views = model(features_of(3).repeat(1, 1, 8, 8), inspect=True).inspection
    assert views["regions"].values.amax(dim=(2, 3)).eq(1).all()
    assert {"coarse", "regions", "context", "classes"} <= set(views)


def test_every_layer_of_denseaspp_sees_all_before_it() -> None:
    config = DenseAsppConfig(width=8, growth=4)
    module = DensePyramid(6, config).eval()
    rates = [layer[-1].dilation[0] for layer in module.layers]
    assert rates == [3, 6, 12, 18, 24]
    features = features_of(6)
    result = module(features)
    assert result.shape == (2, module.out_channels, *SIZE) == (2, 26, *SIZE)
    assert torch.equal(result[:, -6:], features)
    first = module.layers[0](features)
    assert torch.equal(result[:, -10:-6], first)
    second = module.layers[1](torch.cat([first, features], dim=1))
    assert torch.equal(result[:, -14:-10], second)
    model = build_model(tiny_denseaspp(), 3, seed=0)
    assert model.classifier.in_channels == model.context.out_channels


def test_dilated_branches_of_deeplabv3plus_are_separable() -> None:
    module = SeparablePyramid(6, 4, (1, 2, 4))
    assert module.parallel_branches[0][0].kernel_size == (1, 1)
    for branch, dilation in zip(module.parallel_branches[1:], (2, 4), strict=True):
        depthwise, pointwise = branch[0], branch[3]
        assert (depthwise.groups, depthwise.dilation) == (6, (dilation, dilation))
        assert pointwise.kernel_size == (1, 1)
    model = build_model(tiny_deeplabv3plus(), 3, seed=0).eval()
    views = model(torch.zeros(1, 3, 64, 48), inspect=True).inspection
    assert views["detail"].values.shape == (1, 32, 24)
    assert views["classes"].values.shape == (1, 3, 32, 24)


def test_every_attention_of_danet_is_supervised() -> None:
    model = build_model(tiny_danet(), 3, seed=0)
    image = torch.zeros(2, 3, 40, 40)
    assert set(model(image).auxiliary_logits) == {"position", "channel", "stage3"}
    assert not model.eval()(image).auxiliary_logits


@pytest.mark.parametrize("tiny", [tiny_pspnet, tiny_ann])
def test_the_third_stage_is_supervised_in_training_only(tiny: object) -> None:
    assert callable(tiny)
    model = build_model(tiny(), 3, seed=0)
    image = normalise(torch.zeros(2, 40, 36, 3, dtype=torch.uint8))
    assert model(image).auxiliary_logits["stage3"].shape == (2, 3, 40, 36)
    assert not model.eval()(image).auxiliary_logits
