"""What the inspection views are worth, in figures, on CamVid.

    python -m tests.bench.inspection_figures --camvid DIR --network NAME [--seeds 0-2] [--json FILE]

A network learns from strokes, of which one in twenty has a wrong class. Then:

- slips: share of wrong strokes among the 20 first of the label-error finder, and among the 20 first of the
  class memory's own order (how much nearer another class is);
- calibration: expected calibration error on held-out images before and after the curve, each image judged by
  a curve fitted on the others;
- doubt: rank correlation (Spearman) with true errors of entropy, margin and flicker over checkpoints;
- shift: masks moved by two pixels against masks that were not, area under the ROC curve;
- preview: a stroke is put on the largest error of a held-out image; of the pixels that flip in that image
  when the network really trains with it, the share whose margin the preview moved the same way.

Images come at half their size, those with moved masks whole; everything else is the product's. Budgets count
steps.
"""

import argparse
import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, ClassTable, Provenance
from engine.config import AugmentConfig, CropConfig, OptimizerConfig, Precision, TrainingConfig
from engine.inspect.calibration import cross_fitted, reliability
from engine.inspect.effect import LastLayer, learnt_layer, present_layer
from engine.inspect.label_shift import label_shift
from engine.inspect.labelled import LabelledImage, Stroke, memory_of, strokes_of
from engine.inspect.look import Look, look_at
from engine.inspect.memory_map import map_memory
from engine.inspect.ranking import ranked_errors
from engine.inspect.snapshot import Snapshot
from engine.inspect.uncertainty import FLICKER_LENGTH, entropy, flicker, narrowness
from engine.learn.pool import Layers, Pool
from engine.learn.trainer import Trainer
from engine.messages import PoolItem
from engine.opencv import cv2
from engine.project.images import read_image
from engine.project.manifest import Split
from models.build import build_loss, build_model
from models.explanation import Explanation
from models.presets import PRESETS
from tests.bench.learning_table import class_table, pairs, seeds

CPU = torch.device("cpu")
_TRAINED = 100
_HELD_OUT = 24
_PREVIEWED = 8
_PREVIEW_STEPS = 30
_WRONG_SHARE = 0.05
_MOVES = ((2, 0), (-2, 0), (0, 2), (0, -2))

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image with its truth, both at half size."""

    name: str
    image: NDArray[np.uint8]
    truth: Labels
    files: tuple[Path, Path]


def scenes(folder: Path, count: int, rng: np.random.Generator) -> list[Scene]:
    """Read some images of a split, drawn by the generator."""
    files = pairs(folder)
    return [_scene(*files[number]) for number in rng.permutation(len(files))[:count]]


def read_labels(mask: Path) -> Labels:
    """Read a label map, (H, W) uint8."""
    return np.asarray(cv2.imread(str(mask), cv2.IMREAD_UNCHANGED), np.uint8)


def _scene(image: Path, mask: Path) -> Scene:
    pixels = read_image(image)
    size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    truth = read_labels(mask)[::2, ::2][: size[1], : size[0]]
    return Scene(
        image.name, np.asarray(small, np.uint8), np.ascontiguousarray(truth, np.uint8), (image, mask)
    )


def strokes(
    scene: Scene, classes: ClassTable, rng: np.random.Generator
) -> tuple[Labels, set[tuple[int, int]]]:
    """Paint a dot inside every class of a scene, some with a wrong class.

    Returns:
        (h, w) uint8 label map, and the (y, x) middles of the dots that are wrong.
    """
    painted = np.full_like(scene.truth, UNLABELLED)
    wrong = set()
    rows, columns = np.ogrid[: painted.shape[0], : painted.shape[1]]
    for index in classes.indices:
        depth = cv2.distanceTransform((scene.truth == index).astype(np.uint8), cv2.DIST_L2, 5)
        if depth.max() < 2.0:
            continue
        ys, xs = np.nonzero(depth >= min(3.0, 0.7 * float(depth.max())))
        pick = rng.integers(len(ys))
        radius = min(5.0, float(depth[ys[pick], xs[pick]]))
        dot = (rows - ys[pick]) ** 2 + (columns - xs[pick]) ** 2 < radius**2
        given = index
        if rng.random() < _WRONG_SHARE:
            given = int(rng.choice([other for other in classes.indices if other != index]))
            wrong.add((int(ys[pick]), int(xs[pick])))
        painted[dot] = given
    return painted, wrong


def training(steps: int, seed: int) -> TrainingConfig:
    """Return the budget of a run."""
    return TrainingConfig(
        crop=CropConfig(size=160, corrected_share=0.8, recent_share=0.0),
        augment=AugmentConfig(brightness=0.08, contrast=0.1, saturation=0.1, hue=0.0),
        optimizer=OptimizerConfig(learning_rate=1.5e-3, cycle_steps=steps, average=0.95, warmup_steps=20),
        batch_size=4,
        seed=seed,
        precision=Precision.FLOAT32,
    )


class Study:
    """One network that learnt from strokes, and the scenes it is asked about.

    Args:
        network: Name of a preset.
        folder: CamVid.
        steps: Updates.
        seed: Of everything that is drawn.
    """

    def __init__(self, network: str, folder: Path, steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.classes = class_table(folder)
        self.trained = scenes(folder / "train", _TRAINED, self.rng)
        self.held_out = scenes(folder / "val", _HELD_OUT, self.rng)
        self.painted: dict[str, Labels] = {}
        self.wrong: set[tuple[str, int, int]] = set()
        for scene in self.trained:
            self.painted[scene.name], wrong = strokes(scene, self.classes, self.rng)
            self.wrong |= {(scene.name, y, x) for y, x in wrong}
        preset = next(entry for entry in PRESETS if entry.name == network)
        model = build_model(preset.network, len(self.classes), seed=seed)
        config = training(steps, seed)
        self.pool = Pool(self._layers, self.classes, config.crop, 2**30, read_pixels=self._pixels, seed=seed)
        for _ in self.pool.fill([self._item(scene, Split.TRAIN) for scene in self.trained]):
            pass
        self.loss = build_loss(preset.loss)
        self.trainer = Trainer(model, self.loss, config, self.classes, self.pool, CPU)
        self.model = model
        self._learn(steps)

    def _learn(self, steps: int) -> None:
        self.flickering: list[list[Labels]] = [[] for _ in self.held_out]
        for step in range(1, steps + 1):
            self.trainer.step()
            left = steps - step
            if left % 40 == 0 and left // 40 < FLICKER_LENGTH:
                for seen, scene in zip(self.flickering, self.held_out, strict=True):
                    seen.append(self.look(scene).channels.numpy().astype(np.uint8))

    def _find(self, name: str) -> Scene:
        return next(scene for scene in (*self.trained, *self.held_out) if scene.name == name)

    def _pixels(self, path: Path) -> NDArray[np.uint8]:
        return self._find(path.name).image

    def _layers(self, item: PoolItem) -> Layers:
        painted = self.painted[item.image_id]
        return painted, np.where(painted == UNLABELLED, 0, Provenance.STROKE).astype(np.uint8)

    def _item(self, scene: Scene, split: Split) -> PoolItem:
        height, width = scene.truth.shape
        return PoolItem(
            image_id=scene.name, image_path=scene.name, size=(height, width), split=split, revision=0
        )

    def look(self, scene: Scene) -> Look:
        """Look into the network as it is now."""
        model = copy.deepcopy(self.model).eval().requires_grad_(False)
        snapshot = Snapshot(model=model, classes=self.classes, step=0, device=CPU)
        return look_at(snapshot, scene.name, scene.image)

    def labelled(self, scene: Scene, look: Look, labels: Labels) -> LabelledImage:
        """Return a scene with labels on it, as the finder and the preview want it."""
        return LabelledImage(
            item=self._item(scene, Split.TRAIN),
            look=look,
            channels=labels.astype(np.int64),
            label_map=labels,
            provenance=np.where(labels == UNLABELLED, 0, Provenance.STROKE).astype(np.uint8),
        )

    # --- figures ------------------------------------------------------------------------------------------

    def slips(self) -> dict[str, float]:
        """Precision among the 20 most suspicious strokes, by the finder and by the memory map."""
        found: list[Stroke] = []
        memory = None
        for scene in self.trained:
            look = self.look(scene)
            memory = memory_of(look)
            found.extend(strokes_of(self.labelled(scene, look, self.painted[scene.name])))
        errors = ranked_errors(found, self.classes.indices, memory)
        dots = map_memory(0, 0, self.classes.indices, memory, found).strokes
        nearest = sorted(dots, key=lambda dot: dot.distance_nearest - dot.distance_own)
        return {
            "strokes": len(found),
            "wrong strokes": len(self.wrong),
            "finder precision@20": self._precision([(e.image_id, e.y, e.x) for e in errors[:20]]),
            "memory map precision@20": self._precision([(d.image_id, d.y, d.x) for d in nearest[:20]]),
        }

    def _precision(self, places: Sequence[tuple[str, int, int]]) -> float:
        right = sum(
            any(name == other and abs(y - row) + abs(x - column) < 8 for other, row, column in self.wrong)
            for name, y, x in places
        )
        return right / max(1, len(places))

    def doubt(self) -> dict[str, float]:
        """Rank correlation of doubt with error, and calibration, over the held-out scenes."""
        columns: dict[str, list[float]] = {"entropy": [], "margin": [], "flicker": []}
        confidences, rights, groups = [], [], []
        for number, scene in enumerate(self.held_out):
            probabilities = self.look(scene).probabilities(10_000)
            known = scene.truth != UNLABELLED
            predicted = probabilities.argmax(axis=0)
            wrong = (predicted != scene.truth)[known]
            for name, values in (
                ("entropy", entropy(probabilities)),
                ("margin", narrowness(probabilities)),
                ("flicker", flicker(self.flickering[number])),
            ):
                columns[name].append(_spearman(values[known], wrong))
            chosen = self.rng.permutation(int(known.sum()))[:4000]
            confidences.append(probabilities.max(axis=0)[known][chosen].astype(np.float64))
            rights.append(~wrong[chosen])
            groups.append(np.full(len(chosen), number))
        confidence, right = np.concatenate(confidences), np.concatenate(rights)
        calibrated = cross_fitted(confidence, right, np.concatenate(groups))
        return {
            **{f"{name} rank correlation": float(np.mean(values)) for name, values in columns.items()},
            "ECE before": reliability(confidence, right).ece,
            "ECE after": reliability(calibrated, right).ece,
            "pixel accuracy": float(right.mean()),
        }

    def shift(self) -> dict[str, float]:
        """Area under the curve of masks moved by two pixels of the whole image against masks as they are."""
        still, moved, directions = [], [], 0
        for number, scene in enumerate(self.held_out):
            image, truth = read_image(scene.files[0]), np.array(read_labels(scene.files[1]))
            size = (truth.shape[1], truth.shape[0])
            planes = self.look(scene).probabilities(10_000)
            whole = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in planes])
            move = _MOVES[number % len(_MOVES)]
            aside = np.full_like(truth, UNLABELLED)
            inner = truth[2:-2, 2:-2]
            aside[2 + move[0] : 2 + move[0] + len(inner), 2 + move[1] : 2 + move[1] + inner.shape[1]] = inner
            still.append(label_shift(whole, image, truth).score)
            found = label_shift(whole, image, aside)
            moved.append(found.score)
            directions += found.move == (-move[0], -move[1])
        ahead = np.greater.outer(np.array(moved), np.array(still))
        return {"shift AUC": float(ahead.mean()), "shift direction right": directions / len(still)}

    def preview(self) -> dict[str, float]:
        """Share of the pixels that really flip whose margin the preview moved the same way."""
        agreed = flipped = 0
        foreseen = right_way = 0
        for scene in self.held_out[:_PREVIEWED]:
            look = self.look(scene)
            stroke = _correction(scene, look.channels.numpy())
            if stroke is None:
                continue
            image = self.labelled(scene, look, stroke)
            change = _logits(learnt_layer(image), look) - _logits(present_layer(look), look)
            before, after = self._trained_with(scene, look, stroke)
            old, new = before.argmax(dim=0), after.argmax(dim=0)
            truly = old != new
            moves = change.gather(0, new[None])[0] - change.gather(0, old[None])[0]
            agreed += int((moves[truly] > 0).sum())
            flipped += int(truly.sum())
            virtual = (before + change).argmax(dim=0)
            said = virtual != old
            real = after - before
            towards = real.gather(0, virtual[None])[0] - real.gather(0, old[None])[0]
            right_way += int((towards[said] > 0).sum())
            foreseen += int(said.sum())
        return {
            "pixels that flipped": flipped,
            "preview sign agreement on them": agreed / max(1, flipped),
            "pixels foreseen": foreseen,
            "of these moved as foreseen": right_way / max(1, foreseen),
        }

    def _trained_with(self, scene: Scene, look: Look, stroke: Labels) -> tuple[torch.Tensor, torch.Tensor]:
        """Train on with a stroke as the product does, then go back; logits before and after, (K, h, w)."""
        kept = copy.deepcopy(self.model.state_dict())
        model = copy.deepcopy(self.model)
        config = training(_PREVIEW_STEPS * 4, 1)
        painted, self.painted = self.painted, {**self.painted, scene.name: stroke}
        pool = Pool(self._layers, self.classes, CropConfig(size=160), 2**30, read_pixels=self._pixels, seed=1)
        items = [self._item(one, Split.TRAIN) for one in (*self.trained, scene)]
        for _ in pool.fill(items):
            pass
        pool.update(items[-1])
        trainer = Trainer(model, self.loss, config, self.classes, pool, CPU)
        for _ in range(_PREVIEW_STEPS):
            trainer.step()
        self.painted = painted
        before = look.enlarged(look.logits)
        snapshot = Snapshot(
            model=model.eval().requires_grad_(False), classes=self.classes, step=1, device=CPU
        )
        later = look_at(snapshot, scene.name, scene.image)
        self.model.load_state_dict(kept)
        return before, later.enlarged(later.logits)


def _correction(scene: Scene, predicted: NDArray[np.int64]) -> Labels | None:
    """Paint a dot on the largest wrong region of a scene."""
    best: tuple[int, Labels] | None = None
    for index in np.unique(scene.truth[scene.truth != UNLABELLED]):
        wrong = ((scene.truth == index) & (predicted != index)).astype(np.uint8)
        depth = cv2.distanceTransform(np.pad(wrong, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        if depth.max() < 2.0 or (best is not None and wrong.sum() <= best[0]):
            continue
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        rows, columns = np.ogrid[: wrong.shape[0], : wrong.shape[1]]
        dot = (rows - y) ** 2 + (columns - x) ** 2 < min(8.0, float(depth.max())) ** 2
        best = (int(wrong.sum()), np.where(dot, index, UNLABELLED).astype(np.uint8))
    return None if best is None else best[1]


def _logits(layer: LastLayer, look: Look) -> torch.Tensor:
    explanation = look.explanation
    if not isinstance(explanation, Explanation):
        raise TypeError("this network keeps no features of its last layer")
    logits = F.conv2d(explanation.features.float(), layer.weight[:, :, None, None], layer.bias)[0]
    return look.enlarged(logits)


def _spearman(values: NDArray[np.floating], wrong: NDArray[np.bool_]) -> float:
    if wrong.all() or not wrong.any() or float(np.ptp(values)) == 0.0:
        return 0.0
    return float(np.corrcoef(_ranks(values), wrong)[0, 1])


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return ranks, equal values sharing the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2.0)[places], np.float64)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the studies and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--network", default="tiny", help="name of a preset")
    parser.add_argument("--seeds", type=seeds, default=[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    table: list[dict[str, Any]] = []
    for seed in chosen.seeds:
        study = Study(chosen.network, chosen.camvid, chosen.steps, seed)
        figures = study.doubt() | study.slips() | study.shift() | study.preview()
        table.append({"network": chosen.network, "seed": seed, **figures})
        for name, value in table[-1].items():
            print(f"{name:36} {value:.3f}" if isinstance(value, float) else f"{name:36} {value}", flush=True)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
