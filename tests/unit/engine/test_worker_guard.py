"""Training undid your work: what a candidate that has learnt otherwise flips of what people fixed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.messages import MakeOverlay, OverlayKind, OverlayReady
from engine.project.images import read_image
from tests.support.learning import GROUND, SKY, make_project, picture, sparse
from tests.support.worker_desk import QUIET, Desk

pytestmark = pytest.mark.usefixtures("one_thread")

LEARNT, MORE = 60, 40
"""Steps until the network knows sky from ground, and until it takes one for the other."""


def exchanged(number: int) -> NDArray[np.uint8]:
    """Rows of an image's labels with sky and ground in each other's place."""
    table = np.arange(256, dtype=np.uint8)
    table[[SKY, GROUND]] = GROUND, SKY
    return table[sparse(picture(number)[1])]


def guard(desk: Desk) -> OverlayReady:
    """Ask the guard about the first image, and let no step come between question and answer."""
    item = desk.project.items[0]
    desk.give(
        MakeOverlay(
            request_id=3,
            image_id=item.image_id,
            image_path=item.image_path,
            kind=OverlayKind.CANDIDATE_FLIPS,
        )
    )
    inspection: Any = desk.loop._work._inspection
    while inspection.is_busy:
        inspection.advance()
    return desk.heard.of(OverlayReady)[-1]


def test_the_guard_shows_exactly_the_fixed_pixels_that_the_candidate_flips(tmp_path: Path) -> None:
    desk = Desk(make_project(tmp_path))
    desk.open()
    desk.start(replace(QUIET, batch_size=4))
    desk.work(LEARNT)
    desk.predict()
    shown = desk.predicted()
    network: Any = desk.loop._work._network
    fixed = sparse(picture(0)[1])
    labelled = fixed != UNLABELLED
    right = labelled & (shown.label_map == fixed)
    assert right.sum() > 0.8 * labelled.sum(), "the network shown has learnt what people fixed"
    before = guard(desk)
    for number in (1, 2):
        desk.annotate(exchanged(number), 2, number=number)
    desk.work(MORE)
    assert network.shown_step < network.step, "nobody shows the candidate yet"
    found = guard(desk)
    image = read_image(Path(desk.project.items[0].image_path))
    told, _ = network.candidate_predictor().predict_whole(image)
    flipped = right & (told != fixed)
    assert 20 < flipped.sum() < labelled.sum()
    assert np.array_equal(found.values, flipped.astype(np.float32))
    assert f" {flipped.sum():,} of the {labelled.sum():,} labelled pixels here." in found.explanation
    assert np.count_nonzero(before.values) < flipped.sum()
    assert found.title == "Training would undo"


def test_a_candidate_that_is_what_is_shown_flips_nothing(tmp_path: Path) -> None:
    desk = Desk(make_project(tmp_path))
    desk.open()
    desk.start(QUIET)
    desk.work(2)
    desk.predict()
    network: Any = desk.loop._work._network
    network.show_trained()
    found = guard(desk)
    assert not found.values.any()
    assert "None of the 640 labelled pixels here." in found.explanation
