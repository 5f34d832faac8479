"""How far the calibration fitted on a person's corrections is from corrections of other images, on CamVid.

    python -m tests.bench.inspection_corrections --camvid DIR --checkpoint F [--every N] [--corrected N …]
        [--seeds 0-4] [--unfinished] [--shares 0,0.5] [--learnt 12] [--sees]

The robot's careful person corrects images of val, of which the network knows nothing, at half size, until the
rest can be accepted (with `--unfinished`: until the twelve strokes or thirty seconds of a training session
are over). The curve is fitted as the product does on some of these images; all others are asked. A line per
number of images, means over seeds and the largest in brackets: the error (ECE, 15 bins of equal width) the
product itself told; on corrections of the other images, as the network is, with the logistic curve alone and
with the curve that is used; and the same on whole true masks of them, which nobody corrected. At the end, on
how many whole images the curve was fitted; 0: on strokes.

With `--shares` the same of what a session shows most of the time: the quick model (0), or the pool of both in
which the network has this share. The quick model has learnt from `--learnt` images of train that the person
corrected one after the other, seeing what is shown, and from the images the curve is fitted on; there it is
asked in turns, as the product does. The others are asked with the quick model of all of these. The first of
the three figures is then the confidence as it is, the second what the curve of the network alone makes of it,
the third the curve that is used. With `--sees` the quick model sees through the network's backbone, as in a
project whose network came trained.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, Provenance
from engine.annotate.raster import rasterise_stroke
from engine.annotate.regions import region_at
from engine.cli.networks import load_network
from engine.config import Device, Precision
from engine.inspect.calibration import Curve, reliability, representative
from engine.inspect.judged import Judged, calibration, evidence, judged_pixels
from engine.inspect.look import look_at
from engine.inspect.shown import shown_probabilities
from engine.inspect.snapshot import Snapshot
from engine.measure.actions import AcceptImage, Hand, Leave, Paint, User, Visit, after, moved, rules_of
from engine.measure.annotator import Sight, know, next_action
from engine.project.manifest import Split
from engine.quick.features import FeatureGrid, Stages, feature_grid
from engine.quick.head import Readout
from engine.quick.model import QuickModel
from engine.quick.picture import opinion
from engine.quick.pretrained import stage_features
from engine.quick.samples import labelled_cells
from engine.worker.calibrating import TURNS
from engine.worker.sight import Sight as BackboneSight
from models.backbones.base import Backbone
from models.backbones.stages import StemlessBackbone
from tests.bench.inspection_scenes import Labels, Scene, scenes
from tests.bench.learning_table import seeds

_MOST_STROKES, _MOST_SECONDS = 60, 400.0
"""Of a person who finishes an image."""


def corrected(
    truth: Labels, predicted: Labels, rng: np.random.Generator, *, finished: bool
) -> tuple[Labels, Labels]:
    """Return what the careful person says of an image, and the provenance of it, both (h, w) uint8."""
    said, provenance = np.full_like(truth, UNLABELLED), np.full_like(truth, Provenance.NOBODY)
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
                return said, provenance
            case AcceptImage():
                where = (said == UNLABELLED) & (True if action.within is None else action.within)
                provenance[where] = Provenance.ACCEPTED
                return np.where(where, predicted, said), provenance
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
        where = where if action.within is None else where & action.within
        said[where], provenance[where] = given, Provenance.STROKE


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
    return [*row, fitted.images]


def _judge(scene: Scene, snapshot: Snapshot, number: int, *, finished: bool) -> tuple[Judged, Judged]:
    probabilities = look_at(snapshot, scene.name, scene.image).probabilities(10_000)
    predicted = probabilities.argmax(axis=0).astype(np.uint8)
    said, _ = corrected(scene.truth, predicted, np.random.default_rng([1, number]), finished=finished)
    return (
        judged_pixels(probabilities, said.astype(np.int64)),
        judged_pixels(probabilities, scene.truth.astype(np.int64)),
    )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """An image with what the network says of it, (K, h, w) float16, and the quick model's features."""

    scene: Scene
    network: NDArray[np.float16]
    grid: FeatureGrid


class _Person:
    """Corrects what a share of the network shows.

    Args:
        snapshot: The network.
        share: Its share.
        finished: Whether images are gone on with until the rest can be accepted.
    """

    def __init__(self, snapshot: Snapshot, share: float, *, finished: bool) -> None:
        self._classes = snapshot.classes
        self._share = share
        self._finished = finished

    def shown(self, known: _Known, readout: Readout | None) -> NDArray[np.float32]:
        """Return the probabilities of what is shown, (K, h, w); the network's before anything is learnt."""
        network = known.network.astype(np.float32)
        if readout is None:
            return network
        said = opinion(known.grid, readout)
        alone = None if self._share == 0 else network
        return shown_probabilities(alone, said, self._classes, network.shape[1:], self._share)

    def corrects(self, known: _Known, readout: Readout | None, number: int) -> tuple[Labels, Labels]:
        """Return what they say of an image, and its provenance."""
        predicted = self.shown(known, readout).argmax(axis=0).astype(np.uint8)
        rng = np.random.default_rng([1, number])
        return corrected(known.scene.truth, predicted, rng, finished=self._finished)

    def readout(self, model: QuickModel, without: list[str]) -> Readout | None:
        """Return the quick model without some images."""
        return model.readout(self._classes.indices, without=without)


def _seen_by(snapshot: Snapshot) -> Stages:
    """Return what the network's backbone sees of images."""
    backbone = next(
        module
        for module in snapshot.model.modules()
        if isinstance(module, Backbone) and not isinstance(module, StemlessBackbone)
    )
    return BackboneSight(backbone, snapshot.device, Precision.FLOAT32).stages


def _known(scene: Scene, snapshot: Snapshot, stages: Stages) -> _Known:
    said = look_at(snapshot, scene.name, scene.image).probabilities(10_000).astype(np.float16)
    return _Known(scene, said, feature_grid(scene.image, stages))


def _taught(model: QuickModel, known: _Known, said: tuple[Labels, Labels]) -> None:
    model.learn(known.scene.name, known.grid, labelled_cells(*said))


def _shown_rows(
    person: _Person,
    stages: Stages,
    train: list[_Known],
    val: list[_Known],
    counts: list[int],
    chosen: list[int],
) -> dict[int, list[list[float]]]:
    """Return the rows of each number of corrected images, one for every seed."""
    model = QuickModel(stages=stages)
    for number, known in enumerate(train):
        _taught(model, known, person.corrects(known, person.readout(model, []), 1000 + number))
    first = person.readout(model, [])
    said = [person.corrects(known, first, number) for number, known in enumerate(val)]
    table: dict[int, list[list[float]]] = {}
    for count in counts:
        for seed in chosen:
            order = [int(place) for place in np.random.default_rng(seed).permutation(len(val))]
            for place in order[:count]:
                _taught(model, val[place], said[place])
            table.setdefault(count, []).append(_shown_row(person, model, val, said, order, count))
            for place in order[:count]:
                model.forget(val[place].scene.name)
    return table


def _shown_row(
    person: _Person,
    model: QuickModel,
    val: list[_Known],
    said: list[tuple[Labels, Labels]],
    order: list[int],
    count: int,
) -> list[float]:
    own, alone = [], []
    for start in range(min(TURNS, count)):
        turn = order[start:count:TURNS]
        readout = person.readout(model, [val[place].scene.name for place in turn])
        for place in turn:
            labels = said[place][0].astype(np.int64)
            own.append(judged_pixels(person.shown(val[place], readout), labels))
            alone.append(judged_pixels(val[place].network.astype(np.float32), labels))
    fitted = calibration(0, evidence({Split.VAL: own}))
    network = calibration(0, evidence({Split.VAL: alone}))
    curves = (
        Curve(),
        Curve(network.temperature, network.shift, network.knots),
        Curve(fitted.temperature, fitted.shift, fitted.knots),
    )
    row = [fitted.ece, fitted.chance]
    readout = person.readout(model, [])
    others: list[Judged] = []
    true: list[Judged] = []
    for place in order[count:]:
        probabilities = person.shown(val[place], readout)
        others.append(judged_pixels(probabilities, said[place][0].astype(np.int64)))
        true.append(judged_pixels(probabilities, val[place].scene.truth.astype(np.int64)))
    for parts in (evidence({Split.VAL: others}), true):
        confidence, right = _columns(parts)
        row += [reliability(curve(confidence), right).ece for curve in curves]
    return [*row, fitted.images]


def _print(count: int, found: list[list[float]]) -> None:
    rows = np.array(found) * 100.0
    mean, most = rows.mean(axis=0), rows.max(axis=0)
    print(
        f"{count:6}  {mean[0]:5.1f} ({mean[1]:.1f})"
        + "".join(f"  {mean[place]:5.1f} ({most[place]:.1f})" for place in range(2, 8))
        + f"  {mean[8] / 100:.0f} whole",
        flush=True,
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
    parser.add_argument("--shares", type=lambda text: [float(part) for part in text.split(",")])
    parser.add_argument("--learnt", type=int, default=12)
    parser.add_argument("--sees", action="store_true")
    chosen = parser.parse_args()
    network = load_network(chosen.checkpoint, Device.CPU, print)
    model = network.predictor.frozen_copy()
    snapshot = Snapshot(model=model, classes=network.classes, step=0, device=network.device.device)
    drawn = scenes(chosen.camvid / "val", chosen.images, np.random.default_rng(0))
    finished = not chosen.unfinished
    if chosen.shares:
        train = scenes(chosen.camvid / "train", chosen.learnt, np.random.default_rng(1))
        stages = _seen_by(snapshot) if chosen.sees else stage_features
        learnt = [_known(scene, snapshot, stages) for scene in train]
        asked = [_known(scene, snapshot, stages) for scene in drawn]
        for share in chosen.shares:
            print(
                f"share of the network {share}: images  told (by chance)   others' corrections: before, "
                "the network's curve, curve   true masks: the same"
            )
            person = _Person(snapshot, share, finished=finished)
            found = _shown_rows(person, stages, learnt, asked, chosen.corrected, chosen.seeds)
            for count, rows in found.items():
                _print(count, rows)
        return
    both = [_judge(scene, snapshot, number, finished=finished) for number, scene in enumerate(drawn)]
    said, true = [pair[0] for pair in both], [pair[1] for pair in both]
    print("images  told (by chance)   others' corrections: before, logistic, curve   true masks: the same")
    for count in chosen.corrected:
        _print(count, [_row(said, true, count, seed) for seed in chosen.seeds])


if __name__ == "__main__":
    main()
