"""Choices of class memories, as frozen dataclasses (torch-free)."""

from dataclasses import dataclass
from enum import Enum

from models.backbone_configs import BackboneConfig, ResNetConfig
from models.context_configs import ContextKind
from models.described import check_bounds, described


class DecoderKernel(Enum):
    """Size of a convolution."""

    SIZE1 = 1
    SIZE3 = 3


class AttentionStride(Enum):
    """How much smaller features are made before attention."""

    FULL = 1
    HALF = 2


class MomentumSchedule(Enum):
    """How fast a class memory moves."""

    CONSTANT = "constant"
    """The same share of every new value; suits training without an end."""
    FOLLOWS_RATE = "follows_rate"
    """In proportion to the learning rate, as published; suits training with a planned end."""


class MemoryUpdate(Enum):
    """What a class memory takes from a batch."""

    COSINE = "cosine"
    """Mean of the pixels of the class in which those unlike the memory count more, as published."""
    MEAN = "mean"
    """Plain mean of the pixels of the class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMemoryConfig:
    """Vectors kept for every class over the whole data set."""

    slots: int = described(1, help="Vectors per class; one in every published network.", low=1, high=16)
    update: MemoryUpdate = described(MemoryUpdate.COSINE, help="What the memory takes from a batch.")
    schedule: MomentumSchedule = described(
        MomentumSchedule.CONSTANT, help="How fast the memory moves in the course of training."
    )
    momentum: float = described(
        0.1,
        help="Share of the new value in the memory; if it follows the rate: at the base rate.",
        low=0.0,
        high=1.0,
    )
    base_rate: float = described(
        0.01,
        help="Learning rate at which the momentum holds, where it follows the rate.",
        low=1e-8,
        high=10,
    )
    consistency_weight: float = described(
        1.0, help="Weight of the loss that keeps the class vectors recognisable.", low=0.0, high=100
    )
    consistency_start: int = described(
        200,
        help="Updates before that loss begins; the papers' networks wait one epoch.",
        unit="steps",
        low=0,
        high=10_000_000,
    )
    consistency_statistics: bool = described(
        False,
        help="Normalise class vectors by their own statistics, as published, instead of those of pixels. "
        "The vectors then also enter the running statistics.",
    )
    consistency_unseen: bool = described(
        False, help="Count classes never seen in that loss too, as published; their vectors are all zero."
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class McibiConfig:
    """MCIBI: a memory of every class helps every pixel."""

    backbone: BackboneConfig = described(ResNetConfig(), help="Feature extractor.")
    context: ContextKind = described(
        ContextKind.ASPP, help="Context within the image, beside the memory's from beyond it."
    )
    dilations: tuple[int, ...] = described(
        (1, 12, 24, 36),
        help="Reach of the convolutions of ASPP, one branch each.",
        unit="cells",
        low=1,
        high=64,
    )
    pyramid: bool = described(
        False, help="Refine the result with the finer features of earlier stages, as UPerNet does."
    )
    width: int = described(512, help="Channels of the head and of the class vectors.", low=4, high=2048)
    attention_width: int = described(256, help="Channels inside attention.", low=2, high=2048)
    auxiliary_width: int = described(512, help="Channels of the auxiliary head.", low=4, high=2048)
    dropout: float = described(
        0.1, help="Share of head channels switched off while training.", low=0.0, high=0.9
    )
    hard_gathering: bool = described(
        False, help="Give a pixel the vector of its most probable class only, instead of a mixture."
    )
    memory: ClassMemoryConfig = described(ClassMemoryConfig(), help="Vectors kept for every class.")
    auxiliary: bool = described(True, help="Give stage 3 of the backbone a head of its own while training.")
    head_rate: float = described(
        1.0, help="Learning rate of the head relative to the backbone's.", low=0.1, high=100
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class McibiPlusPlusConfig:
    """MCIBI++: the memory of a class is two numbers."""

    backbone: BackboneConfig = described(ResNetConfig(), help="Feature extractor.")
    context: ContextKind = described(
        ContextKind.PPM, help="Context within the image, beside the memory's from beyond it."
    )
    dilations: tuple[int, ...] = described(
        (1, 12, 24, 36),
        help="Reach of the convolutions of ASPP, one branch each.",
        unit="cells",
        low=1,
        high=64,
    )
    pyramid: bool = described(
        False, help="Refine the result with the finer features of earlier stages, as UPerNet does."
    )
    width: int = described(512, help="Channels of the head and of the class vectors.", low=4, high=2048)
    pyramid_width: int = described(512, help="Channels of each level of the pyramid.", low=4, high=2048)
    attention_width: int = described(256, help="Channels inside attention.", low=2, high=2048)
    auxiliary_width: int = described(512, help="Channels of the auxiliary head.", low=4, high=2048)
    coarse_kernel: DecoderKernel = described(
        DecoderKernel.SIZE1,
        help="Size of the convolution before the classifiers that choose from the memory.",
    )
    decoder_kernel: DecoderKernel = described(
        DecoderKernel.SIZE1, help="Size of the convolution before the last classifier."
    )
    dropout: float = described(
        0.1, help="Share of head channels switched off while training.", low=0.0, high=0.9
    )
    within_attention: bool = described(
        False, help="Let the context within the image choose from the result of the memory by attention."
    )
    attention_stride: AttentionStride = described(
        AttentionStride.FULL, help="Size of the features on which the memory's attention works."
    )
    hard_gathering: bool = described(
        False, help="Give a pixel the vector of its most probable class only, instead of a mixture."
    )
    gather_by_pixels: bool = described(
        False, help="Mix class vectors by the pixels' own prediction even if there is a context's."
    )
    within_weight: float = described(
        1.0, help="Weight of the loss on the context's own prediction.", low=0.0, high=100
    )
    momentum: float = described(0.1, help="Share of the new value in the memory.", low=0.0, high=1.0)
    refinements: int = described(
        0,
        help="Times a prediction is fed back to the memory and made anew; not while training.",
        low=0,
        high=8,
    )
    auxiliary: bool = described(True, help="Give stage 3 of the backbone a head of its own while training.")
    head_rate: float = described(
        1.0, help="Learning rate of the head relative to the backbone's.", low=0.1, high=100
    )

    def __post_init__(self) -> None:
        check_bounds(self)
