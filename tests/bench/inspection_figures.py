"""What the inspection views are worth, in figures, on CamVid.

    python -m tests.bench.inspection_figures --camvid DIR (--network NAME | --checkpoint F) [--seeds 0-2]
        [--steps N] [--only FIGURE …] [--json FILE]

A network, untrained or that of a checkpoint, learns from strokes, of which one in twenty has a wrong class.
Then:

- slips: share of wrong strokes among the 20 first of the label-error finder, and among the 20 first of the
  class memory's own order (how much nearer another class is);
- calibration: expected calibration error on held-out images before and after the curve, each image judged by
  a curve fitted on the others;
- doubt: rank correlation (Spearman) with true errors of entropy, margin and flicker over checkpoints;
- cards: how far contributions that should add up miss the margin, and deletions a head that runs anew;
- shift: masks moved by two pixels against masks that were not, area under the ROC curve;
- preview: a stroke is put on the largest error of a held-out image; of the pixels foreseen to flip there, the
  share whose margin really moves that way when the network trains with it (`inspection_preview`).
- rough: how near a rough what-if is to the exact one (SPGNet).

Images come at half their size, those with moved masks whole; everything else is the product's. Budgets count
steps.
"""

import argparse
import copy
import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, Provenance
from engine.inspect.calibration import cross_fitted, reliability
from engine.inspect.explain import explain
from engine.inspect.label_shift import label_shift
from engine.inspect.labelled import LabelledImage, Stroke, memory_of, strokes_of
from engine.inspect.look import Look, at, look_at
from engine.inspect.memory_map import map_memory
from engine.inspect.ranking import ranked_errors
from engine.inspect.snapshot import Snapshot
from engine.inspect.uncertainty import FLICKER_LENGTH, entropy, flicker, narrowness
from engine.learn.checkpoint import read_checkpoint, restore
from engine.learn.pool import Layers, Pool
from engine.learn.trainer import Trainer
from engine.messages import Method, PixelExplained, PoolItem
from engine.opencv import cv2
from engine.project.images import read_image
from engine.project.manifest import Split
from models.base import SegmentationModel
from models.build import build_loss, build_model
from models.configs import LossConfig
from models.cost import without_weights
from models.presets import PRESETS
from tests.bench.inspection_budget import Budget, training
from tests.bench.inspection_preview import preview
from tests.bench.inspection_rough import rough
from tests.bench.inspection_scenes import Labels, Scene, read_labels, scenes, strokes
from tests.bench.learning_summary import interval
from tests.bench.learning_table import class_table, seeds

CPU = torch.device("cpu")
_MOVES = ((2, 0), (-2, 0), (0, 2), (0, -2))


class Study:
    """One network that learnt from strokes, and the scenes it is asked about.

    Args:
        network: Name of a preset; without a meaning where the budget names a checkpoint.
        folder: CamVid.
        budget: What it may cost.
        seed: Of everything that is drawn.
    """

    def __init__(self, network: str, folder: Path, budget: Budget, seed: int) -> None:
        torch.manual_seed(seed)
        self.budget = budget
        self.rng = np.random.default_rng(seed)
        self.classes = class_table(folder)
        self.trained = scenes(folder / "train", budget.trained, self.rng)
        self.held_out = scenes(folder / "val", budget.held_out, self.rng)
        self.painted: dict[str, Labels] = {}
        self.wrong: set[tuple[str, int, int]] = set()
        for scene in self.trained:
            self.painted[scene.name], wrong = strokes(scene, self.classes, self.rng)
            self.wrong |= {(scene.name, y, x) for y, x in wrong}
        model, loss = self._network(network, seed)
        self.rate = 1.5e-3 if budget.checkpoint is None else 3e-4
        config = training(budget.steps, seed, budget.crop, self.rate)
        self.pool = Pool(self._layers, self.classes, config.crop, 2**30, read_pixels=self.pixels, seed=seed)
        for _ in self.pool.fill([self.item(scene, Split.TRAIN) for scene in self.trained]):
            pass
        self.loss = build_loss(loss)
        self.trainer = Trainer(model, self.loss, config, self.classes, self.pool, CPU)
        self.model = model
        self._learn(budget.steps)

    def _network(self, name: str, seed: int) -> tuple[SegmentationModel[Any], LossConfig]:
        if self.budget.checkpoint is None:
            preset = next(entry for entry in PRESETS if entry.name == name)
            return build_model(preset.network, len(self.classes), seed=seed), preset.loss
        checkpoint = read_checkpoint(self.budget.checkpoint)
        model = build_model(without_weights(checkpoint.about.network), len(self.classes), seed=seed)
        restore(model, checkpoint, self.classes)
        return model, checkpoint.about.loss

    def _learn(self, steps: int) -> None:
        """Learn from the strokes; the last predictions of held-out scenes are kept for flicker."""
        self.flickering: list[list[Labels]] = [[] for _ in self.held_out]
        apart = max(1, min(40, steps // FLICKER_LENGTH))
        for step in range(1, steps + 1):
            self.trainer.step()
            left = steps - step
            if left % apart == 0 and left // apart < FLICKER_LENGTH:
                for seen, scene in zip(self.flickering, self.held_out, strict=True):
                    seen.append(self.look(scene).channels.numpy().astype(np.uint8))

    def _find(self, name: str) -> Scene:
        return next(scene for scene in (*self.trained, *self.held_out) if scene.name == name)

    def pixels(self, path: Path) -> NDArray[np.uint8]:
        """Read the picture of a scene."""
        return self._find(path.name).image

    def _layers(self, item: PoolItem) -> Layers:
        return self.layers_of(self.painted[item.image_id])

    def layers_of(self, painted: Labels) -> Layers:
        """Return labels and who made them: they are strokes."""
        return painted, np.where(painted == UNLABELLED, 0, Provenance.STROKE).astype(np.uint8)

    def item(self, scene: Scene, split: Split) -> PoolItem:
        """Return what the pool knows of a scene."""
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
            item=self.item(scene, Split.TRAIN),
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

    def cards(self) -> dict[str, float]:
        """Return how far cards are from what they say of themselves, over a grid of pixels of some scenes."""
        margins, deletions, shares = [0.0], [0.0], [0.0]
        for scene in self.held_out[:4]:
            look, fresh = self.look(scene), self.look(scene)
            height, width = scene.truth.shape
            for y, x in itertools.product(range(5, height, height // 5), range(5, width, width // 5)):
                card = explain(look, 0, y, x)
                total = sum(part.value for part in card.contributions)
                if card.method is Method.LINEAR:
                    margins.append(abs(total + card.remainder - card.margin))
                elif card.method is Method.DELETION:
                    deletions.append(self._deletion_error(fresh, card))
                elif look.explanation is not None and look.explanation.memory is not None:
                    shares.append(abs(total - 1.0))  # gates are no shares of a whole
        return {
            "card: sum - margin, at most": max(margins),
            "card: deletion - head run anew, at most": max(deletions),
            "card: sum of weights - 1, at most": max(shares),
        }

    def _deletion_error(self, fresh: Look, card: PixelExplained) -> float:
        """Return how far the largest part of a card is from the margin lost when the head runs without it."""
        known, part = fresh.representations, card.contributions[0]
        if known is None or card.runner_up is None:
            return 0.0
        indices = self.classes.indices
        channels = [indices.index(index) for index in (card.label, card.runner_up)]
        deleted = torch.zeros(len(indices), dtype=torch.bool)
        deleted[indices.index(part.class_index)] = True
        with torch.inference_mode():
            lost = fresh.logits - known.without(deleted)[0]
        here = at(lost, fresh.place(card.y, card.x), fresh.frame)
        return abs(float(here[channels[0]] - here[channels[1]]) - part.value)


def _spearman(values: NDArray[np.floating], wrong: NDArray[np.bool_]) -> float:
    if wrong.all() or not wrong.any() or float(np.ptp(values)) == 0.0:
        return 0.0
    return float(np.corrcoef(_ranks(values), wrong)[0, 1])


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return ranks, equal values sharing the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2.0)[places], np.float64)


FIGURES: Mapping[str, Callable[[Study], dict[str, float]]] = {
    "cards": Study.cards,
    "doubt": Study.doubt,
    "slips": Study.slips,
    "shift": Study.shift,
    "preview": preview,
    "rough": rough,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the studies and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--network", default="tiny", help="name of a preset")
    parser.add_argument("--checkpoint", type=Path, help="start from this network instead")
    parser.add_argument("--seeds", type=seeds, default=[0])
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--json", type=Path)
    counts = [field for field in dataclasses.fields(Budget) if field.name != "checkpoint"]
    for field in counts:
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=int, default=field.default)
    chosen = parser.parse_args(arguments)
    budget = Budget(
        **{field.name: getattr(chosen, field.name) for field in counts}, checkpoint=chosen.checkpoint
    )
    name = chosen.network if chosen.checkpoint is None else chosen.checkpoint.stem
    table: list[dict[str, Any]] = []
    for seed in chosen.seeds:
        study = Study(chosen.network, chosen.camvid, budget, seed)
        table.append({"network": name, "seed": seed})
        for figure in chosen.only:
            found = FIGURES[figure](study)
            table[-1] |= found
            for title, value in found.items():
                print(f"{title:44} {value:.4g}", flush=True)
    for title in table[0] if len(table) > 1 else ():
        if title not in {"network", "seed"}:
            mean = interval([row[title] for row in table])
            print(f"{title:44} {mean.mean:.4g} ± {mean.half:.2g} ({mean.count} draws)")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
