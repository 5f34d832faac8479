"""What a study of inspection may cost, and how its network learns."""

from dataclasses import dataclass
from pathlib import Path

from engine.config import AugmentConfig, CropConfig, OptimizerConfig, Precision, TrainingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much a study may cost.

    Attributes:
        trained: Scenes with strokes.
        held_out: Scenes judged.
        steps: Updates on the strokes.
        crop: Edge of a window of half-size scenes, in pixels.
        previewed: Corrections of which the effect is previewed and then really learnt.
        preview_steps: Updates of that learning.
        checkpoint: Where the network comes from; None for an untrained one.
    """

    trained: int = 100
    held_out: int = 24
    steps: int = 400
    crop: int = 160
    previewed: int = 8
    preview_steps: int = 30
    checkpoint: Path | None = None


def training(steps: int, seed: int, crop: int, learning_rate: float) -> TrainingConfig:
    """Return how a run learns."""
    return TrainingConfig(
        crop=CropConfig(size=crop, corrected_share=0.8, recent_share=0.0),
        augment=AugmentConfig(brightness=0.08, contrast=0.1, saturation=0.1, hue=0.0),
        optimizer=OptimizerConfig(
            learning_rate=learning_rate, cycle_steps=steps, average=0.95, warmup_steps=20
        ),
        batch_size=4,
        seed=seed,
        precision=Precision.FLOAT32,
    )
