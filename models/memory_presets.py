"""Complete configurations of networks with a class memory (torch-free)."""

from dataclasses import replace

from models.backbone_configs import ResNetConfig, ResNetDepth, ResNetStem, TinyBackboneConfig
from models.context_configs import ContextKind
from models.memory_configs import (
    ClassMemoryConfig,
    DecoderKernel,
    McibiConfig,
    McibiPlusPlusConfig,
    MomentumSchedule,
)

_RESNET50 = ResNetConfig(depth=ResNetDepth.RESNET50)
_PUBLISHED_RESNET50 = ResNetConfig(depth=ResNetDepth.RESNET50, stem=ResNetStem.DEEP)
"""With the stem of the published networks. ImageNet weights at hand cover all of the plain one only."""


def tiny_mcibi() -> McibiConfig:
    """Returns an MCIBI small enough for tests and very slow computers."""
    return McibiConfig(
        backbone=TinyBackboneConfig(width=12, depth=1),
        context=ContextKind.PPM,
        pyramid=True,
        width=16,
        attention_width=8,
        auxiliary_width=16,
        dropout=0.0,
        memory=ClassMemoryConfig(consistency_start=0),
    )


def tiny_mcibipp() -> McibiPlusPlusConfig:
    """Returns an MCIBI++ small enough for tests and very slow computers."""
    return McibiPlusPlusConfig(
        backbone=TinyBackboneConfig(width=12, depth=1),
        pyramid=True,
        pyramid_width=16,
        width=16,
        attention_width=8,
        auxiliary_width=16,
        dropout=0.0,
    )


def mcibi_resnet18() -> McibiConfig:
    """Returns an MCIBI on ResNet-18 with a narrow head, without context within the image."""
    return McibiConfig(
        backbone=ResNetConfig(depth=ResNetDepth.RESNET18),
        context=ContextKind.NONE,
        width=128,
        attention_width=64,
        auxiliary_width=64,
    )


def mcibi_quick() -> McibiConfig:
    """Returns an MCIBI that adapts to few images: the head learns fast, the memory at a steady pace."""
    return McibiConfig(backbone=_RESNET50, width=256, attention_width=128, auxiliary_width=128, head_rate=10)


def mcibi_resnet50() -> McibiConfig:
    """Returns the MCIBI of the comparison tables: DeepLabV3 base, ResNet-50.

    The published recipe around it, on ADE20K: learning rate 0.01, on which the memory's momentum hangs, and
    1263 updates of 16 images in an epoch. The consistency loss is the published one in all its details.
    """
    memory = ClassMemoryConfig(
        schedule=MomentumSchedule.FOLLOWS_RATE,
        momentum=0.9,
        base_rate=0.01,
        consistency_start=1263,
        consistency_statistics=True,
        consistency_unseen=True,
    )
    return McibiConfig(backbone=_PUBLISHED_RESNET50, memory=memory)


def mcibipp_resnet18() -> McibiPlusPlusConfig:
    """Returns an MCIBI++ on ResNet-18 with a narrow head."""
    return McibiPlusPlusConfig(
        backbone=ResNetConfig(depth=ResNetDepth.RESNET18), width=128, attention_width=64, auxiliary_width=64
    )


def mcibipp_quick() -> McibiPlusPlusConfig:
    """Returns an MCIBI++ that adapts to few images: the head learns fast."""
    return McibiPlusPlusConfig(
        backbone=_RESNET50, width=256, attention_width=128, auxiliary_width=128, head_rate=10
    )


def mcibipp_resnet50() -> McibiPlusPlusConfig:
    """Returns the MCIBI++ of the comparison tables: UPerNet base, ResNet-50."""
    return replace(
        mcibipp_quick(),
        backbone=_PUBLISHED_RESNET50,
        width=512,
        attention_width=256,
        auxiliary_width=512,
        head_rate=1.0,
        pyramid=True,
        decoder_kernel=DecoderKernel.SIZE3,
    )
