"""The candidate of a run: judged piece by piece between commands, then shown or only kept. Worker thread."""

from __future__ import annotations

from collections.abc import Callable, Generator

from engine.annotate.classes import ClassTable
from engine.config import PromotionConfig
from engine.errors import TrainingError
from engine.learn.judge import Beside, Judge
from engine.learn.pool import Pool
from engine.learn.promotion import Figures, Verdict
from engine.messages import CandidateJudged, Event, Objection
from engine.worker.network import LiveNetwork

_PATIENCE = 3
_FORGOTTEN = 0.5


class Candidates:
    """Judges the weights of a run and lets the network show them.

    Args:
        network: Holds shown and trained weights.
        pool: Where the run's images and annotations come from.
        config: How strict.
        emit: Receives `CandidateJudged`.
        seed: Start of the random choice of windows.
        beside: Tells what the quick model says; None where only networks are shown.
    """

    def __init__(
        self,
        network: LiveNetwork,
        pool: Pool,
        config: PromotionConfig,
        emit: Callable[[Event], None],
        *,
        seed: int,
        beside: Beside | None = None,
    ) -> None:
        self._network = network
        self._emit = emit
        self._judge = Judge(pool, network.classes, config, seed=seed, beside=beside)
        self._under_way: Generator[None, None, Verdict] | None = None
        self._is_first = not network.has_learnt
        self._bad = 0
        self.verdict: Verdict | None = None
        self.is_unquestioned = False
        """Whether the weights shown are the first of this run, which nothing was there to be judged by."""

    @property
    def is_running(self) -> bool:
        """Whether a judgement is under way: no step must be made meanwhile."""
        return self._under_way is not None

    @property
    def is_known(self) -> bool:
        """Whether the weights of now were judged."""
        return self.verdict is not None and self.verdict.step == self._network.step

    @property
    def is_shown(self) -> bool:
        """Whether the weights of now are those shown."""
        return self._network.is_trained_shown

    def begin(self) -> None:
        """Begin to judge the weights of now."""
        network = self._network
        if not self._judge.config.enabled:
            self._under_way = _no_questions(network.step, "Shown: the newest weights always are.")
        elif self._is_first:
            self._under_way = _no_questions(network.step, "Shown: nothing was shown before.")
        else:
            self._under_way = self._judge.judge(
                network.candidate_predictor(), network.predictor(), network.step
            )

    def advance(self) -> Verdict | None:
        """Answer one more window; return the verdict with the last one, and show what it allows.

        Raises:
            TrainingError: The run has collapsed: it answers with no numbers or one class, or forgets what it
                knew, time after time. The shown weights are as they were.
        """
        if self._under_way is None:
            return self.verdict
        try:
            next(self._under_way)
        except StopIteration as stop:
            self._under_way = None
            verdict: Verdict = stop.value
            self._take(verdict)
            return verdict
        except BaseException:
            self._under_way = None
            raise
        return None

    def finish(self) -> Verdict:
        """Judge the weights of now in one go, if they were not judged yet.

        Raises:
            TrainingError: As `advance`.
        """
        verdict = None
        while verdict is None:
            verdict = self.go_on(lambda: False)
        return verdict

    def go_on(self, is_over: Callable[[], bool]) -> Verdict | None:
        """Judge the weights of now, if they were not judged yet, as long as there is time.

        Args:
            is_over: Whether there is none left; asked after each window.

        Returns:
            The verdict; None where it has to be left, and `advance` can go on with it.

        Raises:
            TrainingError: As `advance`.
        """
        if not self.is_running:
            if self.verdict is not None and self.is_known:
                return self.verdict
            self.begin()
        while (verdict := self.advance()) is None and not is_over():
            pass
        return verdict

    def cancel(self) -> None:
        """Drop a judgement under way."""
        self._under_way = None

    def reconfigure(self, config: PromotionConfig) -> None:
        """Be more or less strict from the next judgement on."""
        self._judge.config = config

    def follow(self, classes: ClassTable) -> None:
        """Follow a changed class table."""
        self.cancel()
        self._bad, self.verdict = 0, None
        self._judge.set_classes(classes)

    def shown_changed(self) -> None:
        """Note that the shown weights were changed by other means than a promotion."""
        self.cancel()
        self._judge.shown_changed()

    def say(self, verdict: Verdict, *, checkpoint: str = "", promoted: bool | None = None) -> None:
        """Tell the window about a verdict."""
        self._emit(
            CandidateJudged(
                step=verdict.step,
                miou=verdict.figures.held_out.miou,
                shown_miou=verdict.figures.held_out.shown_miou,
                flipped=verdict.figures.flipped_share,
                promoted=verdict.promoted if promoted is None else promoted,
                reason=verdict.reason,
                checkpoint=checkpoint,
                objection=verdict.objection,
                limit=self._judge.config.flip_limit,
            )
        )

    def _take(self, verdict: Verdict) -> None:
        self.verdict = verdict
        was_first, self._is_first = self._is_first, False
        if verdict.promoted:
            self._bad, self.is_unquestioned = 0, was_first
            self._network.show_trained()
        self.say(verdict)
        if verdict.promoted:
            return
        if verdict.objection is Objection.NOT_FINITE:
            raise _collapsed(verdict.reason)
        self._bad = self._bad + 1 if _is_collapsed(verdict) else 0
        if self._bad >= _PATIENCE:
            raise _collapsed(_sentence(verdict))


def _no_questions(step: int, reason: str) -> Generator[None, None, Verdict]:
    """Find a candidate good."""
    yield from ()
    return Verdict(
        step=step,
        promoted=True,
        objection=Objection.NONE,
        reason=reason,
        figures=Figures(),
    )


def _is_collapsed(verdict: Verdict) -> bool:
    """Whether a network has lost what it knew; a few bad steps do the same for a moment."""
    figures = verdict.figures
    now, before = figures.agreement, figures.shown_agreement
    forgets = now is not None and before is not None and now < _FORGOTTEN * before
    return verdict.objection is Objection.ONE_CLASS or forgets


def _sentence(verdict: Verdict) -> str:
    figures = verdict.figures
    if verdict.objection is Objection.ONE_CLASS or figures.agreement is None:
        return verdict.reason
    return (
        f"Training forgets what it knew: right about {100 * figures.agreement:.0f} % of painted or accepted "
        f"pixels, the weights shown about {100 * (figures.shown_agreement or 0.0):.0f} %."
    )


def _collapsed(sentence: str) -> TrainingError:
    return TrainingError(
        f"{sentence} The weights shown before are back in place.",
        "Choose a smaller learning rate or look through the latest labels, then start training again.",
    )
