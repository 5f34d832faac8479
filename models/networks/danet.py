"""DANet: attention between places and attention between channels, side by side.

Fu, Liu, Tian, Li, Bao, Fang, Lu: Dual Attention Network for Scene Segmentation. CVPR 2019.

B batch, K classes, H W image size, F width, T channels of queries and keys, h w size of the last features,
P = h * w.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import places
from models.backbones.base import Features
from models.base import MakeBackbone
from models.baseline_configs import DaNetConfig
from models.blocks import conv_norm_act
from models.class_rows import Classifier
from models.context_network import ContextNetwork, Gathered
from models.output import InspectionView
from models.precision import as_given
from models.views import strength_view


class PositionAttention(nn.Module):
    """Every place asks every other, one head, not scaled (equations 1 and 2).

    Values are wider than queries, as published, which torch's fused kernels for processors do not take: there
    the P x P weights are held.

    Args:
        channels: F.
        width: T.
        strength: how much of the context is added at the start (alpha of the paper, learned).
    """

    def __init__(self, channels: int, width: int, strength: float) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.strength = nn.Parameter(torch.full((1,), strength))
        if self.key.bias is not None:
            # It adds the same to all scores of a place, which the softmax does not see.
            self.key.bias.requires_grad = False

    def forward(self, features: Tensor) -> Tensor:
        """Returns (B, F, h, w): the features with what the other places add."""
        mixed = F.scaled_dot_product_attention(
            places(self.query(features)),
            places(self.key(features)),
            places(self.value(features)),
            scale=1.0,
        )
        context: Tensor = mixed.squeeze(1).transpose(1, 2).unflatten(2, features.shape[-2:])
        return features + self.strength * context


class ChannelAttention(nn.Module):
    """Every channel asks every other, the least alike first (equations 3 and 4).

    Args:
        strength: how much of the context is added at the start (beta of the paper, learned).
    """

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.full((1,), strength))

    def forward(self, features: Tensor) -> Tensor:
        """Returns (B, F, h, w): the features with what the other channels add."""
        channels = features.flatten(2)
        # Sums over all places are too large for half precision, and their differences decide.
        with as_given(features):
            exact = channels.float()
            likeness = exact @ exact.transpose(1, 2)
            weights = (likeness.amax(dim=2, keepdim=True) - likeness).softmax(dim=2)
        context = weights.to(channels.dtype) @ channels
        added: Tensor = self.strength * context.unflatten(2, features.shape[-2:])
        return features + added


class DualAttention(nn.Module):
    """Both attentions, each between two convolutions."""

    def __init__(self, channels: int, config: DaNetConfig) -> None:
        super().__init__()
        width = config.width
        self.before_position = nn.Sequential(*conv_norm_act(channels, width))
        self.position = PositionAttention(width, config.attention_width, config.strength)
        self.after_position = nn.Sequential(*conv_norm_act(width, width))
        self.before_channel = nn.Sequential(*conv_norm_act(channels, width))
        self.channel = ChannelAttention(config.strength)
        self.after_channel = nn.Sequential(*conv_norm_act(width, width))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the results of position and channel attention, each (B, F, h, w), from (B, C, h, w)."""
        by_position = self.after_position(self.position(self.before_position(features)))
        by_channel = self.after_channel(self.channel(self.before_channel(features)))
        return by_position, by_channel


class DaNet(ContextNetwork):
    """Dual attention on the last features; while training, each attention has a classifier of its own."""

    def __init__(self, config: DaNetConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(config, num_classes, make_backbone)
        self.context = DualAttention(self.backbone.channels[3], config)
        self.branch_classifiers = nn.ModuleDict(
            {name: Classifier(config.width, num_classes) for name in ("position", "channel")}
        )

    def gather(self, features: Features, *, inspect: bool) -> Gathered:
        """Returns the sum of both results (B, F, h, w), and each of them to be supervised."""
        by_position, by_channel = self.context(features[3])
        supervised = {"position": by_position, "channel": by_channel}
        return Gathered(
            features=by_position + by_channel,
            views=_views(by_position, by_channel) if inspect else {},
            auxiliary={
                name: classifier(self.dropout(supervised[name]))
                for name, classifier in self.branch_classifiers.items()
            }
            if self.training
            else {},
        )


def _views(by_position: Tensor, by_channel: Tensor) -> dict[str, InspectionView]:
    return {
        "position": strength_view(
            by_position, "Attention between places", "How strongly each place answers to like places."
        ),
        "channel": strength_view(
            by_channel, "Attention between channels", "How strongly each place answers to like channels."
        ),
    }
