"""A network that came trained, on images unlike those it knows: strokes soon show the better picture."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.annotate.classes import UNLABELLED
from engine.messages import CheckpointSaved, PredictionSource, Shutdown, StopTraining
from engine.project.images import read_image
from tests.support.learning import CLASSES, SmallProject, make_project, picture
from tests.support.worker_desk import Desk


@pytest.fixture
def came(tmp_path: Path) -> Path:
    """A checkpoint trained in another project."""
    desk = Desk(make_project(tmp_path / "there"))
    desk.open()
    desk.start()
    desk.work(50)
    desk.give(StopTraining())
    copied = tmp_path / "came.pt"
    shutil.copy(desk.heard.of(CheckpointSaved)[-1].path, copied)
    desk.give(Shutdown())
    return copied


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    """Images in other colours, nothing painted yet."""
    project = make_project(tmp_path / "here", train=8, held_out=0)
    for item in project.items:
        pixels = np.array(Image.open(item.image_path))
        Image.fromarray(np.ascontiguousarray(pixels[..., ::-1])).save(item.image_path)
        project.annotate(item.image_id, np.full(item.size, UNLABELLED, np.uint8), 1)
    return project


@pytest.fixture
def desk(project: SmallProject, came: Path) -> Iterator[Desk]:
    desk = Desk(project)
    desk.open(quick_head=True, checkpoint=str(came))
    yield desk
    desk.give(Shutdown())


def test_the_network_hands_over_to_what_strokes_teach(desk: Desk) -> None:
    revision = 1
    for number in range(7):
        truth = picture(number)[1]
        painted = np.full_like(truth, UNLABELLED)
        desk.predict(number + 1, number=number)
        desk.work(2)
        for index in CLASSES.indices:
            rows = np.flatnonzero((truth == index).any(axis=1))
            row = truth[rows[len(rows) // 2]]
            painted[rows[len(rows) // 2], row == index] = index
            revision += 1
            desk.annotate(painted, revision, number=number)
            desk.work(3, seconds=4.0)
    desk.heard.clear()
    desk.predict(50, number=7)
    shown = desk.predicted()
    assert shown.source in {PredictionSource.JOINT, PredictionSource.QUICK}
    assert shown.share < 1
    truth = picture(7)[1]
    network = desk.loop._work._network
    assert network is not None
    alone, _ = network.predictor().predict_whole(read_image(Path(desk.project.items[7].image_path)))
    better = float((shown.label_map == truth).mean())
    assert better > 0.8
    assert better > float((alone == truth).mean()) + 0.1
