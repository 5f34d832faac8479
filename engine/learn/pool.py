"""The annotated images training draws crops from, always as they are on disk now (torch-free). Worker thread.

An annotation is read again the moment its change is announced. What cannot be read is named once in a
notice and left out; the rest goes on. Unlabelled and void pixels stay 255 and 254 in a crop; `batches`
turns both into "ignore".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, VOID, ClassTable, Provenance
from engine.config import CropConfig
from engine.errors import AnnotationError, ImageError, StorageError, TrainingRefusedError
from engine.learn.cutting import start_of, window_of
from engine.learn.image_cache import ImageCache
from engine.learn.spread import cells, spread
from engine.messages import PoolItem
from engine.opencv import cv2
from engine.project.images import read_image
from engine.project.layer_reader import LayerReader
from engine.project.manifest import Split
from engine.project.store import AnnotationStore

Layers = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Label map of permanent class indices and provenance, both (H, W) uint8."""

_CENTRES = 512
_STROKE_SHARE = 0.7
_RECENT = 3
_JITTER = 0.35


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crop:
    """A window of an annotated image, s x s pixels.

    Attributes:
        image: (s, s, 3) uint8 RGB.
        label_map: (s, s) uint8 permanent class indices, 255 and 254 where nothing counts.
        provenance: (s, s) uint8, see `Provenance`; lets a loss trust strokes more than accepted predictions.
    """

    image: NDArray[np.uint8]
    label_map: NDArray[np.uint8]
    provenance: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Entry:
    """What the pool remembers of one image between draws.

    `strokes` and `others` map a class index to flat positions of some of its pixels, painted and otherwise
    labelled.
    """

    item: PoolItem
    strokes: dict[int, NDArray[np.int64]]
    others: dict[int, NDArray[np.int64]]

    def classes(self) -> set[int]:
        return self.strokes.keys() | self.others.keys()


def store_reader(store_folder: str) -> Callable[[PoolItem], Layers]:
    """Return a function that reads an annotation (snapshot and journal) of a project, read-only.

    The function raises `AnnotationError` for a damaged annotation and `StorageError` where the disk refuses.
    """
    reader = LayerReader(AnnotationStore(Path(store_folder)))
    return lambda item: reader.read(item.image_id, item.size)


class Pool:
    """Annotated images, class-balanced.

    Args:
        read_layers: Reads an annotation, see `store_reader`.
        classes: Class table; labels of other classes do not count.
        config: How crops are cut.
        cache_bytes: Budget for decoded images and annotations.
        read_pixels: Reads an image file as (H, W, 3) uint8 RGB.
        seed: Start of the random choices.

    Attributes:
        spreads: Whether crops have strokes spread to the edges around them, see `engine.learn.spread`.
    """

    def __init__(
        self,
        read_layers: Callable[[PoolItem], Layers],
        classes: ClassTable,
        config: CropConfig,
        cache_bytes: int,
        *,
        read_pixels: Callable[[Path], NDArray[np.uint8]] = read_image,
        seed: int = 0,
    ) -> None:
        self.config = config
        self.spreads = False
        self._read_layers = read_layers
        self._read_pixels = read_pixels
        self._cache = ImageCache(cache_bytes)
        self._rng = np.random.default_rng(seed)
        self._known = frozenset(classes.indices)
        self._items: dict[str, PoolItem] = {}
        self._entries: dict[str, _Entry] = {}
        self._by_class: dict[int, list[str]] | None = None
        self._deck: list[int] = []
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._notices: list[str] = []

    # ------------------------------------------------------------------------------- what is in it

    def update(self, item: PoolItem, *, recent: bool = True) -> None:
        """Read one annotation again; other splits than TRAIN are remembered but never drawn from.

        Args:
            item: The image and what it is for.
            recent: Whether a person just corrected it: it is then drawn more often for a while.
        """
        name = item.image_id
        self._items[name] = item
        self._entries.pop(name, None)
        self._cache.drop(_annotation_key(name))
        self._cache.drop(_taught_key(name))
        self._by_class = None
        if item.split is not Split.TRAIN:
            return
        try:
            label_map, provenance = self.layers(item)
        except (AnnotationError, StorageError) as error:
            self._leave_out(name, error.message)
            return
        self._entries[name] = _entry(item, label_map, provenance, self._rng)
        if recent:
            if name in self._recent:
                self._recent.remove(name)
            self._recent.append(name)

    def fill(self, items: Iterable[PoolItem]) -> Iterator[int]:
        """Take over a whole list, reading only what is new; yields the number read so far, for progress."""
        wanted = {item.image_id: item for item in items}
        for name in self._items.keys() - wanted.keys():
            self._forget(name)
        for done, item in enumerate(wanted.values(), 1):
            if self._items.get(item.image_id) != item:
                self.update(item, recent=False)
            yield done

    def clear(self) -> None:
        """Forget everything and give the memory back."""
        for name in tuple(self._items):
            self._forget(name)

    def set_classes(self, classes: ClassTable) -> None:
        """Follow a changed class table: labels of classes that are gone no longer count."""
        self._known = frozenset(classes.indices)
        self._by_class = None

    @property
    def items(self) -> tuple[PoolItem, ...]:
        """All items, whatever their split."""
        return tuple(self._items.values())

    def held_out(self) -> tuple[PoolItem, ...]:
        """The images to measure on."""
        return tuple(item for item in self._items.values() if item.split is Split.VAL)

    def recent(self) -> tuple[str, ...]:
        """Ids of the images corrected last, the newest last."""
        return tuple(self._recent)

    @property
    def labels_version(self) -> int:
        """Number of changes people made to all annotations so far: says which labels were learnt from."""
        return sum(item.revision for item in self._items.values())

    def classes_present(self) -> tuple[int, ...]:
        """Permanent indices of the classes that can be drawn, ascending."""
        return tuple(sorted(self._classes()))

    def image_count(self) -> int:
        """Number of images that can be drawn from."""
        return len({name for names in self._classes().values() for name in names})

    def check(self) -> None:
        """Refuse training that could learn nothing.

        Raises:
            TrainingRefusedError: Fewer than two classes are labelled in images to learn from.
        """
        present = self._classes()
        if not present:
            raise TrainingRefusedError(
                "Nothing to learn from: no image for training is labelled.",
                "Paint a few strokes of two classes, then start training.",
            )
        if len(present) == 1:
            raise TrainingRefusedError(
                "All labels are of one class, so there is nothing to tell apart.",
                "Paint anything of another class, then start training.",
            )

    def take_notices(self) -> tuple[str, ...]:
        """Return what went wrong since the last call, one sentence per image."""
        notices, self._notices = tuple(self._notices), []
        return notices

    # ------------------------------------------------------------------------------------- drawing

    def draw(self, size: int) -> Crop:
        """Cut one crop of size x size pixels.

        Raises:
            TrainingRefusedError: No image is left to draw from.
        """
        while True:
            classes = self._classes()
            if not classes:
                self.check()
            class_index = self._next_class(classes)
            entry = self._entries[self._pick_image(classes[class_index])]
            try:
                image, layers = self.pixels(entry.item), self._taught(entry.item)
            except (ImageError, AnnotationError, StorageError) as error:
                self._leave_out(entry.item.image_id, error.message)
                continue
            return self._cut(image, layers, self._centre(entry, class_index), size)

    def _classes(self) -> dict[int, list[str]]:
        """Image ids by the classes they can give; made when first asked for after a change."""
        if self._by_class is None:
            self._by_class = {}
            for name, entry in self._entries.items():
                for class_index in entry.classes() & self._known:
                    self._by_class.setdefault(class_index, []).append(name)
        return self._by_class

    def _next_class(self, classes: dict[int, list[str]]) -> int:
        """Take classes in turn, in a new random order each round: even a short run sees all of them."""
        while self._deck:
            class_index = self._deck.pop()
            if class_index in classes:
                return class_index
        self._deck = [int(index) for index in self._rng.permutation(sorted(classes))]
        return self._deck.pop()

    def _pick_image(self, names: list[str]) -> str:
        fresh = [name for name in self._recent if name in names]
        if fresh and self._rng.random() < self.config.recent_share:
            names = fresh
        return names[int(self._rng.integers(len(names)))]

    def _centre(self, entry: _Entry, class_index: int) -> tuple[int, int]:
        """Return the (y, x) to cut around: on a labelled pixel of the class, or anywhere."""
        height, width = entry.item.size
        if self._rng.random() >= self.config.corrected_share:
            return int(self._rng.integers(height)), int(self._rng.integers(width))
        # The class was taken from this entry, so at least one of the two has it.
        found = [places[class_index] for places in (entry.strokes, entry.others) if class_index in places]
        is_other = len(found) > 1 and self._rng.random() >= _STROKE_SHARE
        y, x = divmod(int(self._rng.choice(found[int(is_other)])), width)
        return y, x

    def _cut(self, image: NDArray[np.uint8], layers: Layers, centre: tuple[int, int], size: int) -> Crop:
        low, high = np.log(self.config.scale_low), np.log(self.config.scale_high)
        window = max(8, round(size / float(np.exp(self._rng.uniform(low, high)))))
        jitter = self._rng.uniform(-_JITTER, _JITTER, 2) * window
        top = start_of(centre[0] + jitter[0], window, image.shape[0])
        left = start_of(centre[1] + jitter[1], window, image.shape[1])
        parts = [
            window_of(image, top, left, window, None),
            window_of(layers[0], top, left, window, UNLABELLED),
            window_of(layers[1], top, left, window, int(Provenance.NOBODY)),
        ]
        shrinks = size < window
        ways = (cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR, cv2.INTER_NEAREST, cv2.INTER_NEAREST)
        resized = [
            np.asarray(cv2.resize(part, (size, size), interpolation=way), np.uint8)
            for part, way in zip(parts, ways, strict=True)
        ]
        return Crop(image=resized[0], label_map=resized[1], provenance=resized[2])

    # ------------------------------------------------------------------------------------- reading

    def layers(self, item: PoolItem) -> Layers:
        """Return label map and provenance of an image.

        Raises:
            AnnotationError: The annotation is damaged.
            StorageError: The disk cannot be read.
        """
        label_map, provenance = self._cache.get(
            _annotation_key(item.image_id), lambda: self._read_layers(item)
        )
        return label_map, provenance

    def _taught(self, item: PoolItem) -> Layers:
        """Return label map and provenance to learn from, with strokes spread if that is wanted."""
        if not self.spreads:
            return self.layers(item)
        (cell_of,) = self._cache.get(
            f"{_annotation_key(item.image_id)}\0cells",
            lambda: (cells(self.pixels(item)).view(np.uint8),),
        )
        label_map, provenance = self._cache.get(
            _taught_key(item.image_id), lambda: spread(*self.layers(item), cell_of.view(np.int32))
        )
        return label_map, provenance

    def held_out_crop(self, item: PoolItem, size: int) -> Crop:
        """Cut a window of size x size pixels at full size around a labelled pixel of a held-out image.

        Raises:
            AnnotationError: The annotation is damaged.
            ImageError: The image cannot be read.
            StorageError: The disk cannot be read.
        """
        image, layers = self.pixels(item), self.layers(item)
        places = np.flatnonzero(layers[0] < VOID)
        place = int(self._rng.choice(places)) if places.size else 0
        y, x = divmod(place, item.size[1])
        top, left = start_of(y, size, image.shape[0]), start_of(x, size, image.shape[1])
        return Crop(
            image=window_of(image, top, left, size, None),
            label_map=window_of(layers[0], top, left, size, UNLABELLED),
            provenance=window_of(layers[1], top, left, size, int(Provenance.NOBODY)),
        )

    def pixels(self, item: PoolItem) -> NDArray[np.uint8]:
        """Return an image as (H, W, 3) uint8 RGB.

        Raises:
            ImageError: It cannot be read, or has another size than its annotation.
        """
        (image,) = self._cache.get(item.image_id, lambda: (self._read_pixels(Path(item.image_path)),))
        if image.shape[:2] != item.size:
            self._cache.drop(item.image_id)
            height, width = item.size
            raise ImageError(
                f"“{item.image_id}” is {image.shape[1]} × {image.shape[0]} pixels now, its annotation "
                f"{width} × {height}.",
                "Put the old image back, or clear its annotation.",
            )
        return image

    def _leave_out(self, name: str, why: str) -> None:
        self._entries.pop(name, None)
        self._by_class = None
        self._notices.append(f"Left out of training: {why}")

    def _forget(self, name: str) -> None:
        self._items.pop(name)
        self._entries.pop(name, None)
        self._cache.drop(name)
        self._cache.drop(_annotation_key(name))
        self._cache.drop(_taught_key(name))
        self._by_class = None


def _taught_key(image_id: str) -> str:
    return f"{_annotation_key(image_id)}\0taught"


def _annotation_key(image_id: str) -> str:
    # No image id holds a NUL, so the two kinds of entries cannot meet.
    return f"\0{image_id}"


def _entry(
    item: PoolItem, label_map: NDArray[np.uint8], provenance: NDArray[np.uint8], rng: np.random.Generator
) -> _Entry:
    """Remember where each class is, for some of its pixels."""
    labels, origin = label_map.reshape(-1), provenance.reshape(-1)
    strokes: dict[int, NDArray[np.int64]] = {}
    others: dict[int, NDArray[np.int64]] = {}
    positions = np.flatnonzero(labels < 254)
    painted = origin[positions] == Provenance.STROKE
    for places, into in ((positions[painted], strokes), (positions[~painted], others)):
        values = labels[places]
        for class_index in np.flatnonzero(np.bincount(values, minlength=256)):
            found = places[values == class_index]
            into[int(class_index)] = found if found.size <= _CENTRES else rng.choice(found, _CENTRES)
    return _Entry(item=item, strokes=strokes, others=others)
