"""Choices of SPGNet, as frozen dataclasses (torch-free)."""

from dataclasses import dataclass
from enum import Enum

from models.backbone_configs import OutputStride, ResNetConfig, ResNetDepth, TinyBackboneConfig
from models.described import check_bounds, described


class Aggregation(Enum):
    """What an encoder takes over from the stage before it."""

    ENCODER_AND_DECODER = "encoder_and_decoder"
    """Its encoder's and decoder's features at the same scale, each through a 1 x 1 convolution."""
    DECODER = "decoder"
    """The decoder's through a 1 x 1 convolution, the encoder's as they are."""
    NONE = "none"
    """Nothing; the stages meet in the guidance alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpgNetConfig:
    """Two encoder-decoders in a row; what the first predicts guides what the second sees."""

    backbone: ResNetConfig | TinyBackboneConfig = described(
        ResNetConfig(depth=ResNetDepth.RESNET50, output_stride=OutputStride.STRIDE32),
        help="Feature extractor of every stage, each with its own weights.",
    )
    stages: int = described(2, help="Encoder-decoders in a row.", low=1, high=4)
    width: int = described(256, help="Channels of the decoders.", low=8, high=1024)
    blocks: int = described(1, help="Residual blocks after each fusion of a decoder.", low=1, high=4)
    aggregation: Aggregation = described(
        Aggregation.ENCODER_AND_DECODER, help="What an encoder takes over from the stage before it."
    )
    supervised: bool = described(True, help="Teach the earlier stages to predict the classes, too.")
    sigmoid: bool = described(True, help="Guide by a gate between 0 and 1 instead of any number.")
    identity: bool = described(True, help="Keep the features beside their guided copy.")
    neutral_start: bool = described(
        False, help="Start with guidance that treats every place alike, instead of at random."
    )
    head_rate: float = described(
        1.0,
        help="Learning rate of the decoders relative to the backbone's; 10 suits pretrained backbones.",
        low=0.1,
        high=100,
    )

    def __post_init__(self) -> None:
        check_bounds(self)
