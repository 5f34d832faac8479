"""Quick model, network, or both together: asked about pixels that neither has learnt from. Worker thread.

Where images are held out (VAL), both predict what people painted there; the quick model that is asked has
never seen these images, although the one on screen has. Where none are, both predict the newest strokes: the
network before it takes its next step, and a quick model without the image they are on. That favours the
network, which has learnt earlier strokes of the image and is not the one whose errors are painted over; so it
takes more strokes, and the network gets half a say at most.

`engine.quick.referee` reads off these answers how much of the picture is to be the network's. Before that
changes, the picture of now and the other one are asked about what people painted or accepted on the images
changed last, the quick model as it is on screen: the rule of candidates (`engine.learn.promotion.decide`)
holds here too, and where it speaks against the change everything stays as it is.
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
from engine.messages import Objection, PoolItem, ShownScored
from engine.project.images import ImageArray
from engine.project.manifest import Split
from engine.quick.referee import SHARES, Referee, answers, losses, score
from engine.quick.samples import Cells, cell_middles, chosen
from engine.worker.joint_desk import channels_of
from engine.worker.network import LiveNetwork
from engine.worker.pace import Clock, Pace
from engine.worker.quick_desk import QuickDesk

_STROKES = 24
"""Newest strokes that count where no image is held out."""
_FEWEST = 12
"""Fewest strokes, of at least two classes, that allow a verdict where no image is held out."""
_HALF = 0.5
"""Largest share the network earns on strokes of images it has learnt from."""
_FEWEST_CELLS = 40
"""Fewest cells, of at least two classes, that allow a verdict on held-out images."""
_OF_A_CLASS = 100
"""Most cells of a class that are asked about on one of them."""
_HELD_OUT = 8
"""Most held-out images asked about, those changed last."""
_WINDOW = 768
"""Largest edge of what the network predicts for one question."""
_EVERY_S, _SHARE = 3.0, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """What people said of some cells, and what both models say.

    Attributes:
        labels: (n,) channels of what they said.
        network: (K, n) float32 probabilities.
        quick: (k, n) float32 probabilities.
        channels: (k,) the network's channels of the classes the quick model knows.
        expected: (k,) float32 logarithms of how often the network expects each of these.
        pixels: (n,) how many pixels each cell stands for.
    """

    labels: NDArray[np.int64]
    network: NDArray[np.float32]
    quick: NDArray[np.float32]
    channels: NDArray[np.int64]
    expected: NDArray[np.float32]
    pixels: NDArray[np.int64]

    def by(self, share: float) -> NDArray[np.float32]:
        """Return (K, n) float32: what a share of the network says."""
        return answers(self.network, self.quick, self.channels, share, self.expected)

    def lost(self, share: float) -> NDArray[np.float32]:
        """Return (T, n) float32: how improbable that finds the truth, see `engine.quick.referee.losses`."""
        return losses(self.network, self.quick, self.channels, share, self.expected, self.labels)


class Contest:
    """Asks both models, a question at a time.

    Args:
        quick: The quick model's desk.
        clock: Monotonic seconds.
        read: Returns the pixels of an image file, (H, W, 3) uint8 RGB; `EngineError` where it cannot be read.
        emit: Receives how good what is shown is, whenever the held-out images were asked about.

    Attributes:
        limits: What a change of who is shown must not lose.
    """

    def __init__(
        self,
        quick: QuickDesk,
        clock: Clock,
        read: Callable[[str], ImageArray],
        emit: Callable[[ShownScored], None],
    ) -> None:
        self._read = read
        self._emit = emit
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
        self._earned = 0.0

    def begin(self, network: LiveNetwork, *, came_trained: bool) -> None:
        """Begin with a network that was just opened.

        Args:
            network: The network.
            came_trained: Whether it learnt elsewhere, from other labels than this project's.
        """
        self._referee.begin(network_has_learnt=network.has_learnt, came_trained=came_trained)
        self.forget()

    def forget(self) -> None:
        """Drop every question and answer: network or classes are others now."""
        self._strokes.clear()
        self._fresh, self._open, self._answers, self._asked = None, [], [], None
        self._human, self._kept = [], []

    def share(self, network: LiveNetwork | None) -> float:
        """Return how much of what is shown is the network's: 0 is the quick model alone, 1 the network."""
        if not self._quick.has_learnt:
            return 1.0
        if network is None or not network.has_learnt:
            return 0.0
        return min(self._referee.share, self._referee.most(self._quick.held_out_count))

    def stroke(self, item: PoolItem, cells: Cells, network: LiveNetwork | None) -> None:
        """Note cells of an image that were just painted; only weights shown by now may answer."""
        if network is not None and len(cells) and item.split is Split.TRAIN:
            self._fresh = item, cells, network.shown_step

    def is_due(self, network: LiveNetwork | None, *, trains: bool) -> bool:
        """Whether there is a question to ask now; while a run goes on, it has its time first."""
        if network is None or not network.has_learnt or not self._quick.has_learnt:
            return False
        if self._open or self._human:
            return True
        return (self._pace.is_due or not trains) and (self._fresh is not None or self._has_news(network))

    def _has_news(self, network: LiveNetwork) -> bool:
        return self._asked != (network.shown_step, self._quick.version) and bool(self._quick.held_out())

    def advance(self, network: LiveNetwork) -> bool:
        """Ask one question; return whether another share is shown from now on.

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
            self._open = [(item, chosen(cells, _OF_A_CLASS)) for item, cells in held_out]
            self._answers = []
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
        said = [one.labels for one in self._answers]
        if sum(map(len, said)) < _FEWEST_CELLS or len(np.unique(np.concatenate(said))) < 2:
            return False
        self._emit(_shown_score(self._answers, self.share(network)))
        count, referee = len(self._answers), self._referee
        return self._judge(_scores(self._answers) + referee.handicap(count), most=referee.most(count))

    def _ask_fresh(self, network: LiveNetwork, item: PoolItem, cells: Cells) -> bool:
        answers = self._ask(network, item, cells, [item.image_id])
        if answers is None:
            return False
        self._strokes.append(answers)
        classes = {int(index) for one in self._strokes for index in np.unique(one.labels)}
        if len(self._strokes) < _FEWEST or len(classes) < 2:
            return False
        return self._judge(_scores(list(self._strokes)), most=min(_HALF, self._referee.most(0)))

    def _judge(self, scores: NDArray[np.float64], *, most: float) -> bool:
        earned = self._referee.judge(scores, most)
        if earned is None:
            return False
        self._earned = earned
        if self.limits.enabled:
            self._human, self._kept = self._quick.protected(self.limits.windows), []
        if not self._human:
            self._referee.go_over(earned)
        return not self._human

    def _ask_human(self, network: LiveNetwork) -> bool:
        """Ask about one image people worked on; after the last one the earned share is shown, or not."""
        item, cells = self._human.pop()
        answers = self._ask(network, item, cells, [])
        if answers is not None:
            self._kept.append(answers)
        if self._human:
            return False
        objection, _ = decide(_figures(self._kept, self._referee.share, self._earned), self.limits)
        if objection is Objection.NONE:
            self._referee.go_over(self._earned)
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
        found = self._quick.chances_without(item, lambda: image, cells, unseen)
        labels, known = channels_of(network, cells.labels)
        if found is None or not len(labels):
            return None
        pixels = np.ascontiguousarray(image[window.slices])
        said = network.predictor().probabilities_at(pixels, y - window.top, x - window.left)
        channels, those = channels_of(network, found.classes)
        return _Answers(
            labels=labels,
            network=said[:, known],
            quick=found.chances[those][:, known],
            channels=channels,
            expected=found.expected[those],
            pixels=cells.pixels[known],
        )


def _scores(found: list[_Answers]) -> NDArray[np.float64]:
    """Return (len(SHARES),) how improbable every share finds what people said."""
    labels = np.concatenate([one.labels for one in found])
    pixels = np.concatenate([one.pixels for one in found])
    lost = (np.concatenate([one.lost(share) for one in found], axis=1) for share in SHARES)
    return np.array([score(one, labels, pixels) for one in lost])


def _shown_score(found: list[_Answers], share: float) -> ShownScored:
    """Return how good a share is, every place counting as the pixels it stands for."""
    labels = np.concatenate([one.labels for one in found])
    said = np.concatenate([one.by(share).argmax(axis=0) for one in found])
    pixels = np.concatenate([one.pixels for one in found])
    classes = len(found[0].network)
    right = np.bincount(labels[said == labels], pixels[said == labels], classes)
    either = np.bincount(labels, pixels, classes) + np.bincount(said, pixels, classes) - right
    return ShownScored(
        share=share,
        miou=float((right[either > 0] / either[either > 0]).mean()),
        images=len(found),
        pixels=int(pixels.sum()),
    )


def _figures(found: list[_Answers], shown: float, other: float) -> Figures:
    """Return what the change from one share to another would flip and repair of what people said."""
    pixels = right = flipped = repaired = 0
    for one in found:
        was, will = (one.by(share).argmax(axis=0) == one.labels for share in (shown, other))
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
