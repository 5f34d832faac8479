"""A U-Net with group normalisation. Imports torch.

Ronneberger et al.: U-Net, MICCAI 2015; Wu and He: Group Normalization, ECCV 2018. Shapes: B batch, H W image,
K classes.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

_GROUPS = 8
_LEVELS = 4


def _block(inside: int, outside: int) -> nn.Sequential:
    """Two convolutions of 3 x 3 with ReLU and group normalisation."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.GroupNorm(_GROUPS, outside),
        nn.Conv2d(outside, outside, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.GroupNorm(_GROUPS, outside),
    )


class UNet(nn.Module):
    """Four levels down, four up, with shortcuts; padded, so the output is as large as the input.

    Args:
        classes: K.
        width: channels of the first level; each further one has twice as many. A multiple of 8.
    """

    def __init__(self, classes: int, *, width: int = 16) -> None:
        super().__init__()
        sizes = [width * 2**level for level in range(_LEVELS + 1)]
        self.first = _block(3, width)
        self.down = nn.ModuleList(_block(a, b) for a, b in itertools.pairwise(sizes))
        upwards = list(zip(sizes[:0:-1], sizes[-2::-1], strict=True))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in upwards)
        self.up = nn.ModuleList(_block(a, b) for a, b in upwards)
        self.last = nn.Conv2d(width, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, H, W) of images (B, 3, H, W); H and W of any size ≥ 16."""
        height, width = image.shape[-2:]
        step = 2**_LEVELS
        x = functional.pad(image, (0, -width % step, 0, -height % step), mode="replicate")
        x = self.first(x)
        kept = []
        for block in self.down:
            kept.append(x)
            x = block(functional.max_pool2d(x, 2))
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat((kept.pop(), grow(x)), dim=1))
        logits: Tensor = self.last(x)
        return logits[..., :height, :width]
