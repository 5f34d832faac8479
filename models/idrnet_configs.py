"""Choices of IDRNet, as frozen dataclasses (torch-free)."""

from dataclasses import dataclass
from enum import Enum

from models.backbone_configs import BackboneConfig, ResNetConfig
from models.context_configs import ContextKind
from models.described import ConfigError, check_bounds, described


class Refinement(Enum):
    """What asks what once class vectors have been mixed."""

    PIXELS = "pixels"
    """Every pixel asks every pixel, as in the published code."""
    CLASSES = "classes"
    """The classes of the image ask each other, before pixels get their class's vector: lighter, and its cost
    is that of the paper's table."""


class ContextRefinement(Enum):
    """Where the context within the image is refined by attention."""

    NONE = "none"
    BEFORE = "before"
    """Before the coarse prediction, which sees the refined context."""
    AFTER = "after"
    """After the coarse prediction, which sees it as it was."""


class PyramidPlace(Enum):
    """Where the features of earlier stages join, as in UPerNet."""

    NONE = "none"
    BEFORE = "before"
    """Before the coarse prediction."""
    AFTER = "after"
    """Before the final prediction."""


class RelationLearning(Enum):
    """How the relations between classes are found."""

    BALANCED_DELETION = "balanced_deletion"
    """By deleting classes, rarely deleted ones first; as published."""
    RANDOM_DELETION = "random_deletion"
    """By deleting classes of the image at random."""
    NONE = "none"
    """Not at all: every class relates to itself alone. Saves a third of the head's training time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdrnetConfig:
    """IDRNet: classes of an image help each other as far as deleting one hurts the others."""

    backbone: BackboneConfig = described(ResNetConfig(), help="Feature extractor.")
    context: ContextKind = described(
        ContextKind.NONE, help="Context within the image, beside that between classes."
    )
    dilations: tuple[int, ...] = described(
        (1, 12, 24, 36),
        help="Reach of the convolutions of ASPP, one branch each.",
        unit="cells",
        low=1,
        high=64,
    )
    context_refinement: ContextRefinement = described(
        ContextRefinement.NONE, help="Where attention refines the context within the image."
    )
    pyramid: PyramidPlace = described(
        PyramidPlace.NONE, help="Where finer features of earlier stages join, as in UPerNet."
    )
    coarse_from_features: bool = described(
        False, help="Make the coarse prediction from the features instead of their context."
    )
    refinement: Refinement = described(
        Refinement.PIXELS, help="Who asks whom: all pixels each other, or the classes of an image."
    )
    width: int = described(512, help="Channels of the head and of the class vectors.", low=4, high=2048)
    attention_width: int = described(
        256, help="Channels inside the attention that refines class vectors.", low=2, high=2048
    )
    context_attention_width: int = described(
        256, help="Channels inside the attention that refines the context.", low=2, high=2048
    )
    pyramid_width: int = described(512, help="Channels of each level of the pyramid.", low=4, high=2048)
    level_width: int = described(
        0,
        help="Channels of each finer level where the pyramid ends; 0 for as many as it has inside.",
        low=0,
        high=2048,
    )
    auxiliary: bool = described(True, help="Give stage 3 of the backbone a head of its own while training.")
    auxiliary_width: int = described(512, help="Channels of the auxiliary head.", low=4, high=2048)
    dropout: float = described(
        0.1, help="Share of head channels switched off while training.", low=0.0, high=0.9
    )
    relations: RelationLearning = described(
        RelationLearning.BALANCED_DELETION, help="How relations between classes are found."
    )
    relation_momentum: float = described(
        0.1, help="Share of a new observation in the relations.", low=0.0, high=1.0
    )
    vector_momentum: float = described(
        0.1, help="Share of a batch in the class vectors of the data set.", low=0.0, high=1.0
    )
    deletion_statistics: bool = described(
        True,
        help="Let what is seen with a class deleted enter the running statistics of normalisations, as "
        "published.",
    )
    head_rate: float = described(
        1.0, help="Learning rate of the head relative to the backbone's.", low=0.1, high=100
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.context is ContextKind.NONE:
            if self.pyramid is not PyramidPlace.NONE:
                raise ConfigError("pyramid", self.pyramid, "none without context within the image")
            if self.context_refinement is not ContextRefinement.NONE:
                raise ConfigError(
                    "context_refinement", self.context_refinement, "none without context within the image"
                )
        if self.pyramid is PyramidPlace.BEFORE and self.context_refinement is ContextRefinement.AFTER:
            raise ConfigError(
                "context_refinement", self.context_refinement, "before or none if the pyramid is"
            )
