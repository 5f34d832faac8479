"""A small backbone of our own that learns from scratch on a CPU.

B batch, H W image size. Plain 3 x 3 convolutions: on CPUs they use the processor better than depthwise ones
at these widths. What counts when somebody waits is the number of steps per second, so the layers at full
detail are thin and shallow, and the capacity sits at strides 8 and 16, where it costs little.
"""

import torch
from torch import Tensor, nn

from models.backbones.base import Backbone, Features
from models.blocks import conv_norm_act, norm
from models.configs import NormKind, TinyBackboneConfig


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions whose result is added to the input; (B, C, h, w) to the same shape."""

    def __init__(self, channels: int, *, dilation: int = 1, kind: NormKind = NormKind.BATCH) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_norm_act(channels, channels, dilation=dilation, kind=kind),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            norm(kind, channels),
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Returns features of the same shape."""
        result: Tensor = self.activation(features + self.body(features))
        return result


class TinyBackbone(Backbone):
    """Features at strides 2, 4, 8 and 16, or 8 once more if dilated.

    With `coordinates`, two more input channels tell row and column.
    """

    def __init__(self, config: TinyBackboneConfig) -> None:
        super().__init__()
        width, kind = config.width, config.norm
        self.channels = (max(4, width // 2), width, width * 2, width * 8 // 3)
        self.strides = (2, 4, 8, 8 if config.dilated else 16)
        self.coordinates = config.coordinates
        stem, fine, middle, coarse = self.channels
        self.stem = nn.Sequential(*conv_norm_act(5 if config.coordinates else 3, stem, stride=2, kind=kind))
        self.stage4 = nn.Sequential(*conv_norm_act(stem, fine, stride=2, kind=kind))
        self.stage8 = nn.Sequential(
            *conv_norm_act(fine, middle, stride=2, kind=kind),
            *(ResidualBlock(middle, kind=kind) for _ in range((config.depth + 1) // 2)),
        )
        self.stage16 = nn.Sequential(
            *conv_norm_act(middle, coarse, stride=1 if config.dilated else 2, kind=kind),
            *(ResidualBlock(coarse, dilation=1 + number % 2, kind=kind) for number in range(config.depth)),
        )

    def forward(self, image: Tensor) -> Features:
        """Returns the features of the four stages."""
        if self.coordinates:
            image = torch.cat([image, _coordinates(image)], dim=1)
        stem = self.stem(image)
        fine = self.stage4(stem)
        middle = self.stage8(fine)
        return stem, fine, middle, self.stage16(middle)


def _coordinates(image: Tensor) -> Tensor:
    """Returns row and column of every pixel in -1..1, (B, 2, H, W)."""
    batch, _, height, width = image.shape
    rows = torch.linspace(-1, 1, height, device=image.device, dtype=image.dtype).view(1, 1, height, 1)
    columns = torch.linspace(-1, 1, width, device=image.device, dtype=image.dtype).view(1, 1, 1, width)
    return torch.cat([rows.expand(batch, 1, height, width), columns.expand(batch, 1, height, width)], dim=1)
