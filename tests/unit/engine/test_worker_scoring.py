"""Small looks at images by the worker, without its thread."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.messages import (
    AllScored,
    AnnotationChanged,
    CommandFailed,
    ImageScored,
    PredictedAhead,
    ScoreImages,
)
from models.catalog import MODELS
from tests.support.learning import make_project
from tests.support.worker_desk import QUIET, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(make_project(tmp_path))
    found.open(quick_head=True)
    return found


def wish(desk: Desk, **changes: Any) -> ScoreImages:
    paths = {item.image_id: item.image_path for item in desk.project.items}
    names = tuple(paths)
    command = ScoreImages(paths=paths, describe=names, score=names, ahead=names[1:2])
    return replace(command, **changes)


def test_nobody_asks_nothing_is_done(desk: Desk) -> None:
    desk.work(3)
    assert not desk.heard.of(ImageScored)
    assert not desk.loop._work.is_busy


def test_an_annotation_is_learnt_from_in_a_piece_of_its_own(desk: Desk) -> None:
    """A question about a pixel waits for one piece: an image is learnt from or looked at, never both."""
    quick = desk.loop._work._screen.quick
    for item in desk.project.items[:2]:
        quick.note(item)
    desk.give(wish(desk))
    for left in (1, 0):
        before = len(desk.heard.of(ImageScored))
        desk.work(1)
        assert len(quick._waiting) == left
        assert len(desk.heard.of(ImageScored)) == before
    desk.work_until(AllScored)


def test_images_are_described_before_anybody_has_learnt_and_scored_afterwards(desk: Desk) -> None:
    desk.give(wish(desk))
    desk.work_until(AllScored)
    described = desk.heard.of(ImageScored)
    assert {event.image_id for event in described} == {item.image_id for item in desk.project.items}
    assert all(event.descriptor is not None and event.uncertainty is None for event in described)
    assert not desk.loop._work.is_busy, "the thread sleeps again"

    desk.heard.clear()
    desk.predict(number=0)
    desk.give(AnnotationChanged(item=desk.project.items[0]))
    desk.work_until(AllScored)
    scores = {event.image_id: event for event in desk.heard.of(ImageScored)}
    assert set(scores) == {item.image_id for item in desk.project.items}
    for event in scores.values():
        assert event.uncertainty is not None
        assert 0.0 <= event.uncertainty <= 1.0
        assert sum(event.shares.values()) == pytest.approx(1.0, abs=0.01)
        assert event.descriptor is None, "said once"
    ahead = desk.heard.of(PredictedAhead)
    assert ahead[-1].complete
    assert {event.prediction.image_id for event in ahead} == {desk.project.items[1].image_id}


def test_training_goes_on_and_looks_take_a_small_share(desk: Desk) -> None:
    desk.start()
    desk.give(wish(desk, ahead=()))
    network = desk.loop._work._network
    assert network is not None
    before = network.step
    desk.work(12)
    assert network.step >= before + 10
    assert desk.heard.of(ImageScored)


def test_an_image_that_cannot_be_read_is_passed_over_in_silence(desk: Desk) -> None:
    Path(desk.project.items[2].image_path).write_bytes(b"nothing")
    desk.give(wish(desk))
    desk.work_until(AllScored)
    assert len(desk.heard.of(ImageScored)) == len(desk.project.items) - 1
    assert not desk.heard.of(CommandFailed)


@pytest.mark.parametrize(("name", "has_stages"), [("idrnet", True), ("fcn", False)])
def test_first_guesses_of_every_image_are_compared_where_there_are_any(
    tmp_path: Path, name: str, has_stages: bool
) -> None:
    desk = Desk(make_project(tmp_path))
    desk.open(network=next(spec for spec in MODELS if spec.name == name).tiny())
    desk.start(replace(QUIET, max_steps=2))
    for _ in range(200):
        if not desk.loop._work.is_busy:
            break
        desk.work()
    first, *others = (item.image_id for item in desk.project.items)
    desk.heard.clear()
    desk.give(wish(desk, describe=(), score=(first,), ahead=(), survey=tuple(others)))
    desk.work_until(AllScored)
    rest(desk)  # what is only surveyed keeps nobody waiting
    found = {event.image_id: event.disputed for event in desk.heard.of(ImageScored)}
    assert set(found) == ({first, *others} if has_stages else {first})
    assert all(share is not None and 0 <= share <= 1 for share in found.values()) is has_stages


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_newer_model_looks_again_as_far_as_time_goes(
    tmp_path: Path, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.worker.scoring._RENEWED_S", seconds)
    desk = Desk(make_project(tmp_path))
    desk.open(network=next(spec for spec in MODELS if spec.name == "idrnet").tiny())
    desk.start(replace(QUIET, max_steps=2))
    rest(desk)
    first, *others = (item.image_id for item in desk.project.items)
    desk.give(wish(desk, describe=(), score=(first,), ahead=(), survey=tuple(others)))
    rest(desk)
    desk.heard.clear()
    desk.start(replace(QUIET, max_steps=2))
    rest(desk)
    again = {event.image_id for event in desk.heard.of(ImageScored)}
    assert again == ({first, *others} if seconds else {first})


def rest(desk: Desk) -> None:
    """Work until nothing is left to do."""
    for _ in range(400):
        if not desk.loop._work.is_busy:
            return
        desk.work()
    raise AssertionError("the worker never rests")
