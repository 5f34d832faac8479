"""Networks of one shape: backbone, context module, classifier; an auxiliary head while training.

B batch, K classes, H W image size, F width of the head, h w size of the context module's result.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from models.backbones.base import Features
from models.base import MakeBackbone, SegmentationModel
from models.baseline_configs import ContextNetworkConfig, HeadConfig
from models.blocks import full_size, pad_to_minimum
from models.class_rows import Classifier
from models.decoders import decoder
from models.explanation import explained
from models.output import InspectionView, SegmentationOutput
from models.views import probability_view, strength_view


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a context module makes of the features of a backbone.

    Attributes:
        features: (B, F, h, w) features with context, ready for the classifier.
        views: how they came about, by name; empty unless asked for.
        auxiliary: logits (B, K, h, w) of intermediate results by name, supervised too; training only.
    """

    features: Tensor
    views: Mapping[str, InspectionView] = field(default_factory=dict)
    auxiliary: Mapping[str, Tensor] = field(default_factory=dict)


class ContextNetwork(SegmentationModel[SegmentationOutput]):
    """Base of networks that differ in their context module only.

    Args:
        config: choices of the network.
        num_classes: K.
        make_backbone: builds the backbone.
    """

    def __init__(self, config: ContextNetworkConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(num_classes)
        self.backbone = make_backbone(config.backbone)
        channels = self.backbone.channels
        self.dropout = nn.Dropout2d(config.dropout)
        self.classifier = Classifier(config.width, num_classes)
        self.auxiliary_decoder = (
            auxiliary_decoder(channels[2], config, num_classes) if config.auxiliary else None
        )
        self._head_rate = config.head_rate

    @abstractmethod
    def gather(self, features: Features, *, inspect: bool) -> Gathered:
        """Returns features with context.

        Args:
            features: of the four stages of the backbone, finest first.
            inspect: whether to return views.
        """

    @property
    def head_rate(self) -> float:
        """Learning rate of the head relative to the backbone's."""
        return self._head_rate

    def forward(self, image: Tensor, *, inspect: bool = False) -> SegmentationOutput:
        """Computes logits (B, K, H, W) of (B, 3, H, W) float; auxiliary logits in training only."""
        padded = pad_to_minimum(image)
        features = self.backbone(padded)
        gathered = self.gather(features, inspect=inspect)
        logits = self.classifier(self.dropout(gathered.features))
        auxiliary = {name: full_size(values, padded, image) for name, values in gathered.auxiliary.items()}
        if self.training and self.auxiliary_decoder is not None:
            auxiliary["stage3"] = full_size(self.auxiliary_decoder(features[2]), padded, image)
        views = dict(gathered.views)
        if inspect:
            views |= context_views(features[3], gathered.features, logits)
        return SegmentationOutput(
            logits=full_size(logits, padded, image),
            auxiliary_logits=auxiliary,
            inspection=views,
            explanation=explained(gathered.features, self.classifier, padded) if inspect else None,
        )


def auxiliary_decoder(channels: int, config: HeadConfig, num_classes: int) -> nn.Sequential:
    """Returns the head that teaches the third stage: (B, channels, h, w) to logits (B, K, h, w)."""
    dropout = config.auxiliary_dropout
    return decoder(channels, config.auxiliary_width, num_classes, dropout=dropout, kernel=3)


def context_views(features: Tensor, context: Tensor, logits: Tensor) -> dict[str, InspectionView]:
    """Returns what every network of this shape can show: features, context and class probabilities.

    Args:
        features: (B, C, h', w') of the last stage.
        context: (B, F, h, w).
        logits: (B, K, h, w).
    """
    return {
        "features": strength_view(
            features,
            "Feature strength",
            "How strongly the backbone responds at each place, whatever the class.",
        ),
        "context": strength_view(
            context,
            "Features with context",
            "How strongly the network responds at each place once it knows the surroundings.",
        ),
        "classes": probability_view(
            logits, "How probable the network finds each class, at the size of its features."
        ),
    }


def dilations(step: int, multiples: Sequence[float]) -> tuple[int, ...]:
    """Returns 1 x 1 and one dilation for each multiple of `step`, at least 1."""
    return (1, *(max(1, int(step * multiple)) for multiple in multiples))
