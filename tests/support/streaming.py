"""Large images made on the fly run through loader and predictor; memory must not follow their number."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.config import PredictConfig
from engine.learn.pool import Pool
from engine.messages import PoolItem
from engine.predict.predictor import Predictor
from engine.project.manifest import Split
from models.build import build_model
from tests.support.learning import BOX, CLASSES, GROUND, NETWORK, TRAINING
from tests.support.resident import resident_mib

CACHE_MIB = 16


def stream(images: int, size: tuple[int, int], *, predict_every: int) -> list[float]:
    """Draw a crop of every image and predict some of them whole.

    Args:
        images: how many.
        size: (H, W) of each.
        predict_every: which are predicted.

    Returns:
        Resident memory in MiB after every image.
    """

    def pixels(path: Path) -> NDArray[np.uint8]:
        return np.random.default_rng(int(path.name)).integers(0, 256, (*size, 3)).astype(np.uint8)

    def layers(item: PoolItem) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        label_map = np.full(size, GROUND, np.uint8)
        label_map[: size[0] // 2] = BOX
        return label_map, np.ones(size, np.uint8)

    pool = Pool(layers, CLASSES, replace(TRAINING.crop, size=64), CACHE_MIB << 20, read_pixels=pixels)
    predictor = Predictor(
        build_model(NETWORK, len(CLASSES), seed=0), CLASSES, PredictConfig(tile=512), torch.device("cpu")
    )
    held = []
    for number in range(images):
        name = str(number)
        item = PoolItem(image_id=name, image_path=name, size=size, split=Split.TRAIN, revision=1)
        list(pool.fill([item]))
        pool.draw(64)
        if number % predict_every == 0:
            predictor.predict_whole(pixels(Path(name)))
        held.append(resident_mib())
    return held
