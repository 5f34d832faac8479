"""The rows of the learning table: networks of one size, each named with the one it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.baseline_configs import DeepLabV3Config, PspNetConfig
from models.configs import (
    CrossEntropyConfig,
    FcnConfig,
    LossConfig,
    NetworkConfig,
    OutputStride,
    ResNetConfig,
    ResNetDepth,
    RmiConfig,
    SpgNetConfig,
)
from models.context_configs import ContextKind
from models.idrnet_configs import IdrnetConfig, Refinement
from models.memory_configs import ClassMemoryConfig, McibiConfig

EPOCH = 92
"""Steps in which batches of 4 crops hold as many crops as there are images to learn from."""

_WIDTH, _ATTENTION, _AUXILIARY, _DILATION = 64, 32, 32, 3
_DILATIONS = (1, _DILATION, 2 * _DILATION, 3 * _DILATION)
_RESNET18 = ResNetConfig(
    depth=ResNetDepth.RESNET18, output_stride=OutputStride.STRIDE8, pretrained=False, base_width=16
)
_IDRNET = IdrnetConfig(
    backbone=_RESNET18,
    width=_WIDTH,
    attention_width=_ATTENTION,
    auxiliary_width=_AUXILIARY,
    deletion_statistics=False,
)
_MCIBI = McibiConfig(
    backbone=_RESNET18,
    context=ContextKind.NONE,
    width=_WIDTH,
    attention_width=_ATTENTION,
    auxiliary_width=_AUXILIARY,
    memory=ClassMemoryConfig(consistency_start=EPOCH),
)
_SPGNET = SpgNetConfig(backbone=replace(_RESNET18, output_stride=OutputStride.STRIDE32), width=_WIDTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A network of the table.

    Attributes:
        title: how the table calls it.
        network: its configuration, without pretrained weights.
        base: name of the row it claims to be better than; None for a baseline.
        auxiliary_weight: weight of the loss on auxiliary logits, as published.
    """

    title: str
    network: NetworkConfig
    base: str | None = None
    auxiliary_weight: float = 0.4


ROWS: Mapping[str, Row] = {
    "fcn": Row(title="FCN", network=FcnConfig(backbone=_RESNET18, width=_WIDTH)),
    "idrnet": Row(title="FCN + IDRNet", network=_IDRNET, base="fcn"),
    "mcibi": Row(title="FCN + MCIBI", network=_MCIBI, base="fcn"),
    "spgnet-1": Row(title="SPGNet, one stage", network=replace(_SPGNET, stages=1), auxiliary_weight=1.0),
    "spgnet": Row(title="SPGNet, two stages", network=_SPGNET, base="spgnet-1", auxiliary_weight=1.0),
    "idrnet-classes": Row(
        title="FCN + IDRNet, refined by class",
        network=replace(_IDRNET, refinement=Refinement.CLASSES, attention_width=_WIDTH // 4),
        base="fcn",
    ),
    "pspnet": Row(
        title="PSPNet",
        network=PspNetConfig(backbone=_RESNET18, width=_WIDTH, auxiliary_width=_AUXILIARY),
    ),
    "deeplabv3": Row(
        title="DeepLabV3",
        network=DeepLabV3Config(
            backbone=_RESNET18, width=_WIDTH, auxiliary_width=_AUXILIARY, dilation_step=_DILATION
        ),
    ),
    "pspnet-idrnet": Row(
        title="PSPNet + IDRNet", network=replace(_IDRNET, context=ContextKind.PPM), base="pspnet"
    ),
    "deeplabv3-mcibi": Row(
        title="DeepLabV3 + MCIBI",
        network=replace(_MCIBI, context=ContextKind.ASPP, dilations=_DILATIONS),
        base="deeplabv3",
    ),
    "idrnet-statistics": Row(
        title="FCN + IDRNet, normalised by deleted classes too",
        network=replace(_IDRNET, deletion_statistics=True),
        base="fcn",
    ),
}
"""Rows by name, those that decide a claim first."""


def loss_of(row: Row, name: str) -> LossConfig:
    """Returns the loss `name` ("ce" or "rmi") for a row.

    Images are learned from at a third of their size, so a pooling factor of 2 is still coarser than the
    published 4.
    """
    losses: dict[str, LossConfig] = {
        "ce": CrossEntropyConfig(auxiliary_weight=row.auxiliary_weight),
        "rmi": RmiConfig(factor=2, auxiliary_weight=row.auxiliary_weight),
    }
    return losses[name]
