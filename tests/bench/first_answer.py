"""Seconds from the first strokes of a fresh program to their answers, in a process of its own.

python -m tests.bench.first_answer [--at-once] [--together] [--classes K] [WIDTHxHEIGHT …]

Nothing is imported yet and no features are known when the image appears. Two strokes of two classes are made
as fast as a person can by the cost model of the robot, or at once. Then training begins, and strokes of every
class in turn follow each other's answers. With --together the network has a quarter of the say as soon as it
has learnt, and strokes follow an answer of both.

Aims on two processor cores: 5 s to the first answer, 1 s to each one after it.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from engine.annotate.classes import ClassTable
from engine.annotate.stroke import PaintRule, Stroke
from engine.cli.pump import Pump
from engine.config import Device
from engine.measure.costs import STROKE_AT_LEAST, T_GAP, T_LOOK
from engine.messages import ImageLoaded, PredictionReady, PredictionSource
from engine.session import Session
from engine.worker.contest import Contest
from engine.worker.network import LiveNetwork

NAME, STROKES = "image.png", 20
_EARNED = Contest.share
_SIZES = ("480x360", "960x720", "4000x3000")


def seconds_to_answers(
    size: tuple[int, int], *, classes: int = 2, at_once: bool = False, together: bool = False
) -> tuple[float, ...]:
    """Return seconds to the answer of the second class's first stroke, and of each one after it.

    Args:
        size: (height, width) of the image.
        classes: K, at least 2; each has a stripe of the image.
        at_once: Paint both classes as soon as the image is there.
        together: Wait until quick model and network answer together; not before a run has shown weights.
    """
    stroke = T_GAP + STROKE_AT_LEAST
    with tempfile.TemporaryDirectory() as folder:
        Image.fromarray(_scene(size, classes)).save(Path(folder) / NAME)
        pump = Pump()
        session = Session.open(Path(folder), emit=pump.emit, device=Device.CPU)
        try:
            table = ClassTable()
            for number in range(classes):
                table = table.add(f"stripe {number}")
            session.set_classes(table)
            session.show(NAME)
            for _ in pump.until(session, ImageLoaded, timeout=60.0):
                pass
            session.request_prediction()
            _pass(session, pump, 0.0 if at_once else T_LOOK + stroke)
            _paint(session, size, 0)
            _pass(session, pump, 0.0 if at_once else stroke)
            first = _answered(session, pump, size, 1)
            for number in range(2, classes):  # with these the image has all its classes
                _answered(session, pump, size, number)
            session.start_training()
            if together:
                _wait_for_both(session, pump)
            later = range(classes, classes + STROKES)
            return first, *(_answered(session, pump, size, number) for number in later)
        finally:
            session.close()


def _answered(session: Session, pump: Pump, size: tuple[int, int], number: int) -> float:
    """Paint a stroke; return seconds until the whole picture that knows it."""
    began = time.perf_counter()
    _paint(session, size, number)
    while True:
        for event in pump.until(session, PredictionReady, timeout=120.0):
            if isinstance(event, PredictionReady) and event.complete:
                return time.perf_counter() - began


def _wait_for_both(session: Session, pump: Pump) -> None:
    """Wait for a whole picture of both models."""
    for _ in range(100):
        for event in pump.until(session, PredictionReady, timeout=120.0):
            if isinstance(event, PredictionReady) and event.complete:
                if event.prediction.source is PredictionSource.JOINT:
                    return
                session.request_prediction()
    raise TimeoutError("the network was never shown")


def _a_quarter(contest: Contest, network: LiveNetwork | None) -> float:
    """The say of a network that has learnt beside the quick model, whatever the referee thinks of it."""
    earned = _EARNED(contest, network)
    return 0.25 if earned < 1.0 and network is not None and network.has_learnt else earned


def _pass(session: Session, pump: Pump, seconds: float) -> None:
    """Let a person's time pass while the session's threads work."""
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0.0:
        for _ in pump.waiting(session, timeout=left):
            pass


def _paint(session: Session, size: tuple[int, int], number: int) -> None:
    """Paint across a class's stripe, each class in turn."""
    (height, width), classes = size, len(session.classes)
    stripe = number % classes
    row = (0.1 + 0.8 * (number * 0.618 % 1)) * height
    columns = np.linspace(stripe + 0.1, stripe + 0.9, 12) * width / classes
    points = tuple((row, float(column)) for column in columns)
    patch = session.stroke_patch(Stroke(points, radius=height / 60, class_index=stripe), PaintRule.EVERYTHING)
    if patch is not None:
        session.apply(patch)
        session.commit(patch)


def _scene(size: tuple[int, int], classes: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """An RGB image of as many stripes of differing material as there are classes."""
    rng = np.random.default_rng(0)
    image = rng.integers(60, 120, (*size, 3))
    colors = rng.permutation(np.linspace(0, 130, 3 * classes)).reshape(classes, 3).astype(np.int64)
    stripes = np.arange(size[1]) * classes // size[1]
    return (image + colors[stripes]).astype(np.uint8)


def main(words: list[str]) -> None:
    """Print a line per size; the first has the imports in it, so ask for one size per process."""
    at_once, together = "--at-once" in words, "--together" in words
    classes = int(words[words.index("--classes") + 1]) if "--classes" in words else 2
    if together:
        Contest.share = _a_quarter  # type: ignore[method-assign]
    for word in [word for word in words if "x" in word] or _SIZES[:1]:
        width, height = (int(part) for part in word.split("x"))
        first, *later = seconds_to_answers(
            (height, width), classes=classes, at_once=at_once, together=together
        )
        print(
            f"{word}: first answer {first:.2f} s; later ones p50 {np.median(later):.2f}, "
            f"p95 {np.quantile(later, 0.95):.2f}, slowest {max(later):.2f} s"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
