"""The robot's journal: every second of the session has a line, whatever became of it."""

import dataclasses
import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest

from engine.annotate.stroke import Stroke
from engine.measure.actions import AcceptImage, Action, Hand, Leave, Paint, Relabel, User, keys_of
from engine.measure.baselines.lane import LaneTool
from engine.measure.baselines.learner import Model
from engine.measure.costs import T_KEY
from engine.measure.robot.person import run_robot
from engine.measure.robot.plan import RobotPlan
from engine.measure.robot.results import RunResult
from engine.measure.robot.tool import Guess, Material
from tests.support.robot import Hands, KnowingLearner, NothingLearner, make_material, plan

OPEN_S, ADVANCE_S, PERFORM_S = 1.5, 0.25, 0.125


class _Swapping(KnowingLearner):
    """Takes every class for the next one and then for what it is, by turns, whatever anybody says."""

    is_busy = True
    count = 0

    def work(self) -> Model:
        self._clock.now += self._seconds
        self.count += 1
        return self._wrong if self.count % 2 else self._model

    def _wrong(self, image_id: str, image: np.ndarray) -> Guess:
        found = self._model(image_id, image)
        return dataclasses.replace(found, label_map=(found.label_map + np.uint8(1)) % np.uint8(4))


class _Slow(LaneTool):
    """Makes the person wait for everything."""

    def open(self, image_id: str) -> float:
        return super().open(image_id) + OPEN_S

    def perform(self, action: Action) -> float:
        return super().perform(action) + PERFORM_S

    def advance(self, seconds: float) -> float:
        return super().advance(seconds) + ADVANCE_S


def _nothing(material: Material) -> LaneTool:
    return LaneTool(NothingLearner(), material)


def _swapping(material: Material) -> LaneTool:
    clock = Hands()
    return LaneTool(_Swapping(material, clock, 3.0), material, clock=clock)


def _slow(material: Material) -> LaneTool:
    return _Slow(NothingLearner(), material)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("journal ä"), 6)


def worked(tool: LaneTool, material: Material, plan: RobotPlan) -> tuple[RunResult, list[str]]:
    journal: list[str] = []
    return run_robot(plan, tool, material, write=journal.append), journal


@pytest.mark.parametrize(
    ("make", "seconds", "words"),
    [
        (_nothing, 60.0, {"open", "paint", "leave", "cutoff"}),
        (_swapping, 33.0, {"open", "paint", "relabel", "giveup", "acceptimage", "cutoff"}),
        (_slow, 60.0, {"open", "paint", "leave", "wait", "cutoff"}),
    ],
)
@pytest.mark.parametrize("user", list(User))
def test_the_seconds_of_all_lines_are_those_of_the_session(
    material: Material,
    user: User,
    make: Callable[[Material], LaneTool],
    seconds: float,
    words: set[str],
) -> None:
    often = tuple(float(second) for second in range(1, 60))
    session = dataclasses.replace(plan(user, images=None, seconds=seconds), measured_at=often)
    result, journal = worked(make(material), material, session)
    told = [json.loads(line) for line in journal]
    assert words <= {line["do"] for line in told}
    assert result.seconds == pytest.approx(sum(line["seconds"] for line in told), abs=0.02)
    assert sum(visit.seconds for visit in result.visits) == pytest.approx(result.seconds, abs=0.02)
    waited = sum(line["seconds"] for line in told if line["do"] == "wait")
    assert result.blocked == pytest.approx(waited, abs=0.02)
    spent = 0.0
    for line in told:
        began, spent = spent, spent + line["seconds"]
        if line["do"] != "wait":  # in the middle of an action, which has its line when it is over
            at = began if line["do"] == "open" else spent
            assert line["at"] == pytest.approx(at, abs=0.02)


def test_waiting_comes_on_top_of_what_the_person_does(material: Material) -> None:
    quick, slow = (worked(make(material), material, plan(images=2)) for make in (_nothing, _slow))
    acts = [
        [{**json.loads(line), "at": 0.0} for line in journal if '"wait"' not in line]
        for _, journal in (quick, slow)
    ]
    assert acts[0] == acts[1], "measurements in the middle of an action cost nothing of it either"
    assert quick[0].blocked == 0.0
    assert slow[0].seconds == pytest.approx(quick[0].seconds + slow[0].blocked, abs=0.01)
    deeds = sum(act["do"] != "open" for act in acts[0])
    assert slow[0].blocked > 2 * OPEN_S + deeds * (PERFORM_S + ADVANCE_S)


@pytest.mark.parametrize("make", [_swapping, _slow])
def test_a_seed_writes_the_same_lines_whatever_is_in_them(
    material: Material, make: Callable[[Material], LaneTool]
) -> None:
    first, again = (worked(make(material), material, plan(images=3)) for _ in range(2))
    assert first[1] == again[1]
    assert first[0].journal == again[0].journal


def test_keys_are_those_that_were_paid_for(material: Material) -> None:
    stroke = Stroke(points=((1.0, 1.0),), radius=3.0, class_index=2)
    fresh = Hand(position=(0.0, 0.0))
    used = dataclasses.replace(fresh, class_index=1)
    paint = Paint(stroke=stroke, seconds=1.0)
    assert [keys_of(hand, paint) for hand in (fresh, used)] == [0, 1]
    assert keys_of(used, dataclasses.replace(paint, undo=True)) == 2
    assert keys_of(fresh, Relabel(point=(1.0, 1.0), class_index=2, seconds=2.0)) == 1
    assert keys_of(fresh, AcceptImage(seconds=T_KEY)) == keys_of(fresh, Leave(seconds=T_KEY)) == 1
    tool = _nothing(material)
    result, journal = worked(tool, material, plan(images=3))
    acts = [json.loads(line) for line in journal]
    held: list[int] = []
    for visit in result.visits:
        opened = next(place for place, act in enumerate(acts) if act.get("image") == visit.image_id)
        done = acts[opened + 1 :]
        done = done[: next(place for place, act in enumerate(done) if act["do"] == "leave")]
        classes = held[-1:] + [act["class"] for act in done]
        held = classes
        changes = sum(before != then for before, then in itertools.pairwise(classes))
        assert visit.keys == changes + sum(act["undo"] for act in done) + 1
    assert any(visit.keys != 1 for visit in result.visits)


def test_a_journal_nobody_reads_has_the_same_sum(material: Material) -> None:
    read, _ = worked(_nothing(material), material, plan(images=1))
    assert run_robot(plan(images=1), _nothing(material), material).journal == read.journal
