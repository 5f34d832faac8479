"""How far the calibration fitted on a person's corrections is from corrections of other images, on CamVid.

    python -m tests.bench.inspection_corrections --camvid DIR --checkpoint F [--every N] [--corrected N …]
        [--seeds 0-4] [--unfinished]

The robot's careful person corrects images of val, of which the network knows nothing, at half size, until the
rest can be accepted (with `--unfinished`: until the twelve strokes or thirty seconds of a training session
are over). The curve is fitted as the product does on some of these images; all others are asked. A line per
number of images, means over seeds and the largest in brackets: the error (ECE, 15 bins of equal width) the
product itself told; on corrections of the other images, as the network is, with the logistic curve alone and
with the curve that is used; and the same on whole true masks of them, which nobody corrected.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.annotate.raster import rasterise_stroke
from engine.annotate.regions import region_at
from engine.cli.networks import load_network
from engine.config import Device
from engine.inspect.calibration import Curve, reliability, representative
from engine.inspect.judged import Judged, calibration, evidence, judged_pixels
from engine.inspect.look import look_at
from engine.inspect.snapshot import Snapshot
from engine.measure.actions import AcceptImage, Hand, Leave, Paint, User, Visit, after, moved, rules_of
from engine.measure.annotator import Sight, know, next_action
from engine.project.manifest import Split
from tests.bench.inspection_scenes import Labels, Scene, scenes
from tests.bench.learning_table import seeds

_MOST_STROKES, _MOST_SECONDS = 60, 400.0
"""Of a person who finishes an image."""


def corrected(truth: Labels, predicted: Labels, rng: np.random.Generator, *, finished: bool) -> Labels:
    """Return what the careful person says of an image, (h, w) uint8."""
    said = np.full_like(truth, UNLABELLED)
    hand, visit = Hand(position=(truth.shape[0] / 2, truth.shape[1] / 2)), Visit()
    rules = rules_of(User.CAREFUL)
    if finished:
        rules = dataclasses.replace(rules, strokes_per_image=_MOST_STROKES, seconds_per_image=_MOST_SECONDS)
    known = know(truth)
    while True:
        sight = Sight(annotation=said, prediction=predicted)
        action = next_action(known, sight, hand=hand, visit=visit, rules=rules, rng=rng)
        hand, visit = moved(hand, action), after(visit, action)
        where = np.zeros(truth.shape, np.bool_)
        match action:
            case Leave():
                return said
            case AcceptImage():
                where = (said == UNLABELLED) & (True if action.within is None else action.within)
                return np.where(where, predicted, said)
            case Paint(undo=True):
                continue
            case Paint(stroke=stroke):
                box, mask = rasterise_stroke(stroke.points, stroke.radius, truth.shape)
                given = stroke.class_index
            case _:
                shown = np.where(said == UNLABELLED, predicted, said).astype(np.uint8)
                box, mask = region_at(shown, int(action.point[0]), int(action.point[1]))
                given = getattr(action, "class_index", int(shown[int(action.point[0]), int(action.point[1])]))
        where[box.slices] = mask
        said[where if action.within is None else where & action.within] = given


def _columns(parts: list[Judged]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    confidence = np.concatenate([part.confidence for part in parts])
    right = np.concatenate([part.right for part in parts])
    if all(part.whole for part in parts):
        return confidence, right
    labels = np.concatenate([part.labels for part in parts])
    drawn = representative(labels, np.mean([part.shares for part in parts], axis=0))
    return confidence[drawn], right[drawn]


def _row(said: list[Judged], true: list[Judged], count: int, seed: int) -> list[float]:
    order = np.random.default_rng(seed).permutation(len(said))
    fitted = calibration(0, evidence({Split.VAL: [said[number] for number in order[:count]]}))
    logistic = Curve(fitted.temperature, fitted.shift)
    curves = (Curve(), logistic, dataclasses.replace(logistic, knots=fitted.knots))
    row = [fitted.ece, fitted.chance]
    others = evidence({Split.VAL: [said[number] for number in order[count:]]})
    for parts in (others, [true[number] for number in order[count:]]):
        confidence, right = _columns(parts)
        row += [reliability(curve(confidence), right).ece for curve in curves]
    return row


def _judge(scene: Scene, snapshot: Snapshot, number: int, *, finished: bool) -> tuple[Judged, Judged]:
    look = look_at(snapshot, scene.name, scene.image)
    probabilities = look.probabilities(10_000)
    predicted = probabilities.argmax(axis=0).astype(np.uint8)
    said = corrected(scene.truth, predicted, np.random.default_rng([1, number]), finished=finished)
    return (
        judged_pixels(probabilities, said.astype(np.int64)),
        judged_pixels(probabilities, scene.truth.astype(np.int64)),
    )


def main() -> None:
    """Print a line per number of corrected images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--corrected", type=int, nargs="+", default=[5, 13, 20])
    parser.add_argument("--seeds", type=seeds, default=list(range(5)))
    parser.add_argument("--unfinished", action="store_true")
    chosen = parser.parse_args()
    network = load_network(chosen.checkpoint, Device.CPU, print)
    model = network.predictor.frozen_copy()
    snapshot = Snapshot(model=model, classes=network.classes, step=0, device=network.device.device)
    drawn = scenes(chosen.camvid / "val", chosen.images, np.random.default_rng(0))
    both = [
        _judge(scene, snapshot, number, finished=not chosen.unfinished) for number, scene in enumerate(drawn)
    ]
    said, true = [pair[0] for pair in both], [pair[1] for pair in both]
    print("images  told (by chance)   others' corrections: before, logistic, curve   true masks: the same")
    for count in chosen.corrected:
        rows = np.array([_row(said, true, count, seed) for seed in chosen.seeds]) * 100.0
        mean, most = rows.mean(axis=0), rows.max(axis=0)
        print(
            f"{count:6}  {mean[0]:5.1f} ({mean[1]:.1f})"
            + "".join(f"  {mean[place]:5.1f} ({most[place]:.1f})" for place in range(2, 8)),
            flush=True,
        )


if __name__ == "__main__":
    main()
