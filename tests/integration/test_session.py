"""One open project without a window: real files, the real disk thread, the real decode threads."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.annotate.classes import UNLABELLED, Provenance
from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch
from engine.annotate.stroke import PaintRule, Stroke
from engine.errors import EngineError, ProjectLockedError, StorageError, TrainingRefusedError
from engine.messages import (
    AnnotationStored,
    ClassDeleted,
    ImageFailed,
    ImageLoaded,
    MasksImported,
    WriteFailed,
)
from engine.project.manifest import ImageStatus, Split
from engine.project.store import AnnotationStore
from tests.support.driver import Driver, two_classes, write_images

FIRST, SECOND, THIRD = "image_0.png", "image_1.png", "image_2.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three images."""
    write_images(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def driver(folder: Path) -> Driver:
    """A session on it, with two classes and the first image on screen."""
    driver = Driver(folder)
    driver.session.set_classes(two_classes())
    driver.show(FIRST)
    yield driver
    driver.session.close()


def test_looking_writes_nothing(folder: Path) -> None:
    with Driver(folder) as driver:
        driver.show(FIRST)
        driver.show(SECOND)
        assert driver.session.neighbour(1) == THIRD
        assert driver.session.next_unreviewed() == THIRD
    assert {path.name for path in folder.iterdir()} == {FIRST, SECOND, THIRD}


def test_the_first_stroke_makes_the_project(driver: Driver, folder: Path) -> None:
    driver.dab(10, 10, 0)
    driver.wait(AnnotationStored)
    assert driver.session.flush()
    assert driver.session.saved
    manifest = json.loads((folder / "maskloop" / "project.json").read_text("utf-8"))
    assert manifest["images"][FIRST]["split"] == "train"
    assert driver.session.status_of(FIRST) is ImageStatus.STARTED


def test_strokes_and_undo_survive_a_restart(driver: Driver, folder: Path) -> None:
    kept = driver.dab(10, 10, 0)
    taken_back = driver.dab(30, 50, 1)
    driver.undo(taken_back)
    expected = driver.session.annotation.label_map.copy()
    assert driver.session.close()
    with Driver(folder) as again:
        again.show(FIRST)
        assert np.array_equal(again.session.annotation.label_map, expected)
        history = again.session.history_of(FIRST)
        assert [Patch.decode(data) for data in history.done] == [kept]
        assert [Patch.decode(data) for data in history.undone] == [taken_back]
        again.session.apply(taken_back)
        again.session.commit(taken_back, RecordKind.REDO)
        assert again.session.annotation.label_map[30, 50] == 1


def test_switching_away_and_back_at_once_keeps_unwritten_strokes(driver: Driver) -> None:
    driver.dab(10, 10, 0)
    for number in range(40):
        target = (SECOND, THIRD, FIRST)[number % 3]
        driver.show(target)
        driver.dab(2 + number, 40, 1, radius=1.0, rule=PaintRule.EVERYTHING)
        driver.drain()
    driver.show(FIRST)
    assert driver.session.annotation.label_map[10, 10] == 0
    painted = {name: [] for name in (FIRST, SECOND, THIRD)}
    for number in range(40):
        painted[(SECOND, THIRD, FIRST)[number % 3]].append(2 + number)
    for name, rows in painted.items():
        driver.show(name)
        for row in rows:
            assert driver.session.annotation.label_map[row, 40] == 1


def test_a_second_instance_is_refused_and_may_look(driver: Driver, folder: Path) -> None:
    driver.dab(10, 10, 0)
    driver.session.flush()
    with pytest.raises(ProjectLockedError):
        Driver(folder)
    with Driver(folder, read_only=True) as other:
        other.show(FIRST)
        assert other.session.read_only
        assert other.session.annotation.label_map[10, 10] == 0
        assert (
            other.session.stroke_patch(
                Stroke(points=((5, 5),), radius=2.0, class_index=1), PaintRule.EVERYTHING
            )
            is None
        )
        assert "read-only" in other.session.why_nothing
        assert "read-only" in other.session.can_train()


def test_training_says_what_is_missing(driver: Driver) -> None:
    assert "Nothing painted" in driver.session.can_train()
    driver.dab(10, 10, 0)
    assert "All strokes are 'dark'" in driver.session.can_train()
    with pytest.raises(TrainingRefusedError):
        driver.session.start_training()
    driver.dab(30, 50, 1)
    assert driver.session.can_train() is None


@pytest.fixture
def starts(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Starts of training that reach the worker; whether every stroke was on disk then."""
    found: list[bool] = []

    def start(_sizes: object) -> None:
        stored = driver.session.project.store.load(FIRST, (48, 64))
        found.append(stored.annotation.revision == driver.session.manifest.images[FIRST].revision)

    monkeypatch.setattr(driver.session.worker, "start", start)
    return found


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No stroke gets to the disk before this is set."""
    go_on, append = threading.Event(), AnnotationStore.append

    def slowly(*step: Any) -> None:
        assert go_on.wait(10)
        append(*step)

    monkeypatch.setattr(AnnotationStore, "append", slowly)
    yield go_on
    go_on.set()


def test_training_waits_for_strokes_that_are_not_on_disk(
    driver: Driver, starts: list[bool], slow_disk: threading.Event
) -> None:
    driver.dab(10, 10, 0)
    driver.dab(30, 50, 1)
    driver.session.start_training()
    assert starts == []
    slow_disk.set()
    driver.wait(AnnotationStored, lambda event: event.revision == 2)
    assert starts == [True]


def test_training_that_is_stopped_before_it_could_start_does_not_start(
    driver: Driver, starts: list[bool], slow_disk: threading.Event
) -> None:
    driver.dab(10, 10, 0)
    driver.dab(30, 50, 1)
    driver.session.start_training()
    driver.session.stop_training()
    slow_disk.set()
    driver.wait(AnnotationStored, lambda event: event.revision == 2)
    assert starts == []


def test_training_starts_from_what_is_on_disk_where_the_disk_refuses(
    driver: Driver, starts: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.dab(10, 10, 0)
    driver.dab(30, 50, 1)
    driver.wait(AnnotationStored, lambda event: event.revision == 2)

    def full(*_: Any) -> None:
        raise StorageError("The disk is full.", "Delete something.")

    with monkeypatch.context() as broken:
        broken.setattr(AnnotationStore, "append", full)
        driver.dab(20, 20, 0)
        driver.session.start_training()
        assert starts == []
        driver.wait(WriteFailed)
        assert starts == [False]


def test_the_third_annotated_image_is_held_out(driver: Driver) -> None:
    for name in (FIRST, SECOND, THIRD):
        driver.show(name)
        driver.dab(10, 10, 0)
    splits = {record.image_id: record.split for record in driver.session.images}
    assert splits == {FIRST: Split.TRAIN, SECOND: Split.TRAIN, THIRD: Split.VAL}
    driver.session.set_split(THIRD, Split.TRAIN)
    driver.session.set_reviewed(THIRD, reviewed=True)
    assert driver.session.status_of(THIRD) is ImageStatus.REVIEWED


def test_an_unreadable_image_says_so_and_the_rest_goes_on(folder: Path) -> None:
    (folder / SECOND).write_bytes(b"not an image")
    with Driver(folder) as driver:
        driver.session.set_classes(two_classes())
        driver.session.show(SECOND)
        event = driver.wait(ImageFailed, lambda event: event.image_id == SECOND)
        assert SECOND in event.problem.message
        assert driver.session.annotation is None
        assert driver.session.annotation_problem == event.problem
        driver.show(FIRST)
        driver.dab(10, 10, 0)


def test_a_damaged_annotation_is_shown_as_such_and_never_overwritten(driver: Driver, folder: Path) -> None:
    driver.dab(10, 10, 0)
    driver.session.flush()
    driver.session.close()
    damaged = folder / "maskloop" / "annotations" / f"{FIRST}.png"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    before = damaged.read_bytes()
    with Driver(folder) as again:
        again.show(FIRST)
        assert again.session.annotation is None
        assert FIRST in again.session.annotation_problem.message
        with pytest.raises(EngineError):
            again.session.apply(_some_patch())
        with pytest.raises(EngineError):
            again.session.commit(_some_patch())
        assert (
            again.session.stroke_patch(
                Stroke(points=((5, 5),), radius=2.0, class_index=1), PaintRule.EVERYTHING
            )
            is None
        )
        again.show(SECOND)
        again.dab(10, 10, 1)
    assert damaged.read_bytes() == before


def _some_patch() -> Patch:
    one = np.ones((1, 1), np.uint8)
    return Patch(0, 0, one.astype(bool), one * UNLABELLED, one, one * 0, one)


@pytest.mark.parametrize(("merge_into", "expected"), [(None, UNLABELLED), (1, 1)])
def test_deleting_a_class_reaches_every_image_and_leaves_a_backup(
    driver: Driver, folder: Path, merge_into: int | None, expected: int
) -> None:
    for name in (FIRST, SECOND):
        driver.show(name)
        driver.dab(10, 10, 0)
        driver.dab(30, 50, 1)
    driver.session.delete_class(0, merge_into)
    assert (
        driver.session.stroke_patch(Stroke(points=((5, 5),), radius=2.0, class_index=1), PaintRule.EVERYTHING)
        is None
    )
    assert "Deleting dark" in driver.session.why_nothing
    driver.wait(ClassDeleted)
    assert driver.session.classes.indices == (1,)
    for name in (FIRST, SECOND):
        driver.show(name)
        label_map = driver.session.annotation.label_map
        assert label_map[10, 10] == expected
        assert label_map[30, 50] == 1
        assert not (label_map == 0).any()
        assert driver.session.history_of(name).done == ()
    driver.dab(20, 20, 1)
    assert driver.session.classes.add("new").indices == (1, 2)
    driver.session.close()
    backups = list((folder / "maskloop" / "backups").rglob("*.journal"))
    assert len(backups) == 2
    with Driver(folder) as again:
        again.show(FIRST)
        assert again.session.annotation.label_map[10, 10] == expected


def test_imported_masks_are_annotations_with_undo(driver: Driver, folder: Path, tmp_path: Path) -> None:
    driver.dab(10, 10, 1)
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in (FIRST, SECOND):
        values = np.zeros((48, 64), np.uint8)
        values[:, 32:] = 1
        values[40:] = 255
        Image.fromarray(values).save(masks / name)
    preview = driver.session.preview_import(masks)
    assert len(preview.matched) == 2
    driver.session.import_masks(preview, preview.mapping)
    event = driver.wait(MasksImported)
    assert set(event.labelled) == {FIRST, SECOND}
    driver.show(FIRST)
    annotation = driver.session.annotation
    assert annotation.label_map[10, 10] == 1
    assert annotation.provenance[10, 10] == Provenance.STROKE
    assert annotation.label_map[20, 60] == 1
    assert annotation.label_map[45, 60] == UNLABELLED
    assert annotation.provenance[20, 60] == Provenance.IMPORTED
    imported = Patch.decode(driver.session.history_of(FIRST).done[-1])
    driver.undo(imported)
    assert driver.session.annotation.label_map[20, 60] == UNLABELLED
    assert driver.session.can_train() is None


def test_classes_keep_their_index_whatever_is_done_to_the_list(driver: Driver) -> None:
    driver.dab(10, 10, 0)
    table = driver.session.classes.add("third").move(0, 2).rename(0, "darkest").with_flags(1, hidden=True)
    driver.session.set_classes(table)
    assert driver.session.annotation.label_map[10, 10] == 0
    assert driver.session.classes.by_index(0).name == "darkest"
    assert driver.session.class_at(10, 10) == 0


def test_a_moved_folder_is_the_same_project(driver: Driver, folder: Path) -> None:
    driver.dab(10, 10, 0)
    driver.session.close()
    moved = folder.rename(folder.with_name("moved näme"))
    with Driver(moved) as again:
        again.show(FIRST)
        assert again.session.annotation.label_map[10, 10] == 0
        assert again.session.classes.names == ("dark", "light")


def test_images_are_decoded_ahead_and_come_back(driver: Driver) -> None:
    driver.show(SECOND)
    driver.session.load_thumbnails([FIRST, SECOND, THIRD])
    seen = [event.image_id for event in driver.seen if isinstance(event, ImageLoaded)]
    assert seen[-1] == SECOND
    assert driver.session.size == (48, 64)
    assert driver.session.prediction(SECOND) is None


def test_the_settings_of_training_are_kept(driver: Driver, folder: Path) -> None:
    driver.session.set_training(replace(driver.session.training, seed=77))
    driver.session.close()
    with Driver(folder) as again:
        assert again.session.training.seed == 77
        assert again.session.checkpoints() == ()
