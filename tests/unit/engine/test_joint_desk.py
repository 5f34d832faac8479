"""Network and quick model together on screen, in the worker without its thread."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.config import Voice
from engine.messages import (
    AnnotationChanged,
    ClassesChanged,
    ImageScored,
    NameCheckpoint,
    Predict,
    PredictedAhead,
    PredictionReady,
    PredictionSource,
    ScoreImages,
    Shutdown,
)
from engine.predict.predictor import Predictor
from engine.quick.joint import pooled
from engine.worker import joint_desk, kept_answer
from engine.worker.comparing import CheckpointDesk
from engine.worker.contest import Contest
from models.idrnet_presets import tiny_idrnet
from models.memory_presets import tiny_mcibi
from tests.support.learning import SIZE, SKY, make_project, picture
from tests.support.worker_desk import Desk

HALF = 0.5


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Two images annotated, a network that counts as trained, and half of the say for each."""
    fix_share(monkeypatch, HALF)
    desk = opened(tmp_path)
    yield desk
    desk.give(Shutdown())


def fix_share(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Let the network have this share of what is shown, whatever was painted."""
    monkeypatch.setattr(Contest, "share", lambda *_asked: share)
    monkeypatch.setattr(Contest, "is_due", lambda *_asked, **_how: False)


def opened(folder: Path, **changes: object) -> Desk:
    desk = Desk(make_project(folder))
    desk.open(quick_head=True, **changes)
    desk.count_as_trained()
    for number in (1, 2):
        desk.give(AnnotationChanged(item=desk.project.items[number]))
    desk.work(5)
    desk.heard.clear()
    return desk


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float32]]:
    """What the network says every time it is asked."""
    said: list[NDArray[np.float32]] = []
    original = Predictor._probabilities

    def asked(predictor: Predictor, tile: NDArray[np.uint8]) -> object:
        found = original(predictor, tile)
        said.append(found.cpu().numpy())
        return found

    monkeypatch.setattr(Predictor, "_probabilities", asked)
    return said


def test_what_is_shown_is_the_pool_of_both(
    desk: Desk, forwards: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick: list[tuple[NDArray[np.float32], NDArray[np.int64], float, NDArray[np.float32]]] = []

    def watched(
        network: NDArray[np.float32],
        said: NDArray[np.float32],
        channels: NDArray[np.int64],
        share: float,
        expected: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        quick.append((said, channels, share, expected))
        return pooled(network, said, channels, share, expected)

    monkeypatch.setattr(joint_desk, "pooled", watched)
    desk.predict(7)
    shown = desk.predicted()
    assert shown.source is PredictionSource.JOINT
    assert shown.label_map.shape == SIZE
    ((said, channels, share, usual),) = quick
    assert share == HALF
    expected = pooled(forwards[0], said, channels, HALF, usual)
    network = desk.loop._work._network
    assert network is not None
    assert np.array_equal(shown.label_map, network.classes.index_of()[expected.argmax(axis=0)])
    assert shown.confidence == pytest.approx(expected.max(axis=0), abs=1e-5)
    assert not np.array_equal(shown.label_map, forwards[0].argmax(axis=0)), "the quick model has its say"


@pytest.mark.parametrize("share", [0.0, HALF])
def test_the_network_can_be_asked_by_itself_whatever_say_it_has(
    desk: Desk, forwards: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    fix_share(monkeypatch, share)
    item = desk.project.items[0]
    labels = np.full(SIZE, UNLABELLED, np.uint8)
    labels[-32:-8] = SKY
    desk.annotate(labels, 2)
    desk.give(Predict(image_id=item.image_id, image_path=item.image_path, request_id=7, voice=Voice.NETWORK))
    said = desk.predicted()
    assert said.source is PredictionSource.NETWORK
    network = desk.loop._work._network
    assert network is not None
    assert np.array_equal(said.label_map, network.classes.index_of()[forwards[-1].argmax(axis=0)])


def test_a_stroke_renews_the_whole_picture_without_the_network_and_undo_brings_it_back(
    desk: Desk, forwards: list[NDArray[np.float32]]
) -> None:
    desk.predict(7)
    before = desk.predicted()
    assert len(forwards) == 1
    labels = np.full(SIZE, UNLABELLED, np.uint8)
    labels[-32:-8] = SKY  # at the bottom, where nobody has seen any
    desk.annotate(labels, 2)
    after = desk.predicted()
    assert len(forwards) == 1, "its answer is kept"
    assert after.source is PredictionSource.JOINT
    assert after.box.size == SIZE
    told = labels != UNLABELLED
    assert np.array_equal(after.label_map[told], labels[told]), "what people said stands"
    assert (after.label_map[~told] != before.label_map[~told]).any()
    desk.annotate(np.full(SIZE, UNLABELLED, np.uint8), 3)
    again = desk.predicted()
    # The kept answer has half the digits: next to nothing may differ.
    assert (again.label_map != before.label_map).mean() < 0.002
    assert again.confidence == pytest.approx(before.confidence, abs=0.01)


def test_of_a_large_image_the_answer_is_kept_smaller(
    desk: Desk, forwards: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_answer, "_MOST_PIXELS", SIZE[0] * SIZE[1] // 4)
    desk.predict(7)
    before = desk.predicted()
    labels = np.full(SIZE, UNLABELLED, np.uint8)
    labels[-32:-8] = SKY
    desk.annotate(labels, 2)
    after = desk.predicted()
    assert len(forwards) == 1, "its answer is kept"
    assert after.source is PredictionSource.JOINT
    assert after.label_map.shape == after.confidence.shape == SIZE
    told = labels != UNLABELLED
    assert np.array_equal(after.label_map[told], labels[told])
    assert (after.label_map[~told] != before.label_map[~told]).any()
    desk.annotate(np.full(SIZE, UNLABELLED, np.uint8), 3)
    again = desk.predicted()
    # Only edges of things are drawn in pixels of twice the size.
    assert (again.label_map != before.label_map).mean() < 0.05


def test_a_stroke_while_the_first_answer_is_on_its_way_waits_for_all_of_it(
    desk: Desk, forwards: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "_first_tile", lambda *_asked: SIZE[0] // 2)
    desk.predict(7)
    _work_while(desk, lambda: not forwards)
    labels = np.full(SIZE, UNLABELLED, np.uint8)
    labels[-32:-8] = SKY
    desk.annotate(labels, 2)
    _work_while(desk, lambda: not any(event.complete for event in desk.heard.of(PredictionReady)))
    tiles = len(forwards)
    assert tiles > 1
    desk.work(5)
    desk.heard.clear()
    labels[:8] = SKY
    desk.annotate(labels, 3)
    assert desk.predicted().box.size == SIZE
    assert len(forwards) == tiles, "all tiles are kept"


def _work_while(desk: Desk, goes_on: Callable[[], bool]) -> None:
    for _ in range(60):
        if not goes_on():
            return
        desk.loop.turn(wait=False)
    raise AssertionError("it never ended")


def test_other_images_are_seen_by_both_too(desk: Desk) -> None:
    made = desk.predicted_ahead(3)
    assert made.source is PredictionSource.JOINT
    desk.heard.clear()
    desk.predict(9, number=3)
    opened = desk.predicted()
    assert (opened.label_map == made.label_map).mean() > 0.99


def test_a_look_ahead_does_not_cost_the_image_on_screen_what_is_kept_of_it(
    desk: Desk, forwards: list[NDArray[np.float32]]
) -> None:
    desk.predict(7)
    desk.predicted()
    item = desk.project.items[3]
    desk.give(
        ScoreImages(paths={item.image_id: item.image_path}, describe=(), score=(), ahead=(item.image_id,))
    )
    desk.work_until(PredictedAhead, turns=60)
    desk.heard.clear()
    asked = len(forwards)
    labels = np.full(SIZE, UNLABELLED, np.uint8)
    labels[-32:-8] = SKY
    desk.annotate(labels, 2)
    assert desk.predicted().box.size == SIZE
    assert len(forwards) == asked


def test_the_network_alone_is_not_asked_again_for_a_stroke(
    desk: Desk, forwards: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept for both is of no use any more, but the answer around a stroke is."""
    desk.predict(7)
    desk.predicted()
    fix_share(monkeypatch, 1.0)
    desk.loop._work._begin_prediction()
    assert desk.predicted().source is PredictionSource.NETWORK
    asked = len(forwards)
    labels = np.full(SIZE, UNLABELLED, np.uint8)
    labels[:8] = picture(0)[1][:8]
    desk.annotate(labels, 2)
    desk.work(5)
    assert len(forwards) == asked


def test_with_a_class_memory_the_picture_follows_the_quick_model_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken back of older labels changes the quick model, though not what the memory reads."""
    fix_share(monkeypatch, HALF)
    desk = opened(tmp_path, network=tiny_mcibi())
    desk.give(AnnotationChanged(item=desk.project.items[0]))
    desk.work(2)
    desk.predict(7)
    before = desk.predicted()
    assert before.source is PredictionSource.JOINT
    desk.annotate(np.full(SIZE, UNLABELLED, np.uint8), 1)
    after = desk.predicted()
    assert after.source is PredictionSource.JOINT
    assert not np.array_equal(after.confidence, before.confidence)
    desk.give(Shutdown())


def test_a_first_guess_is_overruled_by_the_network_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fix_share(monkeypatch, HALF)
    desk = opened(tmp_path, network=tiny_idrnet())
    item = desk.project.items[3]
    wanted = ScoreImages(
        paths={item.image_id: item.image_path}, describe=(), score=(item.image_id,), ahead=()
    )
    desk.give(wanted)
    both = desk.work_until(ImageScored)
    fix_share(monkeypatch, 1.0)
    desk.heard.clear()
    desk.give(wanted)
    alone = desk.work_until(ImageScored)
    assert [score.source for score in (both, alone)] == [PredictionSource.JOINT, PredictionSource.NETWORK]
    assert both.shares != alone.shares
    assert both.disputed is not None
    assert both.disputed == alone.disputed
    desk.give(Shutdown())


def test_an_export_is_filled_by_both(desk: Desk, forwards: list[NDArray[np.float32]], tmp_path: Path) -> None:
    screen = desk.loop._work._screen
    network = desk.loop._work._network
    assert network is not None
    image = np.asarray(picture(3)[0], np.uint8)
    (part,) = screen.predictor(network).predict(image)
    alone = network.classes.index_of()[forwards[-1].argmax(axis=0)]
    assert part.label_map.shape == SIZE
    assert not np.array_equal(part.label_map, alone)


def test_another_network_starts_with_nothing_kept(desk: Desk, forwards: list[Callable[[], object]]) -> None:
    desk.predict(7)
    desk.predicted()
    desk.count_as_trained()
    desk.heard.clear()
    asked = len(forwards)
    desk.predict(8)
    desk.predicted()
    assert len(forwards) == asked + 1


def test_other_weights_of_the_same_step_are_asked_anew(
    desk: Desk, forwards: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.predict(7)
    desk.predicted()
    monkeypatch.setattr(CheckpointDesk, "serve", lambda *_asked: True)
    asked = len(forwards)
    desk.give(NameCheckpoint(path="another.pt", name="of the same step"))
    desk.predicted()
    assert len(forwards) == asked + 1


def test_a_class_that_went_and_came_back_has_learnt_nothing(
    desk: Desk, forwards: list[NDArray[np.float32]]
) -> None:
    desk.predict(7)
    desk.predicted()
    network = desk.loop._work._network
    assert network is not None
    classes = network.classes
    desk.loop._work._screen.wanted = None  # nothing is predicted in between
    desk.give(ClassesChanged(classes=classes.remove(classes.indices[-1])), ClassesChanged(classes=classes))
    asked = len(forwards)
    desk.predict(8)
    desk.predicted()
    assert len(forwards) == asked + 1
