"""What each network learns of CamVid within the same small budget, run by run.

    python -m tests.bench.learning_table --camvid DIR --out DIR

Every run is one file in `--out`; what is there is not run again, so the command can be stopped and repeated.
All rows are run with seed 0 first, then with seed 1, and so on: a table of what is there can always be made.
`python -m tests.bench.learning_summary DIR` prints it.

Budgets count steps, not seconds, so that other work on the machine changes nothing. Data come at a third of
their size (160 x 120), so that a crop of 96 pixels shows most of a scene. Everything else is the product's:
pool, augmentation, trainer with `extra_losses` and `observe`, averaged weights, predictor, confusion matrix.
"""

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable, Provenance
from engine.config import (
    AugmentConfig,
    CropConfig,
    OptimizerConfig,
    Precision,
    PredictConfig,
    TrainingConfig,
)
from engine.learn.evaluator import EvaluationSample, evaluate
from engine.learn.pool import Layers, Pool
from engine.learn.trainer import Trainer
from engine.measure.metrics import ConfusionMatrix
from engine.messages import PoolItem
from engine.opencv import cv2
from engine.predict.predictor import Predictor
from engine.project.images import read_image
from engine.project.manifest import Split
from models.base import SegmentationModel, normalise
from models.build import build_loss, build_model
from models.class_memory import ClassMemory
from models.networks.spgnet import SpgNetOutput
from models.relation import ClassRelations
from tests.bench.learning_rows import ROWS, Row, loss_of

CPU = torch.device("cpu")
_SMALLER = 3
_WATCHED = 16
"""Images whose gates are looked at."""


def class_table(folder: Path) -> ClassTable:
    """Return CamVid's classes; index and channel are one."""
    table = ClassTable()
    for entry in json.loads((folder / "classes.json").read_text())["classes"]:
        table = table.add(entry["name"], tuple(entry["color"]))
    return table


def small_image(path: Path) -> NDArray[np.uint8]:
    """Read an image at a third of its size, averaged."""
    image = read_image(path)
    size = (image.shape[1] // _SMALLER, image.shape[0] // _SMALLER)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def small_labels(path: Path) -> NDArray[np.uint8]:
    """Read a label map at a third of its size: the middle pixel of every nine."""
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return np.ascontiguousarray(labels[_SMALLER // 2 :: _SMALLER, _SMALLER // 2 :: _SMALLER], np.uint8)


def pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Return image and label map of every image of a split."""
    images = sorted((folder / "images").iterdir())
    return [(image, folder / "masks" / f"{image.stem}.png") for image in images]


def filled_pool(folder: Path, classes: ClassTable, config: TrainingConfig) -> Pool:
    """Return a pool of the training images."""
    masks = {image.name: mask for image, mask in pairs(folder / "train")}

    def read(item: PoolItem) -> Layers:
        labels = small_labels(masks[item.image_id])
        return labels, np.full_like(labels, Provenance.IMPORTED)

    budget = config.image_cache_mb * 2**20
    pool = Pool(read, classes, config.crop, budget, read_pixels=small_image, seed=config.seed)
    items = [
        PoolItem(
            image_id=image.name,
            image_path=str(image),
            size=small_labels(mask).shape[:2],
            split=Split.TRAIN,
            revision=0,
        )
        for image, mask in pairs(folder / "train")
    ]
    for _ in pool.fill(items):
        pass
    return pool


def samples(folder: Path) -> Iterator[EvaluationSample]:
    """Yield the images to measure on."""
    for image, mask in pairs(folder / "val"):
        yield EvaluationSample(image=small_image(image), label_map=small_labels(mask))


def training(steps: int, seed: int) -> TrainingConfig:
    """Return the budget that all rows share: one falling learning rate, 4 crops of 96 pixels."""
    return TrainingConfig(
        crop=CropConfig(size=96, scale_low=0.75, scale_high=1.5, corrected_share=0.8, recent_share=0.0),
        augment=AugmentConfig(brightness=0.08, contrast=0.1, saturation=0.1, hue=0.0),
        optimizer=OptimizerConfig(
            learning_rate=1.5e-3, cycle_steps=steps, repeats=False, floor=0.0, warmup_steps=20, average=0.95
        ),
        batch_size=4,
        max_steps=steps,
        seed=seed,
        precision=Precision.FLOAT32,
    )


def run(row: Row, loss: str, seed: int, steps: int, folder: Path) -> dict[str, Any]:
    """Train and measure one row once.

    Returns:
        JSON values: figures on the validation images, last losses, seconds of processor time, statistics.
    """
    torch.manual_seed(seed)
    classes, config = class_table(folder), training(steps, seed)
    model = build_model(row.network, len(classes), seed=seed)
    trainer = Trainer(
        model, build_loss(loss_of(row, loss)), config, classes, filled_pool(folder, classes, config), CPU
    )
    start = time.process_time()
    for _ in range(steps):
        trainer.step()
    seconds = time.process_time() - start
    report = trainer.read()
    model.eval()
    predictor = Predictor(model, classes, PredictConfig(), CPU)
    result = evaluate(predictor, samples(folder), classes)
    return {
        "miou": result.miou,
        "iou": dict(result.iou_per_class),
        "pixel_accuracy": result.pixel_accuracy,
        "losses": dict(report.losses) if report is not None else {},
        "training_seconds": seconds,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "first_stage": first_stage(predictor, samples(folder), classes),
        "statistics": statistics(model, folder),
    }


def first_stage(
    predictor: Predictor, images: Iterable[EvaluationSample], classes: ClassTable
) -> dict[str, float | None]:
    """Return the mIoU of the first stage and of the whole network where both are known: at the cells.

    The coarse prediction is made by the very network that makes the final one, from the same crops and first
    weights: their difference says what a method adds more exactly than two networks do. Empty for networks
    of one stage.
    """
    channel_of = classes.channel_of()
    found = {"first": ConfusionMatrix(len(classes)), "last": ConfusionMatrix(len(classes))}
    for sample in images:
        last, _, first = predictor.predict_stages(sample.image)
        if first is None:
            return {}
        places = [
            np.minimum(((np.arange(cells) + 0.5) * pixels / cells).astype(int), pixels - 1)
            for cells, pixels in zip(first.shape, last.shape, strict=True)
        ]
        at_cells = np.ix_(*places)
        target = channel_of[sample.label_map[at_cells]]
        found["first"].update(channel_of[first], target)
        found["last"].update(channel_of[last[at_cells]], target)
    return {name: matrix.miou() for name, matrix in found.items()}


def statistics(model: SegmentationModel[Any], folder: Path) -> dict[str, float]:
    """Return what tells whether a network's own machinery has moved: relations, memory, gates."""
    found: dict[str, float] = {}
    for module in model.modules():
        if isinstance(module, ClassRelations):
            found |= _of_relations(module)
        if isinstance(module, ClassMemory):
            found |= _of_memory(module)
    return found | _of_gates(model, folder)


def _of_relations(relations: ClassRelations) -> dict[str, float]:
    off = ~torch.eye(len(relations.counter), dtype=torch.bool)
    parts = (relations.mean, relations.variance, relations.counter, relations.vectors)
    return {
        "finite": float(all(bool(part.isfinite().all()) for part in parts)),
        "deletions, least often deleted class": float(relations.counter.min()),
        "deletions, most often deleted class": float(relations.counter.max()),
        "relation mean, off the diagonal, moved": float((relations.mean[off] != 0).float().mean()),
        "relation mean, off the diagonal, positive": float((relations.mean[off] > 0).float().mean()),
        "relation mean, off the diagonal, largest": float(relations.mean[off].max()),
        "relation mean, diagonal": float(relations.mean.diagonal().mean()),
        "relation variance, off the diagonal, size": float(relations.variance[off].abs().mean()),
        "relation variance, diagonal": float(relations.variance.diagonal().mean()),
    } | _of_vectors("class vectors", relations.vectors)


def _of_memory(memory: ClassMemory) -> dict[str, float]:
    vectors = memory.memory.flatten(0, 1)
    return {"finite": float(bool(vectors.isfinite().all()))} | _of_vectors("memory", vectors)


def _of_vectors(name: str, vectors: torch.Tensor) -> dict[str, float]:
    """Return lengths and how far apart (N, C) vectors are; equal ones would say nothing about a class."""
    norms = vectors.norm(dim=1)
    cosine = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=2)
    others = ~torch.eye(len(vectors), dtype=torch.bool)
    centred = vectors - vectors.mean(dim=0)
    centred_cosine = torch.nn.functional.cosine_similarity(centred[:, None], centred[None], dim=2)
    return {
        f"{name}: shortest": float(norms.min()),
        f"{name}: longest": float(norms.max()),
        f"{name}: mean cosine between classes": float(cosine[others].mean()),
        f"{name}: largest cosine between classes": float(cosine[others].max()),
        f"{name}: largest centred cosine": float(centred_cosine[others].max()),
        f"{name}: mean distance between classes": float(torch.pdist(vectors).mean()),
    }


@torch.no_grad()
def _of_gates(model: SegmentationModel[Any], folder: Path) -> dict[str, float]:
    """Return mean and spreads of SPGNet's gates over some images; stuck at one value they guide nothing."""
    images = np.stack([small_image(image) for image, _ in pairs(folder / "val")[:_WATCHED]])
    output = model(normalise(torch.from_numpy(images)))
    if not isinstance(output, SpgNetOutput) or not output.gates:
        return {}
    gate = output.gates[0]
    return {
        "gate: mean": float(gate.mean()),
        "gate: spread over places": float(gate.std(dim=(2, 3)).mean()),
        "gate: spread over channels": float(gate.mean(dim=(0, 2, 3)).std()),
        "gate: share below 0.1": float((gate < 0.1).float().mean()),
        "gate: share above 0.9": float((gate > 0.9).float().mean()),
    }


def seeds(text: str) -> list[int]:
    """Read "0-2" or "1"."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description="Trains the rows of the learning table.")
    parser.add_argument("--camvid", type=Path, required=True, help="folder with train, val and classes.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for one file per run")
    parser.add_argument("--seeds", type=seeds, default=seeds("0-2"), help="such as 0-2")
    parser.add_argument("--steps", type=int, default=400, help="updates of each run")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--losses", nargs="+", choices=("ce", "rmi"), default=["ce", "rmi"])
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for seed in chosen.seeds:
        for loss in chosen.losses:
            for name in chosen.rows:
                target = chosen.out / f"{name}_{loss}_{seed}.json"
                if target.exists():
                    continue
                start = time.monotonic()
                result = run(ROWS[name], loss, seed, chosen.steps, chosen.camvid)
                result |= {"row": name, "loss": loss, "seed": seed, "steps": chosen.steps}
                unfinished = target.with_suffix(".part")
                unfinished.write_text(json.dumps(result, indent=1))
                unfinished.replace(target)
                print(
                    f"{target.stem}: {100 * result['miou']:.2f} %, {time.monotonic() - start:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
