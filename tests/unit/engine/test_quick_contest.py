"""Quick model against network, in the worker without its thread."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED
from engine.messages import (
    AnnotationChanged,
    PredictionReady,
    PredictionSource,
    ShownScored,
    Shutdown,
)
from engine.project.manifest import Split
from tests.support.learning import make_project, picture
from tests.support.worker_desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A network that counts as trained but knows nothing, its project's first image on screen."""
    desk = Desk(make_project(tmp_path))
    desk.open(quick_head=True)
    desk.count_as_trained()
    desk.predict(7)
    yield desk
    desk.give(Shutdown())


def shown(desk: Desk) -> PredictionSource:
    return desk.heard.of(PredictionReady)[-1].prediction.source


def right(desk: Desk, number: int) -> float:
    """Return the share of the image shown last that is shown as what it is."""
    return float((desk.heard.of(PredictionReady)[-1].prediction.label_map == picture(number)[1]).mean())


def repaint(desk: Desk, number: int, revision: int) -> None:
    item = desk.project.items[number]
    labels = picture(number)[1]
    annotation = np.full_like(labels, UNLABELLED)
    annotation[2 * revision % 8 :: 8] = labels[2 * revision % 8 :: 8]
    desk.project.annotate(item.image_id, annotation, revision)
    desk.give(AnnotationChanged(item=replace(item, revision=revision)))


def test_a_network_worse_on_held_out_images_makes_room_for_the_quick_model(desk: Desk) -> None:
    assert [item.split for item in desk.project.items].count(Split.VAL) == 1
    for number in (1, 2, 3):
        desk.give(AnnotationChanged(item=desk.project.items[number]))
    desk.work(30)
    assert shown(desk) is PredictionSource.NETWORK  # one verdict is chance
    assert right(desk, 0) < 0.6
    repaint(desk, 3, 1)
    desk.work(30)
    # Nothing speaks against a quarter of a network that says the same of everything.
    assert shown(desk) in {PredictionSource.QUICK, PredictionSource.JOINT}
    assert right(desk, 0) > 0.95
    told = len(desk.heard.of(PredictionReady))
    desk.work(60)
    assert len(desk.heard.of(PredictionReady)) == told  # nothing new is asked and nothing flutters


def test_what_is_shown_is_scored_on_held_out_images_whoever_it_is(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.give(AnnotationChanged(item=desk.project.items[number]))
    desk.work(30)
    first = desk.heard.of(ShownScored)[-1]
    assert (first.share, first.images) == (1.0, 1)
    assert first.miou < 0.6, "the network is on screen, and knows nothing"
    repaint(desk, 3, 1)
    desk.work(30)
    repaint(desk, 3, 2)
    desk.work(30)
    last = desk.heard.of(ShownScored)[-1]
    assert last.share < 1.0
    assert last.miou > 0.95, "now it is the quick model, on an image it has never seen"
    asked = len(desk.heard.of(ShownScored))
    desk.work(60)
    assert len(desk.heard.of(ShownScored)) == asked, "nothing changed, so nothing is asked"


def test_without_held_out_images_the_newest_strokes_decide(desk: Desk) -> None:
    for number in (1, 2):
        desk.give(AnnotationChanged(item=desk.project.items[number]))
    desk.work(5)
    for revision in range(1, 12):
        repaint(desk, 0, revision)
        desk.work(4)
        assert shown(desk) is PredictionSource.NETWORK
    for revision in range(12, 15):
        repaint(desk, 0, revision)
        desk.work(20)
    assert shown(desk) is PredictionSource.QUICK


def test_another_network_begins_anew(desk: Desk) -> None:
    desk.open(quick_head=True)
    desk.give(AnnotationChanged(item=desk.project.items[0]))
    desk.predict(8)
    desk.work(3)
    assert shown(desk) is PredictionSource.QUICK  # it has learnt nothing, the quick model has
