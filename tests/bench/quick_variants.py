"""Which quick model is best: a closed loop of strokes on a data set, several seeds, one table.

    python tests/bench/quick_variants.py TRAIN_IMAGES TRAIN_MASKS TEST_IMAGES TEST_MASKS [--seeds 3]

Every variant is corrected on its own errors: the largest wrong region gets a stroke along its middle (a
simplified robot: careful hand, no relabelling, no accepting), twelve strokes an image. Scores are mIoU over
test images after so many images, and the seconds a person would have needed. Masks are 8-bit class ids, 255
where nothing is known. The forest needs scikit-image and scikit-learn.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.annotate.classes import UNLABELLED
from engine.measure.medial import medial_path, path_length
from engine.measure.metrics import ConfusionMatrix
from engine.opencv import cv2
from engine.quick import picture
from engine.quick.features import FeatureGrid, feature_grid
from engine.quick.model import QuickModel
from engine.quick.samples import labelled_cells

Picture = NDArray[np.uint8]
Predict = Callable[[Picture], Picture]
STROKES, LOOK_S, BETWEEN_S, ZOOM = 12, 2.0, 1.8, 2.8


class Quick:
    """The product's own, with or without one of its parts."""

    def __init__(self, *, smooth: bool = True, network: bool = True, without: tuple[int, ...] = ()) -> None:
        self._model, self._smooth, self._network, self._without = QuickModel(), smooth, network, list(without)
        self._seen = 0

    def _grid(self, image: Picture) -> FeatureGrid:
        grid = feature_grid(image)
        values = grid.values.copy()
        values[..., self._without] = 0
        return FeatureGrid(values, grid.size, grid.stages if self._network else ())

    def learn(self, images: list[tuple[Picture, Picture]]) -> None:
        place = len(images) - 1
        image, labels = images[place]
        strokes = (labels != UNLABELLED).astype(np.uint8)
        self._model.learn(str(place), self._grid(image), labelled_cells(labels, strokes))

    finish = learn

    def predict(self, image: Picture) -> Picture | None:
        readout = self._model.readout(tuple(range(254)))
        if readout is None:
            return None
        smoothed = picture._smoothed
        if not self._smooth:
            picture._smoothed = lambda probabilities, light: probabilities
        found = np.empty(image.shape[:2], np.uint8)
        for part in picture.parts(self._grid(image), readout, None):
            found[part.box.slices] = part.label_map
        picture._smoothed = smoothed
        return found


class Forest:
    """The stand-in for other tools: filter bank and random forest, grown anew after every image."""

    def __init__(self) -> None:
        self._forest = None

    def _features(self, image: Picture) -> NDArray[np.float32]:
        from skimage.feature import multiscale_basic_features

        bank = multiscale_basic_features(image, channel_axis=-1, sigma_min=1, sigma_max=16)
        rows, columns = np.indices(image.shape[:2]) / 100
        return np.dstack([bank, rows, columns]).astype(np.float32)

    def learn(self, images: list[tuple[Picture, Picture]]) -> None:
        """Do nothing: it is too slow to grow after every stroke."""

    def finish(self, images: list[tuple[Picture, Picture]]) -> None:
        """Grow from all images."""
        from sklearn.ensemble import RandomForestClassifier

        rng = np.random.default_rng(0)
        values, labels = [], []
        for image, painted in images:
            bank = self._features(image)
            for index in np.unique(painted[painted < 254]):
                places = np.flatnonzero(painted == index)
                places = rng.choice(places, min(len(places), 1200), replace=False)
                values.append(bank.reshape(-1, bank.shape[2])[places])
                labels.append(np.full(len(places), index))
        if len(labels) > 1:
            forest = RandomForestClassifier(
                60, max_depth=16, min_samples_leaf=3, class_weight="balanced_subsample", random_state=0
            )
            self._forest = forest.fit(np.concatenate(values), np.concatenate(labels))

    def predict(self, image: Picture) -> Picture | None:
        if self._forest is None:
            return None
        bank = self._features(image)
        found = self._forest.predict(bank.reshape(-1, bank.shape[2]))
        return found.reshape(image.shape[:2]).astype(np.uint8)


def stroke(
    truth: Picture, shown: Picture | None, painted: Picture, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], int, float] | None:
    """Return where a person paints next, the class, and the seconds it takes; None where all is well."""
    best: tuple[int, int, NDArray[np.bool_]] | None = None
    for index in np.unique(truth[truth < 254]):
        wrong = (truth == index) & (painted == UNLABELLED)
        if shown is not None:
            wrong &= shown != index
        _, places, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=4)
        for number in np.flatnonzero(stats[1:, 4] >= 60) + 1:
            area = int(stats[number, 4])
            if (best is None or area > best[0]) and _depth(places == number).max() >= 3:
                best = area, int(index), places == number
    if best is None:
        return None
    _, index, region = best
    depth = _depth(truth == index)
    radius = int(np.clip(0.7 * depth[region].max(), 1, 20))
    safe = region & (depth > radius)
    if not safe.any():
        safe = region & (depth >= depth[region].max())
    path = medial_path(safe, depth, longest=250, step=2)
    points = np.array(path) + rng.normal(0, 1, (len(path), 2)) * (len(path) > 1)
    canvas = np.zeros(truth.shape, np.uint8)
    corners = np.round(points[:, ::-1]).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [np.repeat(corners, 2, axis=0)], False, 1, 2 * radius + 1)
    seconds = BETWEEN_S + 100 * ZOOM / 800 + max(0.75, path_length(path) * ZOOM / 400)
    return (canvas > 0) & (painted == UNLABELLED), index, seconds


def _depth(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    padded = np.pad(mask.astype(np.uint8), 1, mode="edge")
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)


def run(make: Callable[[], Quick | Forest], train: list, test: list, at: tuple[int, ...], seed: int) -> list:
    """Return (images, seconds, mIoU, pixel accuracy) at some numbers of images."""
    rng = np.random.default_rng(seed)
    tool, images, seconds, rows = make(), [], 0.0, []
    for place in rng.permutation(len(train))[: max(at)]:
        image, truth = read(*train[place])
        painted = np.full(truth.shape, UNLABELLED, np.uint8)
        images.append((image, painted))
        seconds += LOOK_S
        for _ in range(STROKES):
            tool.learn(images)
            found = stroke(truth, tool.predict(image), painted, rng)
            if found is None:
                break
            painted[found[0]] = found[1]
            seconds += found[2]
        tool.finish(images)
        if len(images) in at:
            rows.append((len(images), seconds, *score(tool, test)))
    return rows


def score(tool: Quick | Forest, test: list) -> tuple[float, float]:
    """Return mIoU over the classes present and pixel accuracy."""
    counts = ConfusionMatrix(254)
    for pair in test:
        image, truth = read(*pair)
        found = tool.predict(image)
        counts.update(np.full_like(truth, UNLABELLED) if found is None else found, truth)
    table = counts.counts
    hits, said = np.diag(table), table.sum(1) + counts.missed
    union = said + table.sum(0) - hits
    return float((hits[said > 0] / union[said > 0]).mean()), float(hits.sum() / said.sum())


def read(image: Path, mask: Path) -> tuple[Picture, Picture]:
    """Return an image and its class ids."""
    return np.asarray(Image.open(image).convert("RGB")), np.asarray(Image.open(mask))


def pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Return images and masks that belong together."""
    return [(path, masks / f"{path.stem}.png") for path in sorted(images.iterdir())]


VARIANTS: dict[str, Callable[[], Quick | Forest]] = {
    "quick model": Quick,
    "hand-made features alone": lambda: Quick(network=False),
    "without smoothing": lambda: Quick(smooth=False),
    "without surroundings": lambda: Quick(without=tuple(range(31, 43))),
    "random forest": Forest,
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--every", type=int, default=8, help="measure on every so-manieth test image")
    parser.add_argument("--images", type=int, nargs="+", default=[2, 4, 6])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    chosen = parser.parse_args()
    train, test = pairs(*chosen.folders[:2]), pairs(*chosen.folders[2:])[:: chosen.every]
    for name in chosen.variants:
        runs = [run(VARIANTS[name], train, test, tuple(chosen.images), seed) for seed in range(chosen.seeds)]
        for rows in zip(*runs, strict=True):
            scores = " ".join(f"{row[2]:.3f}" for row in rows)
            means = np.mean([row[1:] for row in rows], axis=0)
            print(
                f"{name:22s} {rows[0][0]:3d} images {means[0]:4.0f} s  mIoU {means[1]:.3f} ({scores})  "
                f"accuracy {means[2]:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
