"""Seconds from the first strokes of a fresh program to their answers, in a process of its own.

python -m tests.bench.first_answer [--at-once] [--together] [WIDTHxHEIGHT …]

Nothing is imported yet and no features are known when the image appears. Two strokes of two classes are made
as fast as a person can by the cost model of the robot, or at once. Then training begins, and strokes follow
each other's answers. With --together the network has a quarter of the say as soon as it has learnt, and
strokes follow an answer of both.

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
    size: tuple[int, int], *, at_once: bool = False, together: bool = False
) -> tuple[float, ...]:
    """Return seconds to the answer of the second class's first stroke, and of each one after it.

    Args:
        size: (height, width) of the image.
        at_once: Paint both classes as soon as the image is there.
        together: Wait until quick model and network answer together; not before a run has shown weights.
    """
    stroke = T_GAP + STROKE_AT_LEAST
    with tempfile.TemporaryDirectory() as folder:
        Image.fromarray(_scene(size)).save(Path(folder) / NAME)
        pump = Pump()
        session = Session.open(Path(folder), emit=pump.emit, device=Device.CPU)
        try:
            session.set_classes(ClassTable().add("ground").add("box"))
            session.show(NAME)
            for _ in pump.until(session, ImageLoaded, timeout=60.0):
                pass
            session.request_prediction()
            _pass(session, pump, 0.0 if at_once else T_LOOK + stroke)
            _paint(session, size, 0)
            _pass(session, pump, 0.0 if at_once else stroke)
            first = _answered(session, pump, size, 1)
            session.start_training()
            if together:
                _wait_for_both(session, pump)
            return first, *(_answered(session, pump, size, number) for number in range(2, STROKES + 1))
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
    """Paint across a box, or beside it, in turn."""
    height, width = size
    row, box = (0.1 + 0.8 * (number * 0.618 % 1)) * height, number % 2
    left, right = (0.55, 0.9) if box else (0.05, 0.45)
    points = tuple((row, column * width) for column in np.linspace(left, right, 12))
    patch = session.stroke_patch(Stroke(points, radius=height / 60, class_index=box), PaintRule.EVERYTHING)
    if patch is not None:
        session.apply(patch)
        session.commit(patch)


def _scene(size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """An RGB image whose right half is another material."""
    rng = np.random.default_rng(0)
    image = rng.integers(60, 120, (*size, 3))
    image[:, size[1] // 2 :, 0] += 80
    return image.astype(np.uint8)


def main(words: list[str]) -> None:
    """Print a line per size; the first has the imports in it, so ask for one size per process."""
    at_once, together = "--at-once" in words, "--together" in words
    if together:
        Contest.share = _a_quarter  # type: ignore[method-assign]
    for word in [word for word in words if "x" in word] or _SIZES[:1]:
        width, height = (int(part) for part in word.split("x"))
        first, *later = seconds_to_answers((height, width), at_once=at_once, together=together)
        print(
            f"{word}: first answer {first:.2f} s; later ones p50 {np.median(later):.2f}, "
            f"p95 {np.quantile(later, 0.95):.2f}, slowest {max(later):.2f} s"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
