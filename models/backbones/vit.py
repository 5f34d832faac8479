"""Vision transformer for dense prediction.

Dosovitskiy et al.: An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale. ICLR 2021.
Features are taken after four of the layers, all at the size of the patches, each through a norm of its own
(`norms`), as in the published MCIBI. Learned positions are stretched bilinearly to the image.

B batch, H W image size, h w = number of patches, C channels, N = h * w + 1 with the class token.
"""

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import ViT_L_16_Weights

from models.backbone_configs import VitConfig
from models.backbones.attention_layers import DropPath, perceptron, rising_shares
from models.backbones.base import Backbone, Features
from models.backbones.pretrained import Notice, Progress, start_from

EPSILON = 1e-6
_PUBLISHED = (1024, 16, 24, 16)
"""Width, heads, depth and patch of the published weights."""


class VitLayer(nn.Module):
    """Attention over all places, then a small network for each; (B, N, C) to the same shape."""

    def __init__(self, config: VitConfig, share: float) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = perceptron(width)
        self.drop = DropPath(share)

    def forward(self, places: Tensor) -> Tensor:
        """Returns features of the same shape."""
        channels = places.shape[-1]
        query, key, value = (
            self.qkv(self.norm1(places))
            .unflatten(-1, (3, self.heads, channels // self.heads))
            .permute(2, 0, 3, 1, 4)
        )
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        places = places + self.drop(self.proj(mixed))
        result: Tensor = places + self.drop(self.mlp(self.norm2(places)))
        return result


class VitBackbone(Backbone):
    """Four feature maps of one size, finest and coarsest alike."""

    def __init__(
        self, config: VitConfig, *, progress: Progress | None = None, notice: Notice | None = None
    ) -> None:
        super().__init__()
        width, patch = config.width, config.patch
        self.channels = (width, width, width, width)
        self.strides = (patch, patch, patch, patch)
        self.patch, self.positions, self.taken = patch, config.positions, config.taken
        self.patch_embed = nn.Conv2d(3, width, patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.positions**2 + 1, width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        shares = rising_shares(config.drop_path, config.depth)
        # What comes after the last layer taken would be computed for nothing.
        self.layers = nn.ModuleList(VitLayer(config, share) for share in shares[: config.taken[-1]])
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=EPSILON) for _ in config.taken)
        if config.pretrained:
            self._start(config, progress, notice)

    def forward(self, image: Tensor) -> Features:
        """Returns the features taken from (B, 3, H, W), (B, C, ceil(H / patch), ceil(W / patch)) each."""
        height, width = image.shape[-2:]
        patches = self.patch_embed(F.pad(image, (0, -width % self.patch, 0, -height % self.patch)))
        size = patches.shape[-2:]
        token = self.cls_token.expand(image.shape[0], -1, -1)
        current = torch.cat([token, patches.flatten(2).transpose(1, 2)], dim=1) + self._stretched(size)
        found: list[Tensor] = []
        for number, layer in enumerate(self.layers, start=1):
            current = layer(current)
            if number in self.taken:
                places = self.norms[len(found)](current[:, 1:])
                found.append(places.transpose(1, 2).unflatten(2, size))
        first, second, third, fourth = found
        return first, second, third, fourth

    def _stretched(self, size: torch.Size) -> Tensor:
        """Returns positions for (h, w) patches, (1, N, C)."""
        if tuple(size) == (self.positions, self.positions):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (self.positions, self.positions))
        grid = F.interpolate(grid, size=tuple(size), mode="bilinear", align_corners=False)
        return torch.cat([self.pos_embed[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)

    def _start(self, config: VitConfig, progress: Progress | None, notice: Notice | None) -> None:
        if (config.width, config.heads, config.depth, config.patch) != _PUBLISHED:
            if notice is not None:
                notice("There are no published weights for this vision transformer: it starts untrained.")
            return

        def own(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
            kept = {name: values for name, values in self.state_dict().items() if name.startswith("norms.")}
            renamed = from_torchvision(state, layers=len(self.layers))
            renamed["pos_embed"] = stretched_positions(renamed["pos_embed"], self.positions)
            return kept | renamed

        url: str = ViT_L_16_Weights.IMAGENET1K_V1.url
        start_from(self, url, own=own, progress=progress, notice=notice)


_TORCHVISION = (
    (re.compile(r"^encoder\.layers\.encoder_layer_(\d+)\."), r"layers.\1."),
    (re.compile(r"\.ln_(\d)\."), r".norm\1."),
    (re.compile(r"\.self_attention\.in_proj_"), ".qkv."),
    (re.compile(r"\.self_attention\.out_proj\."), ".proj."),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
    (re.compile(r"^conv_proj\."), "patch_embed."),
    (re.compile(r"^class_token$"), "cls_token"),
    (re.compile(r"^encoder\.pos_embedding$"), "pos_embed"),
)


def from_torchvision(state: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Returns torchvision's tensors under our names, without the classifier and layers beyond `layers`."""
    renamed = {}
    for name, values in state.items():
        own = name
        for pattern, replacement in _TORCHVISION:
            own = pattern.sub(replacement, own)
        parts = own.split(".")
        if own.startswith(("heads.", "encoder.ln")) or (parts[0] == "layers" and int(parts[1]) >= layers):
            continue
        renamed[own] = values
    return renamed


def stretched_positions(positions: Tensor, edge: int) -> Tensor:
    """Returns learned positions (1, n * n + 1, C) for a grid of `edge`, (1, edge * edge + 1, C)."""
    old = round((positions.shape[1] - 1) ** 0.5)
    if old == edge:
        return positions
    grid = positions[:, 1:].transpose(1, 2).unflatten(2, (old, old))
    grid = F.interpolate(grid, size=(edge, edge), mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)
