"""What the robot's person accepts: single regions where asked, and whether later models still say so."""

import argparse
import dataclasses
import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED, Provenance
from engine.cli.robot import add_arguments
from engine.cli.robot_files import Outcome, read_results, write_results
from engine.cli.robot_page import page
from engine.cli.robot_runs import robot_plan
from engine.cli.robot_tables import effort
from engine.config import Voice
from engine.errors import EngineError
from engine.measure.actions import AcceptImage, Action, User
from engine.measure.annotator import Sight
from engine.measure.baselines.lane import LaneTool
from engine.measure.baselines.learner import Learner
from engine.measure.robot.person import run_robot
from engine.measure.robot.results import Recalled, RunResult
from engine.measure.robot.tool import Guess, LabelMap, Material
from tests.support.robot import Hands, KnowingLearner, annotations, make_material, plan


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("accepted ä"))


# --- regions ----------------------------------------------------------------------------------------------


class _Striped(KnowingLearner):
    """Right in the discs and wrong in every third row of the ground, which is too thin to be corrected."""

    def _model(self, image_id: str, image: np.ndarray) -> Guess:
        guess = super()._model(image_id, image)
        found = guess.label_map.copy()
        found[::3][found[::3] == 0] = 1
        return dataclasses.replace(guess, label_map=found)


def striped(material: Material) -> LaneTool:
    clock = Hands()
    tool = LaneTool(_Striped(material, clock, 0.0), material, clock=clock, sync=True)
    tool.settle()
    return tool


def test_right_regions_are_accepted_one_by_one_only_by_who_does_that(material: Material) -> None:
    blind_to_stripes = {"smallest_radius": 1e9, "accept_share": 0.02}
    tool, journal = striped(material), list[str]()
    session = plan(User.PERFECT, accepts_regions=True, **blind_to_stripes)
    result = run_robot(session, tool, material, write=journal.append)
    acts = [json.loads(line)["do"] for line in journal]
    assert all(visit.regions > 0 for visit in result.visits)
    assert sum(visit.regions for visit in result.visits) == acts.count("acceptregion")
    assert all(visit.keys == visit.regions + 1 for visit in result.visits), "leaving takes the last one"
    for name, annotation in annotations(tool).items():
        said = annotation != UNLABELLED
        assert said.any()
        assert (annotation[said] == material.read_truth(name)[said]).all()
    (line,) = (text for name, text in effort([result]) if name == "regions accepted per image")
    assert line == f"{acts.count('acceptregion') / 4:.2f}"
    usual = run_robot(plan(User.PERFECT, **blind_to_stripes), striped(material), material)
    assert [visit.regions for visit in usual.visits] == [0] * 4


def test_a_region_that_has_changed_meanwhile_is_not_accepted(material: Material) -> None:
    class Renewed(LaneTool):
        """Its picture is another one when the hand arrives where the person looked."""

        looked = False

        def advance(self, seconds: float) -> float:
            if self.looked and self._guess is not None:
                found = (self._guess.label_map + np.uint8(1)) % np.uint8(4)
                self._guess = dataclasses.replace(self._guess, label_map=found)
            self.looked = True
            return super().advance(seconds)

    clock = Hands()
    tool = Renewed(_Striped(material, clock, 0.0), material, clock=clock, sync=True)
    tool.settle()
    journal: list[str] = []
    rules = {"smallest_radius": 1e9, "accept_share": 0.02, "accepts_regions": True}
    result = run_robot(plan(User.PERFECT, images=1, **rules), tool, material, write=journal.append)
    given_up = [line for line in map(json.loads, journal) if line["do"] == "giveup"]
    assert given_up
    assert {line["of"] for line in given_up} == {"acceptregion"}
    assert result.visits[0].regions == 0


def test_regions_are_accepted_by_switch() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for words, expected in (([], False), (["--accept-regions"], True)):
        assert robot_plan(parser.parse_args(words), 0).rules.accepts_regions is expected


# --- what is still known of it ----------------------------------------------------------------------------


class _Accounting(LaneTool):
    """Knows who said what; from the sixth image on its model alone has forgotten what was accepted."""

    opened = 0

    def __init__(self, learner: Learner, material: Material, *, clock: Hands) -> None:
        super().__init__(learner, material, clock=clock)
        self._known: dict[str, LabelMap] = {}

    def open(self, image_id: str) -> float:
        self.opened += 1
        waited = super().open(image_id)
        self._known.setdefault(image_id, np.zeros(self._annotations[image_id].shape, np.uint8))
        return waited

    def perform(self, action: Action) -> float:
        before = self._annotations[self._current]
        waited = super().perform(action)
        changed = self._annotations[self._current] != before
        kind = Provenance.ACCEPTED if isinstance(action, AcceptImage) else Provenance.STROKE
        self._known[self._current][changed] = kind
        return waited

    def sight(self) -> Sight:
        return dataclasses.replace(super().sight(), provenance=self._known[self._current])

    def predict(
        self, image_ids: Sequence[str], *, voice: Voice = Voice.SHOWN
    ) -> Iterator[tuple[str, Guess | None]]:
        for name, found in super().predict(image_ids, voice=voice):
            if found is None or voice is Voice.SHOWN or self.opened < 6 or name not in self._known:
                yield name, found
                continue
            forgotten = self._known[name] == Provenance.ACCEPTED
            other = (found.label_map + np.uint8(1)) % np.uint8(4)
            yield name, dataclasses.replace(found, label_map=np.where(forgotten, other, found.label_map))


def ten_images(material: Material, kind: type[LaneTool]) -> RunResult:
    clock = Hands()
    tool = kind(KnowingLearner(material, clock, 4.0), material, clock=clock)
    return run_robot(plan(User.PERFECT, images=11), tool, material)


def test_accepted_pixels_are_asked_again_by_themselves(material: Material) -> None:
    result = ten_images(material, _Accounting)
    first, second = result.recalled
    assert first == Recalled(
        images=3,
        alone=1.0,
        shown=1.0,
        accepted_alone=1.0,
        accepted_shown=1.0,
        network=1.0,
        accepted_network=1.0,
    )
    assert (second.accepted_alone, second.accepted_shown) == (0.0, 1.0)
    assert second.alone is not None
    assert 0.0 < second.alone < 1.0, "what was painted is still known"
    words = "of the first three images' accepted pixels after"
    told = {name: text for name, text in effort([result]) if name.startswith(words)}
    assert list(told.values()) == ["100.0 % / 100.0 % / 100.0 %", "  0.0 % /   0.0 % / 100.0 %"]
    html = page([Outcome(title="ours", options={}, runs=(result,))])
    assert all(f"<td>{escape(name)}</td><td>{text}</td>" in html for name, text in told.items())


def test_a_tool_that_does_not_know_who_said_what_has_no_share_of_accepted_pixels(material: Material) -> None:
    result = ten_images(material, LaneTool)
    assert [(one.alone, one.accepted_alone, one.accepted_shown) for one in result.recalled] == [
        (1.0, None, None),
        (1.0, None, None),
    ]
    told = [text for name, text in effort([result]) if "images' accepted pixels" in name]
    assert told == ["– / – / –", "– / – / –"]


def test_results_from_before_some_figures_were_measured_are_read(material: Material, tmp_path: Path) -> None:
    result = ten_images(material, _Accounting)
    path = tmp_path / "ours.json"
    write_results(path, Outcome(title="ours", options={}, runs=(result,)))
    assert read_results(path).runs == (result,)
    plain = json.loads(path.read_text("utf-8"))
    (run,) = plain["runs"]
    del run["peak_memory_mib"]
    for visit in run["visits"]:
        del visit["regions"], visit["keys"]
    for one in run["recalled"]:
        for name in ("accepted_alone", "accepted_shown", "network", "accepted_network"):
            del one[name]
    path.write_text(json.dumps(plain), "utf-8")
    (older,) = read_results(path).runs
    assert older.curve == result.curve
    assert older.peak_memory_mib is None
    assert [one.accepted_alone for one in older.recalled] == [None, None]
    assert {(visit.regions, visit.keys) for visit in older.visits} == {(0, None)}
    told = dict(effort([older]))
    assert told["keys per image"] == told["peak memory of the process"] == "–"
    assert "ours" in page([Outcome(title="ours", options={}, runs=(older,))])
    del run["worse"]
    path.write_text(json.dumps(plain), "utf-8")
    with pytest.raises(EngineError, match="no result of the robot"):
        read_results(path)
