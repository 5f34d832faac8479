"""Large images made on the fly run through pool, trainer and predictor: what memory that takes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, Provenance
from engine.config import PredictConfig, TrainingConfig
from engine.learn.pool import Pool
from engine.learn.trainer import Trainer
from engine.messages import PoolItem
from engine.predict.predictor import Predictor
from engine.project.manifest import Split
from models.build import build_loss, build_model
from models.configs import NetworkConfig
from tests.support.learning import BOX, CLASSES, GROUND, LOSS
from tests.support.resident import resident_mib

_PAINTED_WHOLE = 50
"""One image of so many is labelled to its last pixel; strokes cross the others."""
_BETWEEN_ROWS = 16
_BYTES_A_PIXEL = 5
"""Three of the image, two of its layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """What a stream of images took.

    Attributes:
        before: MiB resident when one image had been learnt from and predicted.
        held: MiB resident after the pool was filled and after every step.
        decoded: how often an image was read.
        all_mib: what all images and their layers would take together.
    """

    before: float
    held: tuple[float, ...]
    decoded: int
    all_mib: float

    @property
    def grown(self) -> float:
        """MiB at most beyond what was resident before."""
        return max(self.held) - self.before


def stream(
    images: int,
    size: tuple[int, int],
    *,
    network: NetworkConfig,
    config: TrainingConfig,
    steps: int,
    predict_every: int,
) -> Streamed:
    """Fill a pool with all images at once, then train on what it draws and predict some of them whole.

    Args:
        images: how many.
        size: (H, W) of each.
        network: what is trained.
        config: crops, batch and cache.
        steps: of training.
        predict_every: steps from one prediction to the next.
    """
    decoded: list[str] = []

    def pixels(path: Path) -> NDArray[np.uint8]:
        decoded.append(path.name)
        # Every page is written to, so that it counts.
        return np.full((*size, 3), int(path.name) % 251, np.uint8)

    items = [
        PoolItem(image_id=name, image_path=name, size=size, split=Split.TRAIN, revision=1)
        for name in map(str, range(images))
    ]
    pool = Pool(_layers, CLASSES, config.crop, config.image_cache_mb << 20, read_pixels=pixels)
    list(pool.fill(items[:1]))
    cpu = torch.device("cpu")
    model = build_model(network, len(CLASSES), seed=0)
    trainer = Trainer(model, build_loss(LOSS), config, CLASSES, pool, cpu)
    predictor = Predictor(model, CLASSES, PredictConfig(), cpu)
    trainer.step()
    predictor.predict_whole(pixels(Path("0")))
    before = resident_mib()
    decoded.clear()
    list(pool.fill(items))
    held = [resident_mib()]
    for step in range(steps):
        trainer.step()
        if step % predict_every == 0:
            predictor.predict_whole(np.full((*size, 3), step % 251, np.uint8))
        held.append(resident_mib())
    return Streamed(
        before=before,
        held=tuple(held),
        decoded=len(decoded),
        all_mib=images * _BYTES_A_PIXEL * size[0] * size[1] / 2**20,
    )


def _layers(item: PoolItem) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return ground and a box below it, in rows as strokes leave them or all over."""
    every = 1 if int(item.image_id) % _PAINTED_WHOLE == 0 else _BETWEEN_ROWS
    label_map = np.full(item.size, UNLABELLED, np.uint8)
    label_map[::every] = GROUND
    label_map[: item.size[0] // 2 : every] = BOX
    provenance = np.full(item.size, Provenance.NOBODY, np.uint8)
    provenance[label_map != UNLABELLED] = Provenance.STROKE
    return label_map, provenance
