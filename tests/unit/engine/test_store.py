"""Annotations on disk: exact after any crash, never overwritten when damaged."""

import itertools
import os
import shutil
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.annotate.classes import ClassTable
from engine.annotate.journal import HISTORY_LIMIT, RecordKind, read_journal
from engine.errors import AnnotationError, ProjectError, StorageError
from engine.project.layers import decode_layer, encode_layer
from engine.project.store import AnnotationStore, LoadedAnnotation
from tests.support.disk import Painter, full_disk, tree

SIZE = (24, 32)
IMAGE = "sub/a.jpg"


def state_of(loaded: LoadedAnnotation) -> tuple[bytes, bytes, int, object]:
    annotation = loaded.annotation
    return (
        annotation.label_map.tobytes(),
        annotation.provenance.tobytes(),
        annotation.revision,
        loaded.history,
    )


@pytest.fixture
def store(tmp_path: Path) -> AnnotationStore:
    return AnnotationStore(tmp_path)


def painted(store: AnnotationStore, steps: int = 5, seed: int = 0) -> Painter:
    """Paint so many strokes and store each."""
    painter = Painter(SIZE, seed)
    for _ in range(steps):
        store.append(IMAGE, *painter.step(RecordKind.PATCH))
    return painter


# --- round trips ---------------------------------------------------------------------------------


def test_nothing_stored_is_an_empty_annotation(store: AnnotationStore) -> None:
    loaded = store.load(IMAGE, SIZE)
    assert (loaded.annotation.label_map == 255).all()
    assert (loaded.annotation.provenance == 0).all()
    assert loaded.annotation.revision == 0
    assert loaded.history.done == ()
    assert list(store.folder.iterdir()) == []
    assert store.annotated_ids() == ()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
        assert state_of(store.load(IMAGE, SIZE)) == states[known]
        assert path.read_bytes() == whole[:cut]


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


# --- damage --------------------------------------------------------------------------------------


def corruptions(data: bytes) -> dict[str, bytes]:
    middle = len(data) // 2
    return {
        "empty": b"",
        "cut": data[:middle],
        "flipped": data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :],
        "other": b"this is something else entirely",
        "zeros": bytes(len(data)),
        "longer": data + b"more",
    }


@pytest.mark.parametrize("kind", ["empty", "cut", "flipped", "other", "zeros", "longer"])
@pytest.mark.parametrize("which", ["label_path", "provenance_path"])
def test_damaged_layer_is_reported_and_never_overwritten(
    store: AnnotationStore, which: str, kind: str
) -> None:
    painter = painted(store)
    store.settle(IMAGE, SIZE)
    path: Path = getattr(store, which)(IMAGE)
    path.write_bytes(corruptions(path.read_bytes())[kind])
    before = tree(store.folder)
    again = AnnotationStore(store.folder)
    with pytest.raises(AnnotationError, match="damaged") as caught:
        again.load(IMAGE, SIZE)
    assert str(path) in caught.value.message
    assert "overwrite" in caught.value.hint
    with pytest.raises(AnnotationError):
        again.settle(IMAGE, SIZE)
    with pytest.raises(AnnotationError):
        again.write_snapshot(IMAGE, painter.annotation.label_map, painter.annotation.provenance, 6)
    with pytest.raises(AnnotationError):
        again.rewrite(IMAGE, painter.annotation.label_map, painter.annotation.provenance, 6)
    assert tree(store.folder) == before


def test_every_flipped_bit_of_a_layer_is_noticed(store: AnnotationStore) -> None:
    painter = painted(store)
    data = encode_layer(np.asarray(painter.annotation.label_map), 5)
    for place in range(len(data)):
        for bit in (1, 128):
            bad = bytearray(data)
            bad[place] ^= bit
            with pytest.raises(AnnotationError):
                decode_layer(bytes(bad), SIZE, "layer.png")


@pytest.mark.parametrize("kind", ["flipped", "other", "longer"])
def test_damaged_journal_is_reported_and_never_written(store: AnnotationStore, kind: str) -> None:
    painter = painted(store)
    path = store.journal_path(IMAGE)
    path.write_bytes(corruptions(path.read_bytes())[kind])
    before = tree(store.folder)
    again = AnnotationStore(store.folder)
    with pytest.raises(AnnotationError, match="damaged"):
        again.load(IMAGE, SIZE)
    with pytest.raises(AnnotationError):
        again.append(IMAGE, *painter.step(RecordKind.PATCH))
    with pytest.raises(AnnotationError):
        again.settle(IMAGE, SIZE)
    assert tree(store.folder) == before


def test_layer_of_another_size(store: AnnotationStore) -> None:
    painted(store)
    store.settle(IMAGE, SIZE)
    with pytest.raises(AnnotationError, match="32 × 24") as caught:
        store.load(IMAGE, (32, 24))
    assert "overwrite" in caught.value.hint


def test_journal_of_another_size(store: AnnotationStore) -> None:
    painter = Painter((100, 100))
    for _ in range(9):
        store.append(IMAGE, *painter.step(RecordKind.PATCH))
    with pytest.raises(AnnotationError, match="another size"):
        store.load(IMAGE, (3, 3))


def test_layer_that_another_program_saved(store: AnnotationStore) -> None:
    painted(store)
    store.settle(IMAGE, SIZE)
    path = store.label_path(IMAGE)
    with Image.open(path) as image:
        copy = image.copy()
    copy.save(path)
    with pytest.raises(AnnotationError, match="another program") as caught:
        store.load(IMAGE, SIZE)
    assert "import" in caught.value.hint
    store.journal_path(IMAGE).unlink()
    with pytest.raises(AnnotationError, match="another program"):
        AnnotationStore(store.folder).append(IMAGE, RecordKind.UNDO, 6)


@pytest.mark.parametrize("mode", ["RGB", "P", "1", "I;16"])
def test_layer_of_another_kind(store: AnnotationStore, mode: str) -> None:
    path = store.label_path(IMAGE)
    path.parent.mkdir(parents=True)
    Image.new(mode, (SIZE[1], SIZE[0])).save(path)
    with pytest.raises(AnnotationError, match="another program"):
        store.load(IMAGE, SIZE)


def test_class_that_does_not_exist(store: AnnotationStore) -> None:
    painted(store, 12)
    table = ClassTable().add("road").add("tree").add("sky")
    store.load(IMAGE, SIZE, table)
    with pytest.raises(AnnotationError, match="without a class") as caught:
        store.load(IMAGE, SIZE, table.remove(1))
    assert "project.json" in caught.value.hint


def test_provenance_without_a_meaning(store: AnnotationStore) -> None:
    painted(store)
    store.settle(IMAGE, SIZE)
    store.provenance_path(IMAGE).write_bytes(encode_layer(np.full(SIZE, 77, np.uint8), 5))
    with pytest.raises(AnnotationError, match="provenance"):
        store.load(IMAGE, SIZE)


def test_layers_that_do_not_belong_together(store: AnnotationStore) -> None:
    painted(store)
    store.settle(IMAGE, SIZE)
    store.provenance_path(IMAGE).write_bytes(encode_layer(np.zeros(SIZE, np.uint8), 9))
    with pytest.raises(AnnotationError, match="belong together"):
        store.load(IMAGE, SIZE)
    store.journal_path(IMAGE).unlink()
    with pytest.raises(AnnotationError, match="belong together"):
        AnnotationStore(store.folder).append(IMAGE, RecordKind.UNDO, 6)


def test_old_backup_of_both_layers_is_brought_forward(store: AnnotationStore) -> None:
    painter = painted(store, 3)
    store.settle(IMAGE, SIZE)
    old = {path: path.read_bytes() for path in store.paths(IMAGE)[:2]}
    for _ in range(4):
        store.append(IMAGE, *painter.step())
    store.settle(IMAGE, SIZE)
    for path, data in old.items():
        path.write_bytes(data)
    assert state_of(store.load(IMAGE, SIZE)) == painter.state()


def test_journal_that_does_not_fit_its_layers(store: AnnotationStore) -> None:
    painted(store)
    store.label_path(IMAGE).parent.mkdir(parents=True)
    store.label_path(IMAGE).write_bytes(encode_layer(np.zeros(SIZE, np.uint8), 2))
    with pytest.raises(AnnotationError, match="does not fit"):
        store.load(IMAGE, SIZE)


def test_journal_that_undoes_what_it_does_not_hold(store: AnnotationStore) -> None:
    store.append(IMAGE, RecordKind.UNDO, 1)
    with pytest.raises(AnnotationError, match="takes back"):
        store.load(IMAGE, SIZE)


def test_journal_with_rubbish_for_a_patch(store: AnnotationStore) -> None:
    store.append(IMAGE, RecordKind.PATCH, 1, b"rubbish")
    with pytest.raises(AnnotationError, match="damaged"):
        store.load(IMAGE, SIZE)


def test_annotation_that_the_manifest_knows_must_be_there(tmp_path: Path) -> None:
    store = AnnotationStore(tmp_path, expected={IMAGE: 3})
    with pytest.raises(AnnotationError, match="lost"):
        store.load(IMAGE, SIZE)
    store.set_aside(IMAGE)
    assert store.load(IMAGE, SIZE).annotation.revision == 0


def test_damaged_files_are_set_aside_not_deleted(store: AnnotationStore) -> None:
    painted(store)
    store.settle(IMAGE, SIZE)
    store.label_path(IMAGE).write_bytes(b"rubbish")
    kept = {path: path.read_bytes() for path in store.paths(IMAGE)}
    folder = store.set_aside(IMAGE)
    assert store.load(IMAGE, SIZE).annotation.revision == 0
    for path, data in kept.items():
        assert not path.exists()
        assert (folder / path.relative_to(store.folder)).read_bytes() == data
    painted(store, 1)
    assert store.set_aside(IMAGE) != folder


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


# --- the disk ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync_only", [False, True])
def test_full_disk_leaves_everything_as_it_was(
    store: AnnotationStore, monkeypatch: pytest.MonkeyPatch, sync_only: bool
) -> None:
    painter = painted(store, 3)
    store.settle(IMAGE, SIZE)
    before, state = tree(store.folder), painter.state()
    step = painter.step(RecordKind.PATCH)
    with full_disk(monkeypatch, sync_only=sync_only):
        for action in (
            lambda: store.append(IMAGE, *step),
            lambda: store.settle(IMAGE, SIZE),
            lambda: store.append("other.png", RecordKind.UNDO, 1),
        ):
            with pytest.raises(StorageError, match="full") as caught:
                action()
            assert "Free some space" in caught.value.hint
    assert {name: data for name, data in tree(store.folder).items() if data} == before
    assert state_of(store.load(IMAGE, SIZE)) == state
    store.append(IMAGE, *step)
    store.settle(IMAGE, SIZE)
    assert state_of(store.load(IMAGE, SIZE)) == painter.state()


def test_step_whose_outcome_is_unknown_can_be_repeated(
    store: AnnotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record reached the disk, the flush failed and even cutting it off failed."""
    painter = painted(store, 1)
    step = painter.step(RecordKind.PATCH)

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        patched.setattr(os, "ftruncate", refuse)
        with pytest.raises(StorageError):
            store.append(IMAGE, *step)
    store.append(IMAGE, *step)
    assert len(read_journal(store.journal_path(IMAGE)).records) == 2
    assert state_of(store.load(IMAGE, SIZE)) == painter.state()


def test_torn_record_that_cannot_be_cut_off(store: AnnotationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    painter = painted(store, 2)
    path = store.journal_path(IMAGE)
    path.write_bytes(path.read_bytes() + b"MLJ1")
    before = path.read_bytes()
    with full_disk(monkeypatch, sync_only=True), pytest.raises(StorageError, match="full"):
        AnnotationStore(store.folder).append(IMAGE, *painter.step(RecordKind.PATCH))
    assert before.startswith(path.read_bytes())


def test_layer_whose_frame_is_sound_and_whose_pixels_are_not(store: AnnotationStore) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    size = SIZE[1].to_bytes(4, "big") + SIZE[0].to_bytes(4, "big")
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + bytes([8, 0, 0, 0, 0]))
    data += chunk(b"tEXt", b"maskloop-revision\x003") + chunk(b"IDAT", b"rubbish") + chunk(b"IEND", b"")
    with pytest.raises(AnnotationError, match="damaged"):
        decode_layer(data, SIZE, "layer.png")


def test_reader_that_never_finds_rest_tells_what_it_saw(
    store: AnnotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.label_path(IMAGE)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rubbish")
    changes = itertools.count()
    monkeypatch.setattr("engine.project.store.stamp", lambda path: (next(changes), 0, 0))
    with pytest.raises(AnnotationError, match="damaged"):
        store.load(IMAGE, SIZE)
    assert next(changes) == 6 * 2 * 3


def test_project_folder_that_is_gone_is_not_made_again(store: AnnotationStore, tmp_path: Path) -> None:
    lost = AnnotationStore(tmp_path / "drive" / "maskloop")
    with pytest.raises(StorageError, match="gone") as caught:
        lost.append(IMAGE, *Painter(SIZE).step())
    assert "drive" in caught.value.hint
    assert not (tmp_path / "drive").exists()


def test_file_in_the_way_of_a_folder(store: AnnotationStore) -> None:
    (store.folder / "journal").touch()
    with pytest.raises(StorageError):
        store.append(IMAGE, *Painter(SIZE).step())


def test_read_only_store_writes_nothing(tmp_path: Path) -> None:
    painted(AnnotationStore(tmp_path))
    before = tree(tmp_path)
    store = AnnotationStore(tmp_path, read_only=True)
    empty = np.zeros(SIZE, np.uint8)
    for action in (
        lambda: store.append(IMAGE, RecordKind.UNDO, 6),
        lambda: store.settle(IMAGE, SIZE),
        lambda: store.write_snapshot(IMAGE, empty, empty, 9),
        lambda: store.rewrite(IMAGE, empty, empty, 9),
        lambda: store.move(IMAGE, "b.jpg"),
        lambda: store.set_aside(IMAGE),
    ):
        with pytest.raises(StorageError, match="read-only"):
            action()
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", "", "C:/a.jpg", "a\\b.jpg", "a\0.jpg"]
)
def test_no_id_leads_out_of_the_folder(store: AnnotationStore, name: str) -> None:
    with pytest.raises(ProjectError):
        store.load(name, SIZE)
    with pytest.raises(ProjectError):
        store.append(name, RecordKind.UNDO, 1)


def test_no_link_leads_out_of_the_folder(
    store: AnnotationStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (store.folder / "journal").symlink_to(outside)
    with pytest.raises(ProjectError):
        store.append(IMAGE, *Painter(SIZE).step())
    assert list(outside.iterdir()) == []


# --- moving --------------------------------------------------------------------------------------


def test_annotation_moves_to_another_name(store: AnnotationStore) -> None:
    painter = painted(store)
    store.settle(IMAGE, SIZE)
    store.move(IMAGE, "other/b.jpg")
    assert state_of(store.load("other/b.jpg", SIZE)) == painter.state()
    assert store.annotated_ids() == ("other/b.jpg",)
    store.append("other/b.jpg", *painter.step())


def test_annotation_never_moves_onto_another(store: AnnotationStore) -> None:
    painted(store)
    store.append("b.jpg", *Painter(SIZE).step())
    before = tree(store.folder)
    with pytest.raises(AnnotationError, match="of its own"):
        store.move(IMAGE, "b.jpg")
    assert tree(store.folder) == before


def test_failed_move_goes_back(store: AnnotationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    painted(store)
    store.settle(IMAGE, SIZE)
    before = tree(store.folder)
    real = Path.rename

    def fail_at_the_journal(source: Path, target: Path) -> Path:
        if source.suffix == ".journal":
            raise OSError(13, "Permission denied")
        return real(source, target)

    monkeypatch.setattr(Path, "rename", fail_at_the_journal)
    with pytest.raises(StorageError):
        store.move(IMAGE, "b.jpg")
    assert tree(store.folder) == before


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
