"""What the quick model may change around a stroke while a network is shown: street scenes, a perfect hand.

``python -m tests.bench.stroke_corrections --camvid DIR --seeds 3 --steps 450`` trains "tiny" on scribbled
images (as ``sparse_choices``; with ``--dense`` on their whole masks), then lets the robot's perfect person
correct its prediction of images nobody painted, four strokes each. After every stroke the quick model learns
it, and each rule changes the network's answer. A line per rule: points of pixel accuracy gained over the
network's own answer (mean over images and strokes, painted pixels left out), the shares of changed pixels
that turned right and wrong, and the share of strokes after which the image was worse than without.
"""

import argparse
import itertools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.annotate.raster import rasterise_stroke
from engine.config import Precision, TrainingConfig
from engine.learn.pool import Pool
from engine.learn.trainer import Trainer
from engine.measure.actions import Hand, Paint, Relabel, User, Visit, after, moved, rules_of
from engine.measure.annotator import Sight, know, next_action
from engine.opencv import cv2
from engine.predict.predictor import Predictor
from engine.project.manifest import Split
from engine.quick.features import feature_grid
from engine.quick.model import QuickModel
from engine.quick.picture import parts
from engine.quick.samples import labelled_cells
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig, TinyConfig
from tests.bench.sparse_choices import (
    BALANCED,
    CLASSES,
    CPU,
    SIZE,
    TABLE,
    Example,
    examples,
    pool_of,
    predictor,
)

STROKES = 4
Map = NDArray[np.uint8]
Answer = tuple[Map, NDArray[np.float32]]
Strokes = list[tuple[NDArray[np.bool_], int]]
Found = dict[str, list[float]]


@dataclass(frozen=True)
class Rule:
    """Where the quick model's answer stands in for the network's.

    Attributes:
        reach: Pixels around the stroke.
        sure: Confidence the quick model must have.
        same: Only the stroke's class.
        joined: Only what is joined to the stroke.
        surer: Only where the quick model is surer than the network.
    """

    reach: int
    sure: float
    same: bool
    joined: bool
    surer: bool

    def __str__(self) -> str:
        words = [word for word in ("same", "joined", "surer") if getattr(self, word)]
        return ", ".join([f"{self.reach} px, sure {self.sure}", *words])

    def answer(self, strokes: Strokes, network: Answer, quick: Answer) -> Map:
        """Return the network's label map, changed around strokes."""
        result = network[0].copy()
        for mask, index in strokes:
            ys, xs = np.nonzero(mask)
            rows = slice(max(0, int(ys.min()) - self.reach), int(ys.max()) + self.reach + 1)
            columns = slice(max(0, int(xs.min()) - self.reach), int(xs.max()) + self.reach + 1)
            box = rows, columns
            where = (quick[1][box] >= self.sure) & (quick[0][box] != network[0][box])
            if self.surer:
                where &= quick[1][box] > network[1][box]
            if self.same:
                where &= quick[0][box] == index
            if self.joined:
                _, pieces = cv2.connectedComponents((where | mask[box]).astype(np.uint8))
                where &= np.isin(pieces, np.unique(pieces[mask[box]]))
            result[box][where] = quick[0][box][where]
        return result


KINDS = (
    (False, False, False),
    (True, False, False),
    (True, True, False),
    (True, False, True),
    (True, True, True),
)
RULES = [
    Rule(reach, sure, *kind) for reach, sure, kind in itertools.product((20, 50, 1000), (0.5, 0.7), KINDS)
]


def quick_answer(model: QuickModel, name: str, image: Map) -> Answer | None:
    """Return what the quick model says of an image; None before it knows two classes."""
    readout = model.readout(TABLE.indices)
    if readout is None:
        return None
    labels, sure = np.zeros(image.shape[:2], np.uint8), np.zeros(image.shape[:2], np.float32)
    for part in parts(model.grid(name, lambda: image), readout, None):
        labels[part.box.slices], sure[part.box.slices] = part.label_map, part.confidence
    return labels, sure


def dense_pool(train: list[Example], sparse: Pool) -> Pool:
    """Return the pool's images with their whole masks: a network better than the quick model."""
    data = {}
    for item in sparse.items:
        labels = train[int(item.image_id)][1]
        labels = np.where(labels < CLASSES, labels, UNLABELLED).astype(np.uint8)
        data[item.image_id] = labels, (labels != UNLABELLED).astype(np.uint8)
    pool = Pool(
        lambda item: data[item.image_id],
        TABLE,
        BALANCED,
        1 << 28,
        read_pixels=lambda path: train[int(path.name)][0],
        seed=0,
    )
    for _ in pool.fill(list(sparse.items)):
        pass
    return pool


def run(chosen: argparse.Namespace, seed: int, found: Found) -> None:
    """Train, then correct; figures are appended to ``found``."""
    train = examples(chosen.camvid / "train", 40)
    pool = pool_of(train, seed, BALANCED)
    said = {item.image_id: pool.layers(item) for item in pool.items}
    if chosen.dense:
        pool = dense_pool(train, pool)
    torch.manual_seed(seed)
    model = build_model(TinyConfig(), CLASSES, seed=seed)
    config = TrainingConfig(crop=BALANCED, batch_size=4, seed=seed, precision=Precision.FLOAT32)
    loss = build_loss(CrossEntropyConfig())
    trainer = Trainer(model, loss, config, TABLE, pool, CPU, precision=Precision.FLOAT32)
    used = {int(item.image_id) for item in pool.items}
    fresh = [number for number in range(len(train)) if number not in used][: chosen.images]
    for step in range(1, chosen.steps + 1):
        trainer.step()
        if step % chosen.every:
            continue
        quick = QuickModel()
        for item in pool.items:
            if item.split is Split.TRAIN:
                cells = labelled_cells(*said[item.image_id])
                quick.learn(item.image_id, feature_grid(train[int(item.image_id)][0]), cells)
        for number in fresh:
            Correcting(train[number], f"{number}", quick, predictor(model), seed).work(found)


class Correcting:
    """A person corrects one image; nobody else has painted on it."""

    def __init__(self, example: Example, name: str, quick: QuickModel, network: Predictor, seed: int) -> None:
        self._image, labels = example
        self._labels = np.where(labels < CLASSES, labels, UNLABELLED).astype(np.uint8)
        self._name, self._quick = name, quick
        self._network: Answer = network.predict_whole(self._image)
        self._said = np.full(SIZE, UNLABELLED, np.uint8)
        self._strokes: Strokes = []
        self._rng = np.random.default_rng([seed, int(name)])

    def work(self, found: Found) -> None:
        """Make the strokes, and let every rule answer each of them."""
        hand, visit = Hand(position=(SIZE[0] / 2, SIZE[1] / 2)), Visit()
        truth, rules = know(self._labels), rules_of(User.PERFECT)
        for _ in range(STROKES):
            sight = Sight(annotation=self._said, prediction=self._network[0])
            action = next_action(truth, sight, hand=hand, visit=visit, rules=rules, rng=self._rng)
            hand, visit = moved(hand, action), after(visit, action)
            if isinstance(action, Paint):
                self._paint(action)
                self._ask(found)
            elif not isinstance(action, Relabel):
                break
        self._quick.forget(self._name)

    def _paint(self, action: Paint) -> None:
        box, mask = rasterise_stroke(action.stroke.points, action.stroke.radius, SIZE)
        whole = np.zeros(SIZE, np.bool_)
        whole[box.slices] = mask
        whole &= self._said == UNLABELLED
        if action.within is not None:
            whole &= action.within
        if not whole.any():
            return
        self._said[whole] = action.stroke.class_index
        self._strokes.append((whole, action.stroke.class_index))
        cells = labelled_cells(self._said, (self._said != UNLABELLED).astype(np.uint8))
        self._quick.learn(self._name, self._quick.grid(self._name, lambda: self._image), cells)

    def _ask(self, found: Found) -> None:
        quick = quick_answer(self._quick, self._name, self._image)
        if quick is None:
            return
        labels, network = self._labels, self._network[0]
        outside = (labels != UNLABELLED) & (self._said == UNLABELLED)
        before = (network == labels)[outside].mean()
        found["the network alone"].append(float(before))
        found["the quick model alone"].append(float((quick[0] == labels)[outside].mean()))
        for rule in RULES:
            now = rule.answer(self._strokes, self._network, quick)
            changed = outside & (now != network)
            found[f"{rule}|gain"].append(float((now == labels)[outside].mean() - before))
            found[f"{rule}|changed"].append(float(changed.sum()))
            found[f"{rule}|right"].append(float((changed & (now == labels)).sum()))
            found[f"{rule}|wrong"].append(float((changed & (network == labels)).sum()))


def told(found: Found) -> None:
    """Print a line per rule."""
    print(f"{len(found['the network alone'])} strokes; pixel accuracy:", end="")
    print(*(f" {name} {100 * np.mean(found[name]):.1f} %" for name in found if "|" not in name), sep=",")
    for rule in RULES:
        gain, total = np.array(found[f"{rule}|gain"]), max(1.0, sum(found[f"{rule}|changed"]))
        right, wrong = (100 * sum(found[f"{rule}|{word}"]) / total for word in ("right", "wrong"))
        print(
            f"{rule!s:40} {100 * gain.mean():+6.2f} points   right {right:3.0f} %   wrong {wrong:3.0f} %   "
            f"worse {100 * (gain < 0).mean():3.0f} %",
            flush=True,
        )


def main() -> None:
    """Print all rules after each seed, over all seeds so far."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--every", type=int, default=150)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--dense", action="store_true", help="the network learns from whole masks")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found: Found = defaultdict(list)
    for seed in range(chosen.seeds):
        run(chosen, seed, found)
        told(found)


if __name__ == "__main__":
    main()
