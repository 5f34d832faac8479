"""Parameters and operations of context modules and networks are those of the published tables."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import densenet161

from models import compared
from models.backbone_configs import ResNetConfig, ResNetDepth
from models.backbones.build import build_backbone
from models.baseline_configs import (
    AnnConfig,
    CcNetConfig,
    DaNetConfig,
    DeepLabV3Config,
    DeepLabV3PlusConfig,
    DenseAsppConfig,
    DnlConfig,
    OcrNetConfig,
    PspNetConfig,
    UperNetConfig,
)
from models.build import build_model
from models.configs import FcnConfig, NetworkConfig
from models.cost import Cost, count_parameters, measure_cost
from models.networks.danet import DaNet
from models.networks.denseaspp import DensePyramid

INPUT = (1, 2048, 128, 128)
RESNET50 = ResNetConfig(depth=ResNetDepth.RESNET50, pretrained=False)


@pytest.mark.parametrize(
    ("module", "parameters", "operations"),
    [
        ("ocr", 15.124, 242.483),
        ("ppm", 23.074, 309.450),
        ("aspp", 42.211, 674.470),
        ("dnl", 24.123, 395.250),
        ("ccnet", 23.924, 397.381),
        ("upernet", 34.748, 500.802),
    ],
)
def test_a_module_costs_what_the_table_says(module: str, parameters: float, operations: float) -> None:
    cost = measure_cost(getattr(compared, module), INPUT)
    assert round(cost.parameters / 1e6, 3) == parameters
    assert round(cost.module_operations / 1e9, 3) == operations


def test_ann_costs_what_the_table_says_less_a_projection_that_needs_no_second_run() -> None:
    cost = measure_cost(compared.ann, INPUT)
    again = 128 * 128 * (512 * 256 + 3 * 256)  # convolution, normalisation, ReLU
    assert round(cost.parameters / 1e6, 3) == 22.421
    assert round((cost.module_operations - cost.poolings + again) / 1e9, 3) == 369.535


def head_of(config: NetworkConfig) -> int:
    """Parameters without backbone and auxiliary head."""
    model = build_model(config, 150)
    parts = [
        model.backbone,
        getattr(model, "auxiliary_decoder", None),
        getattr(model, "auxiliary_decoders", None),
    ]
    others = [part for part in parts if isinstance(part, nn.Module)]
    return count_parameters(model) - sum(map(count_parameters, others))


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (FcnConfig(backbone=RESNET50), 11.876),
        (PspNetConfig(backbone=RESNET50), 23.151),
        (DeepLabV3Config(backbone=RESNET50), 42.288),
        (DeepLabV3PlusConfig(backbone=RESNET50), 17.765),
        (UperNetConfig(backbone=RESNET50), 40.591),
        (OcrNetConfig(backbone=RESNET50), 14.894),
        (AnnConfig(backbone=RESNET50), 20.401),
        (DnlConfig(backbone=RESNET50), 24.200),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_head_has_the_published_parameters(config: NetworkConfig, millions: float) -> None:
    with torch.device("meta"):
        assert head_of(config) / 1e6 == pytest.approx(millions, abs=0.001)


def danet(*, training: bool) -> Cost:
    backbone = ResNetConfig(depth=ResNetDepth.RESNET101, pretrained=False)
    config = DaNetConfig(backbone=backbone, auxiliary=False)
    return measure_cost(lambda: DaNet(config, 19, build_backbone), (1, 3, 1025, 2049), training=training)


def test_danet_has_the_published_size() -> None:
    """The table counts the classifiers of both branches too, which only training needs."""
    cost = danet(training=True)
    assert round(cost.parameters / 1e6, 2) == 66.45
    assert round(cost.multiply_accumulates / 1e9, 1) == 2878.9
    assert danet(training=False).multiply_accumulates < cost.multiply_accumulates


class DenseNet161(nn.Module):
    """DenseNet-161 at output stride 8 with the pyramid and classifier of DenseASPP, as published."""

    def __init__(self) -> None:
        super().__init__()
        self.features = densenet161(weights=None).features
        self.features.transition2.pool = nn.Identity()
        self.features.transition3.pool = nn.Identity()
        for block, dilation in ((self.features.denseblock3, 2), (self.features.denseblock4, 4)):
            for layer in block.modules():
                if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
                    layer.dilation = layer.padding = (dilation, dilation)
        self.features.norm5 = nn.Sequential(
            nn.BatchNorm2d(2208), nn.ReLU(), nn.Conv2d(2208, 1104, 1, bias=False), nn.BatchNorm2d(1104)
        )
        self.context = DensePyramid(1104, DenseAsppConfig())
        self.classifier = nn.Conv2d(self.context.out_channels, 19, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(self.context(self.features(image)))


def test_denseaspp_has_the_published_size_on_the_published_backbone() -> None:
    cost = measure_cost(DenseNet161, (1, 3, 1025, 2049))
    assert round(cost.parameters / 1e6, 1) == 35.4
    assert round(cost.convolutions / 1e9, 1) == 1240.1


def test_criss_cross_attention_grows_with_the_edge_not_with_the_area_squared() -> None:
    config = CcNetConfig()
    assert config.rounds == 2
    cost = measure_cost(compared.ccnet, INPUT)
    places, edges = 128 * 128, 128 + 128
    assert cost.products == 2 * places * edges * (64 + 512)
