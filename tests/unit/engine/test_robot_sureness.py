"""How sure a tool may be of what it predicts, and how far it is from what whole masks would give."""

import dataclasses
import json

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED
from engine.cli.robot_files import Outcome
from engine.cli.robot_page import page
from engine.cli.robot_tables import arrivals, effort, summary
from engine.measure.actions import User
from engine.measure.baselines.lane import LaneTool
from engine.measure.costs import T_LOOK
from engine.measure.robot.person import run_robot
from engine.measure.robot.results import SureAs, result_from
from engine.measure.robot.tool import Guess, Material
from tests.support.robot import Hands, KnowingLearner, NothingLearner, make_material, plan
from tests.support.robot_results import outcome, point, run_of, visit


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("robot ä"))


class _UnsureLearner(KnowingLearner):
    """Is always right and never sure."""

    def _model(self, image_id: str, image: np.ndarray) -> Guess:
        guess = super()._model(image_id, image)
        return dataclasses.replace(guess, confidence=np.full_like(guess.confidence, 0.65))


def test_sureness_is_held_against_the_truth_of_held_out_images(material: Material) -> None:
    one_image = dataclasses.replace(plan(User.PERFECT, images=1, seconds=25.0), measured_at=(1.0, 20.0))
    tool = LaneTool(_UnsureLearner(material, Hands(), 0.0), material, clock=Hands(), sync=True)
    tool.settle()
    last = run_robot(one_image, tool, material).curve[-1]
    truths = [material.read_truth(name) for name in material.held_out]
    known = sum(int((truth != UNLABELLED).sum()) for truth in truths)
    assert [tenth.pixels for tenth in last.sure_as] == [0, 0, 0, 0, 0, 0, known, 0, 0, 0]
    assert last.sure_as[6].right == last.pixel_accuracy == 1.0
    assert last.calibration_error == pytest.approx(0.35)
    before = run_robot(one_image, LaneTool(NothingLearner(), material), material).curve[0]
    assert (before.calibration_error, before.sure_as) == (None, ())


def test_seconds_on_an_image_are_told_until_it_is_right_and_while_people_learn() -> None:
    slow = dataclasses.replace(visit(seconds=30.0, blocked=0.0), right_by=(10.0, None), accepted=True)
    fast = dataclasses.replace(visit(seconds=8.0, blocked=0.0), right_by=(4.0, 6.0), accepted=True)
    left = dataclasses.replace(visit(seconds=40.0, blocked=0.0), right_by=(None, None))
    run = dataclasses.replace(run_of(0, 0.5), visits=(slow, left, *[left] * 8, fast))
    told = dict(effort([run]))
    assert told["seconds on an image until 90 % are right"] == "7.0 (on 2 of 11)"
    assert told["seconds on an image until 95 % are right"] == "6.0 (on 1 of 11)"
    assert told["seconds of accepted images 1 to 10, median"] == "30.0 (of 1)"
    assert told["seconds of accepted images 11 to 20, median"] == "8.0 (of 1)"
    older = dict(effort([dataclasses.replace(run_of(0, 0.5), visits=(visit(seconds=1.0, blocked=0.0),))]))
    assert not [name for name in older if "until" in name], "results from before it was measured"


def test_an_image_is_right_from_the_first_moment_it_is_seen_right(material: Material) -> None:
    clock = Hands()
    tool = LaneTool(KnowingLearner(material, clock, 0.0), material, clock=clock, sync=True)
    tool.settle()
    (known,) = run_robot(plan(User.PERFECT, images=1), tool, material).visits
    assert known.right_by == (T_LOOK, T_LOOK)
    result = run_robot(plan(User.PERFECT, images=1), LaneTool(NothingLearner(), material), material)
    (unknown,) = result.visits
    assert unknown.right_by == (None, None)
    assert result_from(json.loads(json.dumps(result.as_json()))).visits == result.visits


def test_shares_of_what_whole_masks_give_are_marks_too() -> None:
    ours = Outcome(title="ours", options={"full_masks": 0.5}, runs=(run_of(0, 0.2, 0.4, 0.45),))
    late = outcome("late", run_of(0, 0.1, 0.25, 0.3))
    text = "\n".join(summary([ours, late]))
    assert "seconds to 50 % of full masks (0.25) 125 s" in text
    assert "seconds to 80 % of full masks (0.40) 200 s" in text
    assert "seconds to 90 % of full masks (0.45) 300 s" in text
    found = dict(arrivals(late, ours))
    assert found["seconds to 50 % of full masks (0.25)"].startswith("+75 s")
    assert "full masks" not in "".join(dict(arrivals(late, late)))
    assert "80 % of full masks" in page([ours, late])


def test_how_right_a_tool_is_where_it_is_sure_is_told_by_tenths() -> None:
    nothing = tuple(SureAs(pixels=0, right=None) for _ in range(8))
    first = (*nothing, SureAs(pixels=10, right=0.5), SureAs(pixels=30, right=0.9))
    other = (*nothing, SureAs(pixels=30, right=0.7), SureAs(pixels=30, right=1.0))
    runs = [
        dataclasses.replace(
            run_of(seed, 0.5),
            curve=(dataclasses.replace(point(100.0, 0.5), calibration_error=error, sure_as=tenths),),
        )
        for seed, (error, tenths) in enumerate(((0.1, first), (0.3, other)))
    ]
    told = dict(effort(runs))
    assert told["calibration error on held-out images, end"].strip().startswith("20.0 %")
    assert told["right where confidence is 0.8 to 0.9"] == "65.0 % of 40.0 % of the pixels"
    assert told["right where confidence is 0.9 to 1.0"] == "95.0 % of 60.0 % of the pixels"
    assert told["right where confidence is 0.0 to 0.1"] == "–"
    older = dict(effort([run_of(0, 0.5)]))
    assert older["right where confidence is 0.9 to 1.0"] == "–", "results from before it was measured"
