"""The disk thread and the manifest: never behind its classes, never ahead of its strokes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.annotate.classes import ClassTable
from engine.annotate.journal import read_journal
from engine.files import hash_file
from engine.messages import (
    AnnotationStored,
    Event,
    ManifestStored,
    WriteFailed,
    WriteRecovered,
)
from engine.project.manifest import ImageRecord, read_manifest
from engine.project.project import Project
from engine.writer import disk_thread
from tests.support.disk import Painter
from tests.support.events import Events
from tests.support.writing import SIZE, MakeWriter, paint, project_of, writers

CLASSES = ClassTable().add("road").add("tree").add("sky")


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with project_of(tmp_path) as opened:
        yield opened


@pytest.fixture
def make_writer(events: Events) -> Iterator[MakeWriter]:
    with writers(events) as make:
        yield make


# --- the manifest --------------------------------------------------------------------------------


def test_classes_reach_the_disk_before_strokes_of_them(
    project: Project, make_writer: MakeWriter, events: Events
) -> None:
    writer, painter = make_writer(), Painter(SIZE)
    writer.manifest(project, replace(project.manifest, classes=CLASSES))
    paint(writer, project.store, painter, 1)
    events.wait(lambda event: isinstance(event, AnnotationStored))
    assert events.all[:2] == [ManifestStored(), AnnotationStored(image_id="a1.png", revision=1)]
    # Other changes of the manifest wait for the hand to rest.
    record = ImageRecord(image_id="a1.png", revision=1)
    writer.manifest(project, replace(project.manifest, classes=CLASSES).with_record(record))
    paint(writer, project.store, painter, 1)
    events.wait(lambda event: event == AnnotationStored(image_id="a1.png", revision=2))
    assert len(events.of(ManifestStored)) == 1
    assert writer.flush(60)
    assert read_manifest(project.manifest_path).images["a1.png"].revision == 1


def test_manifest_on_disk_is_never_ahead_of_the_journals(
    project: Project, make_writer: MakeWriter, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, painter = make_writer(start=False), Painter(SIZE)
    paint(writer, project.store, painter, 3)
    record = ImageRecord(image_id="a1.png", revision=3)
    writer.manifest(project, replace(project.manifest, classes=CLASSES).with_record(record))
    revisions: list[tuple[int, int]] = []

    def look(event: Event) -> None:
        records = read_journal(project.store.journal_path("a1.png")).records
        record = read_manifest(project.manifest_path).images.get("a1.png")
        revisions.append((record.revision if record else 0, len(records)))

    writer._emit = look
    writer.start()
    assert writer.flush(60)
    assert revisions[0] == (0, 0)
    assert all(known <= stored for known, stored in revisions)
    assert revisions[-1] == (3, 3)


def test_manifest_is_written_though_one_journal_is_damaged(
    project: Project, make_writer: MakeWriter, events: Events
) -> None:
    bad = project.store.journal_path("a0.png")
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"this is no journal" * 10)
    writer = make_writer()
    paint(writer, project.store, Painter(SIZE), 2, "a0.png")
    manifest = replace(project.manifest, classes=CLASSES).with_record(
        ImageRecord(image_id="a0.png", revision=2)
    )
    writer.manifest(project, manifest)
    assert not writer.flush(60)
    stored = read_manifest(project.manifest_path)
    assert stored.classes == CLASSES
    assert "a0.png" not in stored.images  # nothing of it is on disk
    assert len(events.of(ManifestStored)) == 1


def test_last_manifest_counts(project: Project, make_writer: MakeWriter, events: Events) -> None:
    writer = make_writer(start=False)
    for revision in range(5):
        record = ImageRecord(image_id="a1.png", revision=revision)
        writer.manifest(project, project.manifest.with_record(record))
    writer.start()
    assert writer.flush(60)
    assert len(events.of(ManifestStored)) == 1
    assert read_manifest(project.manifest_path).images["a1.png"].revision == 4


def test_missing_images_stay_in_the_manifest(project: Project, make_writer: MakeWriter) -> None:
    project.missing = {"gone.png": ImageRecord(image_id="gone.png", revision=7)}
    writer = make_writer()
    writer.manifest(project, project.manifest)
    assert writer.flush(60)
    assert read_manifest(project.manifest_path).images["gone.png"].revision == 7


def test_content_hashes_are_filled_in(project: Project, make_writer: MakeWriter, events: Events) -> None:
    writer = make_writer(0.0)
    manifest = project.manifest.with_record(ImageRecord(image_id="a1.png", revision=1))
    manifest = manifest.with_record(ImageRecord(image_id="vanished.png", revision=2))
    writer.manifest(project, manifest)
    events.wait(lambda _: len(events.of(ManifestStored)) == 2)
    stored = read_manifest(project.manifest_path)
    assert stored.images["a1.png"].content_hash == hash_file(project.image_path("a1.png"))
    assert "a0.png" not in stored.images  # nobody touched it
    assert stored.images["vanished.png"].content_hash is None
    # The session does not know the hash yet; writing its manifest again does not lose it.
    writer.manifest(project, manifest)
    assert writer.flush(60)
    assert read_manifest(project.manifest_path).images["a1.png"].content_hash is not None


def test_a_hasty_end_still_takes_content_hashes(
    project: Project, make_writer: MakeWriter, events: Events
) -> None:
    writer, painter = make_writer(start=False), Painter(SIZE)
    paint(writer, project.store, painter, 1)
    writer.manifest(project, project.manifest.with_record(ImageRecord(image_id="a1.png", revision=1)))
    writer.start()
    assert writer.stop()
    stored = read_manifest(project.manifest_path).images["a1.png"]
    assert stored.content_hash == hash_file(project.image_path("a1.png"))


def test_hashes_do_not_hold_up_the_end_for_long(
    project: Project, make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_thread, "HASHING_S", 0.0)
    writer = make_writer(start=False)
    writer.manifest(project, project.manifest.with_record(ImageRecord(image_id="a1.png", revision=1)))
    assert not writer.stop()  # not started: this only sets the time
    writer.start()
    assert writer.stop()
    assert read_manifest(project.manifest_path).images["a1.png"].content_hash is None


def test_project_folder_that_is_gone(project: Project, make_writer: MakeWriter, events: Events) -> None:
    writer = make_writer()
    away = project.folder.with_name("away")
    project.folder.rename(away)
    writer.manifest(project, project.manifest)
    assert not writer.flush(60)
    failed = events.of(WriteFailed)[0]
    assert isinstance(failed, WriteFailed)
    assert "gone" in failed.problem.message
    assert not project.folder.exists()
    away.rename(project.folder)
    assert writer.flush(60)
    assert events.of(WriteRecovered) == [WriteRecovered(target=failed.target)]
