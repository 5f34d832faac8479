"""Every choice about backbones, as frozen dataclasses (torch-free)."""

from dataclasses import dataclass
from enum import Enum

from models.described import check_bounds, described


class NormKind(Enum):
    """How features are normalised."""

    BATCH = "batch"
    """Over the batch: fast, wants batches of several crops."""
    GROUP = "group"
    """Over groups of channels of one image: independent of the batch."""


class ResNetDepth(Enum):
    """Number of layers of a ResNet."""

    RESNET18 = 18
    RESNET34 = 34
    RESNET50 = 50
    RESNET101 = 101


class OutputStride(Enum):
    """How much smaller the last feature map is than the image."""

    STRIDE8 = 8
    STRIDE16 = 16
    STRIDE32 = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyBackboneConfig:
    """A small backbone without pretrained weights, for CPUs and tests."""

    width: int = described(
        24, help="Channels at a quarter of the image size; deeper stages have more.", low=6, high=256
    )
    depth: int = described(
        2, help="Residual blocks at a sixteenth of the image size; half as many at an eighth.", low=1, high=8
    )
    norm: NormKind = described(NormKind.BATCH, help="How features are normalised.")
    coordinates: bool = described(
        False,
        help="Tell the network where in the crop a pixel is. Helps only if crops are nearly whole images.",
    )
    dilated: bool = described(
        False, help="Keep the last features at an eighth of the image size: finer and slower."
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNetConfig:
    """ResNet (He et al. 2016) with dilated late stages, optionally with ImageNet weights."""

    depth: ResNetDepth = described(ResNetDepth.RESNET18, help="Number of layers: more is slower and finer.")
    output_stride: OutputStride = described(
        OutputStride.STRIDE8, help="How much smaller the last features are; 8 is finest and slowest."
    )
    pretrained: bool = described(
        True, help="Start from ImageNet weights if this computer has them or can download them."
    )
    contracted_dilation: bool = described(
        True, help="The first block of a dilated stage uses half its dilation, as in the published networks."
    )

    def __post_init__(self) -> None:
        check_bounds(self)


BackboneConfig = TinyBackboneConfig | ResNetConfig
