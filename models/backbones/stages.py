"""The stages of a backbone without its stem, for networks that feed it features instead of an image."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor, nn

from models.backbones.base import Backbone, Features
from models.backbones.resnet import ResNetBackbone
from models.backbones.tiny import TinyBackbone

Between = Callable[[int, Tensor], Tensor]
"""Called with the number of a stage, from 0, and its features; returns what goes on."""


class StemlessBackbone(Backbone):
    """The four stages of a backbone; counts as a backbone for learning rates.

    Takes over the modules of the backbone given, weights included; its stem is dropped.

    Args:
        backbone: a ResNet or the tiny backbone, whose first stage is its stem.

    Attributes:
        entry_channels: channels of the features that replace the stem's; their size is that of the finest
            features.

    Raises:
        TypeError: the backbone cannot be parted from its stem.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.channels = backbone.channels
        self.strides = backbone.strides
        self.stages = nn.ModuleList(_stages(backbone))
        first = next(module for module in self.stages.modules() if isinstance(module, nn.Conv2d))
        self.entry_channels = first.in_channels

    if TYPE_CHECKING:

        def __call__(self, image: Tensor, between: Between | None = None) -> Features:
            """Calls `forward`."""

    def forward(self, image: Tensor, between: Between | None = None) -> Features:
        """Returns the features of the four stages.

        Args:
            image: (B, entry_channels, h, w) features, not pixels.
            between: may change the features of each stage before the next one sees them.
        """
        features: list[Tensor] = []
        current = image
        for number, stage in enumerate(self.stages):
            current = stage(current)
            if between is not None:
                current = between(number, current)
            features.append(current)
        first, second, third, fourth = features
        return first, second, third, fourth


def _stages(backbone: Backbone) -> list[nn.Module]:
    match backbone:
        case ResNetBackbone():
            return [backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4]
        case TinyBackbone():
            return [nn.Identity(), backbone.stage4, backbone.stage8, backbone.stage16]
        case _:
            raise TypeError(f"{type(backbone).__name__} has no stem that could be left out")
