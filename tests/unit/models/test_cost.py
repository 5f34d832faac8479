"""The counter of parameters and operations, against sums done by hand."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.configs import FcnConfig, ResNetConfig, ResNetDepth
from models.cost import count_parameters, measure_cost, without_weights


def test_every_kind_of_operation_is_counted_once() -> None:
    def make() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),  # 8 x 8
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
            nn.Conv2d(4, 6, 1, bias=False),  # 2 x 2
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )

    cost = measure_cost(make, (2, 3, 8, 8))
    outputs = 2 * 4 * 64
    assert cost.parameters == 4 * 27 + 4 + 8 + 24
    assert cost.convolutions == outputs * 27 + 2 * 6 * 4 * 4
    assert cost.biases == outputs
    assert cost.normalisations == outputs
    assert cost.activations == outputs + 2 * 6 * 4
    assert cost.poolings == outputs + 2 * 6 * 4
    assert cost.products == 0
    assert cost.multiply_accumulates == cost.convolutions + outputs
    assert cost.module_operations == cost.multiply_accumulates + 3 * outputs + 48 + outputs + 48


def test_groups_divide_the_work_of_a_convolution() -> None:
    cost = measure_cost(lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), (1, 8, 4, 4))
    assert cost.convolutions == 8 * 16 * 9


class Product(nn.Module):
    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return query @ key.transpose(1, 2)


class Fused(nn.Module):
    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query[:, None], key[:, None], key[:, None])


def test_attention_costs_the_same_fused_or_not() -> None:
    shapes = ((2, 10, 4), (2, 7, 4))
    assert measure_cost(Product, *shapes).products == 2 * 10 * 7 * 4
    assert measure_cost(Fused, *shapes).products == 2 * measure_cost(Product, *shapes).products


def test_linear_layers_are_products() -> None:
    assert measure_cost(lambda: nn.Linear(5, 3), (4, 5)).products == 4 * 5 * 3


class Centred(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values - values.mean(dim=2, keepdim=True)


def test_a_mean_over_positions_is_no_pooling() -> None:
    assert measure_cost(Centred, (2, 3, 16)).poolings == 0
    assert measure_cost(Centred, (2, 3, 16, 16)).poolings == 0


def test_shared_parameters_count_once() -> None:
    layer = nn.Conv2d(2, 2, 1)
    assert count_parameters(nn.Sequential(layer, layer)) == 6


def test_counting_takes_no_memory_for_values() -> None:
    cost = measure_cost(lambda: nn.Conv2d(64, 64, 3, padding=1, bias=False), (1, 64, 40_000, 40_000))
    assert cost.convolutions == 64 * 64 * 9 * 40_000**2
    assert torch.get_default_device().type == "cpu"


def test_no_weights_are_loaded_to_count() -> None:
    config = FcnConfig(backbone=ResNetConfig(depth=ResNetDepth.RESNET34, pretrained=True))
    plain = without_weights(config)
    assert plain == FcnConfig(backbone=ResNetConfig(depth=ResNetDepth.RESNET34, pretrained=False))
