"""Choices of training and prediction: frozen dataclasses with help, unit and bounds for every field.

Torch-free on purpose: the window shows these as forms and the manifest stores them before torch is
imported. Every config checks its bounds when it is made and raises `models.described.ConfigError`
naming field, value and bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from models.described import check_bounds, described


class Device(Enum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Voice(Enum):
    """Whose word a prediction is."""

    SHOWN = "shown"
    """As it is shown: who is on screen predicts, and what people said stands."""
    MODEL = "model"
    """Who is on screen by itself, also where people said something."""
    NETWORK = "network"
    """The network by itself, whatever say it has on screen."""


class Precision(Enum):
    """Number format of the forward pass; weights and optimizer stay float32."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Compiling(Enum):
    """How the passes of a network in training are translated before it learns."""

    CODE = "code"
    """Into generated code, which joins operations."""
    GRAPHS = "graphs"
    """Recorded as CUDA graphs as well: a graphics card is told once what to do, not in every step."""


class OptimizerKind(Enum):
    """How gradients become updates."""

    ADAMW = "adamw"
    SGD = "sgd"


class Floor(Enum):
    """How a falling learning rate meets its floor; d is the decay from 1 to 0."""

    CUT = "cut"
    """The larger of d and the floor."""
    BLEND = "blend"
    """d * (1 - floor) + floor, as in the papers' schedules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CropConfig:
    """How windows are cut from annotated images for training."""

    size: int = described(
        160,
        help="Edge of the square window cut from an image. Larger sees more, and costs time and memory.",
        unit="px",
        low=32,
        high=2048,
    )
    scale_low: float = described(
        0.75, help="Smallest random zoom of an image before the cut.", unit="x", low=0.25, high=1.0
    )
    scale_high: float = described(
        1.5, help="Largest random zoom of an image before the cut.", unit="x", low=1.0, high=4.0
    )
    corrected_share: float = described(
        0.8,
        help="Share of windows centred on corrected pixels, classes taken in turn; the rest lies "
        "anywhere in an annotated image.",
        low=0.0,
        high=1.0,
    )
    recent_share: float = described(
        0.3,
        help="Share of windows from the images corrected last, so that a new correction shows soon.",
        low=0.0,
        high=1.0,
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Random changes of a window that leave its classes true."""

    flip: bool = described(
        True,
        help="Mirror half of the windows left to right. What is painted teaches the quick model both ways.",
    )
    flip_vertical: bool = described(
        False, help="Turn half of the windows upside down. For images without a natural up, as from above."
    )
    brightness: float = described(
        0.2, help="Largest random change of brightness, as a share of white.", low=0.0, high=1.0
    )
    contrast: float = described(0.2, help="Largest random change of contrast, as a share.", low=0.0, high=0.9)
    saturation: float = described(
        0.2, help="Largest random change of colour strength, as a share.", low=0.0, high=1.0
    )
    hue: float = described(
        0.02, help="Largest random shift of hue, as a share of the colour circle.", low=0.0, high=0.5
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """How the weights follow the loss."""

    kind: OptimizerKind = described(
        OptimizerKind.ADAMW, help="AdamW learns fast from few strokes; SGD is the choice of most papers."
    )
    learning_rate: float = described(5e-4, help="Step width at the start of every cycle.", low=1e-7, high=1e4)
    weight_decay: float = described(1e-4, help="Pull of the weights towards zero.", low=0.0, high=1.0)
    momentum: float = described(0.9, help="Momentum; used by SGD only.", low=0.0, high=0.999)
    poly_power: float = described(
        0.9, help="The learning rate falls as (1 - progress) to this power over a cycle.", low=0.0, high=10.0
    )
    cycle_steps: int = described(
        400,
        help="Steps of the first cycle of the learning rate; each one that ends is followed by one twice "
        "as long, and new corrections begin again with a short one.",
        unit="steps",
        low=1,
        high=10_000_000,
    )
    repeats: bool = described(
        True, help="Start the next cycle when one ends; otherwise the learning rate stays at its floor."
    )
    floor: float = described(
        0.05, help="The learning rate never falls below this share of its start.", low=0.0, high=1.0
    )
    floor_way: Floor = described(
        Floor.CUT,
        help="Cut: falls, then stays at the floor. Blend: falls more slowly and meets it at the end.",
    )
    warmup_steps: int = described(
        10,
        help="Steps over which a run's first learning rate grows from zero.",
        unit="steps",
        low=0,
        high=100_000,
    )
    warmup_start: float | None = described(
        None,
        help="Share of the learning rate at the first step of the warm-up; empty: the share of one step.",
        low=0.0,
        high=1.0,
    )
    decay_after_warmup: bool = described(
        False, help="The learning rate starts to fall when the warm-up is over, not with it."
    )
    decay_everything: bool = described(
        False, help="Weight decay pulls biases and the scales of normalisations too, as in some papers."
    )
    clip_norm: float = described(
        1.0, help="Largest allowed norm of the gradients; longer ones are shortened.", low=1e-3, high=1e6
    )

    average: float = described(
        0.995,
        help="Predictions come from a moving average of the weights with this share of the past in each "
        "step, less during the first ones: steadier and better, but the network takes a hint some steps "
        "later. 0 takes the newest weights.",
        low=0.0,
        high=0.9999,
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseConfig:
    """What is made of sparse corrections beyond the pixels themselves; every choice can be switched off."""

    accepted_weight: float = described(
        1.0,
        help="Weight of a pixel of an accepted prediction in the cross-entropy; a painted one counts 1.",
        low=0.0,
        high=1.0,
    )
    spread: float = described(
        0.0,
        help="Weight of the pixels a stroke is spread to, up to the edges around it; 0 spreads nothing.",
        low=0.0,
        high=1.0,
    )
    consistency: float = described(
        0.0,
        help="Weight of agreeing, under strong changes of colour, with what the average of the weights is "
        "sure about on unlabelled pixels; 0 switches it off.",
        low=0.0,
        high=10.0,
    )
    consistency_confidence: float = described(
        0.9, help="Only pixels the average is at least this sure about are agreed with.", low=0.5, high=1.0
    )
    consistency_precision: float = described(
        0.95,
        help="The quality gate: agreeing waits until such sure answers were right at least this often on "
        "corrections that had not been learnt from.",
        low=0.5,
        high=1.0,
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionConfig:
    """When trained weights are shown: never worse than those shown now."""

    enabled: bool = described(
        True, help="Show trained weights only if they are no worse; otherwise always show the newest."
    )
    flip_limit: float = described(
        0.02,
        help="Largest share of painted or accepted pixels that may be wrong with new weights where what is "
        "shown is right.",
        low=0.0,
        high=1.0,
    )
    flip_free: float = described(
        0.005,
        help="Larger shares of flipped pixels, up to the limit, must be made up for by as many repaired "
        "ones, once there is enough of what people said.",
        low=0.0,
        high=1.0,
    )
    score_tolerance: float = described(
        0.005, help="Largest loss of mIoU on held-out corrections that counts as no loss.", low=0.0, high=1.0
    )
    exchange: float = described(
        0.0,
        help="While what is shown is still wrong about more than a tenth of what people said, new weights "
        "may flip more than the limit if they repair this many times as much: 3 is sensible for a young "
        "network without the quick model. 0: the limit always holds.",
        low=0.0,
        high=100.0,
    )
    windows: int = described(
        8, help="Windows of corrected and of held-out images each that are judged on.", low=1, high=256
    )
    window_size: int = described(
        256, help="Edge of the windows that are judged on.", unit="px", low=32, high=1024
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """Everything a training run needs to know besides network, loss and images."""

    crop: CropConfig = described(CropConfig(), help="Windows cut from the annotated images.")
    augment: AugmentConfig = described(AugmentConfig(), help="Random changes of the windows.")
    optimizer: OptimizerConfig = described(OptimizerConfig(), help="How the weights follow the loss.")
    sparse: SparseConfig = described(
        SparseConfig(), help="What is made of sparse corrections beyond the pixels themselves."
    )
    promotion: PromotionConfig = described(
        PromotionConfig(), help="When trained weights are shown, and when they are only kept."
    )
    quick_head: bool = described(
        True,
        help="A quick model learns from every stroke at once and predicts, later together with the network. "
        "Without it a network with a class memory still takes strokes in at once. Counts when the project or "
        "another network is opened next.",
    )
    batch_size: int = described(6, help="Windows per step.", low=1, high=256)
    refresh_s: float = described(
        3.0,
        help="The prediction of the image on screen is renewed this often while training.",
        unit="s",
        low=0.2,
        high=3600.0,
    )
    evaluate_every_s: float = described(
        20.0,
        help="The held-out images are measured this often while training.",
        unit="s",
        low=1.0,
        high=86400.0,
    )
    checkpoint_every_s: float = described(
        60.0, help="A checkpoint is saved this often while training.", unit="s", low=1.0, high=86400.0
    )
    keep_checkpoints: int = described(
        5, help="Newest checkpoints kept; the best one and those with a name stay as well.", low=1, high=1000
    )
    max_steps: int | None = described(
        None,
        help="Training stops by itself after this many steps of a run; empty: it goes on until stopped.",
        unit="steps",
        low=1,
        high=1_000_000_000,
    )
    image_cache_mb: int = described(
        1024,
        help="Memory for decoded training images; the rest is read again from disk.",
        unit="MB",
        low=16,
        high=1_000_000,
    )
    seed: int = described(0, help="Start of all random choices of a run.", low=0, high=2**31 - 1)
    precision: Precision = described(
        Precision.AUTO,
        help="Automatic takes 16-bit numbers on a graphics card, and on a processor where a short trial "
        "shows that they are faster.",
    )

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictConfig:
    """How an image is predicted."""

    tile: int = described(
        768, help="Edge of the square tiles a large image is predicted in.", unit="px", low=64, high=8192
    )
    overlap: int = described(
        96,
        help="Neighbouring tiles overlap by this much and fade into each other.",
        unit="px",
        low=0,
        high=2048,
    )
    single_tile_megapixels: float = described(
        1.5, help="Images up to this size are predicted in one piece.", unit="MP", low=0.0, high=1000.0
    )
    flip: bool = described(
        False, help="Predict the mirrored image too and average. Twice the time, a little better."
    )

    def __post_init__(self) -> None:
        check_bounds(self)
