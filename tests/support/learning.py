"""A small project on disk to learn from, and a listener for what the worker says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.annotate.classes import UNLABELLED, ClassTable, Provenance
from engine.config import AugmentConfig, CropConfig, OptimizerConfig, Precision, TrainingConfig
from engine.messages import Event, OpenNetwork, PoolItem, Shutdown
from engine.project.manifest import Split
from engine.project.store import AnnotationStore
from engine.worker import Worker
from models.configs import CrossEntropyConfig, TinyBackboneConfig, TinyConfig

EventT = TypeVar("EventT")

SIZE = (64, 80)

# The first class is gone: permanent indices are 1, 2, 3 and channels 0, 1, 2, so that mixing them up shows.
CLASSES = ClassTable().add("gone").add("sky").add("ground").add("box").remove(0)
SKY, GROUND, BOX = CLASSES.indices

NETWORK = TinyConfig(backbone=TinyBackboneConfig(width=8, depth=1), width=8)
LOSS = CrossEntropyConfig()
TRAINING = TrainingConfig(
    crop=CropConfig(size=48),
    augment=AugmentConfig(),
    optimizer=OptimizerConfig(learning_rate=1e-2, warmup_steps=0),
    batch_size=2,
    image_cache_mb=16,
    precision=Precision.FLOAT32,
)


def picture(seed: int, size: tuple[int, int] = SIZE) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an RGB image of sky, ground and a box, and its label map of permanent class indices."""
    rng = np.random.default_rng(seed)
    height, width = size
    labels = np.full(size, SKY, np.uint8)
    labels[int(rng.integers(height // 3, 2 * height // 3)) :] = GROUND
    top, left = int(rng.integers(0, height // 2)), int(rng.integers(0, width // 2))
    labels[top : top + height // 3, left : left + width // 3] = BOX
    colors = np.zeros((256, 3), np.int16)
    colors[[SKY, GROUND, BOX]] = [(120, 160, 230), (60, 130, 50), (200, 60, 50)]
    image = np.clip(colors[labels] + rng.integers(-20, 20, (*size, 3)), 0, 255).astype(np.uint8)
    return image, labels


def sparse(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what a few strokes would say: every eighth row."""
    annotation = np.full_like(labels, UNLABELLED)
    annotation[::8] = labels[::8]
    return annotation


@dataclass(frozen=True, slots=True)
class SmallProject:
    """Folders and pool items of a project with annotations."""

    images: Path
    folder: Path
    items: tuple[PoolItem, ...]

    @property
    def store(self) -> AnnotationStore:
        """A store that may write."""
        return AnnotationStore(self.folder)

    def annotate(
        self,
        image_id: str,
        labels: NDArray[np.uint8],
        revision: int,
        provenance: Provenance = Provenance.STROKE,
    ) -> None:
        """Write an annotation; who said it is the same for all of its labels."""
        said = np.where(labels == UNLABELLED, Provenance.NOBODY, provenance).astype(np.uint8)
        self.store.write_snapshot(image_id, labels, said, revision)

    def open_network(self, **changes: object) -> OpenNetwork:
        """Return the command that opens the small network of this project."""
        values: dict[str, object] = {
            "network": NETWORK,
            "loss": LOSS,
            "classes": CLASSES,
            "store_folder": str(self.folder),
            "images_folder": str(self.images),
        }
        return OpenNetwork(**{**values, **changes})  # type: ignore[arg-type]


def make_project(
    root: Path, *, train: int = 3, held_out: int = 1, size: tuple[int, int] = SIZE
) -> SmallProject:
    """Write images and sparse annotations; the last `held_out` are for measuring."""
    images, folder = root / "images", root / "images" / "maskloop"
    folder.mkdir(parents=True)
    items = []
    for number in range(train + held_out):
        image, labels = picture(number, size)
        image_id = f"{number}.png"
        Image.fromarray(image).save(images / image_id)
        items.append(
            PoolItem(
                image_id=image_id,
                image_path=str(images / image_id),
                size=size,
                split=Split.TRAIN if number < train else Split.VAL,
                revision=1,
            )
        )
        SmallProject(images, folder, ()).annotate(image_id, sparse(labels), 1)
    return SmallProject(images, folder, tuple(items))


class Listener:
    """Collects events from any thread; tests wait for what they need instead of sleeping."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._arrived = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._arrived:
            self.events.append(event)
            self._arrived.notify_all()

    def of(self, kind: type[EventT]) -> list[EventT]:
        """Return the events of one kind so far."""
        with self._arrived:
            return [event for event in self.events if isinstance(event, kind)]

    def wait(
        self, kind: type[EventT], matches: Callable[[EventT], bool] = lambda _: True, *, timeout: float = 90.0
    ) -> EventT:
        """Return the first event of a kind that matches, waiting for it."""

        def found() -> EventT | None:
            return next((e for e in self.events if isinstance(e, kind) and matches(e)), None)

        with self._arrived:
            if not self._arrived.wait_for(lambda: found() is not None, timeout):
                raise AssertionError(f"no {kind.__name__} within {timeout} s; got {self.events[-5:]}")
            event = found()
            assert event is not None
            return event

    def clear(self) -> None:
        """Forget what was heard."""
        with self._arrived:
            self.events.clear()


@contextmanager
def running_worker(heard: Listener) -> Iterator[Worker]:
    """A worker with its thread, one thread of torch, that has ended when the test has."""
    worker = Worker(heard, threads=1)
    worker.start()
    yield worker
    worker.post(Shutdown())
    assert worker.join(60)
