"""From the configuration of a backbone to the backbone."""

from typing import assert_never

from models.backbones.base import Backbone
from models.backbones.pretrained import Notice, Progress
from models.backbones.resnet import ResNetBackbone
from models.backbones.tiny import TinyBackbone
from models.configs import BackboneConfig, ResNetConfig, TinyBackboneConfig


def build_backbone(
    config: BackboneConfig, *, progress: Progress | None = None, notice: Notice | None = None
) -> Backbone:
    """Returns the backbone a configuration describes, with weights if it asks for them.

    Args:
        config: which backbone.
        progress: called with bytes done and bytes in total while weights are downloaded.
        notice: called with one sentence if the weights cannot be had; the backbone is then untrained.
    """
    match config:
        case TinyBackboneConfig():
            return TinyBackbone(config)
        case ResNetConfig():
            return ResNetBackbone(config, progress=progress, notice=notice)
        case _ as never:
            assert_never(never)
