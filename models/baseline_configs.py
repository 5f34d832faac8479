"""Choices of the networks that others are compared with, as frozen dataclasses (torch-free)."""

from dataclasses import dataclass

from models.backbone_configs import BackboneConfig, ResNetConfig, ResNetDepth
from models.described import check_bounds, described


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig:
    """What all networks have in common that put a context module between backbone and classifier."""

    backbone: BackboneConfig = described(ResNetConfig(depth=ResNetDepth.RESNET50), help="Feature extractor.")
    width: int = described(512, help="Channels of the head.", low=8, high=2048)
    dropout: float = described(
        0.1, help="Share of head channels switched off while training.", low=0.0, high=0.9
    )
    auxiliary_width: int = described(
        512, help="Channels of the head on the backbone's third stage.", low=4, high=2048
    )
    auxiliary_dropout: float = described(
        0.1, help="Share of that head's channels switched off while training.", low=0.0, high=0.9
    )
    head_rate: float = described(
        1.0,
        help="Learning rate of the head relative to the backbone's; 10 suits pretrained backbones.",
        low=0.1,
        high=100,
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextNetworkConfig(HeadConfig):
    """A network whose head on the third stage only helps training."""

    auxiliary: bool = described(
        True, help="Teach the third stage of the backbone with a head of its own while training."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PspNetConfig(ContextNetworkConfig):
    """PSPNet: averages over regions of several sizes, beside the features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepLabV3Config(ContextNetworkConfig):
    """DeepLabV3: convolutions of several dilations and the average of the image, side by side."""

    dilation_step: int = described(
        12,
        help="The dilations are one, two and three times this: 12 suits output stride 8, 6 suits 16.",
        low=1,
        high=48,
    )
    dilations: tuple[int, ...] = described(
        (),
        help="Reach of the convolutions, one branch each, such as 1, 6, 12, 18; without any, the step tells.",
        unit="cells",
        low=1,
        high=64,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepLabV3PlusConfig(DeepLabV3Config):
    """DeepLabV3+: DeepLabV3 with lighter convolutions and the detail of the first stage."""

    detail_width: int = described(48, help="Channels kept of the first stage.", low=4, high=512)


@dataclass(frozen=True, slots=True, kw_only=True)
class UperNetConfig(ContextNetworkConfig):
    """UPerNet: pyramid pooling whose result flows down to the finer stages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrNetConfig(HeadConfig):
    """OCRNet: every pixel asks the regions that a first prediction gathers, one per class."""

    dropout: float = described(
        0.0, help="Share of head channels switched off while training.", low=0.0, high=0.9
    )
    attention_width: int = described(256, help="Channels of the attention.", low=4, high=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnConfig(ContextNetworkConfig):
    """ANN: every pixel asks averages over regions, first of the stage before, then of its own."""

    attention_width: int = described(256, help="Channels of the attention.", low=4, high=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class CcNetConfig(ContextNetworkConfig):
    """CCNet: every pixel asks its row and its column, twice, so that it hears from everywhere."""

    attention_width: int = described(64, help="Channels of queries and keys.", low=4, high=1024)
    rounds: int = described(2, help="How often rows and columns are asked.", low=1, high=4)
    strength: float = described(
        0.0, help="How much the attention adds at the start; 0 as published.", low=0.0, high=1.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DnlConfig(ContextNetworkConfig):
    """DNL: every pixel asks every other; what all find important is kept apart."""

    attention_width: int = described(256, help="Channels of the attention.", low=4, high=1024)
    temperature: float = described(
        0.05, help="Smaller makes the attention between pixels sharper.", low=0.001, high=10
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DaNetConfig(ContextNetworkConfig):
    """DANet: attention between places and attention between channels, side by side."""

    attention_width: int = described(64, help="Channels of queries and keys.", low=4, high=1024)
    strength: float = described(
        0.0, help="How much the attention adds at the start; 0 as published.", low=0.0, high=1.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseAsppConfig(ContextNetworkConfig):
    """DenseASPP: convolutions of growing dilation, each of which sees the results of all before it."""

    growth: int = described(128, help="Channels that every convolution adds.", low=4, high=1024)
    dilation_step: int = described(
        6,
        help="The five dilations are this times one half, one, two, three and four.",
        low=2,
        high=24,
    )
