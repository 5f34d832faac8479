"""What the disk thread does next, without a thread and without a disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.annotate.classes import ClassTable
from engine.annotate.journal import RecordKind
from engine.project.manifest import ImageRecord, Manifest, read_manifest
from engine.project.project import Project
from engine.project.store import AnnotationStore
from engine.writer.jobs import Append, Hashing, ManifestJob, Snapshot, Work
from engine.writer.schedule import Schedule
from tests.support.events import Events
from tests.support.writing import SIZE, project_of

CLASSES = ClassTable().add("road").add("tree").add("sky")


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with project_of(tmp_path) as opened:
        yield opened


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


def test_snapshot_asked_for_while_one_is_written_waits_as_long_as_any_other(tmp_path: Path) -> None:
    schedule, store = Schedule(2.0), AnnotationStore(tmp_path)
    schedule.add_snapshot(0.0, store, "a.png", SIZE)
    for now in (1.0, 3.0, 5.0, 7.0, 9.0):  # the hand hardly rests, until the longest wait is over
        schedule.add_snapshot(now, store, "a.png", SIZE)
    job = schedule.next_job(10.0, at_once=False)
    assert isinstance(job, Snapshot)
    schedule.add_snapshot(10.5, store, "a.png", SIZE)
    schedule.succeeded(11.0, job)
    assert schedule.next_job(12.9, at_once=False) is None
    assert isinstance(schedule.next_job(13.0, at_once=False), Snapshot)


def test_manifest_changed_while_one_is_written_is_not_lost(tmp_path: Path) -> None:
    schedule = Schedule(0.0)
    schedule.add_manifest(0.0, tmp_path / "project.json", tmp_path, Manifest())
    job = schedule.next_job(0.0, at_once=False)
    assert isinstance(job, ManifestJob)
    schedule.add_manifest(0.0, tmp_path / "project.json", tmp_path, Manifest(classes=CLASSES))
    schedule.succeeded(0.0, job)
    assert schedule.count == 1


def test_hashes_taken_so_far_are_written_when_no_more_are_taken(project: Project) -> None:
    schedule, manifest = Schedule(0.0), project.manifest
    for name in manifest.images:
        manifest = manifest.with_record(ImageRecord(image_id=name, revision=1))
    assert len(manifest.images) > 1
    schedule.add_manifest(0.0, project.manifest_path, project.images_folder, manifest)
    for kind in (ManifestJob, Hashing):
        job = schedule.next_job(0.0, at_once=True)
        assert isinstance(job, kind)
        job.write()
        schedule.succeeded(0.0, job)
    assert schedule.next_job(0.0, at_once=True, hashing=False) is None
    assert schedule.save_hashes(0.0)
    job = schedule.next_job(0.0, at_once=True, hashing=False)
    assert isinstance(job, ManifestJob)
    job.write()
    schedule.succeeded(0.0, job)
    hashes = [record.content_hash for record in read_manifest(project.manifest_path).images.values()]
    assert sum(value is not None for value in hashes) == 1
    assert not schedule.save_hashes(0.0)
    assert schedule.count == 0


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
