"""Swin transformer, version 1.

Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo: Swin Transformer: Hierarchical Vision Transformer using Shifted
Windows. ICCV 2021. Written for dense prediction: every stage is read before its features are merged, through
a norm of its own (`norms`), any image size is allowed, and attention is the fused one. All other names in the
state dict are torchvision's (`features`), whose weights fit.

B batch, H W image size, h w size of a stage's features, C its channels, w edge of a window, T = w * w.
Features are channels-last, (B, h, w, C), inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import Swin_B_Weights, Swin_S_Weights, Swin_T_Weights, WeightsEnum

from models.backbone_configs import SwinConfig, SwinSize
from models.backbones.attention_layers import DropPath, perceptron, rising_shares
from models.backbones.base import Backbone, Features
from models.backbones.pretrained import Notice, Progress, start_from

PATCH = 4
APART = -100.0
"""Added to the score of two places that are neighbours only because the map was rolled."""


@dataclass(frozen=True, slots=True)
class _Plan:
    width: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]


_PLANS = {
    SwinSize.TINY: _Plan(96, (2, 2, 6, 2), (3, 6, 12, 24)),
    SwinSize.SMALL: _Plan(96, (2, 2, 18, 2), (3, 6, 12, 24)),
    SwinSize.BASE: _Plan(128, (2, 2, 18, 2), (4, 8, 16, 32)),
    SwinSize.LARGE: _Plan(192, (2, 2, 18, 2), (6, 12, 24, 48)),
}
_WEIGHTS: dict[SwinSize, WeightsEnum] = {
    SwinSize.TINY: Swin_T_Weights.IMAGENET1K_V1,
    SwinSize.SMALL: Swin_S_Weights.IMAGENET1K_V1,
    SwinSize.BASE: Swin_B_Weights.IMAGENET1K_V1,
}
_PUBLISHED_WINDOW = 7


class WindowAttention(nn.Module):
    """Attention inside windows, with a learned score for every offset of two places.

    Args:
        channels: C.
        heads: heads of the attention.
        window: w.
        shift: how far windows are shifted, 0 or w // 2.
        shift_single_window: shift even an axis that one window covers.
    """

    relative_position_index: Tensor

    def __init__(
        self, channels: int, heads: int, window: int, shift: int, *, shift_single_window: bool
    ) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.shift_single_window = shift_single_window
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", _offsets(window), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Returns (B, h, w, C) from (B, h, w, C)."""
        batch, height, width, channels = features.shape
        edge = self.window
        padded = F.pad(features, (0, 0, 0, -width % edge, 0, -height % edge))
        rows, columns = padded.shape[1:3]
        shifts = (self._shift(rows), self._shift(columns))
        rolled = torch.roll(padded, (-shifts[0], -shifts[1]), (1, 2)) if any(shifts) else padded
        windows = _windows(rolled, edge)
        query, key, value = (
            self.qkv(windows).unflatten(-1, (3, self.heads, channels // self.heads)).permute(2, 0, 3, 1, 4)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=self._scores(rows, columns, shifts, batch, query)
        )
        result = self.proj(mixed.transpose(1, 2).flatten(2))
        joined = _joined(result, edge, rows, columns)
        if any(shifts):
            joined = torch.roll(joined, shifts, (1, 2))
        return joined[:, :height, :width]

    def _shift(self, length: int) -> int:
        return self.shift if self.shift_single_window or length > self.window else 0

    def _scores(self, rows: int, columns: int, shifts: tuple[int, int], batch: int, query: Tensor) -> Tensor:
        """Returns what is added to the scores: (1 or B * windows, heads, T, T)."""
        count = self.window**2
        scores = self.relative_position_bias_table[self.relative_position_index]
        scores = scores.view(count, count, self.heads).permute(2, 0, 1)[None].to(query.dtype)
        if not any(shifts):
            return scores
        regions = _regions(rows, self.window, shifts[0], query.device)[:, None] * 3
        regions = regions + _regions(columns, self.window, shifts[1], query.device)[None]
        regions = _windows(regions[None, :, :, None], self.window)[..., 0]
        apart = (regions[:, :, None] != regions[:, None, :]).to(query.dtype) * APART
        return scores + apart.repeat(batch, 1, 1)[:, None]


def _offsets(window: int) -> Tensor:
    """Returns the row of the table of every pair of places in a window, (T * T,) int64."""
    places = torch.arange(window)
    rows, columns = (grid.flatten() for grid in torch.meshgrid(places, places, indexing="ij"))
    row_offsets = rows[:, None] - rows[None] + window - 1
    column_offsets = columns[:, None] - columns[None] + window - 1
    return (row_offsets * (2 * window - 1) + column_offsets).flatten()


def _regions(length: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Returns for each place of a rolled axis which part of it is really next to it, (length,) int64."""
    places = torch.arange(length, device=device)
    if not shift:
        return torch.zeros_like(places)
    return (places >= length - window).long() + (places >= length - shift).long()


def _windows(features: Tensor, edge: int) -> Tensor:
    """Cuts (B, h, w, C) into (B * windows, edge * edge, C)."""
    batch, height, width, channels = features.shape
    parts = features.view(batch, height // edge, edge, width // edge, edge, channels)
    return parts.transpose(2, 3).reshape(-1, edge * edge, channels)


def _joined(windows: Tensor, edge: int, rows: int, columns: int) -> Tensor:
    """Undoes `_windows`."""
    parts = windows.view(-1, rows // edge, columns // edge, edge, edge, windows.shape[-1])
    return parts.transpose(2, 3).reshape(-1, rows, columns, windows.shape[-1])


class SwinLayer(nn.Module):
    """Attention in windows, then a small network for every place; (B, h, w, C) to the same shape."""

    def __init__(self, channels: int, attention: WindowAttention, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = attention
        self.drop = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = perceptron(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Returns features of the same shape."""
        features = features + self.drop(self.attn(self.norm1(features)))
        result: Tensor = features + self.drop(self.mlp(self.norm2(features)))
        return result


class PatchMerging(nn.Module):
    """Halves the size and doubles the channels: (B, h, w, C) to (B, ceil(h / 2), ceil(w / 2), 2C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Returns the merged features."""
        _, height, width, _ = features.shape
        even = F.pad(features, (0, 0, 0, width % 2, 0, height % 2))
        parts = [even[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        result: Tensor = self.reduction(self.norm(torch.cat(parts, dim=-1)))
        return result


class ChannelsLast(nn.Module):
    """Turns (B, C, h, w) into (B, h, w, C)."""

    def forward(self, features: Tensor) -> Tensor:
        """Returns a view."""
        return features.permute(0, 2, 3, 1)


class SwinBackbone(Backbone):
    """Features after each of the four stages, at strides 4, 8, 16 and 32."""

    strides = (4, 8, 16, 32)

    def __init__(
        self, config: SwinConfig, *, progress: Progress | None = None, notice: Notice | None = None
    ) -> None:
        super().__init__()
        plan = _PLANS[config.size]
        width = plan.width
        self.channels = (width, 2 * width, 4 * width, 8 * width)
        shares = iter(rising_shares(config.drop_path, sum(plan.depths)))
        parts: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(3, width, PATCH, stride=PATCH), ChannelsLast(), nn.LayerNorm(width))
        ]
        for stage, (channels, depth, heads) in enumerate(
            zip(self.channels, plan.depths, plan.heads, strict=True)
        ):
            if stage:
                parts.append(PatchMerging(channels // 2))
            parts.append(
                nn.Sequential(*(_layer(config, channels, heads, n, next(shares)) for n in range(depth)))
            )
        self.features = nn.Sequential(*parts)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in self.channels)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if config.pretrained:
            self._start(config, progress, notice)

    def forward(self, image: Tensor) -> Features:
        """Returns the features of the four stages of (B, 3, H, W)."""
        height, width = image.shape[-2:]
        current = F.pad(image, (0, -width % PATCH, 0, -height % PATCH))
        found = []
        for number, part in enumerate(self.features):
            current = part(current)
            if number % 2:
                found.append(self.norms[number // 2](current).permute(0, 3, 1, 2).contiguous())
        first, second, third, fourth = found
        return first, second, third, fourth

    def _start(self, config: SwinConfig, progress: Progress | None, notice: Notice | None) -> None:
        if config.size not in _WEIGHTS or config.window != _PUBLISHED_WINDOW:
            if notice is not None:
                notice("There are no published weights for this Swin transformer: it starts untrained.")
            return

        def own(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
            kept = {name: values for name, values in self.state_dict().items() if name.startswith("norms.")}
            left_out = ("norm.", "head.")
            return kept | {
                name: values
                for name, values in state.items()
                if not name.startswith(left_out) and not name.endswith("relative_position_index")
            }

        url: str = _WEIGHTS[config.size].url
        start_from(self, url, own=own, progress=progress, notice=notice)


def _layer(config: SwinConfig, channels: int, heads: int, number: int, share: float) -> SwinLayer:
    shift = config.window // 2 if number % 2 else 0
    attention = WindowAttention(
        channels, heads, config.window, shift, shift_single_window=config.shift_single_window
    )
    return SwinLayer(channels, attention, share)
