"""A disk that refuses, names that lead astray, annotations that move: nothing is lost."""

import itertools
import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from engine.annotate.journal import RecordKind, read_journal
from engine.errors import AnnotationError, ProjectError, StorageError
from engine.project.layers import decode_layer
from engine.project.store import AnnotationStore
from tests.support.disk import Painter, full_disk, tree
from tests.support.stored import IMAGE, SIZE, painted, state_of


@pytest.fixture
def store(tmp_path: Path) -> AnnotationStore:
    return AnnotationStore(tmp_path)


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
