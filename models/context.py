"""Context within one image: what a place learns from its surroundings.

Each is a base of the comparison tables and keeps the names of published checkpoints.

B batch, C channels of the input, F width, h w size of a feature map.
"""

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor, nn

from models.blocks import conv_norm_act, resize
from models.context_configs import ContextKind

BINS = (1, 2, 3, 6)
"""Edges of the grids of averages in pyramid pooling."""

DILATIONS = (1, 12, 24, 36)
"""Dilations of the published networks at output stride 8."""


class PyramidPooling(nn.Module):
    """PPM: averages over grids of several sizes, put beside the features.

    Zhao, Shi, Qi, Wang, Jia: Pyramid Scene Parsing Network. CVPR 2017.

    Args:
        channels: C.
        width: F, channels of every average and of the result.
        bins: edges of the grids.
    """

    def __init__(self, channels: int, width: int, bins: Sequence[int] = BINS) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(count), *conv_norm_act(channels, width, 1)) for count in bins
        )
        self.bottleneck = nn.Sequential(*conv_norm_act(channels + len(bins) * width, width))

    def forward(self, features: Tensor) -> Tensor:
        """Returns (B, F, h, w) from (B, C, h, w)."""
        size = features.shape[-2:]
        averages = [resize(branch(features), size) for branch in self.branches]
        result: Tensor = self.bottleneck(torch.cat([features, *averages], dim=1))
        return result


class AtrousPyramid(nn.Module):
    """ASPP: convolutions of several dilations and the average of the image, side by side.

    Chen, Papandreou, Schroff, Adam: Rethinking Atrous Convolution for Semantic Image Segmentation. 2017.

    Args:
        channels: C.
        width: F, channels of every branch and of the result.
        dilations: one branch each; dilation 1 is a 1 x 1 convolution.
    """

    def __init__(self, channels: int, width: int, dilations: Sequence[int] = DILATIONS) -> None:
        super().__init__()
        self.parallel_branches = nn.ModuleList(
            self.branch(channels, width, dilation) for dilation in dilations
        )
        self.global_branch = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_norm_act(channels, width, 1))
        self.bottleneck = nn.Sequential(*conv_norm_act((len(dilations) + 1) * width, width))

    def branch(self, channels: int, width: int, dilation: int) -> nn.Module:
        """Returns the convolution of one dilation; the place for variants."""
        kernel = 1 if dilation == 1 else 3
        return nn.Sequential(*conv_norm_act(channels, width, kernel, dilation=dilation))

    def forward(self, features: Tensor) -> Tensor:
        """Returns (B, F, h, w) from (B, C, h, w)."""
        parts = [branch(features) for branch in self.parallel_branches]
        average = resize(self.global_branch(features), features.shape[-2:])
        result: Tensor = self.bottleneck(torch.cat([*parts, average], dim=1))
        return result


class FeaturePyramid(nn.Module):
    """UPerNet's fusion: context flows down to the finer stages, and all levels meet at the finest.

    Xiao, Liu, Zhou, Jiang, Sun: Unified Perceptual Parsing for Scene Understanding. ECCV 2018.

    Args:
        channels: of the finer stages, finest first.
        width: F, channels of every level on the way down, and of the top.
        outputs: channels of every finer level afterwards; the top keeps F.
    """

    def __init__(self, channels: Sequence[int], width: int, outputs: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(
            nn.Sequential(*conv_norm_act(count, width, 1)) for count in channels
        )
        self.fpn_convs = nn.ModuleList(nn.Sequential(*conv_norm_act(width, outputs)) for _ in channels)
        self.out_channels = len(channels) * outputs + width

    def forward(self, stages: Sequence[Tensor], top: Tensor) -> Tensor:
        """Returns (B, `out_channels`, h, w) at the size of the finest stage: finest level first, top last.

        Args:
            stages: the finer stages, finest first.
            top: (B, F, h', w'), context at the coarsest level.
        """
        level, levels = top, [top]
        for lateral, convolution, stage in zip(
            reversed(self.lateral_convs), reversed(self.fpn_convs), reversed(stages), strict=True
        ):
            side = lateral(stage)
            level = side + resize(level, side.shape[-2:])
            levels.append(convolution(level))
        levels.reverse()
        size = levels[0].shape[-2:]
        return torch.cat([resize(values, size) for values in levels], dim=1)


def build_context(
    kind: ContextKind, channels: int, width: int, dilations: Sequence[int] = DILATIONS
) -> nn.Module | None:
    """Returns the module of a kind of context, or None for none.

    It maps (B, channels, h, w) to (B, width, h, w); `dilations` matter to ASPP only.
    """
    match kind:
        case ContextKind.NONE:
            return None
        case ContextKind.PPM:
            return PyramidPooling(channels, width)
        case ContextKind.ASPP:
            return AtrousPyramid(channels, width, dilations)
        case _ as never:
            assert_never(never)
