"""A stroke on screen at once while a network without a class memory is shown, without a thread."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.messages import (
    AnnotationChanged,
    PredictionSource,
    Shutdown,
)
from engine.predict.predictor import Predictor
from engine.project.manifest import Split
from engine.quick.features import grid_size
from engine.quick.nearby import box_around, corrected, painted_in
from engine.quick.samples import Cells, labelled_cells
from engine.session.predictions import PredictionCache
from tests.support.learning import SIZE, make_project, picture
from tests.support.worker_desk import Desk

FAR = UNLABELLED


# --- the rule


def answer(labels: list[list[int]], sure: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    label_map = np.array(labels, np.uint8)
    return label_map, np.full(label_map.shape, sure, np.float32)


def test_only_what_is_joined_to_the_stroke_and_of_its_class_changes() -> None:
    painted = np.array([[1, FAR, FAR, FAR, FAR, FAR]], np.uint8)
    network = answer([[0, 0, 0, 0, 0, 0]], 0.6)
    quick = answer([[1, 1, 1, 0, 1, 2]], 0.7)
    label_map, confidence = corrected(painted, network, quick)
    assert label_map.tolist() == [[1, 1, 1, 0, 0, 0]]
    assert confidence == pytest.approx(np.array([[0.7, 0.7, 0.7, 0.6, 0.6, 0.6]], np.float32))
    assert (network[0] == 0).all(), "the network's own answer stays as it is"


def test_a_sure_network_and_an_unsure_quick_model_change_nothing() -> None:
    painted = np.array([[1, FAR]], np.uint8)
    for network_sure, quick_sure in ((0.9, 0.8), (0.2, 0.4)):
        network, quick = answer([[0, 0]], network_sure), answer([[1, 1]], quick_sure)
        assert np.array_equal(corrected(painted, network, quick)[0], network[0])


def test_the_box_reaches_beyond_the_stroke_and_not_beyond_the_image() -> None:
    size = (300, 400)
    annotation = np.full(size, UNLABELLED, np.uint8)
    annotation[100:110, 380:390] = 3
    cells = labelled_cells(annotation, (annotation != UNLABELLED).astype(np.uint8))
    box = box_around(cells, size)
    assert box == Box(20, 300, 190, 400)
    painted = painted_in(cells, size, box)
    assert painted.shape == box.size
    assert (painted[80:90, 80:90] == 3).all()
    assert (painted == 3).sum() == 100
    assert box_around(Cells.none(), size) is None
    huge = (6000, 8000)
    corner = Cells.none()
    corner = replace(
        corner,
        places=np.array([grid_size(huge)[0] * grid_size(huge)[1] - 1]),
        labels=np.array([1], np.uint8),
        weights=np.ones(1),
        pixels=np.ones(1, np.int64),
    )
    around = box_around(corner, huge)
    assert around is not None
    assert (around.bottom, around.right) == huge


# --- at work


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A network that counts as trained; the quick model knows the other images."""
    desk = Desk(make_project(tmp_path))
    desk.open(quick_head=True)
    desk.count_as_trained()
    item = desk.project.items[0]
    assert item.split is Split.TRAIN
    desk.project.annotate(item.image_id, np.full(item.size, UNLABELLED, np.uint8), 1)
    for number in (1, 2):
        desk.give(AnnotationChanged(item=desk.project.items[number]))
    desk.work(5)
    yield desk
    desk.give(Shutdown())


def test_a_stroke_is_seen_without_the_network_and_its_undo_brings_back_every_bit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = PredictionCache()
    desk.predict(7)
    before = cache.add(desk.predicted())
    assert before.source is PredictionSource.NETWORK
    asked: list[object] = []
    original = Predictor.predict
    monkeypatch.setattr(
        Predictor, "predict", lambda *words, **more: (asked.append(words), original(*words, **more))[1]
    )

    truth = picture(0)[1]
    wrong = (before.label_map != truth) & (np.arange(SIZE[1]) < 40)
    index = int(np.bincount(truth[wrong]).argmax())
    labels = np.full(SIZE, UNLABELLED, np.uint8)
    rows = np.flatnonzero((truth[:, :12] == index).all(axis=1))
    labels[rows[:4], :12] = index
    desk.annotate(labels, 2)
    part = desk.predicted()
    assert asked == [], "a stroke need not wait for the network"
    assert part.source is PredictionSource.NETWORK
    assert part.box.right <= 12 + 16 + 2, "only what is near can change"
    old = before.label_map.copy()
    after = cache.add(part)
    moved = after.label_map != old
    assert moved.any()
    assert (after.label_map[moved] == index).all()
    assert (truth[moved] == index).mean() > 0.8

    desk.predict(8)
    again = desk.predicted()
    assert len(asked) == 1
    assert np.array_equal(again.label_map, after.label_map), "a look at the whole image shows the same"

    desk.annotate(np.full(SIZE, UNLABELLED, np.uint8), 3)
    back = cache.add(desk.predicted())
    assert np.array_equal(back.label_map, old)


def test_other_weights_begin_anew(desk: Desk) -> None:
    desk.predict(7)
    first = desk.predicted().label_map.copy()
    labels = np.full(SIZE, UNLABELLED, np.uint8)
    labels[:6] = picture(0)[1][:6]
    desk.annotate(labels, 2)
    desk.heard.clear()
    network = desk.loop._work._network
    assert network is not None
    network.shown_step += 1
    desk.predict(8)
    assert np.array_equal(desk.predicted().label_map, first), "training has learnt from that stroke"
