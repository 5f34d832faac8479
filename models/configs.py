"""Every choice about networks, as frozen dataclasses (torch-free); more: `backbone_configs`, `loss_configs`.

JSON is made by the engine's codec, which writes the class name as "kind" where a union stands.
"""

from dataclasses import dataclass
from enum import Enum

from models.backbone_configs import (
    BackboneConfig,
    NormKind,
    OutputStride,
    ResNetConfig,
    ResNetDepth,
    TinyBackboneConfig,
)
from models.baseline_configs import (
    AnnConfig,
    CcNetConfig,
    DaNetConfig,
    DeepLabV3Config,
    DeepLabV3PlusConfig,
    DenseAsppConfig,
    DnlConfig,
    OcrNetConfig,
    PspNetConfig,
    UperNetConfig,
)
from models.described import check_bounds, described
from models.idrnet_configs import IdrnetConfig
from models.loss_configs import CrossEntropyConfig, LossConfig, RmiConfig
from models.memory_configs import McibiConfig, McibiPlusPlusConfig
from models.spgnet_configs import SpgNetConfig

# What other rooms know from here although it is defined elsewhere.
__all__ = [
    "AnnConfig",
    "BackboneConfig",
    "CcNetConfig",
    "CrossEntropyConfig",
    "DaNetConfig",
    "DeepLabV3Config",
    "DeepLabV3PlusConfig",
    "DenseAsppConfig",
    "DnlConfig",
    "IdrnetConfig",
    "LossConfig",
    "McibiConfig",
    "McibiPlusPlusConfig",
    "NormKind",
    "OcrNetConfig",
    "OutputStride",
    "PspNetConfig",
    "ResNetConfig",
    "ResNetDepth",
    "RmiConfig",
    "SpgNetConfig",
    "TinyBackboneConfig",
    "UperNetConfig",
]


class Supervision(Enum):
    """Which stages of the backbone get a head of their own while training."""

    NONE = "none"
    STAGE3 = "stage3"
    EVERY_STAGE = "every_stage"


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
    auxiliary_width: int = described(
        0, help="Channels of those heads; 0 for as many as the head has.", low=0, high=2048
    )
    head_rate: float = described(
        1.0,
        help="Learning rate of the head relative to the backbone's; 10 suits pretrained backbones.",
        low=0.1,
        high=100,
    )

    def __post_init__(self) -> None:
        check_bounds(self)


NetworkConfig = (
    TinyConfig
    | FcnConfig
    | IdrnetConfig
    | SpgNetConfig
    | McibiConfig
    | McibiPlusPlusConfig
    | PspNetConfig
    | DeepLabV3Config
    | DeepLabV3PlusConfig
    | UperNetConfig
    | OcrNetConfig
    | AnnConfig
    | CcNetConfig
    | DnlConfig
    | DaNetConfig
    | DenseAsppConfig
)
