"""Never worse: trained weights are shown only if what people said loses nothing by it. The rule; pure."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import PromotionConfig
from engine.messages import Objection

_YOUNG_ERROR = 0.1
"""A tool that is wrong about more than this share of what people said is not relied on yet."""
_CLEARLY = 2.0
"""Standard errors from which on a network is clearly worse by itself."""
_OWN_LOSS = 0.05
"""Largest share of what people said that it may be more often wrong about by itself."""
_ENOUGH_PIXELS = 2000
"""Pixels people said something about from which on half a percent of them is more than chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Two answers to the same windows.

    Attributes:
        miou: With the candidate; None without any window.
        shown_miou: Without it; None without any.
        noise: Standard error of the difference, from how unlike the classes of the windows speak for either.
    """

    miou: float | None = None
    shown_miou: float | None = None
    noise: float = 0.0

    def loses(self, tolerance: float, errors: float = 1.0) -> bool:
        """Whether the candidate loses more than is tolerated, and than so many standard errors."""
        if self.miou is None or self.shown_miou is None:
            return False
        return self.shown_miou - self.miou > max(tolerance, errors * self.noise)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a judgement rests on.

    Attributes:
        held_out: What is shown now and what would be, on the held-out windows.
        own_held_out: The shown weights and the candidate there, each by itself.
        pixels: Number of protected pixels looked at.
        flipped: How many of them are right in what is shown now and would be wrong with the candidate.
        repaired: How many of them it is the other way round.
        shown_right: How many of them are right in what is shown now.
        own_right: How many of them the candidate is right about by itself.
        shown_own_right: How many of them the shown weights are right about by themselves.
        finite: Whether all answers of the candidate are numbers.
        only_class: Name of the class the candidate says everywhere where people said others too; "" if not.
        shown_only_class: The same of the shown weights.
    """

    held_out: Scores = Scores()
    own_held_out: Scores = Scores()
    pixels: int = 0
    flipped: int = 0
    repaired: int = 0
    shown_right: int = 0
    own_right: int = 0
    shown_own_right: int = 0
    finite: bool = True
    only_class: str = ""
    shown_only_class: str = ""

    @property
    def flipped_share(self) -> float | None:
        """Share of the protected pixels flipped, in [0, 1]; None where there are none."""
        return self.flipped / self.pixels if self.pixels else None

    @property
    def agreement(self) -> float | None:
        """Share of the protected pixels the candidate itself is right about; None where there are none."""
        return self.own_right / self.pixels if self.pixels else None

    @property
    def shown_agreement(self) -> float | None:
        """The same of the shown weights by themselves; None where there are none."""
        return self.shown_own_right / self.pixels if self.pixels else None

    @property
    def own_loss(self) -> float:
        """Share of the protected pixels by which the shown weights themselves are ahead; 0 without any."""
        return (self.shown_own_right - self.own_right) / self.pixels if self.pixels else 0.0


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
    and a few strokes, lucky weights would otherwise never be followed by better ones. Judged is what would be
    shown. While the network has a small part in that, its own loss would hardly be seen: so it must not be
    clearly worse by itself either, for the day it has more of the say.

    Below the limit, flips beyond slips (`PromotionConfig.flip_free`) must be made up for: else one candidate
    after the other could lose a little of what people said. Where somebody allows it
    (`PromotionConfig.exchange`), a candidate may flip more if it repairs several times as many, as long as
    what is shown is wrong about more than a tenth of what people said.
    """
    if not figures.finite:
        return Objection.NOT_FINITE, "The candidate answers with values that are no numbers: training failed."
    if figures.only_class and not figures.shown_only_class:
        sentence = f"The candidate sees “{figures.only_class}” everywhere: it has collapsed to one class."
        return Objection.ONE_CLASS, sentence
    if figures.held_out.loses(config.score_tolerance):
        return Objection.HELD_OUT, f"Worse on held-out corrections: {_told(figures.held_out)}."
    if figures.own_held_out.loses(config.score_tolerance, _CLEARLY):
        sentence = f"By itself clearly worse on held-out corrections: {_told(figures.own_held_out)}."
        return Objection.HELD_OUT, sentence
    if (lost := figures.own_loss) > _OWN_LOSS:
        sentence = f"By itself it would lose {100 * lost:.1f} % of painted or accepted pixels."
        return Objection.FLIPS, sentence
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


def _told(scores: Scores) -> str:
    return f"mIoU {scores.miou or 0.0:.3f}, shown {scores.shown_miou or 0.0:.3f}"


def _praise(figures: Figures) -> str:
    parts = []
    scores = figures.held_out
    if scores.miou is not None and scores.shown_miou is not None:
        parts.append(f"held-out mIoU {scores.miou:.3f}, before {scores.shown_miou:.3f}")
    if figures.flipped_share is not None:
        parts.append(f"flips {100 * figures.flipped_share:.1f} % of painted or accepted pixels")
    return f"Shown: {'; '.join(parts)}." if parts else "Shown: nothing was shown before."
