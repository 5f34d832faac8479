"""The program that is going to be killed: paints through a real session, without a window, without end.

Every image has its painter, whose strokes follow from its seed alone; so whoever looks at the disk afterwards
knows what the annotation must be at any revision. Told to the log, one line each: ``did IMAGE REVISION TIME``
when a stroke was committed, ``ack IMAGE REVISION TIME`` when the session heard that it is stored, and
``tick TIME`` every twentieth of a second from a thread of its own: the machine may give this process no time
for a second, and no thread of it can keep a promise then. Times are monotonic seconds.
"""

import os
import queue
import random
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

from engine.annotate.classes import ClassTable
from engine.annotate.journal import RecordKind
from engine.config import Device
from engine.messages import (
    AnnotationStored,
    CheckpointSaved,
    CommandFailed,
    Event,
    ImageLoaded,
    StepsDone,
    WriteFailed,
)
from engine.session import Session
from tests.support.disk import Painter

SIZE = (48, 64)
TICK_S = 0.05
CLASSES = ClassTable().add("road").add("tree").add("sky")


def seed_of(image_id: str) -> int:
    """The seed of an image's painter."""
    return sum(image_id.encode())


def painter_at(image_id: str, revision: int) -> Painter:
    """Return the painter of an image after so many steps."""
    painter = Painter(SIZE, seed_of(image_id))
    for _ in range(revision):
        painter.step()
    return painter


class Child:
    """One session and the log of what it did.

    Args:
        folder: folder of images, all of `SIZE`.
        log: file to write lines to.
        seed: decides what is done when, apart from the strokes.
    """

    def __init__(self, folder: Path, log: Path, seed: int) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.session = Session.open(folder, emit=self.events.put, device=Device.CPU)
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self.random = random.Random(seed)
        self.ended = threading.Event()
        self.painters: dict[str, Painter] = {}
        if not len(self.session.classes):
            self.session.set_classes(CLASSES)

    def tell(self, *words: object) -> None:
        """Write one line to the log, whole or not at all; it outlives this process."""
        os.write(self.log, (" ".join(map(str, (*words, time.monotonic()))) + "\n").encode())

    def tick(self) -> None:
        """Tell again and again that a thread of this process got its turn, until painting ends."""
        self.tell("tick")
        while not self.ended.wait(TICK_S):
            self.tell("tick")

    def take(self, *, wait: bool) -> Event | None:
        """Pass one event on to the session."""
        try:
            event = self.events.get(timeout=10 if wait else 0.001)
        except queue.Empty:
            return None
        self.session.handle(event)
        if isinstance(event, AnnotationStored):
            self.tell("ack", event.image_id, event.revision)
        elif isinstance(event, StepsDone | CheckpointSaved):
            self.tell("trained", event.step)
        elif isinstance(event, WriteFailed):
            self.tell("failed", event.target, event.problem)
        return event

    def show(self, image_id: str) -> None:
        """Switch to an image and check that what memory shows is what was painted."""
        self.session.show(image_id)
        while self.session.annotation is None:
            event = self.take(wait=True)
            if isinstance(event, ImageLoaded) and event.annotation_problem:
                self.tell("failed", image_id, event.annotation_problem)
        annotation = self.session.annotation
        painter = self.painters.setdefault(image_id, painter_at(image_id, annotation.revision))
        if annotation.label_map.tobytes() != painter.annotation.label_map.tobytes():
            self.tell("failed", image_id, "shows something else")

    def stroke(self) -> None:
        """Paint, undo or redo on the image on screen."""
        image_id = self.session.current or ""
        painter = self.painters[image_id]
        kind, revision, _ = painter.step()
        patch = painter.last
        if patch is None:
            raise RuntimeError("the painter did nothing")
        self.session.apply(patch.inverse() if kind is RecordKind.UNDO else patch)
        self.session.commit(patch, kind)
        self.tell("did", image_id, revision)

    def act(self) -> None:
        """Do one of the things people do."""
        choice = self.random.random()
        images = [record.image_id for record in self.session.images]
        if choice < 0.85:
            self.stroke()
        elif choice < 0.92:
            self.show(self.random.choice(images))
        elif choice < 0.96:
            self.session.flush(10)
        elif choice < 0.98:
            self.session.set_reviewed(self.random.choice(images), reviewed=self.random.random() < 0.5)
        else:
            spec = self.session.classes.classes[0]
            self.session.set_classes(self.session.classes.rename(spec.index, f"road {self.random.random()}"))
        while self.take(wait=False) is not None:
            pass

    def train(self) -> None:
        """Start training, with checkpoints as often as can be; returns once a step was done."""
        shortest = replace(self.session.training, checkpoint_every_s=1.0, evaluate_every_s=1.0)
        self.session.set_training(shortest)
        started = False
        while not isinstance(event := self.take(wait=started), StepsDone):
            if isinstance(event, CommandFailed):
                started = False  # what was painted is of one class only, for the time being
            if not started:
                self.stroke()
                if self.session.can_train() is None:
                    self.session.start_training()
                    started = True


def main(folder: str, log: str, seed: str, *, training: bool) -> None:
    """Paint until killed; says ``ready`` on standard output when it begins."""
    # Journals are shortened after 600 steps; here often enough to be killed in the middle of it.
    with mock.patch("engine.project.store._COMPACT_ABOVE", 250):
        child = Child(Path(folder), Path(log), int(seed))
        threading.Thread(target=child.tick, daemon=True).start()
        try:
            child.show(child.session.images[0].image_id)
            if training:
                child.train()
            os.write(1, b"ready\n")
            while True:
                child.act()
        finally:
            child.ended.set()


if __name__ == "__main__":
    main(*sys.argv[1:4], training="--training" in sys.argv)
