"""Annotations on disk: exact after any crash and at any moment."""

import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.annotate.journal import HISTORY_LIMIT, RecordKind, read_journal
from engine.errors import AnnotationError, StorageError
from engine.project.layers import encode_layer
from engine.project.store import AnnotationStore
from tests.support.disk import Painter
from tests.support.stored import IMAGE, SIZE, painted, state_of


@pytest.fixture
def store(tmp_path: Path) -> AnnotationStore:
    return AnnotationStore(tmp_path)


# --- round trips ---------------------------------------------------------------------------------


def test_nothing_stored_is_an_empty_annotation(store: AnnotationStore) -> None:
    loaded = store.load(IMAGE, SIZE)
    assert (loaded.annotation.label_map == 255).all()
    assert (loaded.annotation.provenance == 0).all()
    assert loaded.annotation.revision == 0
    assert loaded.history.done == ()
    assert list(store.folder.iterdir()) == []
    assert store.annotated_ids() == ()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), plan=st.lists(st.sampled_from("ssssclpr"), max_size=40))
def test_whatever_happens_is_read_back_exactly(tmp_path: Path, seed: int, plan: list[str]) -> None:
    """s: step; c: both layers follow; l, p: a crash after one layer only; r: the program starts anew."""
    folder = tmp_path / "project"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    store, painter = AnnotationStore(folder), Painter(SIZE, seed)
    for action in plan:
        if action == "s":
            store.append(IMAGE, *painter.step())
        elif action == "c":
            store.settle(IMAGE, SIZE)
        elif action == "r":
            store = AnnotationStore(folder)
        elif painter.revision:
            values = painter.annotation.label_map if action == "l" else painter.annotation.provenance
            path = store.label_path(IMAGE) if action == "l" else store.provenance_path(IMAGE)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_layer(np.asarray(values), painter.revision))
        assert state_of(store.load(IMAGE, SIZE)) == painter.state()


def test_journal_cut_anywhere_gives_the_state_of_its_last_whole_record(store: AnnotationStore) -> None:
    painter, states = Painter(SIZE), []
    lengths = [0]
    states.append(painter.state())
    path = store.journal_path(IMAGE)
    for _ in range(5):
        store.append(IMAGE, *painter.step())
        lengths.append(path.stat().st_size)
        states.append(painter.state())
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        known = max(place for place, length in enumerate(lengths) if length <= cut)
        assert state_of(AnnotationStore(store.folder).load(IMAGE, SIZE)) == states[known]
        assert path.read_bytes() == whole[:cut]
    with pytest.raises(AnnotationError, match="lost or older"):
        store.load(IMAGE, SIZE)  # who wrote the steps misses them


def test_painting_goes_on_after_a_torn_record(store: AnnotationStore) -> None:
    painter = painted(store, 3)
    path = store.journal_path(IMAGE)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:17])
    again = AnnotationStore(store.folder)
    again.append(IMAGE, *painter.step(RecordKind.PATCH))
    assert state_of(AnnotationStore(store.folder).load(IMAGE, SIZE)) == painter.state()


def test_layers_are_grey_pngs_that_any_tool_reads(store: AnnotationStore) -> None:
    painter = painted(store)
    assert store.settle(IMAGE, SIZE) == 5
    assert store.label_path(IMAGE) == store.folder / "annotations/sub/a.jpg.png"
    with Image.open(store.label_path(IMAGE)) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), painter.annotation.label_map)
        assert image.text == {"maskloop-revision": "5"}
    assert store.annotated_ids() == (IMAGE,)
    assert store.size_of(IMAGE) == SIZE


def test_images_with_the_same_stem_have_files_of_their_own(store: AnnotationStore) -> None:
    for number, name in enumerate(("a.jpg", "a.png", "sub/a.jpg")):
        painter = Painter(SIZE, number)
        store.append(name, *painter.step())
        store.settle(name, SIZE)
        assert state_of(store.load(name, SIZE)) == painter.state()
    assert store.annotated_ids() == ("a.jpg", "a.png", "sub/a.jpg")


def test_undo_survives_snapshots_and_restarts(store: AnnotationStore) -> None:
    painter = painted(store, 4)
    store.append(IMAGE, *painter.step(RecordKind.UNDO))
    store.settle(IMAGE, SIZE)
    again = AnnotationStore(store.folder)
    assert state_of(again.load(IMAGE, SIZE)) == painter.state()
    again.append(IMAGE, *painter.step(RecordKind.REDO))
    again.append(IMAGE, *painter.step(RecordKind.UNDO))
    again.append(IMAGE, *painter.step(RecordKind.UNDO))
    loaded = again.load(IMAGE, SIZE)
    assert state_of(loaded) == painter.state()
    assert (len(loaded.history.done), len(loaded.history.undone)) == (2, 2)


# --- long journals -------------------------------------------------------------------------------


def test_long_journal_is_shortened_and_keeps_200_steps(
    store: AnnotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)
    painter = Painter(SIZE)
    for _ in range(3 * HISTORY_LIMIT):
        store.append(IMAGE, *painter.step(RecordKind.PATCH))
    store.settle(IMAGE, SIZE)
    assert len(read_journal(store.journal_path(IMAGE)).records) == 3 * HISTORY_LIMIT
    for kind in (RecordKind.PATCH, RecordKind.UNDO, RecordKind.UNDO):
        store.append(IMAGE, *painter.step(kind))
    store.settle(IMAGE, SIZE)
    records = read_journal(store.journal_path(IMAGE)).records
    assert len(records) == HISTORY_LIMIT + 2
    assert records[-1].revision == painter.revision
    loaded = AnnotationStore(store.folder).load(IMAGE, SIZE)
    assert state_of(loaded) == painter.state()
    assert len(loaded.history.done) + len(loaded.history.undone) == HISTORY_LIMIT
    for kind in (RecordKind.REDO, RecordKind.PATCH, RecordKind.UNDO):
        store.append(IMAGE, *painter.step(kind))
        assert state_of(store.load(IMAGE, SIZE)) == painter.state()


def test_history_is_the_same_before_and_after_shortening(
    store: AnnotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("engine.annotate.journal", "engine.project.replay"):
        monkeypatch.setattr(f"{module}.HISTORY_LIMIT", 6)
    monkeypatch.setattr("os.fsync", lambda handle: None)
    painter = Painter(SIZE, 3)
    for number in range(250):
        store.append(IMAGE, *painter.step())
        assert state_of(store.load(IMAGE, SIZE)) == painter.state()
        if number % 37 == 36:
            monkeypatch.setattr("engine.project.store._COMPACT_ABOVE", 0)
            store.settle(IMAGE, SIZE)
            monkeypatch.setattr("engine.project.store._COMPACT_ABOVE", 1000)
            assert state_of(store.load(IMAGE, SIZE)) == painter.state()


def test_step_that_fell_out_of_the_history_can_still_be_taken_back_by_the_journal(
    store: AnnotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.project.replay.HISTORY_LIMIT", 1)
    painter = Painter(SIZE)
    for kind in (RecordKind.PATCH, RecordKind.PATCH, RecordKind.UNDO, RecordKind.UNDO):
        store.append(IMAGE, *painter.step(kind))
    loaded = store.load(IMAGE, SIZE)
    assert (loaded.annotation.label_map == 255).all()
    assert loaded.history.done == ()
    assert len(loaded.history.undone) == 1


def test_shortened_journal_without_its_layers_is_a_loss_and_says_so(
    store: AnnotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.project.store._COMPACT_ABOVE", 3)
    monkeypatch.setattr("engine.project.replay.HISTORY_LIMIT", 2)
    painted(store, 5)
    store.settle(IMAGE, SIZE)
    store.append(IMAGE, RecordKind.UNDO, 6)
    store.label_path(IMAGE).unlink()
    with pytest.raises(AnnotationError, match="missing"):
        store.load(IMAGE, SIZE)


def test_crash_while_a_journal_is_exchanged_changes_nothing(
    store: AnnotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.project.store._COMPACT_ABOVE", 3)
    painter = painted(store, 5)
    real = os.replace
    calls: list[str] = []

    def fail_at_the_journal(source: Path, target: Path) -> None:
        calls.append(str(target))
        if str(target).endswith(".journal"):
            raise OSError(5, "gone")
        real(source, target)

    monkeypatch.setattr(os, "replace", fail_at_the_journal)
    with pytest.raises(StorageError):
        store.settle(IMAGE, SIZE)
    assert calls[-1].endswith(".journal")
    assert state_of(store.load(IMAGE, SIZE)) == painter.state()


def test_lost_journal_loses_undo_only_and_painting_goes_on(store: AnnotationStore) -> None:
    painter = painted(store, 4)
    store.settle(IMAGE, SIZE)
    store.journal_path(IMAGE).unlink()
    again = AnnotationStore(store.folder)
    loaded = again.load(IMAGE, SIZE)
    assert state_of(loaded)[:3] == painter.state()[:3]
    assert loaded.history.done == ()
    again.append(IMAGE, *painter.step(RecordKind.PATCH))
    assert state_of(again.load(IMAGE, SIZE))[:3] == painter.state()[:3]


# --- order of steps ------------------------------------------------------------------------------


def test_steps_must_follow_each_other(store: AnnotationStore) -> None:
    painted(store, 2)
    with pytest.raises(AnnotationError, match="cannot be stored"):
        store.append(IMAGE, RecordKind.UNDO, 4)
    with pytest.raises(AnnotationError, match="cannot be stored"):
        store.append(IMAGE, RecordKind.UNDO, 2)


def test_repeated_step_is_stored_once(store: AnnotationStore) -> None:
    painter = painted(store, 2)
    step = painter.step(RecordKind.PATCH)
    store.append(IMAGE, *step)
    store.append(IMAGE, *step)
    AnnotationStore(store.folder).append(IMAGE, *step)
    assert len(read_journal(store.journal_path(IMAGE)).records) == 3


def test_change_from_outside_is_noticed(store: AnnotationStore) -> None:
    painter = painted(store, 2)
    path = store.journal_path(IMAGE)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(AnnotationError, match="cannot be stored"):
        store.append(IMAGE, *painter.step(RecordKind.PATCH))


def test_older_snapshot_never_replaces_a_newer_one(store: AnnotationStore) -> None:
    painted(store)
    empty = np.full(SIZE, 255, np.uint8)
    with pytest.raises(AnnotationError, match="older"):
        store.write_snapshot(IMAGE, empty, empty * 0, 4)


def test_rewriting_forgets_the_steps(store: AnnotationStore) -> None:
    painted(store)
    labels = np.full(SIZE, 2, np.uint8)
    store.rewrite(IMAGE, labels, np.ones(SIZE, np.uint8), 6)
    loaded = store.load(IMAGE, SIZE)
    assert (loaded.annotation.label_map == 2).all()
    assert loaded.annotation.revision == 6
    assert loaded.history.done == ()
    patch = Painter(SIZE)
    with pytest.raises(AnnotationError, match="cannot be stored"):
        store.append(IMAGE, *patch.step())


# --- at the same time ----------------------------------------------------------------------------


def test_reading_while_another_writes_is_always_a_true_state(
    store: AnnotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.project.store._COMPACT_ABOVE", 8)
    monkeypatch.setattr("engine.project.replay.HISTORY_LIMIT", 4)
    monkeypatch.setattr("os.fsync", lambda handle: None)
    painter, states = Painter(SIZE), {}
    states[0] = painter.state()[:2]
    done = threading.Event()

    def write() -> None:
        for number in range(150):
            step = painter.step(RecordKind.PATCH)
            states[step[1]] = painter.state()[:2]
            store.append(IMAGE, *step)
            if number % 3 == 0:
                store.settle(IMAGE, SIZE)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    reader, seen = AnnotationStore(store.folder), 0
    try:
        while not done.is_set():
            loaded = reader.load(IMAGE, SIZE)
            assert state_of(loaded)[:2] == states[loaded.annotation.revision]
            assert loaded.annotation.revision >= seen
            seen = loaded.annotation.revision
    finally:
        thread.join()
    assert reader.load(IMAGE, SIZE).annotation.revision == 150
