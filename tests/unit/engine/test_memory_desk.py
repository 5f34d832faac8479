"""Strokes in a class memory at once, in the worker without its thread."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.annotate.classes import UNLABELLED
from engine.messages import (
    AnnotationChanged,
    CheckpointSaved,
    LoadCheckpoint,
    Prediction,
    PredictionReady,
    PredictionSource,
    SaveCheckpoint,
    Shutdown,
)
from models.memory_configs import McibiConfig, McibiPlusPlusConfig
from models.memory_presets import tiny_mcibi, tiny_mcibipp
from tests.support.learning import BOX, GROUND, SKY, make_project
from tests.support.worker_desk import Desk


@pytest.fixture(
    params=[(tiny_mcibi(), True), (tiny_mcibipp(), True), (tiny_mcibi(), False)],
    ids=["mcibi", "mcibi++", "mcibi, no quick model"],
)
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A network with a class memory that counts as trained, the first image on screen."""
    desk = Desk(make_project(tmp_path))
    network: McibiConfig | McibiPlusPlusConfig
    network, has_quick_model = request.param
    desk.open(network=network, quick_head=has_quick_model)
    desk.give(SaveCheckpoint())
    desk.give(LoadCheckpoint(path=desk.heard.of(CheckpointSaved)[-1].path))
    desk.give(AnnotationChanged(item=desk.project.items[0]))
    yield desk
    desk.give(Shutdown())


def predicted(desk: Desk) -> Prediction:
    ready = desk.work_until(PredictionReady, turns=5).prediction
    desk.heard.clear()
    return ready


def annotate(desk: Desk, labels: np.ndarray, revision: int) -> None:
    item = desk.project.items[0]
    desk.project.annotate(item.image_id, labels, revision)
    desk.give(AnnotationChanged(item=replace(item, revision=revision)))


def stored(desk: Desk) -> np.ndarray:
    item = desk.project.items[0]
    return desk.project.store.load(item.image_id, item.size).annotation.label_map.copy()


def test_a_stroke_changes_what_is_shown_and_its_undo_brings_back_every_bit(desk: Desk) -> None:
    desk.predict(7)
    before = predicted(desk)
    assert before.source is PredictionSource.NETWORK
    network = desk.loop._work._network
    assert network is not None
    weights = {name: value.clone() for name, value in network.model.state_dict().items()}

    old = stored(desk)
    labels = old.copy()
    labels[20:30, 20:40] = np.where(labels[20:30, 20:40] == UNLABELLED, BOX, labels[20:30, 20:40])
    annotate(desk, labels, 1)
    after = predicted(desk)
    assert after.source is PredictionSource.MEMORY
    assert not np.array_equal(after.confidence, before.confidence)

    more = labels.copy()
    more[50:60, 5:30] = np.where(more[50:60, 5:30] == UNLABELLED, GROUND, more[50:60, 5:30])
    annotate(desk, more, 2)
    both = predicted(desk)
    annotate(desk, labels, 3)
    again = predicted(desk)
    assert not np.array_equal(both.confidence, after.confidence)
    assert np.array_equal(again.confidence, after.confidence)

    annotate(desk, old, 4)
    back = predicted(desk)
    assert back.source is PredictionSource.NETWORK
    assert np.array_equal(back.confidence, before.confidence)
    assert np.array_equal(back.label_map, before.label_map)
    # Whatever is shown: what is saved, trained on and exported never saw a stroke.
    assert all(torch.equal(value, weights[name]) for name, value in network.model.state_dict().items())


def test_labels_older_than_the_weights_do_not_count(desk: Desk) -> None:
    desk.predict(7)
    assert predicted(desk).source is PredictionSource.NETWORK
    labels = stored(desk)
    labels[labels == SKY] = UNLABELLED
    annotate(desk, labels, 1)
    desk.work(2)
    assert desk.heard.of(PredictionReady) == []
