"""The context modules of the comparison table, each as the table counts it.

Every function returns a module that maps the last features of a backbone (B, 2048, h, w) to features with
context: with the reduction and all normalisations, without the final classifier and the auxiliary head.
K is 150, as on ADE20K. Where the table's authors made up a second input, so do we, in the same way.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from models.attention import AttentionBlock
from models.baseline_configs import CcNetConfig, DaNetConfig, DnlConfig
from models.blocks import conv_norm_act
from models.class_memory import ClassMemory, NormalMemory, class_shares
from models.class_rows import Classifier
from models.context import AtrousPyramid, PyramidPooling
from models.context_configs import ContextKind
from models.idrnet_configs import IdrnetConfig
from models.idrnet_presets import idrnet_light
from models.memory_configs import ClassMemoryConfig
from models.networks.ann import AnnContext
from models.networks.ccnet import RecurrentCrissCross
from models.networks.danet import DualAttention
from models.networks.dnl import DnlContext
from models.networks.idrnet import RelationContext
from models.networks.ocrnet import ObjectContext

CHANNELS = 2048
WIDTH = 512
CLASSES = 150
_LEVELS = (256, 512, 1024)


class _Ocr(nn.Module):
    """Coarse logits come from the one map there is, by a 1 x 1 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse = Classifier(CHANNELS, CLASSES)
        self.reduce = nn.Sequential(*conv_norm_act(CHANNELS, WIDTH))
        self.context = ObjectContext(WIDTH, WIDTH // 2)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.context(self.reduce(features), self.coarse(features))
        return result


class _Ann(nn.Module):
    """The stage before is made of the one map there is, by a 1 x 1 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Conv2d(CHANNELS, CHANNELS // 2, 1, bias=False)
        self.context = AnnContext((CHANNELS // 2, CHANNELS), WIDTH, WIDTH // 2, 0.0)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.context(self.before(features), features)[0]
        return result


class _Mcibi(nn.Module):
    """Coarse logits are the first K channels there are: the table counts nothing that makes them."""

    def __init__(self, memory: ClassMemory | NormalMemory) -> None:
        super().__init__()
        self.reduce = nn.Sequential(*conv_norm_act(CHANNELS, WIDTH))
        self.memory = memory
        self.attention = AttentionBlock(WIDTH, WIDTH // 2, WIDTH)
        self.fusion = nn.Sequential(*conv_norm_act(2 * WIDTH, WIDTH))

    def forward(self, features: Tensor) -> Tensor:
        reduced = self.reduce(features)
        shares = class_shares(features[:, :CLASSES], hard=False)
        mixture = self.memory.mixture(shares).view_as(reduced).to(reduced.dtype)
        result: Tensor = self.fusion(torch.cat([reduced, self.attention(reduced, mixture)], dim=1))
        return result


class _UperNet(nn.Module):
    """Four levels of the size of the one map there is, each with a lateral, fused by a 1 x 1 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.pooling = PyramidPooling(CHANNELS, WIDTH)
        self.laterals = nn.ModuleList(
            nn.Sequential(*conv_norm_act(count, WIDTH, 1)) for count in (*_LEVELS, WIDTH)
        )
        self.convolutions = nn.ModuleList(nn.Sequential(*conv_norm_act(WIDTH, WIDTH)) for _ in range(4))
        self.fusion = nn.Sequential(*conv_norm_act(4 * WIDTH, WIDTH, 1))

    def forward(self, features: Tensor) -> Tensor:
        maps = [*(features[:, :count] for count in _LEVELS), self.pooling(features)]
        levels = [lateral(values) for lateral, values in zip(self.laterals, maps, strict=True)]
        for finer in (2, 1, 0):
            levels[finer] = levels[finer] + levels[finer + 1]
        joined = [convolve(level) for convolve, level in zip(self.convolutions, levels, strict=True)]
        result: Tensor = self.fusion(torch.cat(joined, dim=1))
        return result


def ppm() -> nn.Module:
    """Returns pyramid pooling."""
    return PyramidPooling(CHANNELS, WIDTH)


def aspp() -> nn.Module:
    """Returns atrous spatial pyramid pooling."""
    return AtrousPyramid(CHANNELS, WIDTH)


def ocr() -> nn.Module:
    """Returns object-contextual representations."""
    return _Ocr()


def ann() -> nn.Module:
    """Returns asymmetric non-local blocks."""
    return _Ann()


def upernet() -> nn.Module:
    """Returns pyramid pooling and feature pyramid."""
    return _UperNet()


def ccnet() -> nn.Module:
    """Returns recurrent criss-cross attention."""
    return RecurrentCrissCross(CHANNELS, CcNetConfig())


def dnl() -> nn.Module:
    """Returns disentangled non-local attention."""
    return DnlContext(CHANNELS, DnlConfig())


def danet() -> nn.Module:
    """Returns position and channel attention."""
    return DualAttention(CHANNELS, DaNetConfig())


def mcibi() -> nn.Module:
    """Returns MCIBI's memory of class vectors, without context within the image."""
    return _Mcibi(ClassMemory(CLASSES, WIDTH, ClassMemoryConfig()))


def mcibipp() -> nn.Module:
    """Returns MCIBI++'s memory of class distributions, without context within the image."""
    return _Mcibi(NormalMemory(CLASSES, WIDTH, momentum=0.1))


def idrnet() -> nn.Module:
    """Returns IDRNet's relation context as released: every pixel is refined."""
    return RelationContext(IdrnetConfig(), CLASSES, (CHANNELS,))


def idrnet_by_class() -> nn.Module:
    """Returns IDRNet's relation context with class vectors refined before they are spread."""
    return RelationContext(idrnet_light(), CLASSES, (CHANNELS,))


def ppm_idrnet() -> nn.Module:
    """Returns pyramid pooling on the reduced features, with IDRNet's class-level relation context."""
    config = replace(idrnet_light(), context=ContextKind.PPM)
    return RelationContext(config, CLASSES, (CHANNELS,))
