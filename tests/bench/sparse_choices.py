"""What choices for sparse corrections and what guards are worth: fixed scribbles on real street scenes.

``python -m tests.bench.sparse_choices --camvid DIR --seeds 3 --steps 240`` prints a line per run: mIoU on the
validation images every 40 steps, of the newest weights and of those each guard would show. DIR holds
``train/`` and ``val/`` with ``images/`` and ``masks/`` (class numbers 0 to 10, 11 is void). All guards watch
the same training, so their lines are paired step by step; variants are paired by seed.
"""

import argparse
import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, ClassTable
from engine.config import (
    CropConfig,
    OptimizerConfig,
    Precision,
    PredictConfig,
    PromotionConfig,
    SparseConfig,
    TrainingConfig,
)
from engine.learn.judge import Judge
from engine.learn.pool import Pool
from engine.learn.promotion import Verdict
from engine.learn.trainer import Trainer
from engine.measure.metrics import ConfusionMatrix
from engine.messages import PoolItem
from engine.opencv import cv2
from engine.predict.predictor import Predictor
from engine.project.images import read_image
from engine.project.manifest import Split
from models.base import SegmentationModel
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig, TinyConfig

CLASSES, SIZE, IMAGES, EVERY, STROKES = 11, (180, 240), 10, 40, 6
CPU = torch.device("cpu")
TABLE = ClassTable()
for _number in range(CLASSES):
    TABLE = TABLE.add(f"class {_number}")
GUARDS = {
    "limit always": PromotionConfig(exchange=0.0),
    "exchange 3": PromotionConfig(),
    "exchange 1.5": PromotionConfig(exchange=1.5),
}
_AS_IT_IS = TrainingConfig(crop=CropConfig(size=96), batch_size=4, precision=Precision.FLOAT32)
_STEADY = 10_000_000
"""Steps of a cycle that never falls: somebody who paints steadily keeps the rate near its top."""
VARIANTS = {
    "as it is": _AS_IT_IS,
    "spread 0.5": replace(_AS_IT_IS, sparse=SparseConfig(spread=0.5)),
    "consistency 0.5": replace(_AS_IT_IS, sparse=SparseConfig(consistency=0.5)),
    "crops anywhere": replace(_AS_IT_IS, crop=CropConfig(size=96, corrected_share=0.0)),
    **{
        f"steady {rate:g}": replace(
            _AS_IT_IS, optimizer=OptimizerConfig(learning_rate=rate, cycle_steps=_STEADY)
        )
        for rate in (3e-3, 1e-3, 5e-4, 2.5e-4)
    },
}

Example = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass
class Watched:
    """A guard: what it shows and what it said."""

    model: SegmentationModel[Any]
    judge: Judge
    miou: float
    curve: list[float] = field(default_factory=list)


def examples(folder: Path, limit: int) -> list[Example]:
    """Return evenly spread images and masks at half size."""
    names = sorted((folder / "images").iterdir())
    found = []
    for path in names[:: max(1, len(names) // limit)][:limit]:
        (mask,) = (folder / "masks").glob(f"{path.stem}.*")
        labels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
        image = cv2.resize(read_image(path), SIZE[::-1], interpolation=cv2.INTER_AREA)
        small = cv2.resize(labels, SIZE[::-1], interpolation=cv2.INTER_NEAREST)
        found.append((np.asarray(image, np.uint8), np.asarray(small, np.uint8)))
    return found


def scribbled(labels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a few strokes of 3 x 41 px, each through the deepest place of a large region."""
    regions = []
    for index in range(CLASSES):
        count, parts, stats, _ = cv2.connectedComponentsWithStats((labels == index).astype(np.uint8))
        large = [number for number in range(1, count) if stats[number, 4] >= 40]
        regions += [(stats[n, 4] * rng.uniform(0.5, 1.5), index, parts == n) for n in large]
    said = np.full(labels.shape, UNLABELLED, np.uint8)
    for _, index, region in sorted(regions, key=lambda found: -found[0])[:STROKES]:
        depth = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
        y, x = divmod(int(depth.argmax()), labels.shape[1])
        window = slice(max(0, y - 1), y + 2), slice(max(0, x - 20), x + 21)
        said[window][region[window]] = index
    return said


def pool_of(train: list[Example], seed: int, crop: CropConfig) -> Pool:
    """Return a pool of scribbled images, of which every fifth is held out."""
    rng = np.random.default_rng(seed)
    data, items = {}, []
    for place, number in enumerate(rng.permutation(len(train))[:IMAGES]):
        image, labels = train[number]
        said = scribbled(labels, rng)
        data[f"{number}"] = image, said, (said != UNLABELLED).astype(np.uint8)
        split = Split.VAL if place % 5 == 2 else Split.TRAIN
        items.append(
            PoolItem(image_id=f"{number}", image_path=f"{number}", size=SIZE, split=split, revision=1)
        )
    pool = Pool(
        lambda item: data[item.image_id][1:],
        TABLE,
        crop,
        1 << 28,
        read_pixels=lambda path: data[path.name][0],
        seed=seed,
    )
    for _ in pool.fill(items):
        pass
    return pool


def predictor(model: SegmentationModel[Any]) -> Predictor:
    return Predictor(model, TABLE, PredictConfig(), CPU, Precision.FLOAT32)


def score(model: SegmentationModel[Any], val: list[Example]) -> float:
    matrix, answers = ConfusionMatrix(CLASSES), predictor(model)
    for image, labels in val:
        matrix.update(answers.predict_whole(image)[0], np.where(labels < CLASSES, labels, UNLABELLED))
    return matrix.miou() or 0.0


def judged(watched: Watched, model: SegmentationModel[Any], step: int) -> Verdict:
    steps = watched.judge.judge(predictor(model), predictor(watched.model), step)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            verdict: Verdict = stop.value
            return verdict


def run(
    train: list[Example], val: list[Example], seed: int, variant: str, steps: int
) -> dict[str, list[float]]:
    """Train once; return the curve of the newest weights and of those each guard shows."""
    config = replace(VARIANTS[variant], seed=seed)
    pool = pool_of(train, seed, config.crop)
    torch.manual_seed(seed)
    model = build_model(TinyConfig(), CLASSES, seed=seed)
    loss = build_loss(CrossEntropyConfig())
    trainer = Trainer(model, loss, config, TABLE, pool, CPU, precision=Precision.FLOAT32)
    newest: list[float] = []
    guards: dict[str, Watched] = {}
    for step in range(1, steps + 1):
        trainer.step()
        if step % EVERY:
            continue
        newest.append(score(model, val))
        for name, guard in GUARDS.items() if variant == "as it is" else ():
            if name not in guards:
                judge = Judge(pool, TABLE, guard, seed=seed)
                guards[name] = Watched(copy.deepcopy(model), judge, newest[-1])
            elif judged(guards[name], model, step).promoted:
                guards[name].model.load_state_dict(model.state_dict())
                guards[name].miou = newest[-1]
            guards[name].curve.append(guards[name].miou)
    return {"newest": newest, **{name: guard.curve for name, guard in guards.items()}}


def main() -> None:
    """Print all runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=tuple(VARIANTS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    train, val = examples(chosen.camvid / "train", 40), examples(chosen.camvid / "val", 9)
    for seed in range(chosen.seeds):
        for variant in chosen.variants:
            for name, curve in run(train, val, seed, variant, chosen.steps).items():
                print(f"{seed} {variant:16} {name:14}", *(f"{value:.3f}" for value in curve), flush=True)


if __name__ == "__main__":
    main()
