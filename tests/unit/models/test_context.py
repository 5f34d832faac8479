"""Context modules: published cost, published layout, and what they compute."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.context import AtrousPyramid, FeaturePyramid, PyramidPooling, build_context
from models.context_configs import ContextKind
from models.cost import measure_cost


@pytest.mark.parametrize(
    ("kind", "parameters", "operations"),
    [(ContextKind.PPM, 23.07, 309.45), (ContextKind.ASPP, 42.21, 674.47)],
)
def test_published_cost(kind: ContextKind, parameters: float, operations: float) -> None:
    def make() -> nn.Module:
        module = build_context(kind, 2048, 512)
        assert module is not None
        return module

    cost = measure_cost(make, (1, 2048, 128, 128))
    assert round(cost.parameters / 1e6, 2) == parameters
    assert round(cost.module_operations / 1e9, 2) == operations


def test_pyramid_pooling_is_features_beside_averages() -> None:
    torch.manual_seed(0)
    module = PyramidPooling(4, 3, (1, 2)).eval()
    features = torch.randn(2, 4, 6, 8)
    maps = [features]
    for count, branch in zip((1, 2), module.branches, strict=True):
        grid = F.avg_pool2d(features, (6 // count, 8 // count))
        maps.append(F.interpolate(branch[1:](grid), (6, 8), mode="bilinear"))
    torch.testing.assert_close(module(features), module.bottleneck(torch.cat(maps, dim=1)))


def test_atrous_pyramid_is_dilations_beside_the_average() -> None:
    torch.manual_seed(0)
    module = AtrousPyramid(4, 3, (1, 2, 5)).eval()
    assert [branch[0].kernel_size for branch in module.parallel_branches] == [(1, 1), (3, 3), (3, 3)]
    assert [branch[0].dilation for branch in module.parallel_branches] == [(1, 1), (2, 2), (5, 5)]
    features = torch.randn(2, 4, 6, 8)
    average = features.mean(dim=(2, 3), keepdim=True)
    maps = [branch(features) for branch in module.parallel_branches]
    maps.append(module.global_branch[1:](average).expand(-1, -1, 6, 8))
    torch.testing.assert_close(module(features), module.bottleneck(torch.cat(maps, dim=1)))


def test_feature_pyramid_carries_context_down() -> None:
    torch.manual_seed(0)
    module = FeaturePyramid((2, 3), 4, 5).eval()
    fine, middle, top = torch.randn(1, 2, 8, 8), torch.randn(1, 3, 4, 4), torch.randn(1, 4, 2, 2)
    second = module.lateral_convs[1](middle) + F.interpolate(top, (4, 4), mode="bilinear")
    first = module.lateral_convs[0](fine) + F.interpolate(second, (8, 8), mode="bilinear")
    levels = [module.fpn_convs[0](first), module.fpn_convs[1](second), top]
    expected = torch.cat([F.interpolate(level, (8, 8), mode="bilinear") for level in levels], dim=1)
    found = module((fine, middle), top)
    assert found.shape[1] == module.out_channels == 14
    torch.testing.assert_close(found, expected)


def test_no_context_is_no_module() -> None:
    assert build_context(ContextKind.NONE, 8, 4) is None
