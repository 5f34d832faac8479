"""The disk thread: order, coalescing, failures that lose nothing, and an end that waits."""

import itertools
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.annotate.classes import ClassTable
from engine.annotate.journal import RecordKind, read_journal
from engine.annotate.patch import Patch
from engine.errors import StorageError
from engine.messages import (
    AnnotationStored,
    Event,
    ManifestStored,
    SnapshotStored,
    WriteFailed,
    WriteRecovered,
)
from engine.project.manifest import read_manifest
from engine.project.project import Project
from engine.project.store import AnnotationStore
from engine.writer import Writer
from tests.support.disk import Painter, full_disk
from tests.support.events import Events
from tests.support.writing import NEVER, SIZE, MakeWriter, paint, project_of, writers

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


def labels(store: AnnotationStore, image_id: str = "a1.png") -> bytes:
    return AnnotationStore(store.folder).load(image_id, SIZE).annotation.label_map.tobytes()


# --- the ordinary course -------------------------------------------------------------------------


def test_stroke_is_on_disk_before_anybody_is_told(project: Project, make_writer: MakeWriter) -> None:
    seen: list[tuple[int, int]] = []
    told = threading.Event()

    def emit(event: Event) -> None:
        if isinstance(event, AnnotationStored):
            records = read_journal(project.store.journal_path(event.image_id)).records
            seen.append((event.revision, records[-1].revision))
            if event.revision == 5:
                told.set()

    writer = Writer(emit, rest_s=NEVER)
    writer.start()
    paint(writer, project.store, Painter(SIZE), 5)
    assert told.wait(60)
    assert seen == [(n, n) for n in range(1, 6)]
    assert writer.stop()


def test_patches_are_encoded_on_the_disk_thread(project: Project, make_writer: MakeWriter) -> None:
    writer = make_writer()
    one, zero = np.ones((1, 1), np.uint8), np.zeros((1, 1), np.uint8)
    patch = Patch(2, 3, np.ones((1, 1), bool), one * 255, one, zero, one)
    writer.append(project.store, "a1.png", RecordKind.PATCH, 1, patch)
    writer.append(project.store, "a1.png", RecordKind.UNDO, 2)
    writer.append(project.store, "a1.png", RecordKind.REDO, 3)
    assert writer.flush(60)
    loaded = project.store.load("a1.png", SIZE)
    assert loaded.annotation.label_map[2, 3] == 1
    assert loaded.history.done == (patch.encode(),)


def test_layers_follow_once_when_the_hand_rests(
    project: Project, make_writer: MakeWriter, events: Events
) -> None:
    writer, painter = make_writer(0.05), Painter(SIZE)
    paint(writer, project.store, painter, 6)
    events.wait(lambda event: event == SnapshotStored(image_id="a1.png", revision=6))
    assert len(events.of(SnapshotStored)) == 1
    project.store.journal_path("a1.png").unlink()
    assert labels(project.store) == painter.annotation.label_map.tobytes()


def test_nothing_is_pending_after_a_flush(project: Project, make_writer: MakeWriter, events: Events) -> None:
    writer, painter = make_writer(), Painter(SIZE)
    paint(writer, project.store, painter, 4)
    writer.manifest(project, project.manifest)
    assert writer.pending >= 2
    assert writer.flush(60)
    assert writer.pending == 0
    assert events.of(SnapshotStored) == [SnapshotStored(image_id="a1.png", revision=4)]
    assert ManifestStored() in events.all
    assert writer.flush(60)


def test_images_do_not_mix(project: Project, make_writer: MakeWriter) -> None:
    writer = make_writer()
    painters = {name: Painter(SIZE, seed) for seed, name in enumerate(project.manifest.images)}
    for _ in range(20):
        for name, painter in painters.items():
            paint(writer, project.store, painter, 1, name)
    assert writer.stop()
    for name, painter in painters.items():
        assert labels(project.store, name) == painter.annotation.label_map.tobytes()


def test_stop_loses_nothing(project: Project, make_writer: MakeWriter, events: Events) -> None:
    writer, painter = make_writer(start=False), Painter(SIZE)
    paint(writer, project.store, painter, 30)
    writer.manifest(project, replace(project.manifest, classes=CLASSES))
    writer.start()
    assert writer.stop()
    assert writer.stop()
    assert labels(project.store) == painter.annotation.label_map.tobytes()
    assert read_manifest(project.manifest_path).classes == CLASSES
    assert events.all[0] == ManifestStored()  # before any stroke of these classes


def test_writer_that_never_started_says_that_things_are_pending(project: Project, events: Events) -> None:
    writer = Writer(events)
    assert writer.stop()
    paint(writer, project.store, Painter(SIZE), 1)
    assert not writer.flush(0.01)
    assert not writer.stop()


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync_only", [False, True])
def test_full_disk_is_told_once_and_everything_is_kept(
    project: Project,
    make_writer: MakeWriter,
    events: Events,
    monkeypatch: pytest.MonkeyPatch,
    sync_only: bool,
) -> None:
    writer, painter = make_writer(), Painter(SIZE)
    paint(writer, project.store, painter, 2)
    assert writer.flush(60)
    before = project.store.journal_path("a1.png").read_bytes()
    with full_disk(monkeypatch, sync_only=sync_only):
        paint(writer, project.store, painter, 3)
        writer.manifest(project, replace(project.manifest, classes=CLASSES))
        for _ in range(4):
            assert not writer.flush(60)
        assert writer.pending == 5  # three strokes, one label map, the manifest
        assert project.store.journal_path("a1.png").read_bytes() == before
    targets = [event.target for event in events.all if isinstance(event, WriteFailed)]
    assert len(targets) == len(set(targets)) > 0
    assert all("full" in event.problem.message for event in events.all if isinstance(event, WriteFailed))
    assert writer.flush(60)
    assert {event.target for event in events.all if isinstance(event, WriteRecovered)} == set(targets)
    assert labels(project.store) == painter.annotation.label_map.tobytes()
    assert read_manifest(project.manifest_path).classes == CLASSES


def test_failed_write_is_tried_again_by_itself(
    project: Project, make_writer: MakeWriter, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.writer.schedule._FIRST_RETRY_S", 0.01)
    attempts = itertools.count()
    real = os.fsync

    def fail_twice(handle: int) -> None:
        if next(attempts) < 2:
            raise OSError(5, "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", fail_twice)
    writer, painter = make_writer(), Painter(SIZE)
    paint(writer, project.store, painter, 1)
    events.wait(lambda event: isinstance(event, WriteRecovered))
    kinds = [type(event) for event in events.all]
    assert kinds == [WriteFailed, AnnotationStored, WriteRecovered]


def test_trouble_with_one_image_does_not_hold_up_the_others(
    project: Project, make_writer: MakeWriter, events: Events
) -> None:
    bad = project.store.journal_path("a0.png")
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"this is no journal" * 10)
    writer, painter = make_writer(), Painter(SIZE)
    paint(writer, project.store, Painter(SIZE), 2, "a0.png")
    paint(writer, project.store, painter, 2, "a1.png")
    assert not writer.flush(60)
    assert labels(project.store) == painter.annotation.label_map.tobytes()
    assert bad.read_bytes() == b"this is no journal" * 10
    assert not project.store.label_path("a0.png").exists()
    failed = events.of(WriteFailed)
    assert len(failed) == 1
    assert isinstance(failed[0], WriteFailed)
    assert "a0.png" in failed[0].target
    assert writer.pending == 3
    assert not writer.stop()


def test_bug_in_one_job_is_reported_and_the_thread_lives_on(
    project: Project, make_writer: MakeWriter, events: Events
) -> None:
    writer, painter = make_writer(), Painter(SIZE)
    writer.append(project.store, "a0.png", RecordKind.PATCH, 1, None)  # a patch without its content
    paint(writer, project.store, painter, 1)
    assert not writer.flush(60)
    failed = events.of(WriteFailed)[0]
    assert isinstance(failed, WriteFailed)
    assert "Traceback" in failed.problem.report
    assert labels(project.store) == painter.annotation.label_map.tobytes()


@pytest.mark.logs_allowed
def test_listener_that_fails_does_not_stop_the_saving(project: Project) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError("the window is gone")

    writer, painter = Writer(fail, rest_s=NEVER), Painter(SIZE)
    writer.start()
    paint(writer, project.store, painter, 3)
    assert writer.stop()
    assert labels(project.store) == painter.annotation.label_map.tobytes()


def test_flush_gives_up_after_its_time(project: Project, make_writer: MakeWriter) -> None:
    writer, gate = make_writer(), threading.Event()
    writer.run("long work", lambda: gate.wait(60) and None)
    assert not writer.flush(0.02)
    gate.set()
    assert writer.flush(60)


# --- larger work ---------------------------------------------------------------------------------


def test_larger_work_stands_between_the_steps_before_and_after(
    project: Project, make_writer: MakeWriter
) -> None:
    writer, painter = make_writer(start=False), Painter(SIZE)
    seen: list[int] = []

    def work() -> None:
        seen.append(project.store.load("a1.png", SIZE).annotation.revision)
        if len(seen) == 1:
            raise StorageError("“x” could not be written: the disk is full.", "")

    paint(writer, project.store, painter, 3)
    writer.run("all annotations", work)
    paint(writer, project.store, painter, 2)
    writer.start()
    assert not writer.flush(60)
    assert project.store.load("a1.png", SIZE).annotation.revision == 3
    assert writer.flush(60)
    assert seen == [3, 3]
    assert project.store.load("a1.png", SIZE).annotation.revision == 5
