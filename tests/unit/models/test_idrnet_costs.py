"""IDRNet: costs and sizes of the papers."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from models.attention import AttentionBlock
from models.context_configs import ContextKind
from models.cost import Cost, measure_cost
from models.decoders import decoder
from models.idrnet_configs import IdrnetConfig
from models.idrnet_presets import (
    idrnet_aspp,
    idrnet_fcn,
    idrnet_fcn_ade20k,
    idrnet_light,
    idrnet_ppm,
    idrnet_ppm_cityscapes,
    idrnet_upernet,
)
from models.networks.idrnet import Idrnet, RelationContext
from tests.support.no_backbone import NoBackbone

CHANNELS = (256, 512, 1024, 2048)
FEATURES = (1, 2048, 128, 128)


def module_cost(config: IdrnetConfig) -> Cost:
    return measure_cost(lambda: RelationContext(config, 150, CHANNELS), FEATURES)


def test_refined_by_class_it_costs_what_the_paper_says() -> None:
    cost = module_cost(idrnet_light())
    assert round(cost.parameters / 1e6, 2) == 10.79
    # The paper's figure counts convolutions and normalisations, but neither ReLUs nor biases.
    assert round((cost.convolutions + 2 * cost.normalisations) / 1e9, 2) == 155.89
    assert round(cost.module_operations / 1e9, 1) == 155.9


def test_on_pyramid_pooling_it_costs_what_the_paper_says() -> None:
    cost = module_cost(dataclasses.replace(idrnet_light(), context=ContextKind.PPM))
    assert round(cost.parameters / 1e6, 2) == 23.65
    operations = cost.convolutions + 2 * cost.normalisations + cost.poolings
    assert round(operations / 1e9, 2) == 349.23


class AskingItself(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = AttentionBlock(6 * 512, 256, 512)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.attention(features, features)
        return result


def test_refined_by_pixel_it_has_the_released_size_at_less_than_the_released_cost() -> None:
    ours = module_cost(idrnet_fcn())
    assert round(ours.parameters / 1e6, 2) == 12.40
    parts: tuple[tuple[Callable[[], nn.Module], int], ...] = (
        (lambda: RelationContext(idrnet_fcn(), 150, CHANNELS).bottleneck, 2048),
        (lambda: decoder(512, 512, 150, dropout=0.1), 512),
        (AskingItself, 6 * 512),
    )
    costs = [measure_cost(make, (1, channels, 128, 128)) for make, channels in parts]
    assert sum(cost.parameters for cost in costs) == ours.parameters
    released = sum(cost.module_operations for cost in costs)
    assert round(released / 1e9) == 203
    assert round(ours.module_operations / 1e9) == 171


@pytest.mark.parametrize(
    ("config", "classes", "head", "entries", "elements"),
    [
        (idrnet_fcn(), 19, 12.88, None, None),
        (idrnet_fcn_ade20k(), 150, 27.65, 400, 56_037_825),
        (idrnet_ppm(), 150, 26.90, 466, 55_292_364),
        (idrnet_aspp(), 150, 33.45, 472, 61_848_013),
        (idrnet_upernet(), 150, 42.24, 508, 70_642_131),
        (idrnet_ppm_cityscapes(), 19, 80.83, 466, 109_161_674),
    ],
)
def test_published_networks_have_the_published_size(
    config: IdrnetConfig, classes: int, head: float, entries: int | None, elements: int | None
) -> None:
    backbone_entries, backbone_elements = 330, 23_580_567  # ResNet-50 with deep stem
    with torch.device("meta"):
        state = Idrnet(config, classes, lambda _: NoBackbone()).state_dict()
    counted = [
        values.numel()
        for name, values in state.items()
        if not name.startswith("auxiliary") and "running_" not in name and "num_batches" not in name
    ]
    assert sum(counted) / 1e6 == pytest.approx(head, abs=0.005)
    if entries is not None:
        assert len(state) + backbone_entries == entries
        assert sum(values.numel() for values in state.values()) + backbone_elements == elements
