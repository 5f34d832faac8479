"""The quick model at work: learns from annotations, predicts the image on screen. Worker thread.

What people have painted is learnt from at once where it is the newest stroke, and image by image where a
project is opened that has annotations already. Where the quick model is not wanted, only the painted cells of
the image on screen are kept: a class memory takes strokes in without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.config import Voice
from engine.errors import DeviceMemoryError, EngineError
from engine.learn.pool import Layers, store_reader
from engine.messages import OpenNetwork, PoolItem, Predict
from engine.predict.predictor import PredictedPart
from engine.project.images import ImageArray, read_image
from engine.project.manifest import Split
from engine.quick.features import FeatureGrid
from engine.quick.head import Readout
from engine.quick.joint import Opinion
from engine.quick.model import QuickModel
from engine.quick.picture import opinion
from engine.quick.pretrained import stage_features
from engine.quick.samples import Cells, labelled_cells
from engine.worker.quick_answers import predicted
from engine.worker.sight import Sight
from models.configs import CrossEntropyConfig

MOST_IMAGES = 64
"""Images learnt from; the one changed longest ago makes room."""


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """What a quick model says of some cells.

    Attributes:
        classes: (k,) uint8 permanent class indices it knows.
        chances: (k, n) float32 probabilities.
        expected: (k,) float32, see `engine.quick.head.Readout`.
    """

    classes: NDArray[np.uint8]
    chances: NDArray[np.float32]
    expected: NDArray[np.float32]


_LEAST_WEIGHT = 1e-3
"""A class that counts less in the loss than this is expected as if it counted so much."""

_Asked = tuple[int, tuple[int, ...], frozenset[str]]
"""What a fit without some images depends on: the model's version, the classes, the images left out."""


class QuickDesk:
    """The quick model of the open project and what it has still to learn."""

    def __init__(self) -> None:
        self._model = QuickModel()
        self._sight: Sight | None = None
        self._came_trained = False
        self._request: OpenNetwork | None = None
        self._items: dict[str, PoolItem] = {}
        self._waiting: dict[str, PoolItem] = {}
        self._cells: dict[str, Cells] = {}
        self._newest: tuple[str, NDArray[np.uint8]] | None = None
        self._read_layers: Callable[[PoolItem], Layers] | None = None
        self._readout: Readout | None = None
        self._other: tuple[_Asked, Readout | None] | None = None
        self._is_old = False
        self.version = 0
        """Counts the changes of the model."""

    def open(self, request: OpenNetwork, sight: Sight | None = None, *, came_trained: bool = False) -> None:
        """Follow the network that was opened; another project starts with nothing.

        Args:
            request: What was opened.
            sight: What the network sees, None where it came untrained.
            came_trained: Whether the network learnt from other labels than these, so that nobody knows how
                often it expects each class.
        """
        before, self._came_trained = self._request, came_trained
        stays = before is not None and before.store_folder == request.store_folder
        if not stays or before is None or not (before.quick_head and request.quick_head):
            self.clear()
        self.follow(request)
        if _source(sight) != _source(self._sight):
            self._see_with(sight)

    def _see_with(self, sight: Sight | None) -> None:
        """Begin anew with other features of images; what was learnt from waits to be learnt from again."""
        self._sight = sight
        self._model = self._new_model()
        self._waiting = {**self._items, **self._waiting}
        self._readout, self._other, self._is_old = None, None, True
        self.version += 1

    def _new_model(self) -> QuickModel:
        return QuickModel(stages=stage_features if self._sight is None else self._sight.stages)

    def clear(self) -> None:
        """Forget everything and give the memory back."""
        self._model = self._new_model()
        self._items.clear()
        self._waiting.clear()
        self._cells.clear()
        self._readout, self._other, self._is_old, self._read_layers = None, None, False, None
        self._newest = None

    def follow(self, request: OpenNetwork) -> None:
        """Follow a changed class table or choice; where classes are gone, their pixels may be others now."""
        before, self._request = self._request, request
        if before is not None and set(before.classes.indices) - set(request.classes.indices):
            self._waiting.update(self._items)
        self._is_old = True
        self.version += 1

    @property
    def _has_project(self) -> bool:
        return self._request is not None and bool(self._request.store_folder)

    @property
    def is_on(self) -> bool:
        """Whether there is a project and the quick model is wanted."""
        return self._has_project and self._request is not None and self._request.quick_head

    @property
    def has_news(self) -> bool:
        """Whether annotations wait to be learnt from."""
        return self.is_on and bool(self._waiting)

    def note(self, item: PoolItem) -> None:
        """Remember to learn from an annotation when there is time."""
        if self._has_project:
            self._waiting.pop(item.image_id, None)
            self._waiting[item.image_id] = item
            while len(self._waiting) > MOST_IMAGES:
                del self._waiting[next(iter(self._waiting))]

    def catch_up(self, image_id: str) -> None:
        """Learn from an annotation at once if it still waits."""
        item = self._waiting.get(image_id)
        if item is not None:
            self.learn(item)

    def learn_next(self) -> bool:
        """Learn from one waiting annotation; return whether the model changed."""
        image_id = next(iter(self._waiting), None)
        return image_id is not None and self.learn(self._waiting.pop(image_id))

    def learn(self, item: PoolItem) -> bool:
        """Learn from an annotation as it is on disk now; return whether that changed anything.

        What cannot be read teaches nothing; whoever shows or trains on it says why.
        """
        if not self._has_project or self._request is None:
            return False
        self._waiting.pop(item.image_id, None)
        self._items.pop(item.image_id, None)
        try:
            changed = item.split is not Split.NONE and self._take(item, self._request.store_folder)
        except EngineError:
            changed = False
        if item.image_id not in self._items:
            changed = self._forget(item.image_id)
        for oldest in list(self._items)[:-MOST_IMAGES]:
            self._forget(oldest)
        self._is_old |= changed
        self.version += int(changed)
        return changed

    def _forget(self, image_id: str) -> bool:
        self._items.pop(image_id, None)
        if self._newest is not None and self._newest[0] == image_id:
            self._newest = None
        had_cells = len(self._cells.pop(image_id, ())) > 0
        return self._model.forget(image_id) or (had_cells and not self.is_on)

    def _take(self, item: PoolItem, store_folder: str) -> bool:
        if self._read_layers is None:
            self._read_layers = store_reader(store_folder)
        layers = self._read_layers(item)
        self._newest = item.image_id, layers[0]
        cells = labelled_cells(*layers)
        if not self.is_on:
            before = self._cells.get(item.image_id)
            self._items[item.image_id], self._cells[item.image_id] = item, cells
            return before is None or not np.array_equal(before.keys(), cells.keys())
        grid = self._grid(item.image_id, lambda: read_image(Path(item.image_path)))
        if grid.size != item.size:
            return False  # the file is another image now; the pool tells
        self._items[item.image_id] = item
        self._cells[item.image_id] = cells
        return self._model.learn(item.image_id, grid, cells)

    def _grid(self, image_id: str, read: Callable[[], ImageArray]) -> FeatureGrid:
        """Return the features of an image; where memory is short, from now on those that need less of it."""
        try:
            return self._model.grid(image_id, read)
        except DeviceMemoryError:
            if self._sight is None:
                raise
            self._see_with(self._sight.fallback())
            return self._grid(image_id, read)

    def held_out(self) -> list[tuple[PoolItem, Cells]]:
        """Return the held-out images and their painted cells, the one changed last at the end."""
        return [
            (item, self._cells[name].painted())
            for name, item in self._items.items()
            if item.split is Split.VAL
        ]

    @property
    def held_out_count(self) -> int:
        """How many held-out images are learnt from."""
        return sum(item.split is Split.VAL for item in self._items.values())

    def protected(self, count: int) -> list[tuple[PoolItem, Cells]]:
        """Return the training images changed last, at most so many, with what was painted or accepted."""
        return [
            (item, self._cells[name])
            for name, item in self._items.items()
            if item.split is Split.TRAIN and len(self._cells[name])
        ][-count:]

    def cells(self, image_id: str) -> Cells | None:
        """Return the labelled cells of an image as they were learnt last; None of an unknown one."""
        return self._cells.get(image_id)

    def said(self, image_id: str, size: tuple[int, int]) -> NDArray[np.uint8] | None:
        """Return the label map of an image as it was learnt from or noted last, (H, W) uint8.

        None where nothing is known of it, where the file on disk is of another size than its labels, or where
        they cannot be read now. The one changed last is at hand, others are read again.

        Args:
            image_id: The image.
            size: (H, W) of the pixels that are predicted.
        """
        item = self._items.get(image_id)
        if item is None or item.size != size or self._read_layers is None:
            return None
        if self._newest is not None and self._newest[0] == image_id:
            return self._newest[1]
        try:
            self._newest = image_id, self._read_layers(item)[0]
        except EngineError:
            return None
        return self._newest[1]

    def chances_without(
        self, item: PoolItem, read: Callable[[], ImageArray], cells: Cells, unseen: Sequence[str]
    ) -> Chances | None:
        """Return what a model that has never seen some images says of cells of one. As `chances`."""
        if self._request is None:
            return None
        return self.chances(self.features_at(item, read, cells.places), unseen)

    def features_at(
        self, item: PoolItem, read: Callable[[], ImageArray], places: NDArray[np.int64]
    ) -> NDArray[np.float16]:
        """Return (n, F) features of (n,) cells of an image; `read` returns its pixels. See `seen_by`."""
        return self._grid(item.image_id, read).at(places)

    @property
    def seen_by(self) -> object:
        """Another one as soon as features are others: what is kept of those before fits no longer."""
        return self._model

    def chances(self, values: NDArray[np.float16], unseen: Sequence[str]) -> Chances | None:
        """Return what a model that has never seen some images says of (n, F) features.

        Args:
            values: Features, see `features_at`.
            unseen: Ids of the images the model must not have seen.

        Returns:
            What it says; None where the other images show fewer than two classes.
        """
        readout = None if self._request is None else self._readout_without(self._request, unseen)
        if readout is None:
            return None
        chances = np.ascontiguousarray(readout.probabilities(values).T)
        return Chances(readout.classes, chances, readout.expected)

    def without(self, unseen: Sequence[str]) -> Readout | None:
        """Return a model that has never seen some images; None where the others show fewer than two classes.

        Args:
            unseen: Ids of the images.
        """
        return None if not self.is_on or self._request is None else self._fitted(self._request, unseen)

    def _readout_without(self, request: OpenNetwork, unseen: Sequence[str]) -> Readout | None:
        """Return the model without some images; it is fitted once for all questions of a kind."""
        learnt = frozenset(unseen).intersection(self._model.images)
        if not learnt:
            return self.readout()
        asked = self.version, request.classes.indices, learnt
        if self._other is None or self._other[0] != asked:
            self._other = asked, self._fitted(request, learnt)
        return self._other[1]

    def _fitted(self, request: OpenNetwork, unseen: Iterable[str] = ()) -> Readout | None:
        found = self._model.readout(request.classes.indices, without=unseen, mirrors=request.quick_mirrors)
        if found is None:
            return None
        alike = np.zeros_like(found.expected)
        return replace(found, expected=alike if self._came_trained else _expected(request, found))

    @property
    def has_learnt(self) -> bool:
        """Whether there is a model: whoever only wants to know that does not have it fitted for it."""
        if not self.is_on or self._request is None:
            return False
        if self._is_old:
            return self._model.is_enough(self._request.classes.indices)
        return self._readout is not None

    def readout(self) -> Readout | None:
        """Return the model of now; None while it is off or fewer than two classes are painted."""
        if not self.is_on or self._request is None:
            return None
        if self._is_old:
            self._readout, self._is_old = self._fitted(self._request), False
        return self._readout

    def predict(self, image: ImageArray, wanted: Predict) -> Iterator[PredictedPart]:
        """Predict an image with the model of now, bands on screen first.

        Its own labelled cells stand, and draw what is like them around them; not where the model alone is
        wanted.

        Args:
            image: (H, W, 3) uint8 RGB.
            wanted: Which image it is and what is visible of it.
        """
        grid, said = self._standing(image, wanted)
        readout = self.readout()
        if readout is None:
            return
        yield from predicted(grid, readout, wanted.visible, said)

    def opinion(self, image: ImageArray, wanted: Predict) -> Opinion | None:
        """Return what the model of now says of an image, for others to take into account. As `predict`."""
        grid, said = self._standing(image, wanted)
        readout = self.readout()
        return None if readout is None else opinion(grid, readout, said)

    def _standing(self, image: ImageArray, wanted: Predict) -> tuple[FeatureGrid, Cells | None]:
        """Return the features of an image and its labelled cells that stand as they are."""
        grid = self._grid(wanted.image_id, lambda: image)
        item = self._items.get(wanted.image_id)
        stands = item is not None and item.size == grid.size and wanted.voice is Voice.SHOWN
        return grid, self._cells.get(wanted.image_id) if stands else None


def _expected(request: OpenNetwork, found: Readout) -> NDArray[np.float32]:
    """Return how often a network expects the classes that learnt from the labels of `found` by its loss.

    A loss that gives rare classes more weight teaches it to expect them that much more often.
    """
    loss = request.loss
    if not isinstance(loss, CrossEntropyConfig):
        return found.expected
    expected = found.expected * np.float32(1 - loss.class_balance)
    if loss.class_weights:
        given = dict(zip(request.classes.indices, loss.class_weights, strict=False))
        weights = np.array([given.get(int(index), 1.0) for index in found.classes], np.float32)
        expected += np.log(np.maximum(weights, _LEAST_WEIGHT))
    return expected


def _source(sight: Sight | None) -> str | None:
    return None if sight is None else sight.source
