"""What happens to a project's files outside the program, and how it is put right: real files and threads."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.annotate.classes import UNLABELLED
from engine.exchange import mask_import
from engine.messages import (
    AnnotationSetAside,
    AnnotationStored,
    ImageLoaded,
    ImagesRelinked,
    MasksImported,
    NetworkOpened,
    RenamedFound,
    StepsDone,
    WriteFailed,
    WriteRecovered,
)
from engine.project.manifest import Split, read_manifest
from engine.project.project import Project
from engine.writer import disk_thread
from tests.support.driver import Driver, two_classes, write_images

FIRST, SECOND, THIRD = "image_0.png", "image_1.png", "image_2.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, of which the first two are annotated."""
    folder = tmp_path / "photos"
    write_images(folder)
    with Driver(folder) as driver:
        driver.session.set_classes(two_classes())
        for number, name in enumerate((FIRST, SECOND)):
            driver.show(name)
            driver.dab(10, 10, number)
    return folder


def test_a_renamed_image_gets_its_annotation_back(folder: Path) -> None:
    (folder / FIRST).rename(folder / "other.png")
    with Driver(folder) as driver:
        assert driver.session.missing == (FIRST,)
        driver.show("other.png")
        assert driver.session.annotation.label_map[10, 10] == UNLABELLED
        driver.session.find_renamed()
        found = driver.wait(RenamedFound).found
        assert found == {FIRST: "other.png"}
        driver.session.relink(found)
        assert driver.wait(ImagesRelinked).pairs == found
        assert driver.session.missing == ()
        driver.show("other.png")
        assert driver.session.annotation.label_map[10, 10] == 0
        assert len(driver.session.history_of("other.png").done) == 1
    with Driver(folder) as again:
        assert again.session.missing == ()
        record = again.session.manifest.images["other.png"]
        assert (record.revision, record.labelled, record.split) == (1, (0,), Split.TRAIN)


def test_an_image_painted_just_before_closing_is_found_by_its_content(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Driver(folder) as driver:
        images = driver.session.manifest.images
        assert all(images[name].content_hash for name in (FIRST, SECOND))
        monkeypatch.setattr(disk_thread, "HASHING_S", 0.0)
        driver.show(THIRD)
        driver.dab(10, 10, 1)
        driver.session.close()  # in too much haste for the hash
    monkeypatch.undo()
    assert read_manifest(folder / "maskloop" / "project.json").images[THIRD].content_hash is None
    with Driver(folder):
        pass  # opening it is enough
    assert all(
        record.content_hash for record in Project.open(folder, read_only=True).manifest.images.values()
    )


def test_a_crash_between_moving_and_saying_so_loses_nothing(folder: Path) -> None:
    (folder / FIRST).rename(folder / "other.png")
    project = Project.open(folder)
    project.store.move(FIRST, "other.png")  # the manifest still names the missing image
    project.close()
    with Driver(folder) as driver:
        assert driver.session.manifest.images["other.png"].revision == 1
        driver.show("other.png")
        assert driver.session.annotation.label_map[10, 10] == 0


def test_an_image_with_an_annotation_of_its_own_keeps_it(folder: Path) -> None:
    (folder / FIRST).rename(folder / "other.png")
    with Driver(folder) as driver:
        driver.show("other.png")
        driver.dab(30, 50, 1)
        driver.session.relink({FIRST: "other.png"})
        event = driver.wait(ImagesRelinked)
        assert event.pairs == {}
        assert "annotation of its own" in event.notes[0]
        assert driver.session.missing == (FIRST,)
        driver.show("other.png")
        assert driver.session.annotation.label_map[30, 50] == 1


def test_a_damaged_annotation_is_set_aside_and_the_image_annotated_anew(folder: Path) -> None:
    layer = folder / "maskloop" / "annotations" / f"{FIRST}.png"
    layer.write_bytes(layer.read_bytes()[:40])
    with Driver(folder) as driver:
        driver.show(FIRST)
        assert driver.session.annotation is None
        assert driver.session.annotation_damaged
        driver.session.start_anew()
        aside = Path(driver.wait(AnnotationSetAside).folder)
        assert (aside / "annotations" / f"{FIRST}.png").stat().st_size == 40
        assert driver.session.manifest.images[FIRST].split is Split.NONE
        driver.show(FIRST)
        assert driver.session.annotation_problem is None
        driver.dab(30, 50, 1)
    with Driver(folder) as again:
        again.show(FIRST)
        assert again.session.annotation.label_map[30, 50] == 1
        assert again.session.annotation.label_map[10, 10] == UNLABELLED


def test_a_folder_that_is_gone_is_no_damage(folder: Path) -> None:
    with Driver(folder) as driver:
        driver.session.show(FIRST)
        driver.wait(ImageLoaded)
        away = folder.with_name("unplugged")
        driver.session.project.folder.rename(away)
        driver.session.show(SECOND)
        event = driver.wait(ImageLoaded)
        assert event.annotation is None
        assert "is gone" in event.annotation_problem.message
        assert not driver.session.annotation_damaged
        away.rename(driver.session.project.folder)
        driver.show(SECOND)
        assert driver.session.annotation.label_map[10, 10] == 1


def test_strokes_made_while_the_folder_is_away_are_written_when_it_is_back(folder: Path) -> None:
    with Driver(folder) as driver:
        driver.show(THIRD)
        driver.dab(10, 10, 1)
        driver.wait(AnnotationStored)
        away = folder.rename(folder.with_name("unplugged"))
        driver.dab(30, 50, 0)
        driver.wait(WriteFailed)
        assert driver.session.save_problem is not None
        assert not folder.exists()
        assert not driver.session.flush(5.0)
        away.rename(folder)
        assert driver.session.flush(60.0)
        driver.wait(WriteRecovered)
    with Driver(folder) as again:
        again.show(THIRD)
        assert again.session.annotation.label_map[30, 50] == 0


def test_a_cancelled_import_keeps_and_counts_what_was_done(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in (FIRST, SECOND, THIRD):
        Image.fromarray(np.ones((48, 64), np.uint8)).save(masks / name)
    reached, go_on = threading.Event(), threading.Event()
    read = mask_import.read_mask_file

    def slowly(path: Path) -> mask_import.MaskFile:
        if path.name == SECOND:
            reached.set()
            assert go_on.wait(60)
        return read(path)

    with Driver(folder) as driver:
        driver.show(FIRST)
        preview = driver.session.preview_import(masks)
        monkeypatch.setattr(mask_import, "read_mask_file", slowly)
        driver.session.import_masks(preview, preview.mapping)
        assert reached.wait(60)
        driver.session.cancel_import()
        go_on.set()
        event = driver.wait(MasksImported)
        assert list(event.labelled) == [FIRST]
        assert any("2 masks were left out" in note for note in event.notes)
        assert driver.session.manifest.images[FIRST].revision == 2
        # The one that was being read is not written any more: that would take longer than people wait.
        assert driver.session.manifest.images[SECOND].revision == 1
        assert driver.session.manifest.images[THIRD].revision == 0


def test_what_was_learned_last_is_found_again_after_closing(folder: Path) -> None:
    with Driver(folder) as driver:
        driver.session.start_training()
        driver.wait(StepsDone)
        driver.session.close()  # the checkpoint of this moment is saved while nobody listens any more
        saved = driver.session.checkpoints()[0].path
    with Driver(folder) as again:
        assert again.session.manifest.checkpoint == f"checkpoints/{saved.name}"


def test_a_checkpoint_of_the_old_network_is_not_the_new_ones(folder: Path) -> None:
    with Driver(folder) as driver:
        driver.session.start_training()
        driver.wait(StepsDone)
        network = replace(driver.session.network, width=16)
        driver.session.choose_network(network, driver.session.loss)
        driver.wait(NetworkOpened)
        assert driver.session.checkpoints() != ()
        assert driver.session.manifest.checkpoint is None
        assert not driver.session.worker.awaits_network
