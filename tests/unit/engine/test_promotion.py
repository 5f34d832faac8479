"""What a candidate must not lose before it is shown: the rule, and the sample it is judged on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.config import PromotionConfig
from engine.learn import judge as judge_module
from engine.learn.judge import Judge, QuickSay
from engine.learn.pool import Pool, store_reader
from engine.learn.promotion import Figures, Scores, Verdict, decide
from engine.messages import Objection, PoolItem
from engine.predict.predictor import Predictor
from engine.project.manifest import Split
from tests.support.learning import BOX, CLASSES, GROUND, SKY, TRAINING, SmallProject, make_project, picture

CONFIG = PromotionConfig()
EVEN = Scores(miou=0.7, shown_miou=0.7, noise=0.0)
GOOD = Figures(held_out=EVEN, pixels=1000, flipped=10, repaired=0, shown_right=950)


@pytest.mark.parametrize(
    ("figures", "objection", "words"),
    [
        (GOOD, Objection.NONE, "flips 1.0 %"),
        (replace(GOOD, flipped=21), Objection.FLIPS, "2.1 % of painted or accepted pixels (limit 2.0 %)"),
        (replace(GOOD, flipped=20), Objection.NONE, "Shown"),
        (replace(GOOD, held_out=replace(EVEN, miou=0.69)), Objection.HELD_OUT, "mIoU 0.690, shown 0.700"),
        (replace(GOOD, held_out=replace(EVEN, miou=0.69, noise=0.02)), Objection.NONE, "Shown"),
        (replace(GOOD, held_out=replace(EVEN, miou=0.696)), Objection.NONE, "Shown"),
        (replace(GOOD, own_held_out=replace(EVEN, miou=0.6, noise=0.06)), Objection.NONE, "Shown"),
        (replace(GOOD, own_held_out=replace(EVEN, miou=0.6, noise=0.04)), Objection.HELD_OUT, "By itself"),
        (replace(GOOD, own_right=700, shown_own_right=750), Objection.NONE, "Shown"),
        (replace(GOOD, own_right=700, shown_own_right=760), Objection.FLIPS, "would lose 6.0 %"),
        (replace(GOOD, finite=False), Objection.NOT_FINITE, "no numbers"),
        (replace(GOOD, only_class="sky"), Objection.ONE_CLASS, "“sky” everywhere"),
        (replace(GOOD, only_class="sky", shown_only_class="sky"), Objection.NONE, "Shown"),
        (Figures(), Objection.NONE, "nothing was shown"),
    ],
)
def test_the_rule(figures: Figures, objection: Objection, words: str) -> None:
    found, sentence = decide(figures, CONFIG)
    assert found is objection
    assert words in sentence


def test_a_young_network_may_flip_more_where_that_is_allowed_and_repairs_several_times_as_much() -> None:
    young = replace(GOOD, shown_right=600, flipped=60, repaired=200)
    assert decide(young, CONFIG)[0] is Objection.FLIPS, "the limit holds unless somebody allows more"
    allowed = replace(CONFIG, exchange=3.0)
    assert decide(young, allowed)[0] is Objection.NONE
    assert decide(replace(young, repaired=170), allowed)[0] is Objection.FLIPS
    # People rely on a network that is right about nine tenths of what they said.
    assert decide(replace(young, shown_right=900), allowed)[0] is Objection.FLIPS


def test_what_people_said_is_not_lost_little_by_little() -> None:
    many = Figures(pixels=4000, flipped=60, repaired=0, shown_right=3900)
    found, sentence = decide(many, CONFIG)
    assert found is Objection.FLIPS
    assert "flip 1.5 %" in sentence
    assert "repair 0.0 %" in sentence
    assert decide(replace(many, repaired=60), CONFIG)[0] is Objection.NONE
    assert decide(replace(many, flipped=20), CONFIG)[0] is Objection.NONE, "half a percent is slips"
    assert decide(replace(many, pixels=1900, flipped=30), CONFIG)[0] is Objection.NONE, "too few to tell"
    assert decide(many, replace(CONFIG, flip_free=0.02))[0] is Objection.NONE


_SURE = 0.9
_UNSURE = (1 - _SURE) / (len(CLASSES) - 1)


class _Says:
    """Stands where a predictor stands: says the truth, but for a share of the rows."""

    def __init__(self, wrong: dict[int, int] | None = None, *, only: int | None = None) -> None:
        self._wrong, self._only = wrong or {}, only
        self.asked = 0

    def probabilities_at(
        self, image: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        self.asked += 1
        number = next(n for n in range(9) if (picture(n)[0] == image).all())
        labels = picture(number)[1]
        for row, index in self._wrong.items():
            labels[row] = index
        if self._only is not None:
            labels[:] = self._only
        said = CLASSES.channel_of()[labels[rows, columns]]
        return np.where(np.arange(len(CLASSES))[:, None] == said, _SURE, _UNSURE).astype(np.float32)


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return make_project(tmp_path)


@pytest.fixture
def judge(project: SmallProject) -> Judge:
    pool = Pool(store_reader(str(project.folder)), CLASSES, TRAINING.crop, 1 << 24)
    for _ in pool.fill(project.items):
        pass
    return Judge(pool, CLASSES, CONFIG)


def verdict(judge: Judge, candidate: _Says, shown: _Says, step: int = 5) -> Verdict:
    steps = judge.judge(cast(Predictor, candidate), cast(Predictor, shown), step)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            found: Any = stop.value
            assert isinstance(found, Verdict)
            return found


def test_a_candidate_as_good_as_the_shown_is_promoted_and_asked_alone_next_time(judge: Judge) -> None:
    first, shown = _Says(), _Says()
    found = verdict(judge, first, shown)
    assert (found.promoted, found.step, found.figures.flipped) == (True, 5, 0)
    assert found.figures.held_out.miou == 1.0
    assert (first.asked, shown.asked) == (4, 4)
    # Its own answers are kept: only the next candidate has to answer.
    again = _Says({8: BOX})
    assert not verdict(judge, again, shown).promoted
    assert (again.asked, shown.asked) == (4, 4)


def test_flips_are_counted_on_painted_pixels_only(judge: Judge) -> None:
    # Rows 0, 8, 16 … are painted; what is said elsewhere flips nothing.
    unseen = verdict(judge, _Says({row: BOX for row in range(64) if row % 8}), _Says())
    assert (unseen.promoted, unseen.figures.flipped) == (True, 0)
    flipped = verdict(judge, _Says({0: GROUND, 8: GROUND}), _Says())
    assert not flipped.promoted
    assert flipped.figures.flipped_share == pytest.approx(2 / 8)


def test_what_was_wrong_before_cannot_be_flipped(judge: Judge) -> None:
    bad = {0: GROUND, 8: GROUND, 16: GROUND}
    found = verdict(judge, _Says(bad), _Says(bad))
    assert (found.promoted, found.figures.flipped) == (True, 0)
    better = verdict(judge, _Says(), _Says(bad))
    assert better.promoted
    assert better.figures.repaired > 0


def test_one_class_everywhere_is_named(judge: Judge) -> None:
    found = verdict(judge, _Says(only=SKY), _Says())
    assert found.objection is Objection.ONE_CLASS
    assert "“sky” everywhere" in found.reason


def test_a_corrected_image_has_a_new_window(judge: Judge, project: SmallProject) -> None:
    shown = _Says()
    verdict(judge, _Says(), shown)
    labels = np.full((64, 80), 255, np.uint8)
    labels[3, 3] = picture(0)[1][3, 3]
    project.annotate("0.png", labels, 2)
    judge._pool.update(replace(project.items[0], revision=2))
    found = verdict(judge, _Says(), shown)
    assert shown.asked == 4 + 1
    assert found.figures.pixels == 2 * 8 * 80 + 1


class _Beside:
    """A quick model that says the truth of every labelled pixel, as sure as it is told to be."""

    def __init__(self, share: float, sure: float = _SURE) -> None:
        self.share, self._sure = share, sure
        self.asked: list[tuple[int, int]] = []

    def __call__(
        self,
        item: PoolItem,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        unseen: Sequence[str],
    ) -> QuickSay | None:
        assert (item.image_id in unseen) == (item.split is Split.VAL), "it must not know the answers"
        truth = CLASSES.channel_of()[picture(int(item.image_id[0]))[1][rows, columns]]
        self.asked += zip(rows.tolist(), columns.tolist(), strict=True)
        others = (1 - self._sure) / (len(CLASSES) - 1)
        channels = np.arange(len(CLASSES))
        chances = np.where(channels[:, None] == truth, self._sure, others).astype(np.float32)
        return QuickSay(self.share, chances, channels, np.zeros(len(CLASSES), np.float32))


def test_what_is_judged_is_what_would_be_shown(judge: Judge) -> None:
    wrong = {0: GROUND}
    by_itself = verdict(judge, _Says(wrong), _Says())
    assert not by_itself.promoted
    # A sixth of the say turns no pixel of which the quick model is sure …
    judge._beside = beside = _Beside(0.15)
    together = verdict(judge, _Says(wrong), _Says())
    assert (together.figures.flipped, together.figures.held_out.miou) == (0, 1.0)
    assert beside.asked, "it was asked"
    # … and yet what the network loses by itself counts.
    assert together.figures.agreement == pytest.approx(1 - 1 / 8)
    assert together.figures.shown_agreement == 1.0
    assert not together.promoted
    assert "By itself" in together.reason


def test_with_most_of_the_say_a_candidate_flips_what_is_shown(judge: Judge) -> None:
    judge.config = replace(CONFIG, score_tolerance=1.0)
    judge._beside = _Beside(0.75)
    found = verdict(judge, _Says({0: GROUND, 8: GROUND}), _Says())
    assert found.objection is Objection.FLIPS
    assert found.figures.flipped_share == pytest.approx(2 / 8)
    judge.config = CONFIG
    assert verdict(judge, _Says({0: GROUND, 8: GROUND}), _Says()).objection is Objection.HELD_OUT


def test_only_so_many_pixels_of_a_window_are_asked_about(
    judge: Judge, project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_module, "_MOST_PLACES", 50)
    found = verdict(judge, _Says(), _Says())
    assert found.promoted
    assert found.figures.pixels == 3 * 50
