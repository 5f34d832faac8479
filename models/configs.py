"""Every choice about backbones and networks, as frozen dataclasses (torch-free); losses: `loss_configs`.

JSON is made by the engine's codec, which writes the class name as "kind" where a union stands.
"""

from dataclasses import dataclass
from enum import Enum

from models.described import check_bounds, described
from models.loss_configs import CrossEntropyConfig, LossConfig, RmiConfig

# What other rooms know from here although it is defined elsewhere.
__all__ = ["CrossEntropyConfig", "LossConfig", "RmiConfig"]


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


class Supervision(Enum):
    """Which stages of the backbone get a head of their own while training."""

    NONE = "none"
    STAGE3 = "stage3"
    EVERY_STAGE = "every_stage"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyConfig:
    """Small network that learns on a CPU within a minute."""

    backbone: TinyBackboneConfig = described(TinyBackboneConfig(), help="Feature extractor.")
    width: int = described(32, help="Channels of the decoder.", low=4, high=256)
    dropout: float = described(
        0.0, help="Share of decoder channels switched off while training.", low=0.0, high=0.9
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FcnConfig:
    """Fully convolutional network: two convolutions on the last features."""

    backbone: BackboneConfig = described(ResNetConfig(), help="Feature extractor.")
    width: int = described(512, help="Channels of the head.", low=4, high=2048)
    dropout: float = described(
        0.1, help="Share of head channels switched off while training.", low=0.0, high=0.9
    )
    supervision: Supervision = described(
        Supervision.STAGE3, help="Stages of the backbone that get a head of their own while training."
    )
    head_rate: float = described(
        1.0,
        help="Learning rate of the head relative to the backbone's; 10 suits pretrained backbones.",
        low=0.1,
        high=100,
    )

    def __post_init__(self) -> None:
        check_bounds(self)


NetworkConfig = TinyConfig | FcnConfig
