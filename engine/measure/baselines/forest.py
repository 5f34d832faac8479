"""Pixel classifiers on a filter bank, as interactive tools use them: a forest, and a linear one."""

import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.errors import EngineError
from engine.measure.baselines.learner import Image, Marked, Model
from engine.measure.robot.tool import Guess, LabelMap

Features = NDArray[np.float32]

_PER_STROKE = 400
_CHANNELS = 62
_CACHED, _CACHED_BYTES = 12, 2 << 30
_WHOLE, _BLOCK = 4 << 20, 1 << 20
"""Pixels of which features are worked out, and predicted, at once."""
_TREES, _DEPTH, _LEAF = 100, 18, 3
_SMALLEST, _LARGEST = 1.0, 16.0
_REACH = 70
"""Rows from which the largest filter draws: four times its sigma, and a few for the slopes."""
_PASSES = 5
_MISSING = "scikit-image and scikit-learn are not installed, and this baseline is made of them."
_INSTALL = 'Install them: pip install "maskloop[robot]"'


def cores() -> int:
    """Processor cores for computing: all but one, as the product takes."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, there - 1)


def filter_bank(image: Image) -> Features:
    """Intensity, edges and texture at five scales for each colour, and the place in the image.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (H, W, 62) float32.

    Raises:
        EngineError: scikit-image is missing.
    """
    try:
        from skimage.feature import multiscale_basic_features
    except ImportError as error:
        raise EngineError(_MISSING, _INSTALL) from error
    found: Features = multiscale_basic_features(
        image, channel_axis=-1, sigma_min=_SMALLEST, sigma_max=_LARGEST, workers=cores()
    )
    height, width = image.shape[:2]
    rows = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    columns = np.linspace(0.0, 1.0, width, dtype=np.float32)[None, :]
    place = np.stack(np.broadcast_arrays(rows, columns), axis=-1)
    return np.concatenate((found.astype(np.float32), place), axis=-1)


def bands(
    image: Image, rows: int, wanted: NDArray[np.intp] | None = None
) -> Iterator[tuple[slice, Features]]:
    """The filter bank of an image too large for the memory, so many rows at a time.

    Every band is worked out with the rows around it that its filters reach, so it is as of the whole image.

    Args:
        image: (H, W, 3) uint8.
        rows: of a band.
        wanted: (N,) rows; bands in which there are none are left out.

    Yields:
        The rows, and their features (h, W, 62) float32.
    """
    height = image.shape[0]
    places = np.linspace(0.0, 1.0, height, dtype=np.float32)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        if wanted is not None and not ((wanted >= top) & (wanted < bottom)).any():
            continue
        first = max(0, top - _REACH)
        around = filter_bank(image[first : min(height, bottom + _REACH)])
        features = around[top - first : bottom - first]
        features[..., -2] = places[top:bottom, None]
        yield slice(top, bottom), features


class _Bank:
    """Features of the images looked at last; those of a very large one are worked out anew each time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Features] = OrderedDict()

    def of(
        self, image_id: str, image: Image, wanted: NDArray[np.intp] | None = None
    ) -> Iterator[tuple[slice, Features]]:
        """Features of an image as (rows, (h, W, 62) float32), in blocks that can be predicted at once.

        Blocks without one of the rows ``wanted`` (N,) may be left out.
        """
        height, width = image.shape[:2]
        rows = max(1, _BLOCK // width)
        if height * width > _WHOLE:
            yield from bands(image, rows, wanted)
            return
        whole = self._whole(image_id, image)
        for top in range(0, height, rows):
            yield slice(top, min(height, top + rows)), whole[top : top + rows]

    def at(self, image_id: str, image: Image, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Features:
        """Features (N, 62) of some pixels of an image."""
        found = np.empty((len(rows), _CHANNELS), np.float32)
        for part, features in self.of(image_id, image, rows):
            inside = (rows >= part.start) & (rows < part.stop)
            found[inside] = features[rows[inside] - part.start, columns[inside]]
        return found

    def _whole(self, image_id: str, image: Image) -> Features:
        if image_id not in self._kept:
            self._kept[image_id] = filter_bank(image)
            while len(self._kept) > 1 and self._is_full():
                self._kept.popitem(last=False)
        self._kept.move_to_end(image_id)
        return self._kept[image_id]

    def _is_full(self) -> bool:
        return (
            len(self._kept) > _CACHED
            or sum(features.nbytes for features in self._kept.values()) > _CACHED_BYTES
        )


class PixelLearner(ABC):
    """Learns from at most 400 pixels of each stroke and class.

    Attributes:
        title: name for people.
    """

    title = "pixel classifier"

    def __init__(self, classes: ClassTable, *, seed: int) -> None:
        """Nothing learnt yet.

        Raises:
            EngineError: a package is missing; says how to install it.
        """
        # Asked for here, so that nobody waits for a first fit before hearing of it.
        if not all(map(find_spec, ("skimage", "sklearn"))):
            raise EngineError(_MISSING, _INSTALL)
        self._classes = classes
        self._seed = seed
        self._rng = np.random.default_rng([seed, 2])
        self._bank = _Bank()
        self._marks: list[Marked] = []
        self._x: list[Features] = []
        self._y: list[NDArray[np.uint8]] = []
        self._rounds = 0

    def mark(self, marked: Marked) -> None:
        """Keep new marks for the next piece of work."""
        self._marks.append(marked)

    @property
    def is_busy(self) -> bool:
        """Whether there are marks nobody learned from."""
        return bool(self._marks)

    def work(self) -> Model | None:
        """Learn from everything marked so far."""
        fresh = self._take_marks()
        if len({int(value) for values in self._y for value in np.unique(values)}) < 2:
            return None
        self._rounds += 1
        return self._model(self._fit(fresh))

    def settle(self) -> Model | None:
        """The same: there is no more to gain."""
        return self.work() if self._marks else None

    def facts(self) -> dict[str, object]:
        """Pixels learned from, and rounds."""
        return {"pixels": sum(len(values) for values in self._y), "rounds": self._rounds, "threads": cores()}

    def _take_marks(self) -> int:
        """Sample the new marks; return how many batches that made."""
        marks, self._marks = self._marks, []
        before = len(self._y)
        for marked in marks:
            for value in np.unique(marked.annotation[marked.mask]):
                rows, columns = np.nonzero(marked.mask & (marked.annotation == value))
                chosen = self._rng.permutation(len(rows))[:_PER_STROKE]
                self._x.append(self._bank.at(marked.image_id, marked.image, rows[chosen], columns[chosen]))
                self._y.append(np.full(len(chosen), value, np.uint8))
        return len(self._y) - before

    @abstractmethod
    def _fit(self, fresh: int) -> Callable[[Features], NDArray[np.float32]]:
        """Fit; return what gives (N, K) probabilities of the classes in the table's order.

        Args:
            fresh: how many of the last batches are new.
        """

    def _spread(self, known: NDArray[np.uint8], probabilities: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities (N, k) of the classes seen so far as (N, K) of all."""
        channels = self._classes.channel_of()[known]
        whole = np.zeros((len(probabilities), len(self._classes)), np.float32)
        whole[:, channels] = probabilities
        return whole

    def _model(self, probabilities: Callable[[Features], NDArray[np.float32]]) -> Model:
        indices = np.asarray(self._classes.indices, np.uint8)

        def predict(image_id: str, image: Image) -> Guess:
            label_map: LabelMap = np.empty(image.shape[:2], np.uint8)
            confidence = np.empty(image.shape[:2], np.float32)
            for rows, features in self._bank.of(image_id, image):
                found = probabilities(features.reshape(-1, features.shape[-1]))
                label_map[rows] = indices[found.argmax(axis=1)].reshape(features.shape[:2])
                confidence[rows] = found.max(axis=1).reshape(features.shape[:2])
            return Guess(label_map=label_map, confidence=confidence)

        return predict


class ForestLearner(PixelLearner):
    """A random forest, fitted anew to everything after each stroke."""

    title = "random forest"

    def _fit(self, fresh: int) -> Callable[[Features], NDArray[np.float32]]:
        del fresh  # a forest starts from scratch
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            _TREES,
            max_depth=_DEPTH,
            min_samples_leaf=_LEAF,
            class_weight="balanced_subsample",
            n_jobs=cores(),
            random_state=self._seed,
        )
        forest.fit(np.concatenate(self._x), np.concatenate(self._y))
        return lambda features: self._spread(forest.classes_, forest.predict_proba(features))


class LinearLearner(PixelLearner):
    """Logistic regression that takes in only what is new."""

    title = "linear classifier"

    def __init__(self, classes: ClassTable, *, seed: int) -> None:
        super().__init__(classes, seed=seed)
        from sklearn.linear_model import SGDClassifier
        from sklearn.preprocessing import StandardScaler

        self._scaler = StandardScaler()
        self._line = SGDClassifier(loss="log_loss", random_state=seed)

    def _fit(self, fresh: int) -> Callable[[Features], NDArray[np.float32]]:
        import copy

        x, y = np.concatenate(self._x[-fresh:]), np.concatenate(self._y[-fresh:])
        self._scaler.partial_fit(x)
        known = np.asarray(sorted(self._classes.indices), np.uint8)
        for _ in range(_PASSES):
            order = self._rng.permutation(len(y))
            self._line.partial_fit(self._scaler.transform(x[order]), y[order], classes=known)
        scaler, line = copy.deepcopy(self._scaler), copy.deepcopy(self._line)
        return lambda features: self._spread(known, line.predict_proba(scaler.transform(features)))
