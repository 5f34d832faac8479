"""Drives a session without a window: one inbox, events passed to the session on the test's own thread."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from engine.annotate.classes import ClassTable
from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch
from engine.annotate.stroke import PaintRule, Stroke
from engine.config import Device
from engine.messages import Event, ImageLoaded
from engine.session import Session

E = TypeVar("E")
PATIENCE_S = 60.0


def write_images(folder: Path, count: int = 3, size: tuple[int, int] = (48, 64)) -> None:
    """Write `count` RGB images of (height, width): left half dark, right half light, a little noise."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = size
    for number in range(count):
        rng = np.random.default_rng(number)
        image = np.empty((height, width, 3), np.int16)
        image[:, : width // 2] = (120, 30, 40)
        image[:, width // 2 :] = (120, 160, 220)
        image += rng.integers(-10, 11, image.shape, dtype=np.int16)
        Image.fromarray(image.astype(np.uint8)).save(folder / f"image_{number}.png")


def two_classes() -> ClassTable:
    """Return a class table of `dark` (0) and `light` (1)."""
    return ClassTable().add("dark").add("light")


class Driver:
    """A session and its events.

    Args:
        folder: Images folder to open.
        read_only: Open without the right to change anything.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.seen: list[Event] = []
        self.session = Session.open(folder, emit=self.events.put, read_only=read_only, device=Device.CPU)

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def wait(self, kind: type[E], condition: Callable[[E], bool] = lambda _: True) -> E:
        """Pass events on until one of a kind comes that meets a condition.

        Raises:
            TimeoutError: It does not come.
        """
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                event = self.events.get(timeout=0.2)
            except queue.Empty:
                continue
            self.session.handle(event)
            self.seen.append(event)
            if isinstance(event, kind) and condition(event):
                return event
        raise TimeoutError(
            f"no {kind.__name__} within {PATIENCE_S} s; seen {[type(e).__name__ for e in self.seen]}"
        )

    def drain(self) -> None:
        """Pass on everything that has arrived."""
        while not self.events.empty():
            event = self.events.get_nowait()
            self.session.handle(event)
            self.seen.append(event)

    def show(self, image_id: str) -> None:
        """Bring an image on screen and wait for it."""
        self.session.show(image_id)
        self.wait(ImageLoaded, lambda event: event.image_id == image_id)

    def dab(
        self,
        y: float,
        x: float,
        class_index: int,
        radius: float = 4.0,
        rule: PaintRule = PaintRule.OVER_PREDICTIONS,
    ) -> Patch:
        """Paint one round dab as a whole gesture."""
        stroke = Stroke(points=((y, x),), radius=radius, class_index=class_index)
        patch = self.session.stroke_patch(stroke, rule)
        assert patch is not None, self.session.why_nothing
        self.session.apply(patch)
        self.session.commit(patch)
        return patch

    def undo(self, patch: Patch) -> None:
        """Take a gesture back, as the window's undo does."""
        self.session.apply(patch.inverse())
        self.session.commit(patch, RecordKind.UNDO)
