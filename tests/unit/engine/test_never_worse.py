"""Trained weights are shown only if nothing is lost by them; the worker without its thread."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.annotate.classes import Provenance
from engine.config import Voice
from engine.learn.batches import Batch
from engine.learn.checkpoint_files import list_checkpoints
from engine.messages import (
    AnnotationChanged,
    CandidateJudged,
    CheckpointSaved,
    CheckpointsChanged,
    CompareCheckpoints,
    ComparisonReady,
    DeleteCheckpoints,
    LoadCheckpoint,
    NameCheckpoint,
    Objection,
    Prediction,
    PredictionReady,
    PromoteCandidate,
    SaveCheckpoint,
    Shutdown,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from tests.support.learning import make_project, picture
from tests.support.worker_desk import QUIET, Desk

OFTEN = replace(QUIET, refresh_s=1.0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path))
    desk.open()
    yield desk
    desk.give(Shutdown())


def shown(desk: Desk, number: int = 0, voice: Voice = Voice.SHOWN) -> Prediction:
    """Return what is predicted now, whole."""
    request = 900 + len(desk.heard.events)
    desk.predict(request, number=number, voice=voice)
    for _ in range(50):
        answers = [event for event in desk.heard.of(PredictionReady) if event.request_id == request]
        if answers and answers[-1].complete:
            return answers[-1].prediction
        desk.work(1, seconds=0.0)
    raise AssertionError("no prediction")


def good(desk: Desk, steps: int = 50) -> Prediction:
    """Train well, stop, and return the prediction."""
    desk.start(replace(QUIET, max_steps=steps))
    desk.work_until(TrainingStopped)
    desk.heard.clear()
    return shown(desk)


def same(first: Prediction, second: Prediction) -> bool:
    return bool((first.label_map == second.label_map).all() and (first.confidence == second.confidence).all())


def shuffle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every batch teach nonsense: each image's classes are exchanged."""
    from engine.learn import batches as module

    make = module.make_batch

    def shuffled(*arguments: Any) -> Batch:
        batch = make(*arguments)
        target = torch.where(batch.target == 255, 255, (batch.target + 1) % 3)
        return replace(batch, target=target)

    monkeypatch.setattr(module, "make_batch", shuffled)


def test_shuffled_labels_are_never_shown_and_the_run_is_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = good(desk)
    shuffle(monkeypatch)
    desk.heard.clear()
    desk.start(OFTEN)
    stopped = desk.work_until(TrainingStopped, turns=900)
    judged = desk.heard.of(CandidateJudged)
    # The average of a few steps may still be what it was before them.
    for event in judged:
        if event.promoted:
            assert event.flipped == 0.0
            assert (event.miou or 0.0) >= (event.shown_miou or 1.0) - 0.005
    assert any(not event.promoted and (event.miou or 0.0) < 0.1 for event in judged), "nonsense was learnt"
    assert "back in place" in stopped.reason
    truth = picture(0)[1]
    assert (shown(desk).label_map == truth).mean() > (before.label_map == truth).mean() - 0.01 > 0.8


def test_a_learning_rate_a_thousand_times_too_large_is_never_shown(desk: Desk) -> None:
    before = good(desk)
    desk.heard.clear()
    desk.start(replace(OFTEN, optimizer=replace(OFTEN.optimizer, learning_rate=10.0)))
    stopped = desk.work_until(TrainingStopped, turns=900)
    assert not any(event.promoted for event in desk.heard.of(CandidateJudged))
    assert "left the rails" in stopped.reason or "back in place" in stopped.reason
    assert same(shown(desk), before)


@pytest.mark.parametrize("rate", [10.0, 100.0, 1e4])
def test_a_fresh_network_that_is_trained_badly_is_never_shown(desk: Desk, rate: float) -> None:
    desk.start(replace(OFTEN, optimizer=replace(OFTEN.optimizer, learning_rate=rate)))
    for turn in range(300):
        if desk.heard.of(TrainingStopped):
            break
        if turn % 5 == 0:
            desk.predict(turn)
        desk.work(1)
    assert "left the rails" in desk.heard.of(TrainingStopped)[-1].reason
    assert not any(event.promoted for event in desk.heard.of(CandidateJudged))
    assert desk.heard.of(PredictionReady) == []


def test_what_was_shown_unjudged_is_taken_back_when_the_run_fails(desk: Desk) -> None:
    desk.start(replace(OFTEN, optimizer=replace(OFTEN.optimizer, learning_rate=100.0)))
    desk.work(1)
    desk.predict(1)  # better than nothing, as far as anybody knows after one step
    assert desk.work_until(PredictionReady).prediction.step == 1
    stopped = desk.work_until(TrainingStopped)
    assert "left the rails" in stopped.reason
    network = desk.loop._work._network
    assert network is not None
    assert not network.has_learnt
    assert desk.checkpoints() == [], "what is worth nothing is not saved either"


def test_a_person_at_work_does_not_put_off_candidates(desk: Desk) -> None:
    """Every stroke brings a new picture; its time is none of what judging takes."""
    desk.start(replace(QUIET, refresh_s=3.0))
    for number in range(60):
        desk.predict(number)
        desk.work(5)  # a second
    assert len(desk.heard.of(CandidateJudged)) >= 8


def test_weights_that_flip_too_much_are_kept_and_can_be_promoted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = good(desk)
    shuffle(monkeypatch)
    desk.heard.clear()
    desk.start(replace(QUIET, max_steps=25))
    desk.work_until(TrainingStopped)
    said = [event for event in desk.heard.of(CandidateJudged) if event.checkpoint][-1]
    assert not said.promoted
    assert said.objection in (Objection.FLIPS, Objection.HELD_OUT)
    assert same(shown(desk), before)
    path = Path(said.checkpoint)
    (info,) = (info for info in list_checkpoints(path.parent) if info.path == path)
    assert (info.better, info.step) == (False, 75)
    desk.heard.clear()
    desk.give(PromoteCandidate(path=str(path)))
    (moved,) = desk.heard.of(CheckpointsChanged)
    assert desk.heard.of(CandidateJudged)[-1].promoted
    assert not path.exists()
    assert "not-better" not in moved.moved[str(path)]
    assert shown(desk).step == 75
    assert not same(shown(desk), before)


def test_a_person_may_promote_while_training_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = good(desk)
    kept = desk.checkpoints()[-1]
    shuffle(monkeypatch)
    desk.start(QUIET)
    desk.work(25)
    desk.give(PromoteCandidate())
    assert shown(desk).step == 75
    assert not same(shown(desk), before)
    assert desk.loop.state is WorkerState.TRAINING
    desk.give(PromoteCandidate(path=str(kept)))
    assert same(shown(desk), before)
    assert desk.loop.state is WorkerState.TRAINING
    desk.give(SaveCheckpoint(name="wrong"))
    assert [info.better for info in list_checkpoints(kept.parent) if info.name == "wrong"] == [False]
    assert same(shown(desk), before)


def test_rolling_back_gives_the_same_bits(desk: Desk) -> None:
    before = good(desk)
    desk.give(SaveCheckpoint(name="good"))
    path = desk.heard.of(CheckpointSaved)[-1].path
    desk.start(replace(QUIET, max_steps=60))
    desk.work_until(TrainingStopped)
    desk.give(PromoteCandidate(path=str(desk.checkpoints()[-1])))
    assert not same(shown(desk), before)
    desk.give(LoadCheckpoint(path=path))
    assert same(shown(desk), before)


def test_what_is_shown_stays_from_run_to_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = good(desk)
    with monkeypatch.context() as patch:
        shuffle(patch)
        desk.start(replace(QUIET, max_steps=25))
        desk.work(60)
    assert desk.loop.state is WorkerState.IDLE
    desk.start(QUIET)
    desk.give(StopTraining())
    assert same(shown(desk), before)


def test_the_guard_can_be_switched_off(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = good(desk)
    shuffle(monkeypatch)
    free = replace(QUIET.promotion, enabled=False)
    desk.start(replace(QUIET, promotion=free, max_steps=25))
    desk.work(60)
    assert not same(shown(desk), before)


def test_checkpoints_are_named_deleted_and_compared(desk: Desk) -> None:
    good(desk, 20)
    first = desk.checkpoints()[-1]
    desk.give(NameCheckpoint(path=str(first), name="start"))
    (moved,) = desk.heard.of(CheckpointsChanged)
    named = Path(moved.moved[str(first)])
    assert named.name.startswith("start_step-00000020")
    desk.start(replace(QUIET, max_steps=40))
    desk.work_until(TrainingStopped)
    item = desk.project.items[0]
    desk.heard.clear()
    desk.give(
        CompareCheckpoints(
            request_id=3, before=str(named), after="", images={item.image_id: item.image_path}, edge=40
        )
    )
    picture = desk.work_until(ComparisonReady)
    assert (picture.request_id, picture.image.shape, picture.before.shape) == (3, (32, 40, 3), (32, 40))
    assert 0.0 <= picture.changed <= 1.0
    # The pictures are small, `changed` counts every pixel: what differs there differs in the whole image.
    assert picture.changed > 0.0 or not (picture.before != picture.after).any()
    desk.heard.clear()
    desk.give(DeleteCheckpoints(paths=tuple(map(str, desk.checkpoints()))))
    gone = desk.heard.of(CheckpointsChanged)[-1].moved
    # The one in use stays.
    assert len(desk.checkpoints()) == 1
    assert set(gone.values()) == {""}


def test_no_step_is_made_while_a_candidate_is_judged(desk: Desk) -> None:
    good(desk, 20)
    desk.start(OFTEN)
    steps = set()
    for _ in range(60):
        desk.work(1)
        run = desk.loop._work._training.run
        assert run is not None
        if run.candidates.is_running:
            steps.add(run.network.step)
    judged = {event.step for event in desk.heard.of(CandidateJudged)}
    assert judged
    assert judged <= steps


def test_accepted_pixels_are_not_forgotten(desk: Desk) -> None:
    """On them the network by itself is as good after ten rounds of corrections elsewhere as after three."""
    accepted = np.full((64, 80), 255, np.uint8)
    accepted[8:24] = picture(0)[1][8:24]
    agreement = []
    for count in range(1, 11):
        labels = np.full((64, 80), 255, np.uint8)
        number = count % 2 + 1
        if count == 1:
            desk.project.annotate("0.png", accepted, 1, Provenance.ACCEPTED)
        labels[:: 2 + count % 5] = picture(number)[1][:: 2 + count % 5]
        desk.project.annotate(f"{number}.png", labels, count + 1)
        if count == 1:
            desk.start(OFTEN)
        desk.give(AnnotationChanged(item=replace(desk.project.items[number], revision=count + 1)))
        desk.work(20)
        found = shown(desk, 0, Voice.NETWORK).label_map
        agreement.append(float((found == accepted)[accepted != 255].mean()))
    assert agreement[2] > 0.5, "by then it knows something that can be forgotten"
    assert agreement[9] >= agreement[2]


def test_old_images_are_not_forgotten(desk: Desk) -> None:
    """Agreement with painted pixels after ten rounds of new corrections is no lower than after three."""
    agreement = []
    for count in range(1, 11):
        labels = np.full((64, 80), 255, np.uint8)
        number = count % 3
        labels[:: 2 + count % 5] = picture(number)[1][:: 2 + count % 5]
        desk.project.annotate(f"{number}.png", labels, count + 1)
        if count == 1:
            desk.start(OFTEN)
        desk.give(AnnotationChanged(item=replace(desk.project.items[number], revision=count + 1)))
        desk.work(20)
        right = [(shown(desk, n).label_map == picture(n)[1])[::8].mean() for n in range(3)]
        agreement.append(float(np.mean(right)))
    assert agreement[9] >= agreement[2] - 0.005
