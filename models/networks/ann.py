"""ANN: every pixel asks averages over regions instead of all other pixels.

Zhu, Xu, Bai, Huang, Bai: Asymmetric Non-local Neural Networks for Semantic Segmentation. ICCV 2019.

B batch, K classes, F width, T channels inside the attention, h w size of a feature map, P = h * w,
S = 110 averages over grids of 1, 3, 6 and 8 cells an edge.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import places
from models.backbones.base import Features
from models.base import MakeBackbone
from models.baseline_configs import AnnConfig
from models.blocks import BatchNorm, conv_norm_act, resize
from models.context_network import ContextNetwork, Gathered
from models.output import InspectionView
from models.views import strength_view

BINS = (1, 3, 6, 8)
"""Edges of the grids of averages."""


def averages(values: Tensor) -> Tensor:
    """Returns (B, S, C), the averages of (B, C, h, w) over the cells of all grids."""
    grids = [F.adaptive_avg_pool2d(values, count).flatten(2) for count in BINS]
    return torch.cat(grids, dim=2).transpose(1, 2).contiguous()


class AsymmetricAttention(nn.Module):
    """Places of one feature map ask averages of another (equation 6 of the paper), one head.

    Args:
        channels: of the map that asks, and of the result.
        key_channels: of the map that answers; None where both are one map, whose queries and keys then
            share their projection.
        width: T.
    """

    def __init__(self, channels: int, key_channels: int | None, width: int) -> None:
        super().__init__()
        self.query = nn.Sequential(*conv_norm_act(channels, width, 1))
        self.key = nn.Sequential(*conv_norm_act(key_channels, width, 1)) if key_channels else None
        self.value = nn.Conv2d(key_channels or channels, width, 1, bias=False)
        self.out = nn.Conv2d(width, channels, 1, bias=False)

    def forward(self, asking: Tensor, answering: Tensor) -> Tensor:
        """Returns (B, channels, h, w) for the places of `asking`; sizes may differ."""
        query = self.query(asking)
        key = query if self.key is None else self.key(answering)
        mixed = F.scaled_dot_product_attention(
            places(query),
            averages(key).unsqueeze(1),
            averages(self.value(answering)).unsqueeze(1),
        )
        result: Tensor = self.out(mixed.squeeze(1).transpose(1, 2).unflatten(2, query.shape[-2:]))
        return result


class AnnContext(nn.Module):
    """Fusion with the stage before (AFNB), reduction, attention within (APNB)."""

    def __init__(self, channels: tuple[int, int], width: int, attention_width: int, dropout: float) -> None:
        super().__init__()
        before, last = channels
        self.across = AsymmetricAttention(last, before, attention_width)
        # No ReLU here, as published.
        self.fusion_across = nn.Sequential(nn.Conv2d(2 * last, last, 1, bias=False), BatchNorm(last))
        self.reduce = nn.Sequential(nn.Dropout2d(dropout), *conv_norm_act(last, width))
        self.within = AsymmetricAttention(width, None, attention_width)
        self.fusion_within = nn.Sequential(*conv_norm_act(2 * width, width, 1))

    def forward(self, before: Tensor, last: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns fused features, context within, and context of the stage before.

        Args:
            before: (B, C', h', w') of the third stage.
            last: (B, C, h, w) of the fourth.

        Returns:
            (B, F, h, w), (B, F, h, w), (B, C, h, w).
        """
        earlier = self.across(last, before)
        reduced = self.reduce(self.fusion_across(torch.cat([earlier, last], dim=1)))
        context = self.within(reduced, reduced)
        return self.fusion_within(torch.cat([context, reduced], dim=1)), context, earlier


class Ann(ContextNetwork):
    """Asymmetric non-local blocks on the third and fourth stage."""

    def __init__(self, config: AnnConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(config, num_classes, make_backbone)
        channels = self.backbone.channels
        self.context = AnnContext(channels[2:], config.width, config.attention_width, config.dropout)
        # The dropout of this network sits inside.
        self.dropout = nn.Dropout2d(0.0)

    def gather(self, features: Features, *, inspect: bool) -> Gathered:
        """Returns features with context (B, F, h, w), and views if asked for."""
        before = resize(features[2], features[3].shape[-2:])
        fused, context, earlier = self.context(before, features[3])
        return Gathered(features=fused, views=_views(context, earlier) if inspect else {})


def _views(context: Tensor, earlier: Tensor) -> dict[str, InspectionView]:
    return {
        "earlier": strength_view(
            earlier,
            "Context of the third stage",
            "How strongly each place answers to averages of the third stage.",
        ),
        "regions": strength_view(
            context,
            "Context of regions",
            "How strongly each place answers to averages over regions of the image.",
        ),
    }
