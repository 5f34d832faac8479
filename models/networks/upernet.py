"""UPerNet: pyramid pooling whose result flows down to the finer stages.

Xiao, Liu, Zhou, Jiang, Sun: Unified Perceptual Parsing for Scene Understanding. ECCV 2018.

B batch, K classes, F width, h w size of the first stage's features.
"""

from torch import Tensor, nn

from models.backbones.base import Features
from models.base import MakeBackbone
from models.baseline_configs import UperNetConfig
from models.blocks import conv_norm_act
from models.context import FeaturePyramid, PyramidPooling
from models.context_network import ContextNetwork, Gathered
from models.output import InspectionView
from models.views import strength_view


class UperNet(ContextNetwork):
    """All four stages meet at the size of the finest."""

    def __init__(self, config: UperNetConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(config, num_classes, make_backbone)
        channels, width = self.backbone.channels, config.width
        self.pooling = PyramidPooling(channels[3], width)
        self.pyramid = FeaturePyramid(channels[:3], width, width)
        self.fusion = nn.Sequential(*conv_norm_act(self.pyramid.out_channels, width))

    def gather(self, features: Features, *, inspect: bool) -> Gathered:
        """Returns fused features (B, F, h, w) at the size of the first stage, and views if asked for."""
        top = self.pooling(features[3])
        fused = self.fusion(self.pyramid(features[:3], top))
        return Gathered(features=fused, views={"top": _view_of_top(top)} if inspect else {})


def _view_of_top(top: Tensor) -> InspectionView:
    return strength_view(
        top, "Context of the last stage", "What pyramid pooling knows of each place before detail is added."
    )
