"""DNL: every pixel asks every other; what all find important is kept apart.

Yin, Yao, Cao, Li, Zhang, Lin, Hu: Disentangled Non-Local Neural Networks. ECCV 2020.

B batch, K classes, F width, T channels inside the attention, h w size of the last features, P = h * w.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import places
from models.backbones.base import Features
from models.base import MakeBackbone
from models.baseline_configs import DnlConfig
from models.blocks import BatchNorm, conv_norm_act
from models.context_network import ContextNetwork, Gathered
from models.inspection import InspectionKind
from models.output import InspectionView
from models.views import strength_view


def _freeze(values: Tensor | None) -> None:
    if values is not None:
        values.requires_grad = False


class DisentangledAttention(nn.Module):
    """A pairwise term on centred queries and keys, and a unary term, the same for all (equation 10).

    The P x P weights of the pairwise term exist only inside torch's fused kernel.

    Args:
        channels: F.
        width: T.
        temperature: smaller makes the pairwise term sharper.
    """

    def __init__(self, channels: int, width: int, temperature: float) -> None:
        super().__init__()
        self.value = nn.Conv2d(channels, width, 1)
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.mask = nn.Conv2d(channels, 1, 1)
        self.out = nn.Sequential(nn.Conv2d(width, channels, 1, bias=False), BatchNorm(channels))
        self.scale = 1.0 / (width**0.5 * temperature)
        # Centring takes the first two away again, the softmax the third; published files have them.
        for layer in (self.query, self.key, self.mask):
            _freeze(layer.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Returns features with context (B, F, h, w), and the unary weights (B, h, w), 0..1, sum 1."""
        value = places(self.value(features))
        pairwise = F.scaled_dot_product_attention(
            _centred(places(self.query(features))),
            _centred(places(self.key(features))),
            value,
            scale=self.scale,
        )
        mask = self.mask(features).flatten(2).softmax(dim=2)  # (B, 1, P)
        unary = mask.to(value.dtype).unsqueeze(1) @ value  # (B, 1, 1, T)
        size = features.shape[-2:]
        context = (pairwise + unary).squeeze(1).transpose(1, 2).unflatten(2, size)
        return features + self.out(context), mask.squeeze(1).unflatten(1, size)


def _centred(places: Tensor) -> Tensor:
    """Returns (B, 1, P, T) less its mean over places."""
    return places - places.mean(dim=2, keepdim=True)


class DnlContext(nn.Module):
    """Reduction, disentangled attention, fusion with the features."""

    def __init__(self, channels: int, config: DnlConfig) -> None:
        super().__init__()
        width = config.width
        self.before = nn.Sequential(*conv_norm_act(channels, width))
        self.attention = DisentangledAttention(width, config.attention_width, config.temperature)
        self.after = nn.Sequential(*conv_norm_act(width, width))
        self.fusion = nn.Sequential(*conv_norm_act(channels + width, width))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns (B, F, h, w) fused features and what the attention added, (B, h, w) unary weights."""
        reduced = self.before(features)
        attended, mask = self.attention(reduced)
        return self.fusion(torch.cat([features, self.after(attended)], dim=1)), attended - reduced, mask


class Dnl(ContextNetwork):
    """Disentangled non-local attention on the last features."""

    def __init__(self, config: DnlConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(config, num_classes, make_backbone)
        self.context = DnlContext(self.backbone.channels[3], config)

    def gather(self, features: Features, *, inspect: bool) -> Gathered:
        """Returns features with context (B, F, h, w), and views if asked for."""
        fused, added, mask = self.context(features[3])
        return Gathered(features=fused, views=_views(added, mask) if inspect else {})


def _views(added: Tensor, mask: Tensor) -> dict[str, InspectionView]:
    weights = mask.detach().float()
    return {
        "unary": InspectionView(
            kind=InspectionKind.HEATMAP,
            title="What all places look at",
            explanation="How much every place listens to this one; 1 would be as much as to any other.",
            values=weights * (weights.shape[1] * weights.shape[2]),
        ),
        "added": strength_view(
            added, "Added by attention", "How much each place learned from all other places."
        ),
    }
