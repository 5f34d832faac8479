"""Half-size scenes of CamVid, and the dots a bench paints on them, some with a wrong class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, ClassTable
from engine.opencv import cv2
from engine.project.images import read_image
from tests.bench.learning_table import pairs

_WRONG_SHARE = 0.05

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


def correction(scene: Scene, predicted: NDArray[np.int64]) -> Labels | None:
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
