"""From the configuration of a backbone to the backbone."""

from typing import assert_never

from models.backbone_configs import (
    BackboneConfig,
    ConvNextConfig,
    HrNetConfig,
    MobileNetConfig,
    ResNestConfig,
    ResNetConfig,
    SwinConfig,
    TinyBackboneConfig,
    VitConfig,
)
from models.backbones.base import Backbone
from models.backbones.optional import HrNetBackbone, ResNestBackbone
from models.backbones.pretrained import Notice, Progress
from models.backbones.resnet import ResNetBackbone
from models.backbones.swin import SwinBackbone
from models.backbones.tiny import TinyBackbone
from models.backbones.torchvision_nets import ConvNextBackbone, MobileNetBackbone
from models.backbones.vit import VitBackbone


def build_backbone(
    config: BackboneConfig, *, progress: Progress | None = None, notice: Notice | None = None
) -> Backbone:
    """Returns the backbone a configuration describes, with weights if it asks for them.

    Args:
        config: which backbone.
        progress: called with bytes done and bytes in total while weights are downloaded.
        notice: called with one sentence if the weights cannot be had; the backbone is then untrained.

    Raises:
        BackboneUnavailableError: it needs an optional package that is not installed.
    """
    match config:
        case TinyBackboneConfig():
            return TinyBackbone(config)
        case ResNestConfig():
            return ResNestBackbone(config)
        case HrNetConfig():
            return HrNetBackbone(config)
        case _:
            return _with_weights(config, progress, notice)


def _with_weights(
    config: ResNetConfig | SwinConfig | ConvNextConfig | MobileNetConfig | VitConfig,
    progress: Progress | None,
    notice: Notice | None,
) -> Backbone:
    match config:
        case ResNetConfig():
            return ResNetBackbone(config, progress=progress, notice=notice)
        case SwinConfig():
            return SwinBackbone(config, progress=progress, notice=notice)
        case ConvNextConfig():
            return ConvNextBackbone(config, progress=progress, notice=notice)
        case MobileNetConfig():
            return MobileNetBackbone(config, progress=progress, notice=notice)
        case VitConfig():
            return VitBackbone(config, progress=progress, notice=notice)
        case _ as never:
            assert_never(never)
