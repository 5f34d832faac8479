"""The disk thread: order, coalescing, failures that lose nothing, and an end that waits for everything."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.annotate.classes import ClassTable
from engine.annotate.journal import RecordKind, read_journal
from engine.annotate.patch import Patch
from engine.errors import StorageError
from engine.files import hash_file
from engine.messages import (
    AnnotationStored,
    Event,
    ManifestStored,
    SnapshotStored,
    WriteFailed,
    WriteRecovered,
)
from engine.project.manifest import ImageRecord, Manifest, read_manifest
from engine.project.project import Project
from engine.project.store import AnnotationStore
from engine.writer import Writer
from engine.writer.jobs import Append, ManifestJob, Snapshot, Work
from engine.writer.schedule import Schedule
from tests.support.disk import Painter, full_disk, images_folder
from tests.support.events import Events

SIZE = (24, 32)
NEVER = 3600.0
CLASSES = ClassTable().add("road").add("tree").add("sky")


MakeWriter = Callable[..., Writer]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    opened = Project.open(images_folder(tmp_path))
    opened.ensure()
    yield opened
    opened.close()


@pytest.fixture
def make_writer(events: Events) -> Iterator[Callable[..., Writer]]:
    writers: list[Writer] = []

    def make(rest_s: float = NEVER, *, start: bool = True) -> Writer:
        writer = Writer(events, rest_s=rest_s)
        writers.append(writer)
        if start:
            writer.start()
        return writer

    yield make
    for writer in writers:
        writer.stop()


def paint(
    writer: Writer, store: AnnotationStore, painter: Painter, steps: int, image_id: str = "a1.png"
) -> None:
    for _ in range(steps):
        writer.append(store, image_id, *painter.step(RecordKind.PATCH))
        writer.snapshot(store, image_id, SIZE)


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
    assert told.wait(10)
    assert seen == [(n, n) for n in range(1, 6)]
    assert writer.stop()


def test_patches_are_encoded_on_the_disk_thread(project: Project, make_writer: MakeWriter) -> None:
    writer = make_writer()
    one, zero = np.ones((1, 1), np.uint8), np.zeros((1, 1), np.uint8)
    patch = Patch(2, 3, np.ones((1, 1), bool), one * 255, one, zero, one)
    writer.append(project.store, "a1.png", RecordKind.PATCH, 1, patch)
    writer.append(project.store, "a1.png", RecordKind.UNDO, 2)
    writer.append(project.store, "a1.png", RecordKind.REDO, 3)
    assert writer.flush(10)
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
    assert writer.flush(10)
    assert writer.pending == 0
    assert events.of(SnapshotStored) == [SnapshotStored(image_id="a1.png", revision=4)]
    assert ManifestStored() in events.all
    assert writer.flush(10)


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
    assert writer.flush(10)
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
        revisions.append((read_manifest(project.manifest_path).images["a1.png"].revision, len(records)))

    writer._emit = look
    writer.start()
    assert writer.flush(10)
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
    assert not writer.flush(10)
    stored = read_manifest(project.manifest_path)
    assert stored.classes == CLASSES
    assert stored.images["a0.png"].revision == 0
    assert len(events.of(ManifestStored)) == 1


def test_last_manifest_counts(project: Project, make_writer: MakeWriter, events: Events) -> None:
    writer = make_writer(start=False)
    for revision in range(5):
        record = ImageRecord(image_id="a1.png", revision=revision)
        writer.manifest(project, project.manifest.with_record(record))
    writer.start()
    assert writer.flush(10)
    assert len(events.of(ManifestStored)) == 1
    assert read_manifest(project.manifest_path).images["a1.png"].revision == 4


def test_missing_images_stay_in_the_manifest(project: Project, make_writer: MakeWriter) -> None:
    project.missing = {"gone.png": ImageRecord(image_id="gone.png", revision=7)}
    writer = make_writer()
    writer.manifest(project, project.manifest)
    assert writer.flush(10)
    assert read_manifest(project.manifest_path).images["gone.png"].revision == 7


def test_content_hashes_are_filled_in(project: Project, make_writer: MakeWriter, events: Events) -> None:
    writer = make_writer(0.0)
    manifest = project.manifest.with_record(ImageRecord(image_id="a1.png", revision=1))
    manifest = manifest.with_record(ImageRecord(image_id="vanished.png", revision=2))
    writer.manifest(project, manifest)
    done = threading.Event()
    writer._emit = lambda event: (events(event), done.set() if len(events.of(ManifestStored)) == 2 else None)
    assert done.wait(10)
    stored = read_manifest(project.manifest_path)
    assert stored.images["a1.png"].content_hash == hash_file(project.image_path("a1.png"))
    assert stored.images["a0.png"].content_hash is None
    assert stored.images["vanished.png"].content_hash is None
    # The session does not know the hash yet; writing its manifest again does not lose it.
    writer.manifest(project, manifest)
    assert writer.flush(10)
    assert read_manifest(project.manifest_path).images["a1.png"].content_hash is not None


def test_project_folder_that_is_gone(project: Project, make_writer: MakeWriter, events: Events) -> None:
    writer = make_writer()
    away = project.folder.with_name("away")
    project.folder.rename(away)
    writer.manifest(project, project.manifest)
    assert not writer.flush(10)
    failed = events.of(WriteFailed)[0]
    assert isinstance(failed, WriteFailed)
    assert "gone" in failed.problem.message
    assert not project.folder.exists()
    away.rename(project.folder)
    assert writer.flush(10)
    assert events.of(WriteRecovered) == [WriteRecovered(target=failed.target)]


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
    assert writer.flush(10)
    before = project.store.journal_path("a1.png").read_bytes()
    with full_disk(monkeypatch, sync_only=sync_only):
        paint(writer, project.store, painter, 3)
        writer.manifest(project, replace(project.manifest, classes=CLASSES))
        for _ in range(4):
            assert not writer.flush(10)
        assert writer.pending == 5  # three strokes, one label map, the manifest
        assert project.store.journal_path("a1.png").read_bytes() == before
    targets = [event.target for event in events.all if isinstance(event, WriteFailed)]
    assert len(targets) == len(set(targets)) > 0
    assert all("full" in event.problem.message for event in events.all if isinstance(event, WriteFailed))
    assert writer.flush(10)
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
    assert not writer.flush(10)
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
    assert not writer.flush(10)
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
    writer.run("long work", lambda: gate.wait(10) and None)
    assert not writer.flush(0.02)
    gate.set()
    assert writer.flush(10)


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
    assert not writer.flush(10)
    assert project.store.load("a1.png", SIZE).annotation.revision == 3
    assert writer.flush(10)
    assert seen == [3, 3]
    assert project.store.load("a1.png", SIZE).annotation.revision == 5


# --- the order by itself -------------------------------------------------------------------------


def test_back_off_grows_and_has_an_end(tmp_path: Path) -> None:
    schedule, store = Schedule(0.5), AnnotationStore(tmp_path)
    schedule.add_append(0.0, store, "a.png", RecordKind.UNDO, 1, None)
    now, delays = 0.0, []
    for _ in range(9):
        job = schedule.next_job(now, at_once=False)
        assert job is not None
        schedule.failed(now, job)
        assert schedule.next_job(now, at_once=False) is None
        wait = schedule.wake_after(now)
        assert wait is not None
        delays.append(wait)
        now += wait
    assert delays == sorted(delays)
    assert delays[0] == 0.5
    assert delays[-1] == 15.0
    assert schedule.next_job(now, at_once=False) is not None


def test_layers_come_at_last_even_if_the_hand_never_rests(tmp_path: Path) -> None:
    schedule, store = Schedule(0.7), AnnotationStore(tmp_path)
    now = 0.0
    written = []
    for revision in range(1, 60):
        schedule.add_append(now, store, "a.png", RecordKind.UNDO, revision, None)
        schedule.add_snapshot(now, store, "a.png", SIZE)
        while (job := schedule.next_job(now, at_once=False)) is not None:
            if isinstance(job, Snapshot):
                written.append(now)
            schedule.succeeded(now, job)
        now += 0.3
    assert 9.0 < written[0] < 11.0
    assert len(written) == 1
    assert schedule.wake_after(now) is not None


def test_snapshot_asked_for_while_one_is_written_is_not_lost(tmp_path: Path) -> None:
    schedule, store = Schedule(0.0), AnnotationStore(tmp_path)
    schedule.add_snapshot(0.0, store, "a.png", SIZE)
    job = schedule.next_job(0.0, at_once=False)
    assert isinstance(job, Snapshot)
    schedule.add_snapshot(0.0, store, "a.png", SIZE)
    schedule.succeeded(0.0, job)
    assert schedule.count == 1


def test_manifest_changed_while_one_is_written_is_not_lost(tmp_path: Path) -> None:
    schedule = Schedule(0.0)
    schedule.add_manifest(0.0, tmp_path / "project.json", tmp_path, Manifest())
    job = schedule.next_job(0.0, at_once=False)
    assert isinstance(job, ManifestJob)
    schedule.add_manifest(0.0, tmp_path / "project.json", tmp_path, Manifest(classes=CLASSES))
    schedule.succeeded(0.0, job)
    assert schedule.count == 1


class Desk:
    """A schedule, what the disk would hold, and what was asked for."""

    def __init__(self) -> None:
        self.folder = Path("/nowhere")
        self.schedule, self.store = Schedule(0.7), AnnotationStore(self.folder)
        self.asked, self.stored = dict.fromkeys("xyz", 0), dict.fromkeys("xyz", 0)
        self.wanted, self.known = ClassTable(), ClassTable()
        self.now = 0.0

    def ask(self, action: str, image: str) -> None:
        self.now += 0.2
        if action == "append":
            self.asked[image] += 1
            self.schedule.add_append(self.now, self.store, image, RecordKind.UNDO, self.asked[image], None)
        elif action == "snapshot":
            self.schedule.add_snapshot(self.now, self.store, image, SIZE)
        elif action == "classes":
            self.wanted = self.wanted.add(f"class {len(self.wanted)}")
            manifest = Manifest(classes=self.wanted)
            self.schedule.add_manifest(self.now, self.folder / "project.json", self.folder, manifest)
        else:
            expected = dict(self.asked)
            self.schedule.add_work("work", lambda: self.check(expected))

    def check(self, expected: dict[str, int]) -> None:
        assert self.stored == expected

    def serve(self, *, fail: bool, at_once: bool) -> bool:
        job = self.schedule.next_job(self.now, at_once=at_once)
        if job is None:
            return False
        if fail:
            self.schedule.failed(self.now, job)
            return True
        if isinstance(job, Append):
            assert job.revision == self.stored[job.image_id] + 1
            assert self.known == self.wanted
            self.stored[job.image_id] += 1
        elif isinstance(job, Snapshot):
            assert self.stored[job.image_id] == self.asked[job.image_id]
        elif isinstance(job, ManifestJob):
            self.known = job.manifest.classes
        elif isinstance(job, Work):
            job.write()
        self.schedule.succeeded(self.now, job)
        return True


ACTIONS = st.sampled_from(["append", "append", "snapshot", "classes", "work", "serve", "serve", "fail"])


@given(plan=st.lists(st.tuples(ACTIONS, st.sampled_from("xyz")), max_size=40))
def test_no_order_of_calls_and_failures_loses_or_swaps_anything(plan: list[tuple[str, str]]) -> None:
    desk = Desk()
    for action, image in plan:
        if action in {"serve", "fail"}:
            desk.serve(fail=action == "fail", at_once=False)
        else:
            desk.ask(action, image)
    desk.schedule.forgive()
    while desk.serve(fail=False, at_once=True):
        pass
    assert desk.schedule.count == 0
    assert desk.stored == desk.asked
    assert desk.known == desk.wanted
