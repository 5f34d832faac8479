"""Candidates answer a bounded sample of what people said, with all else that is shown. Worker thread.

A candidate answers the same small windows as the shown weights: windows of training images around painted
or accepted pixels (protected), and windows of held-out images. The answers of the shown weights are kept, so
a judgement costs the candidate's answers only; when a candidate is promoted its answers become theirs.

Judged is what a person would see: where quick model and network are shown together, the pool of both with the
say of now. Only whether a network has collapsed or forgets is asked of itself.

K classes, n labelled pixels of a window, m of its pixels on a lattice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, VOID, ClassTable
from engine.config import PromotionConfig
from engine.errors import EngineError
from engine.learn.pool import Pool
from engine.learn.promotion import Figures, Scores, Verdict, decide
from engine.measure.metrics import ConfusionMatrix
from engine.messages import Objection, PoolItem
from engine.predict.predictor import Predictor
from engine.project.manifest import Split
from engine.quick.joint import likeliest
from engine.quick.referee import answers

_ONE_CLASS = 0.998
"""Share of all predicted pixels from which on a network says one class only."""
_UNSURE = 1.0
"""Noise of a score that rests on one class of one window."""
_MOST_PLACES = 2048
"""Labelled pixels of a window that are asked about."""
_LATTICE = 4
"""Every so many rows and columns a pixel is looked at for what a network says all over."""


@dataclass(frozen=True, slots=True, eq=False)
class QuickSay:
    """What the quick model says of some pixels, and how much of what is shown is the network's.

    Attributes:
        share: The network's share, in [0, 1].
        chances: (k, n) float32 probabilities.
        channels: (k,) the network's channels of the classes it knows.
        expected: (k,) float32 logarithms of how often the network expects each of these.
    """

    share: float
    chances: NDArray[np.float32]
    channels: NDArray[np.int64]
    expected: NDArray[np.float32]

    def shown(self, network: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (K, n) float32: what is shown where a network says these (K, n) probabilities."""
        return answers(network, self.chances, self.channels, self.share, self.expected)


Beside = Callable[[PoolItem, NDArray[np.int64], NDArray[np.int64], Sequence[str]], QuickSay | None]
"""Tells of rows and columns of an image what the quick model says there that never saw some other images.

None where it is silent.
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A part of an image and what people said there.

    Attributes:
        item: The image.
        image: (h, w, 3) uint8 RGB.
        corner: Its first row and column in the image.
        rows: (n + m,) of the labelled pixels, then of the lattice, in the window.
        columns: (n + m,) likewise.
        labels: (n,) channels of what people said.
    """

    item: PoolItem
    image: NDArray[np.uint8]
    corner: tuple[int, int]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What weights say about a window.

    Attributes:
        probabilities: (K, n) float16 at the labelled pixels.
        histogram: (K,) pixels of the lattice by channel.
        finite: Whether all probabilities are numbers.
    """

    probabilities: NDArray[np.float16]
    histogram: NDArray[np.int64]
    finite: bool

    def said(self, beside: QuickSay | None = None) -> NDArray[np.uint8]:
        """Return (n,) channels: the network's, or what is shown where the quick model speaks, too."""
        network = self.probabilities.astype(np.float32)
        return likeliest(network if beside is None else beside.shown(network))[0]


_Key = tuple[str, int]
"""Image id and revision: a corrected image has another window."""


class Judge:
    """Judges candidates of one run on a bounded sample that is kept.

    Args:
        pool: Where images and annotations come from.
        classes: Class table; labels of other classes do not count.
        config: How strict.
        seed: Start of the random choice of windows.
        beside: Tells what the quick model says; None where only networks are shown.
    """

    def __init__(
        self,
        pool: Pool,
        classes: ClassTable,
        config: PromotionConfig,
        *,
        seed: int = 0,
        beside: Beside | None = None,
    ) -> None:
        self.config = config
        self._pool = pool
        self._classes = classes
        self._rng = np.random.default_rng([seed, 7])
        self._beside = beside
        self._windows: dict[_Key, _Window | None] = {}
        self._shown: dict[_Key, _Answer] = {}

    def set_classes(self, classes: ClassTable) -> None:
        """Follow a changed class table."""
        self._classes = classes
        self._windows.clear()
        self.shown_changed()

    def shown_changed(self) -> None:
        """Forget the answers of the shown weights: they were changed by other means than a promotion."""
        self._shown.clear()

    def judge(self, candidate: Predictor, shown: Predictor, step: int) -> Generator[None, None, Verdict]:
        """Judge piece by piece: yields after every window, returns the verdict.

        Neither the candidate's nor the shown weights may change until the end.

        Args:
            candidate: Predicts with the weights to be judged.
            shown: Predicts with the weights shown.
            step: Training step of the candidate.
        """
        protected, held_out = self._sample()
        unseen = [item.image_id for item in self._pool.held_out()]
        found: dict[_Key, _Answer] = {}
        beside: dict[_Key, QuickSay | None] = {}
        for key in (*protected, *held_out):
            window = self._windows[key]
            if window is None:
                continue
            if key not in self._shown:
                self._shown[key] = _answer(shown, window)
                yield
            found[key] = _answer(candidate, window)
            beside[key] = self._said_beside(window, unseen if key in held_out else ())
            yield
        figures = self._figures(found, beside, protected, held_out)
        objection, reason = decide(figures, self.config)
        promoted = objection is Objection.NONE
        if promoted:
            self._shown = found
        return Verdict(step=step, promoted=promoted, objection=objection, reason=reason, figures=figures)

    def _said_beside(self, window: _Window, unseen: Sequence[str]) -> QuickSay | None:
        if self._beside is None:
            return None
        count, (top, left) = len(window.labels), window.corner
        return self._beside(window.item, window.rows[:count] + top, window.columns[:count] + left, unseen)

    # ------------------------------------------------------------------------------------- figures

    def _figures(
        self,
        found: dict[_Key, _Answer],
        beside: dict[_Key, QuickSay | None],
        protected: tuple[_Key, ...],
        held_out: tuple[_Key, ...],
    ) -> Figures:
        flipped = repaired = right = own = shown_own = pixels = 0
        for labels, before, now, quick in self._pairs(protected, found, beside):
            was, will = before.said(quick) == labels, now.said(quick) == labels
            flipped += int((was & ~will).sum())
            repaired += int((~was & will).sum())
            right += int(was.sum())
            own += int((now.said() == labels).sum())
            shown_own += int((before.said() == labels).sum())
            pixels += len(labels)
        return Figures(
            held_out=self._scores(self._pairs(held_out, found, beside)),
            own_held_out=self._scores(self._pairs(held_out, found, dict.fromkeys(found))),
            pixels=pixels,
            flipped=flipped,
            repaired=repaired,
            shown_right=right,
            own_right=own,
            shown_own_right=shown_own,
            finite=all(answer.finite for answer in found.values()),
            only_class=self._only_class(found),
            shown_only_class=self._only_class(self._shown),
        )

    def _pairs(
        self, keys: tuple[_Key, ...], found: dict[_Key, _Answer], beside: dict[_Key, QuickSay | None]
    ) -> Iterator[tuple[NDArray[np.int64], _Answer, _Answer, QuickSay | None]]:
        """Yield of each window what people said, the answers shown and those of the candidate, and beside."""
        for key in keys:
            window = self._windows[key]
            if window is not None and key in found:
                yield window.labels, self._shown[key], found[key], beside[key]

    def _scores(self, pairs: Iterable[tuple[NDArray[np.int64], _Answer, _Answer, QuickSay | None]]) -> Scores:
        """Return both scores; the noise is that of the mean gain in accuracy over classes of windows."""
        count = max(1, len(self._classes))
        matrix, shown_matrix = ConfusionMatrix(count), ConfusionMatrix(count)
        gains = []
        for labels, before, now, quick in pairs:
            was, will = before.said(quick), now.said(quick)
            matrix.update(will, labels)
            shown_matrix.update(was, labels)
            for channel in np.unique(labels):
                here = labels == channel
                gains.append(float((will[here] == channel).mean() - (was[here] == channel).mean()))
        noise = float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else _UNSURE
        return Scores(miou=matrix.miou(), shown_miou=shown_matrix.miou(), noise=noise)

    def _only_class(self, found: dict[_Key, _Answer]) -> str:
        """Return the name of the class said everywhere, where people said others too; else ""."""
        if not found:
            return ""
        said = np.sum([answer.histogram for answer in found.values()], axis=0)
        channel = int(said.argmax())
        if said[channel] < _ONE_CLASS * said.sum():
            return ""
        windows = (self._windows.get(key) for key in found)
        told = {int(label) for window in windows if window is not None for label in np.unique(window.labels)}
        return self._classes.names[channel] if told - {channel} else ""

    # ------------------------------------------------------------------------------------- windows

    def _sample(self) -> tuple[tuple[_Key, ...], tuple[_Key, ...]]:
        """Return the keys of protected and held-out windows; windows that are new are cut now."""
        training = [item for item in self._pool.items if item.split is Split.TRAIN]
        protected = self._chosen(training, self._pool.recent())
        held_out = self._chosen(list(self._pool.held_out()), ())
        wanted = {*protected, *held_out}
        for key in self._windows.keys() - wanted:
            del self._windows[key]
            self._shown.pop(key, None)
        items = {(item.image_id, item.revision): item for item in self._pool.items}
        for key in (*protected, *held_out):
            if key not in self._windows:
                self._windows[key] = self._cut(items[key])
        return protected, held_out

    def _chosen(self, items: list[PoolItem], recent: tuple[str, ...]) -> tuple[_Key, ...]:
        """Choose images: those corrected last, those chosen before, and others at random."""
        count = self.config.windows
        known = {name for name, _ in self._windows}
        others = [item for item in items if item.image_id not in recent]
        kept = [item for item in others if item.image_id in known]
        fresh = [item for item in others if item.image_id not in known]
        order = [fresh[i] for i in self._rng.permutation(len(fresh))] if len(kept) < count else []
        chosen = [item for item in items if item.image_id in recent] + kept + order
        return tuple((item.image_id, item.revision) for item in chosen[:count])

    def _cut(self, item: PoolItem) -> _Window | None:
        """Cut a window around a labelled pixel; None where nothing is labelled or cannot be read."""
        try:
            labels, image = self._pool.layers(item)[0], self._pool.pixels(item)
        except EngineError:
            return None  # the pool and the measurement name such images; here they only do not count
        known = np.zeros(256, bool)
        known[list(self._classes.indices)] = True
        known[[UNLABELLED, VOID]] = False
        places = np.flatnonzero(known[labels])
        if not places.size:
            return None
        centre = divmod(int(self._rng.choice(places)), labels.shape[1])
        here = tuple(
            _span(at, extent, self.config.window_size)
            for at, extent in zip(centre, labels.shape, strict=True)
        )
        part = labels[here]
        rows, columns = np.nonzero(known[part])
        if len(rows) > _MOST_PLACES:
            kept = np.linspace(0, len(rows) - 1, _MOST_PLACES).astype(np.int64)
            rows, columns = rows[kept], columns[kept]
        lattice = np.mgrid[0 : part.shape[0] : _LATTICE, 0 : part.shape[1] : _LATTICE].reshape(2, -1)
        return _Window(
            item=item,
            image=image[here].copy(),
            corner=(here[0].start, here[1].start),
            rows=np.concatenate([rows, lattice[0]]),
            columns=np.concatenate([columns, lattice[1]]),
            labels=self._classes.channel_of()[part[rows, columns]].astype(np.int64),
        )


def _span(centre: int, extent: int, window: int) -> slice:
    start = min(max(0, centre - window // 2), max(0, extent - window))
    return slice(start, min(extent, start + window))


def _answer(predictor: Predictor, window: _Window) -> _Answer:
    found = predictor.probabilities_at(window.image, window.rows, window.columns)
    count = len(window.labels)
    return _Answer(
        probabilities=found[:, :count].astype(np.float16),
        histogram=np.bincount(likeliest(found[:, count:])[0], minlength=len(found)),
        finite=bool(np.isfinite(found).all()),
    )
