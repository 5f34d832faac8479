"""FCN: two convolutions on the last features of a backbone.

Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation. CVPR 2015. As in later
comparison tables (and unlike the paper) the backbone is dilated and nothing is learned about upsampling:
logits are resized bilinearly.

B batch, K classes, H W image size, h w size of the last features.
"""

from torch import Tensor, nn

from models.base import MakeBackbone, SegmentationModel
from models.blocks import conv_norm_act, full_size, pad_to_minimum
from models.class_rows import Classifier
from models.configs import FcnConfig, Supervision
from models.decoders import decoder
from models.explanation import explained, read_by_last
from models.output import InspectionView, SegmentationOutput
from models.views import probability_view, strength_view

_STAGES: dict[Supervision, tuple[int, ...]] = {
    Supervision.NONE: (),
    Supervision.STAGE3: (2,),
    Supervision.EVERY_STAGE: (0, 1, 2),
}


class Fcn(SegmentationModel[SegmentationOutput]):
    """Head on stage 4, and heads on earlier stages that only training uses."""

    def __init__(self, config: FcnConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(num_classes)
        self.backbone = make_backbone(config.backbone)
        channels, width = self.backbone.channels, config.width
        self.decoder = nn.Sequential(
            *conv_norm_act(channels[3], width),
            *conv_norm_act(width, width),
            nn.Dropout2d(config.dropout),
            Classifier(width, num_classes),
        )
        self.stages = _STAGES[config.supervision]
        auxiliary = config.auxiliary_width or width
        self.auxiliary_decoders = nn.ModuleDict(
            {
                f"stage{stage + 1}": decoder(
                    channels[stage], auxiliary, num_classes, dropout=config.dropout, kernel=3
                )
                for stage in self.stages
            }
        )
        self._head_rate = config.head_rate

    @property
    def head_rate(self) -> float:
        """Learning rate of the heads relative to the backbone's."""
        return self._head_rate

    def forward(self, image: Tensor, *, inspect: bool = False) -> SegmentationOutput:
        """Computes logits (B, K, H, W) of (B, 3, H, W) float; auxiliary logits in training only."""
        padded = pad_to_minimum(image)
        features = self.backbone(padded)
        last, classifier = read_by_last(self.decoder, features[3])
        coarse = classifier(last)
        auxiliary: dict[str, Tensor] = {}
        if self.training:
            for stage in self.stages:
                name = f"stage{stage + 1}"
                logits = self.auxiliary_decoders[name](features[stage])
                auxiliary[name] = full_size(logits, padded, image)
        return SegmentationOutput(
            logits=full_size(coarse, padded, image),
            auxiliary_logits=auxiliary,
            inspection=_views(features[3], coarse) if inspect else {},
            explanation=explained(last, classifier, padded) if inspect else None,
        )


def _views(features: Tensor, coarse: Tensor) -> dict[str, InspectionView]:
    return {
        "features": strength_view(
            features,
            "Feature strength",
            "How strongly the backbone responds at each place, whatever the class.",
        ),
        "classes": probability_view(
            coarse, "How probable the network finds each class, at the size of its last features."
        ),
    }
