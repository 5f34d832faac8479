"""Never worse: trained weights are shown only if what people said loses nothing by it. Worker thread.

A candidate answers the same small windows as the shown weights: windows of training images around painted
or accepted pixels (protected), and windows of held-out images. The answers of the shown weights are kept, so
a judgement costs the candidate's answers only; when a candidate is promoted its answers become theirs.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, VOID, ClassTable
from engine.config import PromotionConfig
from engine.errors import EngineError
from engine.learn.pool import Pool
from engine.measure.metrics import ConfusionMatrix
from engine.messages import Objection, PoolItem
from engine.predict.predictor import Predictor
from engine.project.manifest import Split

_ONE_CLASS = 0.998
"""Share of all predicted pixels from which on a network says one class only."""

_YOUNG_ERROR = 0.1
_ENOUGH_PIXELS = 2000
"""Pixels people said something about from which on half a percent of them is more than chance."""
_UNSURE = 1.0
"""Noise of a score that rests on one class of one window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a judgement rests on.

    Attributes:
        miou: Of the candidate on the held-out windows; None without any.
        shown_miou: Of the shown weights; None without any.
        noise: Standard error of the difference, from how unlike the classes of the windows speak for either.
        pixels: Number of protected pixels looked at.
        flipped: How many of them the shown weights are right about and the candidate is wrong about.
        repaired: How many of them it is the other way round.
        shown_right: How many of them the shown weights are right about.
        finite: Whether all answers of the candidate are numbers.
        only_class: Name of the class the candidate says everywhere where people said others too; "" if not.
        shown_only_class: The same of the shown weights.
    """

    miou: float | None = None
    shown_miou: float | None = None
    noise: float = 0.0
    pixels: int = 0
    flipped: int = 0
    repaired: int = 0
    shown_right: int = 0
    finite: bool = True
    only_class: str = ""
    shown_only_class: str = ""

    @property
    def flipped_share(self) -> float | None:
        """Share of the protected pixels flipped, in [0, 1]; None where there are none."""
        return self.flipped / self.pixels if self.pixels else None

    @property
    def agreement(self) -> float | None:
        """Share of the protected pixels the candidate is right about; None where there are none."""
        return (self.shown_right - self.flipped + self.repaired) / self.pixels if self.pixels else None

    @property
    def shown_agreement(self) -> float | None:
        """Share of the protected pixels the shown weights are right about; None where there are none."""
        return self.shown_right / self.pixels if self.pixels else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a judgement came to.

    Attributes:
        step: Training step of the candidate.
        promoted: Whether it may be shown.
        objection: What speaks against it.
        reason: One sentence for a person.
        figures: What it rests on.
    """

    step: int
    promoted: bool
    objection: Objection
    reason: str
    figures: Figures


def decide(figures: Figures, config: PromotionConfig) -> tuple[Objection, str]:
    """Return what speaks against a candidate, and one sentence about it.

    A loss on held-out corrections counts where it is larger than chance explains: with one held-out image
    and a few strokes, lucky weights would otherwise never be followed by better ones.

    The limit of flipped pixels is meant for a network people rely on. As long as the shown one is wrong about
    more than a tenth of what people said, a candidate may flip more if it repairs several times as many
    (`PromotionConfig.exchange`). Below the limit, flips beyond slips (`PromotionConfig.flip_free`)
    must be made up for: else one candidate after the other could lose a little of what people said.
    """
    if not figures.finite:
        return Objection.NOT_FINITE, "The candidate answers with values that are no numbers: training failed."
    if figures.only_class and not figures.shown_only_class:
        sentence = f"The candidate sees “{figures.only_class}” everywhere: it has collapsed to one class."
        return Objection.ONE_CLASS, sentence
    if figures.miou is not None and figures.shown_miou is not None:
        lost = figures.shown_miou - figures.miou
        if lost > max(config.score_tolerance, figures.noise):
            return Objection.HELD_OUT, (
                f"Worse on held-out corrections: mIoU {figures.miou:.3f}, shown {figures.shown_miou:.3f}."
            )
    flipped = figures.flipped_share
    if flipped is not None and flipped > config.flip_limit and not _pays_off(figures, config):
        return Objection.FLIPS, (
            f"It would flip {100 * flipped:.1f} % of painted or accepted pixels "
            f"(limit {100 * config.flip_limit:.1f} %)."
        )
    if _loses_more_than_slips(figures, config):
        return Objection.FLIPS, (
            f"It would flip {100 * figures.flipped / figures.pixels:.1f} % of painted or accepted pixels and "
            f"repair {100 * figures.repaired / figures.pixels:.1f} %."
        )
    return Objection.NONE, _praise(figures)


def _loses_more_than_slips(figures: Figures, config: PromotionConfig) -> bool:
    is_known = figures.pixels >= _ENOUGH_PIXELS
    return is_known and figures.flipped > max(config.flip_free * figures.pixels, figures.repaired)


def _pays_off(figures: Figures, config: PromotionConfig) -> bool:
    is_young = figures.pixels - figures.shown_right > _YOUNG_ERROR * figures.pixels
    return is_young and config.exchange > 0 and figures.repaired >= config.exchange * figures.flipped


def _praise(figures: Figures) -> str:
    parts = []
    if figures.miou is not None and figures.shown_miou is not None:
        parts.append(f"held-out mIoU {figures.miou:.3f}, before {figures.shown_miou:.3f}")
    if figures.flipped_share is not None:
        parts.append(f"flips {100 * figures.flipped_share:.1f} % of painted or accepted pixels")
    return f"Shown: {'; '.join(parts)}." if parts else "Shown: nothing was shown before."


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A part of an image and what people said there: (H, W, 3) uint8, (H, W) uint8 with 255 elsewhere."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What weights say about a window.

    Attributes:
        said: (n,) uint8 classes at the pixels people labelled, in row order.
        histogram: (256,) pixels of the window by class.
        finite: Whether all confidences are numbers.
    """

    said: NDArray[np.uint8]
    histogram: NDArray[np.int64]
    finite: bool


_Key = tuple[str, int]
"""Image id and revision: a corrected image has another window."""


class Judge:
    """Judges candidates of one run on a bounded sample that is kept.

    Args:
        pool: Where images and annotations come from.
        classes: Class table; labels of other classes do not count.
        config: How strict.
        seed: Start of the random choice of windows.
    """

    def __init__(self, pool: Pool, classes: ClassTable, config: PromotionConfig, *, seed: int = 0) -> None:
        self.config = config
        self._pool = pool
        self._classes = classes
        self._rng = np.random.default_rng([seed, 7])
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
        answers: dict[_Key, _Answer] = {}
        for key in (*protected, *held_out):
            window = self._windows[key]
            if window is None:
                continue
            if key not in self._shown:
                self._shown[key] = _answer(shown, window)
                yield
            answers[key] = _answer(candidate, window)
            yield
        figures = self._figures(answers, protected, held_out)
        objection, reason = decide(figures, self.config)
        promoted = objection is Objection.NONE
        if promoted:
            self._shown = answers
        return Verdict(step=step, promoted=promoted, objection=objection, reason=reason, figures=figures)

    # ------------------------------------------------------------------------------------- figures

    def _figures(
        self,
        answers: dict[_Key, _Answer],
        protected: tuple[_Key, ...],
        held_out: tuple[_Key, ...],
    ) -> Figures:
        flipped = repaired = right = pixels = 0
        for key in protected:
            window, answer = self._windows[key], answers.get(key)
            if window is None or answer is None:
                continue
            truth = window.labels[window.labels != UNLABELLED]
            was, now = self._shown[key].said == truth, answer.said == truth
            flipped += int((was & ~now).sum())
            repaired += int((~was & now).sum())
            right += int(was.sum())
            pixels += truth.size
        return Figures(
            miou=self._miou(answers, held_out),
            shown_miou=self._miou(self._shown, held_out),
            noise=self._noise(answers, held_out),
            pixels=pixels,
            flipped=flipped,
            repaired=repaired,
            shown_right=right,
            finite=all(answer.finite for answer in answers.values()),
            only_class=self._only_class(answers),
            shown_only_class=self._only_class(self._shown),
        )

    def _miou(self, answers: dict[_Key, _Answer], keys: tuple[_Key, ...]) -> float | None:
        matrix = ConfusionMatrix(max(1, len(self._classes)))
        channel_of = self._classes.channel_of()
        for key in keys:
            window, answer = self._windows[key], answers.get(key)
            if window is not None and answer is not None:
                truth = window.labels[window.labels != UNLABELLED]
                matrix.update(channel_of[answer.said], channel_of[truth])
        return matrix.miou()

    def _noise(self, answers: dict[_Key, _Answer], keys: tuple[_Key, ...]) -> float:
        """Return the standard error of the mean gain in accuracy over the classes of the windows."""
        gains = []
        for key in keys:
            window, answer = self._windows[key], answers.get(key)
            if window is None or answer is None:
                continue
            truth = window.labels[window.labels != UNLABELLED]
            for index in np.unique(truth):
                here = truth == index
                gain = (answer.said[here] == index).mean() - (self._shown[key].said[here] == index).mean()
                gains.append(float(gain))
        return float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else _UNSURE

    def _only_class(self, answers: dict[_Key, _Answer]) -> str:
        """Return the name of the class said everywhere, where people said others too; else ""."""
        if not answers:
            return ""
        said = np.sum([answer.histogram for answer in answers.values()], axis=0)
        index = int(said.argmax())
        if said[index] < _ONE_CLASS * said.sum():
            return ""
        told: set[int] = set()
        for key in answers:
            window = self._windows.get(key)
            if window is not None:
                told |= set(np.unique(window.labels).tolist())
        spec = self._classes.by_index(index)
        return spec.name if spec is not None and told - {UNLABELLED, index} else ""

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
        rows, columns = (
            _span(at, extent, self.config.window_size)
            for at, extent in zip(centre, labels.shape, strict=True)
        )
        part = labels[rows, columns]
        return _Window(image[rows, columns].copy(), np.where(known[part], part, UNLABELLED).astype(np.uint8))


def _span(centre: int, extent: int, window: int) -> slice:
    start = min(max(0, centre - window // 2), max(0, extent - window))
    return slice(start, min(extent, start + window))


def _answer(predictor: Predictor, window: _Window) -> _Answer:
    label_map, confidence = predictor.predict_whole(window.image)
    return _Answer(
        said=label_map[window.labels != UNLABELLED],
        histogram=np.bincount(label_map.reshape(-1), minlength=256),
        finite=bool(np.isfinite(confidence).all()),
    )
