"""DeepLabV3+: atrous spatial pyramid pooling with separable convolutions, and the detail of the first stage.

Chen, Zhu, Papandreou, Schroff, Adam: Encoder-Decoder with Atrous Separable Convolution for Semantic Image
Segmentation. ECCV 2018.

B batch, K classes, F width, h w size of the first stage's features.
"""

import torch
from torch import Tensor, nn

from models.backbones.base import Features
from models.base import MakeBackbone
from models.baseline_configs import DeepLabV3PlusConfig
from models.blocks import conv_norm_act, resize
from models.context import AtrousPyramid
from models.context_network import ContextNetwork, Gathered, dilations
from models.output import InspectionView
from models.views import strength_view


def separable(channels: int, width: int, *, dilation: int = 1) -> nn.Sequential:
    """Returns a 3 x 3 convolution per channel and a 1 x 1 across channels, each with norm and ReLU."""
    return nn.Sequential(
        *conv_norm_act(channels, channels, dilation=dilation, groups=channels),
        *conv_norm_act(channels, width, 1),
    )


class SeparablePyramid(AtrousPyramid):
    """ASPP whose dilated branches are separable; (B, C, h, w) to (B, F, h, w)."""

    def branch(self, channels: int, width: int, dilation: int) -> nn.Module:
        """Returns the convolution of one dilation: ordinary 1 x 1 for dilation 1, else separable."""
        if dilation == 1:
            return super().branch(channels, width, dilation)
        return separable(channels, width, dilation=dilation)


class DeepLabV3Plus(ContextNetwork):
    """DeepLabV3 whose result is refined at the size of the first stage."""

    def __init__(self, config: DeepLabV3PlusConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(config, num_classes, make_backbone)
        channels, width, detail = self.backbone.channels, config.width, config.detail_width
        self.context = SeparablePyramid(
            channels[3], width, config.dilations or dilations(config.dilation_step, (1, 2, 3))
        )
        self.shortcut = nn.Sequential(*conv_norm_act(channels[0], detail, 1))
        self.refine = nn.Sequential(separable(width + detail, width), separable(width, width))

    def gather(self, features: Features, *, inspect: bool) -> Gathered:
        """Returns refined features (B, F, h, w) at the size of the first stage, and views if asked for."""
        detail = self.shortcut(features[0])
        context = resize(self.context(features[3]), detail.shape[-2:])
        refined = self.refine(torch.cat([context, detail], dim=1))
        return Gathered(features=refined, views={"detail": _view_of_detail(detail)} if inspect else {})


def _view_of_detail(detail: Tensor) -> InspectionView:
    return strength_view(detail, "Detail", "Borders and texture that the first stage adds at each place.")
