"""A small network of our own for computers without a GPU.

B batch, K classes, H W image size, h w = ceil(H / 4), ceil(W / 4). A light feature pyramid carries what is
seen at strides 16 and 8 down to stride 4; the logits are resized from there. Variants with logits at stride 2
or with group normalisation scored lower after equal time on two sets of sparse strokes; that was one seed
each, so a hint and no proof.
"""

from torch import Tensor, nn

from models.base import MakeBackbone, SegmentationModel
from models.blocks import conv_norm_act, full_size, pad_to_minimum, resize
from models.class_rows import Classifier
from models.configs import TinyConfig
from models.explanation import explained
from models.output import InspectionView, SegmentationOutput
from models.views import probability_view, strength_view


class TinyNetwork(SegmentationModel[SegmentationOutput]):
    """Three feature maps, a light feature pyramid, one classifier."""

    def __init__(self, config: TinyConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(num_classes)
        self.backbone = make_backbone(config.backbone)
        width = config.width
        _, fine, middle, coarse = self.backbone.channels
        self.lateral_coarse = nn.Conv2d(coarse, width, 1, bias=False)
        self.lateral_middle = nn.Conv2d(middle, width, 1, bias=False)
        self.lateral_fine = nn.Conv2d(fine, width, 1, bias=False)
        self.fuse = nn.Sequential(
            *conv_norm_act(width, width, kind=config.backbone.norm), nn.Dropout2d(config.dropout)
        )
        self.classifier = Classifier(width, num_classes)

    def forward(self, image: Tensor, *, inspect: bool = False) -> SegmentationOutput:
        """Computes logits (B, K, H, W) of (B, 3, H, W) float, as `models.base.normalise` returns it."""
        padded = pad_to_minimum(image)
        _, fine, middle, coarse = self.backbone(padded)
        pyramid = self.lateral_middle(middle) + resize(self.lateral_coarse(coarse), middle.shape[-2:])
        features = self.fuse(self.lateral_fine(fine) + resize(pyramid, fine.shape[-2:]))
        logits = self.classifier(features)
        return SegmentationOutput(
            logits=full_size(logits, padded, image),
            inspection=_views(features, logits) if inspect else {},
            explanation=explained(features, self.classifier, padded) if inspect else None,
        )


def _views(features: Tensor, logits: Tensor) -> dict[str, InspectionView]:
    return {
        "features": strength_view(
            features,
            "Feature strength",
            "How strongly the network responds at each place, whatever the class.",
        ),
        "classes": probability_view(
            logits, "How probable the network finds each class, at a quarter of the image size."
        ),
    }
