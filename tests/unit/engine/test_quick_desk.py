"""The quick model in the worker, without its thread."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED
from engine.messages import AnnotationChanged, PredictionReady, PredictionSource, Shutdown
from engine.quick.model import QuickModel
from models.configs import CrossEntropyConfig, LossConfig, RmiConfig
from tests.support.learning import BOX, GROUND, SKY, make_project, picture
from tests.support.worker_desk import QUIET, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path))
    yield desk
    desk.give(Shutdown())


def change(desk: Desk, number: int = 0) -> None:
    desk.give(AnnotationChanged(item=desk.project.items[number]))


def test_a_stroke_is_answered_before_anything_was_trained(desk: Desk) -> None:
    desk.open(quick_head=True)
    desk.predict(7)
    desk.work(2)
    assert desk.heard.of(PredictionReady) == []
    change(desk)
    ready = desk.work_until(PredictionReady, turns=3)
    assert ready.request_id == 7
    assert ready.complete
    assert ready.prediction.source is PredictionSource.QUICK
    assert ready.prediction.step == 0
    truth = picture(0)[1]
    assert ready.prediction.label_map.shape == truth.shape
    assert (ready.prediction.label_map == truth).mean() > 0.85


def test_what_was_annotated_elsewhere_is_learnt_from_in_quiet_moments(desk: Desk) -> None:
    desk.open(quick_head=True)
    desk.predict(7)
    for number in (1, 2):
        change(desk, number)
    assert desk.heard.of(PredictionReady) == []
    desk.work_until(PredictionReady)
    assert len(desk.heard.of(PredictionReady)) == 1


def test_one_class_alone_says_nothing(desk: Desk) -> None:
    desk.open(quick_head=True)
    desk.predict(7)
    item = desk.project.items[0]
    labels = np.full(item.size, UNLABELLED, np.uint8)
    labels[2:6] = SKY
    desk.project.annotate(item.image_id, labels, item.revision + 1)
    change(desk)
    desk.work(3)
    assert desk.heard.of(PredictionReady) == []
    labels[50:60] = GROUND
    desk.project.annotate(item.image_id, labels, item.revision + 2)
    change(desk)
    found = desk.work_until(PredictionReady).prediction.label_map
    assert set(np.unique(found)) == {SKY, GROUND}
    assert BOX not in found


def test_whether_it_has_learnt_is_known_without_fitting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open(quick_head=True)
    quick = desk.loop._work._screen.quick
    item = desk.project.items[0]
    labels = np.full(item.size, UNLABELLED, np.uint8)
    fitted: list[object] = []
    fit = QuickModel.readout
    monkeypatch.setattr(QuickModel, "readout", lambda *of, **how: fitted.append(of) or fit(*of, **how))
    for rows, index, enough in (((2, 6), SKY, False), ((50, 60), GROUND, True)):
        labels[slice(*rows)] = index
        desk.project.annotate(item.image_id, labels, item.revision + 1)
        quick.learn(item)
        assert quick.has_learnt is enough
        assert not fitted
        assert (quick.readout() is not None) is enough
        assert quick.has_learnt is enough
        fitted.clear()


@pytest.mark.parametrize("mirrors", [True, False])
def test_mirrored_images_teach_it_unless_mirrored_windows_are_switched_off(desk: Desk, mirrors: bool) -> None:
    desk.open(quick_head=True, quick_mirrors=mirrors)
    quick = desk.loop._work._screen.quick
    quick.learn(desk.project.items[0])
    found = quick.readout()
    assert found is not None
    wanted = quick._model.readout((SKY, GROUND, BOX), mirrors=mirrors)
    other = quick._model.readout((SKY, GROUND, BOX), mirrors=not mirrors)
    assert wanted is not None
    assert other is not None
    assert np.array_equal(found.matrix, wanted.matrix)
    assert not np.array_equal(found.matrix, other.matrix)


def test_mirrored_images_are_switched_off_and_on_by_the_start_of_training(desk: Desk) -> None:
    desk.open(quick_head=True)
    quick = desk.loop._work._screen.quick
    change(desk)
    desk.work()
    found = []
    for flip in (True, False, True):
        desk.start(replace(QUIET, augment=replace(QUIET.augment, flip=flip)))
        readout = quick.readout()
        assert readout is not None
        found.append(readout.matrix)
    with_mirrors, without, again = found
    assert not np.array_equal(with_mirrors, without)
    assert np.array_equal(with_mirrors, again)


@pytest.mark.parametrize(
    ("loss", "expects"),
    [
        (CrossEntropyConfig(), lambda usual: usual),
        (CrossEntropyConfig(class_balance=1.0), lambda usual: 0 * usual),
        (CrossEntropyConfig(class_balance=0.5), lambda usual: usual / 2),
        (CrossEntropyConfig(class_weights=(1.0, 1.0, 4.0)), lambda usual: usual + np.log([1, 1, 4])),
        (CrossEntropyConfig(class_weights=(0.0,)), lambda usual: usual + np.log([1e-3, 1, 1])),
        (RmiConfig(), lambda usual: usual),
    ],
)
def test_by_its_loss_a_network_expects_rare_classes_more_often(
    desk: Desk, loss: LossConfig, expects: Callable[[np.ndarray], np.ndarray]
) -> None:
    desk.open(quick_head=True, loss=loss)
    quick = desk.loop._work._screen.quick
    quick.learn(desk.project.items[0])
    found, usual = quick.readout(), quick._model.readout((SKY, GROUND, BOX))
    assert found is not None
    assert usual is not None
    assert found.classes.tolist() == sorted((SKY, GROUND, BOX))
    assert found.expected == pytest.approx(expects(usual.expected), abs=1e-5)


def test_it_can_be_switched_off(desk: Desk) -> None:
    desk.open(quick_head=False)
    desk.predict(7)
    change(desk)
    desk.work(3)
    assert desk.heard.of(PredictionReady) == []


def test_of_very_many_annotations_the_newest_are_learnt_from(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.worker.quick_desk.MOST_IMAGES", 2)
    desk.open(quick_head=True)
    quick = desk.loop._work._screen.quick
    for number in (0, 1, 2):
        quick.note(desk.project.items[number])
    while quick.has_news:
        quick.learn_next()
    assert quick._model.images == ("1.png", "2.png")
    quick.learn(desk.project.items[0])
    assert quick._model.images == ("2.png", "0.png")
