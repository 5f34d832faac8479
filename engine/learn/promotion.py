"""Never worse: trained weights are shown only if what people said loses nothing by it. The rule; pure."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import PromotionConfig
from engine.messages import Objection

_YOUNG_ERROR = 0.1
_ENOUGH_PIXELS = 2000
"""Pixels people said something about from which on half a percent of them is more than chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a judgement rests on.

    Attributes:
        miou: Of the candidate on the held-out windows; None without any.
        shown_miou: Of the shown weights; None without any.
        noise: Standard error of the difference, from how unlike the classes of the windows speak for either.
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

    miou: float | None = None
    shown_miou: float | None = None
    noise: float = 0.0
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
