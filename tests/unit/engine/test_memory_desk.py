"""Strokes in a class memory at once, in the worker without its thread."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.annotate.classes import UNLABELLED
from engine.messages import (
    AnnotationChanged,
    PredictionReady,
    PredictionSource,
    Shutdown,
)
from engine.worker.memory_desk import MemoryDesk
from models.memory_configs import McibiConfig, McibiPlusPlusConfig
from models.memory_presets import tiny_mcibi, tiny_mcibipp
from tests.support.learning import BOX, GROUND, SKY, make_project, picture
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
    desk.count_as_trained()
    desk.give(AnnotationChanged(item=desk.project.items[0]))
    yield desk
    desk.give(Shutdown())


def stored(desk: Desk) -> np.ndarray:
    item = desk.project.items[0]
    return desk.project.store.load(item.image_id, item.size).annotation.label_map.copy()


def test_a_stroke_changes_what_is_shown_and_its_undo_brings_back_every_bit(desk: Desk) -> None:
    desk.predict(7)
    before = desk.predicted()
    assert before.source is PredictionSource.NETWORK
    network = desk.loop._work._network
    assert network is not None
    weights = {name: value.clone() for name, value in network.model.state_dict().items()}

    old = stored(desk)
    labels = old.copy()
    labels[20:30, 20:40] = np.where(labels[20:30, 20:40] == UNLABELLED, BOX, labels[20:30, 20:40])
    desk.annotate(labels, 1)
    after = desk.predicted()
    assert after.source is PredictionSource.MEMORY
    assert not np.array_equal(after.confidence, before.confidence)

    more = labels.copy()
    more[50:60, 5:30] = np.where(more[50:60, 5:30] == UNLABELLED, GROUND, more[50:60, 5:30])
    desk.annotate(more, 2)
    both = desk.predicted()
    desk.annotate(labels, 3)
    again = desk.predicted()
    assert not np.array_equal(both.confidence, after.confidence)
    assert np.array_equal(again.confidence, after.confidence)

    desk.annotate(old, 4)
    back = desk.predicted()
    assert back.source is PredictionSource.NETWORK
    assert np.array_equal(back.confidence, before.confidence)
    assert np.array_equal(back.label_map, before.label_map)
    # Whatever is shown: what is saved, trained on and exported never saw a stroke.
    assert all(torch.equal(value, weights[name]) for name, value in network.model.state_dict().items())


def test_labels_older_than_the_weights_do_not_count(desk: Desk) -> None:
    desk.predict(7)
    assert desk.predicted().source is PredictionSource.NETWORK
    labels = stored(desk)
    labels[labels == SKY] = UNLABELLED
    desk.annotate(labels, 1)
    desk.work(2)
    assert desk.heard.of(PredictionReady) == []


def test_features_are_computed_where_the_network_is_by_now(desk: Desk) -> None:
    """A run that had to move to the processor takes with it what is shown."""
    network = desk.loop._work._network
    assert network is not None
    network.device = replace(network.device, device=torch.device("meta"))
    model: Any = network.model
    features = MemoryDesk()._seen(network, model, "0.png", picture(0)[0])
    assert features.device.type == "cpu"
