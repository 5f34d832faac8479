"""Every choice about backbones, as frozen dataclasses (torch-free)."""

from dataclasses import dataclass
from enum import Enum

from models.described import ConfigError, check_bounds, described


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
    RESNET152 = 152


class ResNetStem(Enum):
    """What a ResNet sees first."""

    PLAIN = "plain"
    """One 7 x 7 convolution, as in the paper and in torchvision's weights."""
    DEEP = "deep"
    """Three 3 x 3 convolutions, as in the networks of the comparison tables ("v1c")."""


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
    stem: ResNetStem = described(
        ResNetStem.PLAIN,
        help="What the network sees first; published ImageNet weights of the deep one cover the stages only.",
    )
    base_width: int = described(
        64,
        help="Channels after the stem; every stage has a multiple. 64 is the published width.",
        low=4,
        high=256,
    )

    def __post_init__(self) -> None:
        check_bounds(self)


class SwinSize(Enum):
    """Size of a Swin transformer."""

    TINY = "tiny"
    SMALL = "small"
    BASE = "base"
    LARGE = "large"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwinConfig:
    """Swin transformer (Liu et al. 2021): attention in windows that shift from layer to layer."""

    size: SwinSize = described(SwinSize.TINY, help="Width and depth: larger is slower and finer.")
    window: int = described(
        7,
        help="Edge of a window; 7 in most published weights, 12 in the largest.",
        unit="cells",
        low=2,
        high=32,
    )
    drop_path: float = described(
        0.2, help="Share of images for which the last layer is skipped while training.", low=0.0, high=0.9
    )
    shift_single_window: bool = described(
        False,
        help="Shift even where one window holds all features, as the published IDRNet and MCIBI++ do. "
        "ImageNet weights were trained without.",
    )
    pretrained: bool = described(
        True, help="Start from ImageNet weights if there are any for this size and they can be had."
    )

    def __post_init__(self) -> None:
        check_bounds(self)


class ConvNextSize(Enum):
    """Size of a ConvNeXt."""

    TINY = "tiny"
    SMALL = "small"
    BASE = "base"
    LARGE = "large"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvNextConfig:
    """ConvNeXt (Liu et al. 2022): convolutions arranged like a transformer."""

    size: ConvNextSize = described(ConvNextSize.TINY, help="Width and depth: larger is slower and finer.")
    drop_path: float = described(
        0.1, help="Share of images for which the last layer is skipped while training.", low=0.0, high=0.9
    )
    pretrained: bool = described(
        True, help="Start from ImageNet weights if this computer has them or can download them."
    )

    def __post_init__(self) -> None:
        check_bounds(self)


class MobileNetSize(Enum):
    """Size of a MobileNetV3."""

    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetConfig:
    """MobileNetV3 (Howard et al. 2019): light, for computers without a GPU."""

    size: MobileNetSize = described(MobileNetSize.LARGE, help="Width and depth: larger is slower and finer.")
    dilated: bool = described(
        True, help="Keep the last features at a sixteenth of the image size instead of a thirty-second."
    )
    pretrained: bool = described(
        True, help="Start from ImageNet weights if this computer has them or can download them."
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class VitConfig:
    """Vision transformer (Dosovitskiy et al. 2021): attention over the whole image."""

    width: int = described(1024, help="Channels; 1024 is ViT-L.", low=16, high=4096)
    heads: int = described(16, help="Heads of every attention; must divide the width.", low=1, high=64)
    depth: int = described(24, help="Layers.", low=4, high=64)
    patch: int = described(16, help="Edge of a patch.", unit="px", low=4, high=64)
    positions: int = described(
        24,
        help="Edge of the grid of learned positions; it is stretched to the image.",
        unit="patches",
        low=2,
        high=128,
    )
    taken: tuple[int, ...] = described(
        (10, 15, 20, 24), help="After which layers features are taken; four.", low=1, high=64
    )
    drop_path: float = described(
        0.0, help="Share of images for which the last layer is skipped while training.", low=0.0, high=0.9
    )
    pretrained: bool = described(
        True, help="Start from ImageNet weights if there are any for this size and they can be had."
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.width % self.heads:
            raise ConfigError("heads", self.heads, f"a divisor of the width {self.width}")
        if len(self.taken) != 4 or list(self.taken) != sorted(set(self.taken)) or self.taken[-1] > self.depth:
            raise ConfigError("taken", self.taken, f"four rising numbers up to the depth {self.depth}")


class ResNestDepth(Enum):
    """Number of layers of a ResNeSt."""

    RESNEST14 = 14
    RESNEST50 = 50
    RESNEST101 = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNestConfig:
    """ResNeSt (Zhang et al. 2020): a ResNet whose channels attend to each other. Starts untrained."""

    depth: ResNestDepth = described(
        ResNestDepth.RESNEST101, help="Number of layers: more is slower and finer."
    )
    output_stride: OutputStride = described(
        OutputStride.STRIDE8, help="How much smaller the last features are; 8 is finest and slowest."
    )

    def __post_init__(self) -> None:
        check_bounds(self)


class HrNetWidth(Enum):
    """Channels of the finest branch of an HRNet."""

    W18_SMALL = "18 small"
    W18 = "18"
    W32 = "32"
    W48 = "48"


@dataclass(frozen=True, slots=True, kw_only=True)
class HrNetConfig:
    """HRNetV2 (Wang et al. 2020): fine features stay from the first layer to the last. Starts untrained."""

    width: HrNetWidth = described(HrNetWidth.W48, help="Channels of the finest branch.")
    halved: bool = described(
        False, help="Halve the size of the last features, as the published MCIBI do for large images."
    )
    stem_activation: bool = described(
        True, help="ReLU between the first two convolutions; the published MCIBI leave it out."
    )

    def __post_init__(self) -> None:
        check_bounds(self)


BackboneConfig = (
    TinyBackboneConfig
    | ResNetConfig
    | SwinConfig
    | ConvNextConfig
    | MobileNetConfig
    | VitConfig
    | ResNestConfig
    | HrNetConfig
)
