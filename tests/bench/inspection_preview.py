"""What the effect preview foretells of a stroke, against what training then does.

A dot is put on the largest error of a held-out image and joins the strokes learnt before. Training then goes
on as the product's does: with the optimizer's state, after a restart of the learning rate, and with the
product's share of windows from what was corrected last. It does so twice with different draws, since no
preview can agree with training better than training agrees with itself, and once without the stroke.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.config import CropConfig
from engine.inspect.effect import Foreseen, foreseen, learnt_layer, present_layer
from engine.inspect.labelled import LabelledImage
from engine.inspect.look import Look, look_at
from engine.inspect.snapshot import Snapshot
from engine.learn.pool import Pool
from engine.learn.trainer import Trainer
from engine.messages import PoolItem
from engine.project.manifest import Split
from models.base import SegmentationModel
from tests.bench.inspection_budget import training
from tests.bench.inspection_scenes import Labels, Scene, correction

if TYPE_CHECKING:
    from tests.bench.inspection_figures import Study

_CYCLE = 400
"""Steps of the product's first cycle of the learning rate."""

Foresee = Callable[[LabelledImage], Foreseen]


def as_shown(image: LabelledImage) -> Foreseen:
    """Return what the window would show of an image."""
    return foreseen(image.look, present_layer(image.look), learnt_layer(image))


def preview(study: Study) -> dict[str, float]:
    """Return the figures of the product's preview."""
    return compared(study, {"": as_shown})


def compared(study: Study, ways: Mapping[str, Foresee]) -> dict[str, float]:
    """Return the figures of several previews of the same strokes and trainings; names begin the titles."""
    counts = {name: np.zeros(5) for name in ways}
    itself = np.zeros(2)
    for scene in study.held_out[: study.budget.previewed]:
        look = study.look(scene)
        stroke = correction(scene, look.channels.numpy())
        if stroke is None:
            continue
        before = look.enlarged(look.logits)
        once, again, without = (
            _trained_on(study, scene, given, seed) for seed, given in ((1, stroke), (2, stroke), (3, None))
        )
        old, new = before.argmax(dim=0), once.argmax(dim=0)
        itself += _agreement(old != new, old, new, again - before)
        for name, foresee in ways.items():
            counts[name] += _tally(foresee(study.labelled(scene, look, stroke)), before, once, without)
    found = {"a second training moves flips of the first so": float(itself[0] / max(1.0, itself[1]))}
    for name, tally in counts.items():
        said, moved, plain, came, flipped = tally.tolist()
        found |= {
            f"{name}pixels foreseen": said,
            f"{name}of these moved as foreseen": moved / max(1.0, said),
            f"{name}of these moved so without the stroke": plain / max(1.0, said),
            f"{name}of these flipped as foreseen": came / max(1.0, said),
            f"{name}pixels that flipped": flipped,
            f"{name}of these foreseen": came / max(1.0, flipped),
        }
    return found


def _tally(seen: Foreseen, before: Tensor, once: Tensor, without: Tensor) -> tuple[int, int, int, int, int]:
    """Return pixels foreseen; of these moved so, so without the stroke, and flipped so; pixels flipped."""
    old, new = before.argmax(dim=0), once.argmax(dim=0)
    moved, said = _agreement(seen.flips, seen.old, seen.new, once - before)
    plain, _ = _agreement(seen.flips, seen.old, seen.new, without - before)
    came = seen.flips & (seen.new == new) & (old != new)
    return said, moved, plain, int(came.sum()), int((old != new).sum())


def _agreement(where: Tensor, old: Tensor, new: Tensor, change: Tensor) -> tuple[int, int]:
    """Return at how many pixels `new` gained on `old` by a change of logits (K, h, w), and of how many."""
    margin = change.gather(0, new[None])[0] - change.gather(0, old[None])[0]
    return int((margin[where] > 0).sum()), int(where.sum())


def _trained_on(study: Study, scene: Scene, stroke: Labels | None, seed: int) -> Tensor:
    """Train on as the product does, with a stroke or without; logits (K, h, w) of the scene afterwards."""
    budget = study.budget
    config = training(_CYCLE, seed, budget.crop, study.rate)
    optimizer = replace(config.optimizer, warmup_steps=0)
    config = replace(config, crop=CropConfig(size=budget.crop), optimizer=optimizer)
    painted = dict(study.painted)
    items = [study.item(one, Split.TRAIN) for one in study.trained]
    if stroke is not None:
        painted[scene.name] = stroke

    def layers(item: PoolItem) -> tuple[Labels, Labels]:
        return study.layers_of(painted[item.image_id])

    pool = Pool(layers, study.classes, config.crop, 2**30, read_pixels=study.pixels, seed=seed)
    for _ in pool.fill(items):
        pass
    if stroke is not None:
        pool.update(study.item(scene, Split.TRAIN))
    model = copy.deepcopy(study.model)
    trainer = Trainer(
        model,
        study.loss,
        config,
        study.classes,
        pool,
        torch.device("cpu"),
        step=study.trainer.step_count,
        optimizer=study.trainer.optimizer_state(),
    )
    trainer.restart()
    for _ in range(budget.preview_steps):
        trainer.step()
    later = _look(model, study.classes, scene)
    return later.enlarged(later.logits)


def _look(model: SegmentationModel[Any], classes: ClassTable, scene: Scene) -> Look:
    frozen = model.eval().requires_grad_(False)
    snapshot = Snapshot(model=frozen, classes=classes, step=1, device=torch.device("cpu"))
    return look_at(snapshot, scene.name, scene.image)
