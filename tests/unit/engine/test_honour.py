"""What people said stands in what is shown, and nowhere else."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED, VOID, Provenance
from engine.annotate.geometry import Box
from engine.config import Voice
from engine.messages import AnnotationChanged, Predict, PredictionReady, Shutdown
from engine.predict.predictor import PredictedPart
from engine.quick.features import feature_grid
from engine.quick.model import QuickModel
from engine.quick.picture import parts
from engine.quick.samples import labelled_cells
from engine.worker.honour import honoured
from tests.support.learning import BOX, GROUND, SKY, make_project, picture
from tests.support.worker_desk import Desk


def part(box: Box) -> PredictedPart:
    return PredictedPart(
        box=box,
        label_map=np.full((box.height, box.width), SKY, np.uint8),
        confidence=np.full((box.height, box.width), 0.4, np.float32),
        complete=True,
    )


def test_labelled_pixels_have_their_class_and_void_has_the_models() -> None:
    said = np.full((8, 10), UNLABELLED, np.uint8)
    said[2:4, 1:5], said[6, 6] = BOX, VOID
    before = part(Box(3, 0, 8, 10))
    after = honoured(before, said)
    assert (after.label_map[0, 1:5] == BOX).all()
    assert (after.label_map == BOX).sum() == 4
    assert (after.confidence == 1).sum() == 4
    assert after.label_map[3, 6] == SKY
    assert (before.label_map == SKY).all()
    assert not after.label_map.flags.writeable


def test_where_nothing_was_said_the_part_stays_as_it_is() -> None:
    before = part(Box(0, 0, 4, 4))
    assert honoured(before, None) is before
    assert honoured(before, np.full((4, 4), UNLABELLED, np.uint8)) is before
    assert honoured(before, np.full((3, 9), BOX, np.uint8)) is before


def test_seeds_stand_and_draw_their_surroundings() -> None:
    model = QuickModel()
    for number in range(2):
        image, labels = picture(number)
        grid = feature_grid(image)
        model.learn(str(number), grid, labelled_cells(labels, np.full_like(labels, Provenance.STROKE)))
    readout = model.readout((SKY, GROUND, BOX))
    assert readout is not None
    image, labels = picture(5)
    grid = feature_grid(image)
    (alone,) = parts(grid, readout, None)
    sky = np.argwhere(alone.label_map == SKY)
    y, x = sky[len(sky) // 2]
    said = np.full_like(labels, UNLABELLED)
    said[max(0, y - 2) : y + 2, max(0, x - 2) : x + 2] = BOX
    cells = labelled_cells(said, np.full_like(said, Provenance.STROKE))
    (shown,) = parts(grid, readout, None, cells)
    assert (shown.label_map[y - 1 : y + 1, x - 1 : x + 1] == BOX).all()
    changed = shown.label_map != alone.label_map
    assert set(np.unique(shown.label_map[changed])) <= {BOX}  # nothing else moves for it
    (none,) = parts(grid, readout, None, cells.where(cells.labels == GROUND))
    assert np.array_equal(none.label_map, alone.label_map)
    other = labelled_cells(np.where(said == BOX, np.uint8(77), said), np.ones_like(said))
    (unknown,) = parts(grid, readout, None, other)  # of a class the model has not
    assert np.array_equal(unknown.label_map, alone.label_map)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(make_project(tmp_path))
    yield desk
    desk.give(Shutdown())


def test_a_stroke_stands_on_screen_whatever_the_model_says(desk: Desk) -> None:
    desk.open(quick_head=True)
    item = desk.project.items[0]
    truth = picture(0)[1]
    wrong = truth.copy()
    wrong[2:5, 3:9] = BOX  # a slip of the hand, against all that looks the same
    desk.project.annotate(item.image_id, wrong, item.revision + 1)
    desk.give(AnnotationChanged(item=item))
    desk.predict(1)
    shown = desk.work_until(PredictionReady).prediction
    assert np.array_equal(shown.label_map, wrong)
    assert (shown.confidence == 1).all()
    desk.heard.events.clear()
    desk.give(Predict(image_id=item.image_id, image_path=item.image_path, request_id=2, voice=Voice.MODEL))
    alone = desk.work_until(PredictionReady).prediction
    assert (alone.label_map[2:5, 3:9] == truth[2:5, 3:9]).all()
    assert (alone.confidence < 1).any()


def test_what_was_taken_back_or_cannot_be_read_does_not_stand(desk: Desk) -> None:
    desk.open(quick_head=True)
    item, other = desk.project.items[:2]
    quick = desk.loop._work._screen.quick
    assert quick.said(item.image_id, item.size) is None
    some = np.full(item.size, UNLABELLED, np.uint8)
    some[5:9] = GROUND
    desk.project.annotate(item.image_id, some, item.revision + 1)
    assert quick.learn(item)
    assert quick.learn(other)
    assert np.array_equal(quick.said(item.image_id, item.size), some)  # read again
    assert quick.said(item.image_id, (3, 3)) is None  # the file is another image now
    empty = np.full(item.size, UNLABELLED, np.uint8)
    desk.project.annotate(item.image_id, empty, item.revision + 2)
    assert quick.learn(item)
    assert np.array_equal(quick.said(item.image_id, item.size), empty)
    assert quick.learn(dataclasses.replace(item, size=(3, 3))) is False
    assert quick.said(item.image_id, item.size) is None
