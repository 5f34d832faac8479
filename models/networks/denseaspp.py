"""DenseASPP: convolutions of growing dilation, each of which sees the results of all before it.

Yang, Yu, Zhang, Li, Yang: DenseASPP for Semantic Segmentation in Street Scenes. CVPR 2018.

B batch, K classes, C channels and h w size of the last features, G growth.
"""

import torch
from torch import Tensor, nn

from models.backbones.base import Features
from models.base import MakeBackbone
from models.baseline_configs import DenseAsppConfig
from models.blocks import BatchNorm
from models.class_rows import Classifier
from models.context_network import ContextNetwork, Gathered

MULTIPLES = (0.5, 1, 2, 3, 4)
"""Dilations of the five layers over the step; 3, 6, 12, 18, 24 in the paper."""


def dense_layer(channels: int, width: int, growth: int, dilation: int, *, first: bool) -> nn.Sequential:
    """Returns norm, ReLU, 1 x 1 convolution, norm, ReLU, dilated 3 x 3 convolution.

    The first layer has no norm in front. Unlike in the authors' code the 1 x 1 convolution has no bias, which
    the norm behind it would take away again.

    Args:
        channels: of its input.
        width: between the two convolutions.
        growth: G, channels of its result.
        dilation: of the 3 x 3 convolution.
        first: whether it is the first layer.
    """
    return nn.Sequential(
        *([] if first else [BatchNorm(channels)]),
        nn.ReLU(),
        nn.Conv2d(channels, width, 1, bias=False),
        BatchNorm(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, growth, 3, padding=dilation, dilation=dilation),
    )


class DensePyramid(nn.Module):
    """Five dilated layers in a row; the result of each is put in front of what the next one sees."""

    def __init__(self, channels: int, config: DenseAsppConfig) -> None:
        super().__init__()
        rates = [max(1, int(config.dilation_step * multiple)) for multiple in MULTIPLES]
        self.layers = nn.ModuleList(
            dense_layer(
                channels + number * config.growth, config.width, config.growth, rate, first=number == 0
            )
            for number, rate in enumerate(rates)
        )
        self.out_channels = channels + len(rates) * config.growth

    def forward(self, features: Tensor) -> Tensor:
        """Returns (B, C + 5G, h, w): results of the layers, last one first, then the features."""
        for layer in self.layers:
            features = torch.cat([layer(features), features], dim=1)
        return features


class DenseAspp(ContextNetwork):
    """Densely connected dilated convolutions on the last features."""

    def __init__(self, config: DenseAsppConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(config, num_classes, make_backbone)
        self.context = DensePyramid(self.backbone.channels[3], config)
        # Nothing fuses what the layers found but the classifier.
        self.classifier = Classifier(self.context.out_channels, num_classes)

    def gather(self, features: Features, *, inspect: bool) -> Gathered:
        """Returns features with context (B, C + 5G, h, w); no views of its own."""
        del inspect  # nothing beyond what every network of this shape shows
        return Gathered(features=self.context(features[3]))
