"""Every choice about losses, as frozen dataclasses (torch-free)."""

from dataclasses import dataclass
from enum import Enum

from models.described import ConfigError, check_bounds, described


class Pooling(Enum):
    """How maps are made smaller."""

    AVERAGE = "average"
    MAXIMUM = "maximum"
    INTERPOLATION = "interpolation"


class PixelForm(Enum):
    """What logits mean, and with it the pixel-wise loss."""

    SIGMOID = "sigmoid"
    """Every class for itself: binary cross-entropy, as published."""
    SOFTMAX = "softmax"
    """One class out of all: cross-entropy."""


class Balance(Enum):
    """How the regional term joins the pixel-wise one; L is the share."""

    CONVEX = "convex"
    """L * pixels + (1 - L) * regions, as published."""
    ADDITIVE = "additive"
    """Pixels + L * regions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEntropyConfig:
    """Pixel-wise cross-entropy over the labelled pixels."""

    weight: float = described(1.0, help="Weight of the loss on the final logits.", low=0.0, high=100)
    auxiliary_weight: float = described(
        0.4, help="Weight of the loss on each set of auxiliary logits.", low=0.0, high=100
    )
    label_smoothing: float = described(
        0.0,
        help="Share of certainty given to the other classes; makes the network less sure of itself.",
        low=0.0,
        high=0.5,
    )
    class_balance: float = described(
        0.0,
        help="0 counts every labelled pixel alike, 1 every class of the batch alike.",
        low=0.0,
        high=1.0,
    )
    class_weights: tuple[float, ...] = described(
        (),
        help="How much each class counts, in the order in which the classes were made, such as 1, 1, 5. "
        "Classes left out count 1.",
        low=0.0,
        high=1000.0,
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.class_weights and self.class_balance:
            raise ConfigError("class_weights", self.class_weights, "empty where classes are balanced")


@dataclass(frozen=True, slots=True, kw_only=True)
class RmiConfig:
    """Region mutual information (Zhao et al. 2019): labels and predictions shall agree in their texture."""

    region: int = described(3, help="Edge of the regions that are compared.", unit="places", low=1, high=9)
    pooling: Pooling = described(
        Pooling.AVERAGE, help="How labels and predictions are made smaller before regions are taken."
    )
    factor: int = described(
        4,
        help="How much smaller they are made. 2 is a little better than 4, and several times slower.",
        unit="x",
        low=1,
        high=16,
    )
    form: PixelForm = described(
        PixelForm.SIGMOID,
        help="Sigmoid is the published form; softmax, ours, fits networks that compare classes.",
    )
    balance: Balance = described(Balance.CONVEX, help="How regions join pixels; convex is published.")
    share: float = described(
        0.5, help="Convex: share of the pixels. Additive: weight of the regions.", low=0.0, high=100
    )
    only_labelled: bool = described(
        True,
        help="Leave out regions that touch unlabelled pixels, so that these teach nothing. The published "
        "form, for completely labelled images, takes them for background.",
    )
    auxiliary_weight: float = described(
        0.4, help="Weight of the cross-entropy on each set of auxiliary logits.", low=0.0, high=100
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.balance is Balance.CONVEX and self.share > 1.0:
            raise ConfigError("share", self.share, "between 0 and 1 where the balance is convex")


@dataclass(frozen=True, slots=True, kw_only=True)
class AffinityConfig:
    """Affinity fields (Ke et al. 2018): neighbours agree within a class and differ across a boundary."""

    distance: int = described(1, help="How far neighbours are apart.", unit="px", low=1, high=16)
    margin: float = described(3.0, help="Divergence wanted across a boundary.", low=0.0, high=20)
    within: float = described(1.0, help="Weight of agreement within a class.", low=0.0, high=100)
    across: float = described(1.0, help="Weight of difference across boundaries.", low=0.0, high=100)
    auxiliary_weight: float = described(
        0.4, help="Weight of the cross-entropy on each set of auxiliary logits.", low=0.0, high=100
    )

    def __post_init__(self) -> None:
        check_bounds(self)


LossConfig = CrossEntropyConfig | RmiConfig | AffinityConfig
