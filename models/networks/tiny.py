"""A small network of our own for computers without a GPU.

B batch, K classes, H W image size, h w = ceil(H / 2), ceil(W / 2). The decoder carries coarse features
down to half the image size, where they meet the colours of the first layer: thin objects keep their borders.
"""

import torch
from torch import Tensor, nn

from models.base import MakeBackbone, SegmentationModel
from models.blocks import conv_norm_act, full_size, pad_to_minimum, resize
from models.class_rows import Classifier
from models.configs import TinyConfig
from models.inspection import InspectionKind
from models.output import InspectionView, SegmentationOutput


class TinyNetwork(SegmentationModel[SegmentationOutput]):
    """Four feature maps, a light feature pyramid, one classifier."""

    def __init__(self, config: TinyConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(num_classes)
        self.backbone = make_backbone(config.backbone)
        width, kind = config.width, config.backbone.norm
        stem, fine, middle, coarse = self.backbone.channels
        self.lateral_coarse = nn.Conv2d(coarse, width, 1, bias=False)
        self.lateral_middle = nn.Conv2d(middle, width, 1, bias=False)
        self.lateral_fine = nn.Conv2d(fine, width, 1, bias=False)
        self.fuse = nn.Sequential(*conv_norm_act(width, width, kind=kind))
        self.finish = nn.Sequential(
            *conv_norm_act(width + stem, width, kind=kind), nn.Dropout2d(config.dropout)
        )
        self.classifier = Classifier(width, num_classes)

    def forward(self, image: Tensor, *, inspect: bool = False) -> SegmentationOutput:
        """Computes logits (B, K, H, W) of (B, 3, H, W) float, as `models.base.normalise` returns it."""
        padded = pad_to_minimum(image)
        stem, fine, middle, coarse = self.backbone(padded)
        pyramid = self.lateral_middle(middle)
        pyramid = pyramid + resize(self.lateral_coarse(coarse), middle.shape[-2:])
        pyramid = self.lateral_fine(fine) + resize(pyramid, fine.shape[-2:])
        pyramid = resize(self.fuse(pyramid), stem.shape[-2:])
        features = self.finish(torch.cat([pyramid, stem], dim=1))
        logits = full_size(self.classifier(features), padded, image)
        return SegmentationOutput(logits=logits, inspection=_views(features) if inspect else {})


def _views(features: Tensor) -> dict[str, InspectionView]:
    strength = features.detach().float().pow(2).mean(dim=1).sqrt()
    return {
        "features": InspectionView(
            kind=InspectionKind.HEATMAP,
            title="Feature strength",
            explanation="How strongly the network responds at each place, whatever the class.",
            values=strength,
        )
    }
