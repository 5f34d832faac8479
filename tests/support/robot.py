"""Small pictures with known truth, and learners that need no packages, for tests of the robot."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from engine.annotate.classes import ClassTable
from engine.measure.actions import AnnotatorRules, User, rules_of
from engine.measure.baselines.lane import LaneTool
from engine.measure.baselines.learner import Marked, Model
from engine.measure.robot.plan import RobotPlan
from engine.measure.robot.tool import Guess, LabelMap, Material

COLORS = np.asarray([(40, 60, 200), (200, 80, 40), (60, 190, 70), (220, 210, 60)], np.uint8)


def blobs(seed: int, size: tuple[int, int] = (90, 120), *, void: bool = False) -> LabelMap:
    """Three discs of classes 1 to 3 on class 0; with void, a strip of nothing on the left."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((90, 120), np.uint8)
    ys, xs = np.mgrid[0:90, 0:120]
    for index in range(1, 4):
        y, x, r = rng.uniform(10, 80), rng.uniform(10, 110), rng.uniform(12, 30)
        truth[(ys - y) ** 2 + (xs - x) ** 2 < r * r] = index
    if void:
        truth[:, :30] = 255
    return truth.repeat(size[0] // 90, axis=0).repeat(size[1] // 120, axis=1)


def classes() -> ClassTable:
    """Four classes."""
    table = ClassTable()
    for name in ("ground", "car", "tree", "person"):
        table = table.add(name)
    return table


def write_picture(path: Path, truth: LabelMap, seed: int) -> None:
    """A noisy picture in the classes' colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-20, 21, (*truth.shape, 3))
    image = np.clip(COLORS[np.minimum(truth, 3)].astype(np.int64) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(image).save(path)


def make_material(
    folder: Path, count: int = 4, *, size: tuple[int, int] = (90, 120), void: bool = False
) -> Material:
    """Pictures to annotate and one that is held out."""
    truths = {f"{place}.png": blobs(place, size, void=void) for place in range(count)}
    held = "held out/images/x.png"
    truths[held] = blobs(99, size, void=void)
    for place, (name, truth) in enumerate(truths.items()):
        write_picture(folder / name, truth, place)
    return Material(
        classes=classes(),
        folder={name: folder / name for name in truths if name != held},
        held_out={held: folder / held},
        read_truth=lambda name: truths[name],
    )


def write_masks(folder: Path, truths: Mapping[str, LabelMap]) -> None:
    """Masks with a class list beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, truth in truths.items():
        Image.fromarray(truth).save(folder / name)
    (folder / "classes.txt").write_text("ground\ncar\ntree\nperson\n", encoding="utf-8")


def plan(
    user: User = User.CAREFUL, images: int | None = 4, seconds: float = 1e9, **rules: object
) -> RobotPlan:
    """A session of four images, measured once on the way, with some rules changed."""
    chosen: AnnotatorRules = dataclasses.replace(rules_of(user), **rules)
    return RobotPlan(user=user, rules=chosen, images=images, seconds=seconds, measured_at=(20.0,))


def annotations(tool: LaneTool) -> dict[str, LabelMap]:
    """What was said about each image."""
    return tool._annotations


class Hands:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class NothingLearner:
    """Never learns."""

    title = "nothing"
    is_busy = False

    def mark(self, marked: Marked) -> None:
        return

    def work(self) -> Model | None:
        return None

    def settle(self) -> Model | None:
        return None

    def facts(self) -> dict[str, object]:
        return {}


class KnowingLearner(NothingLearner):
    """Knows the truth of every image as soon as it has worked once; each piece of work takes some seconds."""

    title = "knowing"

    def __init__(self, material: Material, clock: Hands, seconds: float) -> None:
        self._material = material
        self._clock = clock
        self._seconds = seconds
        self.marks: list[Marked] = []

    def mark(self, marked: Marked) -> None:
        self.marks.append(marked)

    @property
    def is_busy(self) -> bool:
        return bool(self.marks)

    def work(self) -> Model | None:
        self.marks.clear()
        self._clock.now += self._seconds
        return self._model

    def settle(self) -> Model | None:
        return self._model

    def _model(self, image_id: str, image: np.ndarray) -> Guess:
        truth = self._material.read_truth(image_id)
        return Guess(label_map=truth, confidence=np.ones(truth.shape, np.float32))
