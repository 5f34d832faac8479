"""Quick model against network, on pixels that neither has learnt from. Worker thread, between steps.

Where images are held out (VAL), both predict what people painted there; the quick model that is asked has
never seen these images, although the one on screen has. Where none are, both predict the newest strokes: the
network before it takes its next step, and a quick model without the image they are on. That favours the
network, which has learnt earlier strokes of the image and is not the one whose errors are painted over; so it
takes more strokes, and a longer lead. In a folder of streets a network that was shown a minute too early cost
more than one that was shown a minute too late.

Before the other one is shown, both are asked about what people painted or accepted on the images changed
last, the quick model as it is on screen: the rule of candidates (`engine.learn.promotion.decide`) holds here
too, and where it speaks against the change everything stays as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.config import PromotionConfig
from engine.errors import EngineError
from engine.learn.promotion import Figures, decide
from engine.messages import Objection, PoolItem
from engine.project.images import ImageArray
from engine.project.manifest import Split
from engine.quick.referee import Referee, agreement
from engine.quick.samples import Cells, cell_middles
from engine.worker.network import LiveNetwork
from engine.worker.pace import Clock, Pace
from engine.worker.quick_desk import QuickDesk

_STROKES = 24
"""Newest strokes that count where no image is held out."""
_FEWEST = 12
"""Fewest strokes, of at least two classes, that allow a verdict where no image is held out."""
_HANDICAP = 0.08
"""What the network must be better by, in mIoU, on strokes of images it has learnt from."""
_FEWEST_CELLS = 40
"""Fewest cells, of at least two classes, that allow a verdict on held-out images."""
_HELD_OUT = 8
"""Most held-out images asked about, those changed last."""
_WINDOW = 768
"""Largest edge of what the network predicts for one question."""
_EVERY_S, _SHARE = 3.0, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """What people said of some cells, and what both models say."""

    labels: NDArray[np.uint8]
    quick: NDArray[np.uint8]
    network: NDArray[np.uint8]
    pixels: NDArray[np.int64]


class Contest:
    """Asks both models, a question at a time.

    Args:
        quick: The quick model's desk.
        clock: Monotonic seconds.
        read: Returns the pixels of an image file, (H, W, 3) uint8 RGB; `EngineError` where it cannot be read.

    Attributes:
        limits: What a change of who is shown must not lose.
    """

    def __init__(self, quick: QuickDesk, clock: Clock, read: Callable[[str], ImageArray]) -> None:
        self._read = read
        self.limits = PromotionConfig()
        self._quick = quick
        self._referee = Referee()
        self._pace = Pace(clock, _EVERY_S, share=_SHARE)
        self._strokes: deque[_Answers] = deque(maxlen=_STROKES)
        self._fresh: tuple[PoolItem, Cells, int] | None = None
        self._open: list[tuple[PoolItem, Cells]] = []
        self._answers: list[_Answers] = []
        self._asked: tuple[int, int] | None = None
        self._human: list[tuple[PoolItem, Cells]] = []
        self._kept: list[_Answers] = []

    def begin(self, network: LiveNetwork) -> None:
        """Begin with a network that was just opened."""
        self._referee.begin(network_has_learnt=network.has_learnt)
        self.forget()

    def forget(self) -> None:
        """Drop every question and answer: network or classes are others now."""
        self._strokes.clear()
        self._fresh, self._open, self._answers, self._asked = None, [], [], None
        self._human, self._kept = [], []

    def prefers_network(self, network: LiveNetwork | None) -> bool:
        """Whether the network is to be shown."""
        if self._quick.readout() is None:
            return True
        return network is not None and network.has_learnt and self._referee.prefers_network

    def stroke(self, item: PoolItem, cells: Cells, network: LiveNetwork | None) -> None:
        """Note cells of an image that were just painted; only weights shown by now may answer."""
        if network is not None and len(cells) and item.split is Split.TRAIN:
            self._fresh = item, cells, network.shown_step

    def is_due(self, network: LiveNetwork | None, *, trains: bool) -> bool:
        """Whether there is a question to ask now; while a run goes on, it has its time first."""
        if network is None or not network.has_learnt or self._quick.readout() is None:
            return False
        if self._open or self._human:
            return True
        return (self._pace.is_due or not trains) and (self._fresh is not None or self._has_news(network))

    def _has_news(self, network: LiveNetwork) -> bool:
        return self._asked != (network.shown_step, self._quick.version) and bool(self._quick.held_out())

    def advance(self, network: LiveNetwork) -> bool:
        """Ask one question; return whether the other model is shown from now on.

        Raises:
            DeviceMemoryError: Memory is too small for the network's answer.
        """
        if self._human:
            return self._ask_human(network)
        if self._open:
            return self._ask_held_out(network)
        self._pace.begin()
        held_out = self._quick.held_out()[-_HELD_OUT:]
        fresh, self._fresh = self._fresh, None
        if held_out:
            self._asked = network.shown_step, self._quick.version
            self._open, self._answers = held_out, []
            return self._ask_held_out(network)
        changed = False
        if fresh is not None and fresh[2] == network.shown_step:
            changed = self._ask_fresh(network, *fresh[:2])
        self._pace.end()
        return changed

    def _ask_held_out(self, network: LiveNetwork) -> bool:
        item, cells = self._open.pop()
        others = [other.image_id for other, _ in self._quick.held_out()]
        answers = self._ask(network, item, cells, others)
        if answers is not None:
            self._answers.append(answers)
        if self._open:
            return False
        self._pace.end()
        said = (
            np.concatenate([one.labels for one in self._answers]) if self._answers else np.empty(0, np.uint8)
        )
        if len(said) < _FEWEST_CELLS or len(np.unique(said)) < 2:
            return False
        return self._judge(self._answers)

    def _ask_fresh(self, network: LiveNetwork, item: PoolItem, cells: Cells) -> bool:
        answers = self._ask(network, item, cells, [item.image_id])
        if answers is None:
            return False
        self._strokes.append(answers)
        classes = {int(index) for one in self._strokes for index in np.unique(one.labels)}
        if len(self._strokes) < _FEWEST or len(classes) < 2:
            return False
        return self._judge(list(self._strokes), handicap=0.0 if self._referee.prefers_network else _HANDICAP)

    def _judge(self, answers: list[_Answers], *, handicap: float = 0.0) -> bool:
        if not answers:
            return False
        labels = np.concatenate([one.labels for one in answers])
        pixels = np.concatenate([one.pixels for one in answers])
        quick = agreement(labels, np.concatenate([one.quick for one in answers]), pixels)
        network = agreement(labels, np.concatenate([one.network for one in answers]), pixels)
        if quick is None or network is None or not self._referee.judge(quick + handicap, network):
            return False
        if self.limits.enabled:
            self._human, self._kept = self._quick.protected(self.limits.windows), []
        if not self._human:
            self._referee.go_over()
        return not self._human

    def _ask_human(self, network: LiveNetwork) -> bool:
        """Ask about one image people worked on; after the last one the other model is shown, or not."""
        item, cells = self._human.pop()
        answers = self._ask(network, item, cells, [])
        if answers is not None:
            self._kept.append(answers)
        if self._human:
            return False
        objection, _ = decide(_figures(self._kept, is_network=self._referee.prefers_network), self.limits)
        if objection is Objection.NONE:
            self._referee.go_over()
        return objection is Objection.NONE

    def _ask(self, network: LiveNetwork, item: PoolItem, cells: Cells, unseen: list[str]) -> _Answers | None:
        """Return what both say; None where the quick model without these images says nothing."""
        try:
            image = self._read(item.image_path)
        except EngineError:
            return None
        size = (int(image.shape[0]), int(image.shape[1]))
        y, x = cell_middles(cells, size)
        window = _window(y, x, size)
        inside = (y >= window.top) & (y < window.bottom) & (x >= window.left) & (x < window.right)
        cells, y, x = cells.where(inside), y[inside], x[inside]
        quick = self._quick.labels_without(item, lambda: image, cells, unseen)
        if quick is None:
            return None
        label_map, _ = network.predictor().predict_whole(np.ascontiguousarray(image[window.slices]))
        return _Answers(cells.labels, quick, label_map[y - window.top, x - window.left], cells.pixels)


def _figures(answers: list[_Answers], *, is_network: bool) -> Figures:
    """Return what the change would flip and repair of what people said.

    Args:
        answers: What they said and what both models say.
        is_network: Whether the network is shown now.
    """
    pixels = right = flipped = repaired = 0
    for one in answers:
        shown, other = (one.network, one.quick) if is_network else (one.quick, one.network)
        was, will = shown == one.labels, other == one.labels
        pixels += int(one.pixels.sum())
        right += int(one.pixels[was].sum())
        flipped += int(one.pixels[was & ~will].sum())
        repaired += int(one.pixels[~was & will].sum())
    return Figures(pixels=pixels, flipped=flipped, repaired=repaired, shown_right=right)


def _window(y: NDArray[np.int64], x: NDArray[np.int64], size: tuple[int, int]) -> Box:
    """Return the whole of a small image, else a window around the middle of the places."""
    if max(size) <= _WINDOW or not len(y):
        return Box.of_size(size)
    starts = [
        int(np.clip(round(float(np.median(places))) - _WINDOW // 2, 0, max(0, extent - _WINDOW)))
        for places, extent in zip((y, x), size, strict=True)
    ]
    return Box(starts[0], starts[1], min(size[0], starts[0] + _WINDOW), min(size[1], starts[1] + _WINDOW))
