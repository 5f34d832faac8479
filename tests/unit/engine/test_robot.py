"""The robot at work with small tools: what its rules promise, and what its clock counts."""

import argparse
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.cli.robot import add_arguments
from engine.cli.robot_runs import robot_plan
from engine.cli.robot_tables import effort, percent
from engine.config import Voice
from engine.errors import EngineError
from engine.measure.actions import Feedback, Gaze, User
from engine.measure.baselines.lane import LaneTool
from engine.measure.baselines.learner import Model
from engine.measure.costs import T_KEY, T_LOOK
from engine.measure.robot.delivered import DeliveredMasks
from engine.measure.robot.person import run_robot
from engine.measure.robot.plan import Order, RobotPlan, session_length
from engine.measure.robot.results import Recalled, RunResult, result_from
from engine.measure.robot.statistics import interval
from engine.measure.robot.tool import Guess, Material
from tests.support.robot import (
    Hands,
    KnowingLearner,
    NothingLearner,
    annotations,
    blobs,
    make_material,
    plan,
)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("robot ä"))


def worked(material: Material, plan: RobotPlan) -> tuple[RunResult, LaneTool, list[str]]:
    journal: list[str] = []
    tool = LaneTool(NothingLearner(), material)
    return run_robot(plan, tool, material, write=journal.append), tool, journal


def test_same_seed_same_journal(material: Material) -> None:
    short = plan(images=2, strokes_per_image=4)
    first, _, lines = worked(material, short)
    again, _, same = worked(material, short)
    assert lines == same
    assert first.journal == again.journal
    other, _, _ = worked(material, dataclasses.replace(short, seed=1))
    assert other.journal != first.journal


def test_a_perfect_hand_never_marks_a_wrong_pixel(material: Material) -> None:
    _, tool, _ = worked(material, plan(User.PERFECT))
    assert len(annotations(tool)) == 4
    for name, annotation in annotations(tool).items():
        said = annotation != 255
        assert said.any()
        assert (annotation[said] == material.read_truth(name)[said]).all()


def test_delivered_masks_are_the_persons_word_over_the_model_on_every_image(material: Material) -> None:
    tool = LaneTool(NothingLearner(), material)
    one_image = dataclasses.replace(plan(User.PERFECT, images=1, seconds=25.0), measured_at=(1.0, 20.0))
    result = run_robot(one_image, tool, material)
    (visited,) = (visit.image_id for visit in result.visits)
    said = annotations(tool)[visited]
    truths = [material.read_truth(name) for name in material.folder]
    right = (said == material.read_truth(visited)).sum() / sum(truth.size for truth in truths)
    last = result.curve[-1]
    assert last.delivered_accuracy == pytest.approx(right)
    assert 0.0 < right < 1 / len(truths)
    assert result.curve[0].delivered_accuracy == 0.0, "before anything was said there are no masks"
    clock = Hands()
    knowing = LaneTool(KnowingLearner(material, clock, 0.0), material, clock=clock, sync=True)
    knowing.settle()
    result = run_robot(one_image, knowing, material)
    assert result.curve[-1].delivered_miou == 1.0, "images nobody opened count with the model's word"
    none = run_robot(
        dataclasses.replace(one_image, delivered=0), LaneTool(NothingLearner(), material), material
    )
    assert none.curve[-1].delivered_miou is None


def test_the_folders_masks_may_be_measured_on_an_even_share(material: Material) -> None:
    assert DeliveredMasks(material, 2).names == ("0.png", "2.png")
    assert DeliveredMasks(material, 9).names == tuple(material.folder)


def test_session_lengths_are_those_of_the_protocol() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for word, images, seconds in (
        ("S", 10, math.inf),
        ("M", 40, math.inf),
        ("L", None, 600),
        ("L1800", None, 1800),
    ):
        arguments = parser.parse_args(["--session", word])
        made = robot_plan(arguments, 3)
        assert (made.images, made.seconds, made.seed) == (images, seconds, 3)
        rules = made.rules
        assert made.user is User.CAREFUL
        assert made.order is Order.FOLDER
        assert not made.sync
        assert (rules.strokes_per_image, rules.seconds_per_image, rules.accept_share) == (12, 30.0, 0.10)
        assert (rules.smallest_area, rules.smallest_radius, rules.border) == (60.0, 3.0, 2.0)
        assert (rules.jitter, rules.wrong_class, rules.overlook_area, rules.undo_spill) == (
            1.0,
            0.01,
            300.0,
            0.25,
        )
        assert (rules.brush_share, rules.largest_brush, rules.longest_stroke) == (0.7, 20.0, 250.0)
        assert rules.gap_factor == 1.0
        assert {60.0, 180.0, 300.0, 600.0, 1800.0} <= set(made.measured_at)


@pytest.mark.parametrize("user", list(User))
@pytest.mark.parametrize("feedback", list(Feedback))
def test_void_is_never_labelled(tmp_path: Path, user: User, feedback: Feedback) -> None:
    material = make_material(tmp_path, 2, void=True)
    clock = Hands()
    tool = LaneTool(KnowingLearner(material, clock, 3.0), material, clock=clock)
    run_robot(plan(user, images=2, feedback=feedback), tool, material)
    for name, annotation in annotations(tool).items():
        assert (annotation[material.read_truth(name) == 255] == 255).all()
    assert any((annotation != 255).any() for annotation in annotations(tool).values())


class MostlyKnowing(KnowingLearner):
    """Wrong in a few discs on each image."""

    def _model(self, image_id: str, image: np.ndarray) -> Guess:
        guess = super()._model(image_id, image)
        discs = blobs(50 + len(image_id) * ord(image_id[0]), guess.label_map.shape) > 0
        return dataclasses.replace(
            guess, label_map=np.where(discs, (guess.label_map + 1) % 4, guess.label_map).astype(np.uint8)
        )


def test_twice_the_size_takes_as_many_strokes(tmp_path: Path) -> None:
    counts = []
    for factor in (3, 6):
        material = make_material(tmp_path / str(factor), 4, size=(90 * factor, 120 * factor))
        tool = LaneTool(MostlyKnowing(material, Hands(), 0.0), material, sync=True)
        tool.settle()
        rules = plan(User.PERFECT, strokes_per_image=None)
        result = run_robot(rules, tool, material)
        counts.append(sum(visit.strokes + visit.clicks + visit.relabels for visit in result.visits))
    assert counts[0] > 20
    assert abs(counts[1] - counts[0]) <= 0.05 * counts[0]


@pytest.mark.parametrize("user", list(User))
def test_a_perfect_model_costs_a_look_and_a_key(material: Material, user: User) -> None:
    clock = Hands()
    tool = LaneTool(KnowingLearner(material, clock, 0.0), material, clock=clock, sync=True)
    tool.settle()
    result = run_robot(plan(user), tool, material)
    assert [visit.seconds for visit in result.visits] == [pytest.approx(T_LOOK + T_KEY)] * 4
    assert result.seconds == pytest.approx(4 * (T_LOOK + T_KEY))
    assert all(visit.accepted for visit in result.visits)


def test_a_model_is_seen_when_its_computing_is_over_on_the_persons_clock(material: Material) -> None:
    clock = Hands()
    tool = LaneTool(KnowingLearner(material, clock, 10.0), material, clock=clock)
    result = run_robot(dataclasses.replace(plan(), measured_at=(5.0, 40.0)), tool, material)
    first, second = result.curve[:2]
    assert (first.miou, first.updates) == (0.0, 0)
    assert second.miou == pytest.approx(1.0)
    strokes_before = next(visit for visit in result.visits)
    assert strokes_before.strokes + strokes_before.clicks >= 2
    assert min(result.latencies) <= 10.0
    assert result.seconds_to(0.5) is not None


def test_answers_are_awaited_to_strokes_that_stay_from_the_second_class_on(material: Material) -> None:
    clock = Hands()
    tool = LaneTool(KnowingLearner(material, clock, 4.0), material, clock=clock)
    journal: list[str] = []
    result = run_robot(plan(strokes_per_image=6), tool, material, write=journal.append)
    acts = [json.loads(line) for line in journal]
    strokes = [act for act in acts if act["do"] in ("paint", "relabel") and not act.get("undo")]
    assert any(act["do"] == "acceptimage" for act in acts)
    second = next(place for place, act in enumerate(strokes) if act["class"] != strokes[0]["class"])
    ends = [*(act["at"] for act in acts if act["do"] == "open" and act["at"] > 0.0), result.seconds]
    awaited = []
    for at in (act["at"] for act in strokes[second:]):
        left = min(end for end in ends if end > at)
        answers = [seen for seen in tool.refreshes if at < seen < left]
        awaited += [min(answers) - at] if answers else []
    assert awaited
    assert result.latencies == pytest.approx(awaited, abs=0.002)


def test_what_is_answered_only_when_the_next_image_is_opened_is_no_answer(material: Material) -> None:
    class AnswersAtOpening(LaneTool):
        def open(self, image_id: str) -> float:
            waited = super().open(image_id)
            self.refreshes.append(self._user)
            return waited

    tool = AnswersAtOpening(NothingLearner(), material)
    result = run_robot(plan(images=3, strokes_per_image=4), tool, material)
    assert len(tool.refreshes) == 3
    assert sum(visit.strokes + visit.clicks for visit in result.visits) > 4
    assert result.latencies == ()


class _TurningLearner(KnowingLearner):
    """Knows everything at first and nothing from its second model on, and again from its third."""

    count = 0

    def work(self) -> Model | None:
        model, self.count = super().work(), self.count + 1
        return model if self.count != 2 else self._wrong

    def _wrong(self, image_id: str, image: np.ndarray) -> Guess:
        found = self._model(image_id, image)
        return dataclasses.replace(found, label_map=(found.label_map + np.uint8(1)) % np.uint8(4))


def test_a_worse_model_between_two_measurements_is_counted_if_every_model_is_measured(
    material: Material,
) -> None:
    def session(*, every_model: bool) -> RunResult:
        clock = Hands()
        tool = LaneTool(_TurningLearner(material, clock, 4.0), material, clock=clock)
        once = dataclasses.replace(plan(seconds=60.0), measured_at=(1.0,), every_model=every_model)
        return run_robot(once, tool, material)

    assert session(every_model=False).worse == 0
    watched = session(every_model=True)
    assert watched.worse == 1
    assert [point.miou for point in watched.curve][1:4] == [1.0, pytest.approx(0.0, abs=0.2), 1.0]


class _ForgetfulTool(LaneTool):
    """Its model alone knows everything until the sixth image is opened, and nothing from then on."""

    opened = 0

    def open(self, image_id: str) -> float:
        self.opened += 1
        return super().open(image_id)

    def predict(
        self, image_ids: Sequence[str], *, voice: Voice = Voice.SHOWN
    ) -> Iterator[tuple[str, Guess | None]]:
        for name, found in super().predict(image_ids, voice=voice):
            knows = found is None or self.opened < 6 or voice is Voice.SHOWN
            if knows:
                yield name, found
            else:
                other = (found.label_map + np.uint8(1)) % np.uint8(4)
                yield name, dataclasses.replace(found, label_map=other)


@pytest.mark.parametrize(("kind", "later"), [(LaneTool, 1.0), (_ForgetfulTool, 0.0)])
def test_what_was_said_on_the_first_images_is_asked_again_seven_images_later(
    material: Material, kind: type[LaneTool], later: float
) -> None:
    clock = Hands()
    tool = kind(KnowingLearner(material, clock, 4.0), material, clock=clock)
    result = run_robot(plan(User.PERFECT, images=11), tool, material)
    first, second = result.recalled
    assert first == Recalled(images=3, alone=1.0, shown=1.0, network=1.0)
    assert second == Recalled(images=10, alone=later, shown=1.0, network=later)
    told = [text for name, text in effort([result]) if name.startswith("of the first three images' pixels")]
    again = percent(interval([later]))
    assert told == ["100.0 % / 100.0 % / 100.0 %", f"{again} / {again} / 100.0 %"]


def test_what_is_not_ready_is_not_shown(material: Material) -> None:
    clock = Hands()
    tool = LaneTool(KnowingLearner(material, clock, 1000.0), material, clock=clock)
    result = run_robot(plan(), tool, material)
    assert result.curve[-1].miou == 0.0
    assert result.curve[-1].updates == 0
    assert result.latencies == ()


def test_the_session_ends_on_time(material: Material) -> None:
    result, _, _ = worked(material, plan(images=None, seconds=33.0))
    assert result.seconds == pytest.approx(33.0)
    assert [point.seconds for point in result.curve] == [20.0, 33.0]


def test_images_come_round_again_in_an_order_of_their_own(material: Material) -> None:
    result, _, _ = worked(material, plan(images=8, strokes_per_image=1))
    names = [visit.image_id for visit in result.visits]
    assert names[:4] == names[4:]
    assert sorted(names[:4]) == list(material.folder)
    other, _, _ = worked(material, dataclasses.replace(plan(images=4, strokes_per_image=1), seed=5))
    assert [visit.image_id for visit in other.visits] != names[:4]


def test_the_frames_of_a_video_come_one_after_the_other(material: Material) -> None:
    names = list(material.folder)
    short = plan(images=4, strokes_per_image=1)
    for seed in range(3):
        shuffled, _, _ = worked(material, dataclasses.replace(short, seed=seed))
        result, _, _ = worked(material, dataclasses.replace(short, seed=seed, order=Order.NAMES))
        first = names.index(shuffled.visits[0].image_id)
        assert [visit.image_id for visit in result.visits] == names[first:] + names[:first]


def test_a_blind_person_corrects_a_perfect_prediction_and_accepts_nothing(material: Material) -> None:
    clock = Hands()
    tool = LaneTool(KnowingLearner(material, clock, 0.0), material, clock=clock, sync=True)
    tool.settle()
    result = run_robot(plan(gaze=Gaze.BLIND), tool, material)
    assert all(visit.strokes + visit.clicks > 0 for visit in result.visits)
    assert not any(visit.accepted for visit in result.visits)


def test_corrections_only_makes_no_label_of_a_prediction(material: Material) -> None:
    clock = Hands()
    tool = LaneTool(KnowingLearner(material, clock, 0.0), material, clock=clock, sync=True)
    tool.settle()
    run_robot(plan(feedback=Feedback.CORRECTIONS), tool, material)
    assert all((annotation == 255).all() for annotation in annotations(tool).values())
    tool = LaneTool(KnowingLearner(material, clock, 0.0), material, clock=clock, sync=True)
    tool.settle()
    run_robot(plan(), tool, material)
    assert all((annotation != 255).all() for annotation in annotations(tool).values())


def test_a_hasty_person_accepts_before_small_errors_are_gone(material: Material) -> None:
    class AlmostKnowing(KnowingLearner):
        def _model(self, image_id: str, image: np.ndarray):
            guess = super()._model(image_id, image)
            wrong = guess.label_map.copy()
            wrong[30:45, 20:35] = (wrong[30:45, 20:35] + 1) % 4
            return dataclasses.replace(guess, label_map=wrong)

    strokes = {}
    for user in (User.PERFECT, User.HASTY):
        clock = Hands()
        tool = LaneTool(AlmostKnowing(material, clock, 0.0), material, clock=clock, sync=True)
        tool.settle()
        result = run_robot(plan(user), tool, material)
        assert all(visit.accepted for visit in result.visits)
        strokes[user] = sum(visit.strokes + visit.clicks + visit.relabels for visit in result.visits)
    assert strokes[User.HASTY] == 0 < strokes[User.PERFECT]


def test_what_ended_the_work_is_told_even_if_closing_fails_too(material: Material) -> None:
    class Breaking(LaneTool):
        def advance(self, seconds: float) -> float:
            raise EngineError("The disk is full.")

        def close(self) -> Mapping[str, object]:
            raise EngineError("Not everything could be saved.")

    with pytest.raises(EngineError, match="The disk is full"):
        run_robot(plan(), Breaking(NothingLearner(), material), material)


def test_results_survive_json(material: Material) -> None:
    result, _, _ = worked(material, plan())
    plain = json.loads(json.dumps(result.as_json()))
    again = result_from(plain)
    assert again.curve == result.curve
    assert again.visits == result.visits
    assert again.journal == result.journal
    assert again.recalled == result.recalled
    assert len(again.recalled) == 1


def test_lengths_of_sessions() -> None:
    assert session_length("S") == (10, float("inf"))
    assert session_length("m") == (40, float("inf"))
    assert session_length("L") == (None, 600.0)
    assert session_length("L1800") == (None, 1800.0)
    assert session_length("90") == (None, 90.0)
    for wrong in ("X", "-3", "0", "nan", "inf"):
        with pytest.raises(Exception, match="no session length"):
            session_length(wrong)
