"""Complete configurations under a name (torch-free)."""

from dataclasses import dataclass

from models.configs import (
    CrossEntropyConfig,
    FcnConfig,
    LossConfig,
    NetworkConfig,
    OutputStride,
    ResNetConfig,
    ResNetDepth,
    SpgNetConfig,
    TinyBackboneConfig,
    TinyConfig,
)
from models.memory_presets import (
    mcibi_quick,
    mcibi_resnet18,
    mcibi_resnet50,
    mcibipp_quick,
    mcibipp_resnet18,
    mcibipp_resnet50,
)


def tiny() -> TinyConfig:
    """Returns the network for computers without a GPU."""
    return TinyConfig()


def tiny_fcn() -> FcnConfig:
    """Returns an FCN small enough for tests and very slow computers."""
    return FcnConfig(backbone=TinyBackboneConfig(width=12, depth=1), width=24, dropout=0.0)


def fcn_resnet18() -> FcnConfig:
    """Returns an FCN on ResNet-18 with a narrow head."""
    return FcnConfig(backbone=ResNetConfig(depth=ResNetDepth.RESNET18), width=128)


def fcn_resnet50() -> FcnConfig:
    """Returns the FCN of the comparison tables, on ResNet-50."""
    return FcnConfig(backbone=ResNetConfig(depth=ResNetDepth.RESNET50))


def tiny_spgnet() -> SpgNetConfig:
    """Returns an SPGNet small enough for tests and very slow computers."""
    return SpgNetConfig(backbone=TinyBackboneConfig(width=12, depth=1), width=16)


def spgnet_resnet18() -> SpgNetConfig:
    """Returns an SPGNet of two ResNet-18 with narrow decoders."""
    backbone = ResNetConfig(depth=ResNetDepth.RESNET18, output_stride=OutputStride.STRIDE32)
    return SpgNetConfig(backbone=backbone, width=64)


def spgnet_resnet50() -> SpgNetConfig:
    """Returns the SPGNet of the comparison tables: two ResNet-50."""
    return SpgNetConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A network and a loss that go together.

    Attributes:
        name: identifier used on the command line.
        title: a few words for the window.
        help: one sentence: for whom.
        network: complete network configuration.
        loss: complete loss configuration.
    """

    name: str
    title: str
    help: str
    network: NetworkConfig
    loss: LossConfig


PRESETS: tuple[Preset, ...] = (
    Preset(
        name="tiny",
        title="Tiny",
        help="Learns on any computer within a minute; needs no download.",
        network=tiny(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="fcn-resnet18",
        title="FCN, ResNet-18",
        help="Finer than Tiny; for a GPU, or a patient CPU.",
        network=fcn_resnet18(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="fcn-resnet50",
        title="FCN, ResNet-50",
        help="For a GPU with at least 8 GB of memory.",
        network=fcn_resnet50(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="spgnet-resnet18",
        title="SPGNet, 2 × ResNet-18",
        help="Two passes, fine borders; for a GPU, or a patient CPU.",
        network=spgnet_resnet18(),
        loss=CrossEntropyConfig(auxiliary_weight=1.0),
    ),
    Preset(
        name="spgnet-resnet50",
        title="SPGNet, 2 × ResNet-50",
        help="For a GPU with at least 16 GB of memory.",
        network=spgnet_resnet50(),
        loss=CrossEntropyConfig(auxiliary_weight=1.0),
    ),
    Preset(
        name="mcibi-resnet18",
        title="MCIBI, ResNet-18",
        help="Remembers classes over all images; for a GPU, or a patient CPU.",
        network=mcibi_resnet18(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi-quick",
        title="MCIBI, ResNet-50, few images",
        help="Starts from ImageNet weights and adapts fast; for a GPU with at least 12 GB of memory.",
        network=mcibi_quick(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi-resnet50",
        title="MCIBI, ResNet-50, as published",
        help="For a long training planned in advance, on a GPU with at least 16 GB of memory.",
        network=mcibi_resnet50(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi++-resnet18",
        title="MCIBI++, ResNet-18",
        help="Remembers two numbers per class; for a GPU, or a patient CPU.",
        network=mcibipp_resnet18(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi++-quick",
        title="MCIBI++, ResNet-50, few images",
        help="Starts from ImageNet weights and adapts fast; for a GPU with at least 12 GB of memory.",
        network=mcibipp_quick(),
        loss=CrossEntropyConfig(),
    ),
    Preset(
        name="mcibi++-resnet50",
        title="MCIBI++, ResNet-50, as published",
        help="For a long training planned in advance, on a GPU with at least 16 GB of memory.",
        network=mcibipp_resnet50(),
        loss=CrossEntropyConfig(),
    ),
)
"""Presets in the order in which they are offered; the first suits every computer."""
