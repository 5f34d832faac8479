"""What the tests of the disk side share: strokes by a seed, folders of images, a disk that is full."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.annotate.annotation import Annotation
from engine.annotate.classes import Provenance
from engine.annotate.compose import make_patch
from engine.annotate.geometry import Box
from engine.annotate.journal import History, RecordKind
from engine.annotate.patch import Patch
from engine.annotate.stroke import PaintRule

UNLOCKED = np.zeros(256, bool)


def random_patch(annotation: Annotation, rng: np.random.Generator, classes: int = 3) -> Patch:
    """A dab of one class somewhere on the annotation; always changes at least one pixel."""
    height, width = annotation.size
    while True:
        top, left = int(rng.integers(0, height)), int(rng.integers(0, width))
        bottom, right = min(height, top + int(rng.integers(1, 9))), min(width, left + int(rng.integers(1, 9)))
        box = Box(top, left, bottom, right)
        mask = rng.random(box.size) < 0.8
        patch = make_patch(
            annotation,
            box,
            mask,
            int(rng.integers(0, classes)),
            Provenance.STROKE,
            rule=PaintRule.EVERYTHING,
            locked=UNLOCKED,
        )
        if patch is not None:
            return patch


class Painter:
    """A person at one image, in memory: what the disk must show afterwards."""

    def __init__(self, size: tuple[int, int], seed: int = 0) -> None:
        self.annotation = Annotation(size)
        self.history = History()
        self.revision = 0
        self.rng = np.random.default_rng(seed)
        self.last: Patch | None = None

    def step(self, kind: RecordKind | None = None) -> tuple[RecordKind, int, bytes | None]:
        """Do one thing, a random possible one unless named; returns what `AnnotationStore.append` takes.

        `last` is the patch that was done, taken back or done again.
        """
        kind = kind or self._possible()
        payload = None
        if kind is RecordKind.PATCH:
            self.last = random_patch(self.annotation, self.rng)
            payload = self.last.encode()
        else:
            stack = self.history.done if kind is RecordKind.UNDO else self.history.undone
            self.last = Patch.decode(stack[-1])
        self.annotation.apply(self.last.inverse() if kind is RecordKind.UNDO else self.last)
        self.history = self.history.after(kind, payload or b"")
        self.revision += 1
        return kind, self.revision, payload

    def _possible(self) -> RecordKind:
        choices = [RecordKind.PATCH] * 3
        choices += [RecordKind.UNDO] * (2 if self.history.done else 0)
        choices += [RecordKind.REDO] * (2 if self.history.undone else 0)
        return choices[int(self.rng.integers(0, len(choices)))]

    def state(self) -> tuple[bytes, bytes, int, History]:
        """Everything that must be the same after reading it back."""
        labels, sources = self.annotation.label_map, self.annotation.provenance
        return labels.tobytes(), sources.tobytes(), self.revision, self.history


def images_folder(folder: Path, count: int = 3, size: tuple[int, int] = (24, 32)) -> Path:
    """Make a folder of small images ``a0.png``, ``a1.png`` …, each with content of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.full((*size, 3), 20 + 20 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"a{number}.png")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder, the lock aside."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch, *, sync_only: bool = False) -> Iterator[None]:
    """Let every write (or only every flush) fail as on a full disk."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        if not sync_only:
            patched.setattr(os, "write", refuse)
        yield
