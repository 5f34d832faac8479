"""OCRNet: every pixel asks the regions that a first prediction gathers, one per class.

Yuan, Chen, Wang: Object-Contextual Representations for Semantic Segmentation. ECCV 2020.

B batch, K classes, H W image size, C width, h w size of the last features, P = h * w.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.attention import AttentionBlock
from models.base import MakeBackbone, SegmentationModel
from models.baseline_configs import OcrNetConfig
from models.blocks import conv_norm_act, full_size, pad_to_minimum, resize
from models.class_rows import Classifier
from models.context_network import auxiliary_decoder, context_views
from models.explanation import explained
from models.inspection import InspectionKind
from models.output import InspectionView, SegmentationOutput


@dataclass(frozen=True, kw_only=True)
class OcrNetOutput(SegmentationOutput):
    """What OCRNet returns.

    Attributes:
        coarse_logits: (B, K, h, w), the first prediction, from which the regions come.
    """

    coarse_logits: Tensor


def gather_regions(features: Tensor, coarse: Tensor) -> Tensor:
    """Returns one vector per class: the mean of the features, weighted by how much a place is of the class.

    The weights are a softmax of the coarse logits over places (equation 2 of the paper).

    Args:
        features: (B, C, h, w).
        coarse: (B, K, h, w) logits.

    Returns:
        (B, C, K, 1).
    """
    weights = coarse.flatten(2).softmax(dim=2)
    return (weights @ features.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)


class ObjectContext(nn.Module):
    """Pixels ask regions (equations 3 and 4); the answer joins the pixel's own features."""

    def __init__(self, width: int, attention_width: int) -> None:
        super().__init__()
        self.attention = AttentionBlock(width, attention_width, width)
        self.fusion = nn.Sequential(*conv_norm_act(2 * width, width))

    def forward(self, features: Tensor, coarse: Tensor) -> Tensor:
        """Returns (B, C, h, w) from features (B, C, h, w) and coarse logits (B, K, h, w)."""
        context = self.attention(features, gather_regions(features, coarse))
        result: Tensor = self.fusion(torch.cat([context, features], dim=1))
        return result


class OcrNet(SegmentationModel[OcrNetOutput]):
    """Object-contextual representations on the last features; the first prediction is made on stage 3."""

    independent_classes = False

    def __init__(self, config: OcrNetConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(num_classes)
        self.backbone = make_backbone(config.backbone)
        channels, width = self.backbone.channels, config.width
        self.auxiliary_decoder = auxiliary_decoder(channels[2], config, num_classes)
        self.bottleneck = nn.Sequential(*conv_norm_act(channels[3], width))
        self.object_context = ObjectContext(width, config.attention_width)
        self.dropout = nn.Dropout2d(config.dropout)
        self.classifier = Classifier(width, num_classes)
        self._head_rate = config.head_rate

    @property
    def head_rate(self) -> float:
        """Learning rate of the head relative to the backbone's."""
        return self._head_rate

    def forward(self, image: Tensor, *, inspect: bool = False) -> OcrNetOutput:
        """Computes logits (B, K, H, W) of (B, 3, H, W) float; the first prediction is auxiliary."""
        padded = pad_to_minimum(image)
        features = self.backbone(padded)
        reduced = self.bottleneck(features[3])
        coarse = self.auxiliary_decoder(features[2])
        # Stages 3 and 4 differ in size where the backbone is not dilated.
        context = self.object_context(reduced, resize(coarse, reduced.shape[-2:]))
        logits = self.classifier(self.dropout(context))
        views = _views(coarse) | context_views(features[3], context, logits) if inspect else {}
        return OcrNetOutput(
            logits=full_size(logits, padded, image),
            auxiliary_logits={"stage3": full_size(coarse, padded, image)} if self.training else {},
            inspection=views,
            explanation=explained(context, self.classifier, padded) if inspect else None,
            coarse_logits=coarse,
        )


def _views(coarse: Tensor) -> dict[str, InspectionView]:
    logits = coarse.detach().float()
    regions = (logits - logits.amax(dim=(2, 3), keepdim=True)).exp()
    return {
        "coarse": InspectionView(
            kind=InspectionKind.LABEL_MAP,
            title="First prediction",
            explanation="What the third stage took each place for before the regions were asked.",
            values=logits.argmax(dim=1),
        ),
        "regions": InspectionView(
            kind=InspectionKind.CLASS_HEATMAPS,
            title="Regions",
            explanation="Which places speak for each class; 1 is the place that speaks loudest.",
            values=regions,
        ),
    }
