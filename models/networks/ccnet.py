"""CCNet: every pixel asks its row and its column, twice, so that it hears from everywhere.

Huang, Wang, Huang, Huang, Wei, Liu: CCNet: Criss-Cross Attention for Semantic Segmentation. ICCV 2019.

B batch, K classes, F width, T channels of queries and keys, h w size of the last features.
"""

import torch
from torch import Tensor, nn

from models.backbones.base import Features
from models.base import MakeBackbone
from models.baseline_configs import CcNetConfig
from models.blocks import conv_norm_act
from models.context_network import ContextNetwork, Gathered
from models.output import InspectionView
from models.views import strength_view


class CrissCrossAttention(nn.Module):
    """Attention of every place to the h + w - 1 places of its row and column, one head, not scaled.

    Args:
        channels: F.
        width: T.
        strength: how much of the context is added at the start (gamma of the paper, learned).
    """

    def __init__(self, channels: int, width: int, strength: float) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.full((1,), strength))
        if self.key.bias is not None:
            # It adds the same to all scores of a place, which the softmax does not see.
            self.key.bias.requires_grad = False

    def forward(self, features: Tensor) -> Tensor:
        """Returns (B, F, h, w): the features with what their rows and columns add."""
        height, width = features.shape[-2:]
        query, key, value = self.query(features), self.key(features), self.value(features)
        rows = query.permute(0, 2, 3, 1) @ key.permute(0, 2, 1, 3)  # (B, h, w, w)
        columns = query.permute(0, 3, 2, 1) @ key.permute(0, 3, 1, 2)  # (B, w, h, h)
        # A place is in its row already; in its column it does not count again.
        itself = torch.eye(height, dtype=torch.bool, device=features.device)
        columns = columns.masked_fill(itself, float("-inf")).transpose(1, 2)  # (B, h, w, h)
        weights = torch.cat([rows, columns], dim=3).softmax(dim=3)
        by_row, by_column = weights.split([width, height], dim=3)
        across = by_row.to(value.dtype) @ value.permute(0, 2, 3, 1)  # (B, h, w, F)
        along = by_column.transpose(1, 2).to(value.dtype) @ value.permute(0, 3, 2, 1)  # (B, w, h, F)
        context = across.permute(0, 3, 1, 2) + along.permute(0, 3, 2, 1)
        added: Tensor = self.gamma * context
        return features + added


class RecurrentCrissCross(nn.Module):
    """Reduction, criss-cross attention with the same weights in every round, fusion with the features."""

    def __init__(self, channels: int, config: CcNetConfig) -> None:
        super().__init__()
        width = config.width
        self.before = nn.Sequential(*conv_norm_act(channels, width))
        self.attention = CrissCrossAttention(width, config.attention_width, config.strength)
        self.after = nn.Sequential(*conv_norm_act(width, width))
        self.fusion = nn.Sequential(*conv_norm_act(channels + width, width))
        self.rounds = config.rounds

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Returns fused features (B, F, h, w) and what the attention added (B, F, h, w)."""
        reduced = self.before(features)
        attended = reduced
        for _ in range(self.rounds):
            attended = self.attention(attended)
        return self.fusion(torch.cat([features, self.after(attended)], dim=1)), attended - reduced


class CcNet(ContextNetwork):
    """Criss-cross attention on the last features."""

    def __init__(self, config: CcNetConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(config, num_classes, make_backbone)
        self.context = RecurrentCrissCross(self.backbone.channels[3], config)

    def gather(self, features: Features, *, inspect: bool) -> Gathered:
        """Returns features with context (B, F, h, w), and views if asked for."""
        fused, added = self.context(features[3])
        return Gathered(features=fused, views={"added": _view_of_added(added)} if inspect else {})


def _view_of_added(added: Tensor) -> InspectionView:
    return strength_view(
        added, "Added by rows and columns", "How much each place learned from its row and its column."
    )
