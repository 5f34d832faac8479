"""Damaged annotations: reported, and never overwritten."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.annotate.classes import ClassTable
from engine.annotate.journal import RecordKind
from engine.errors import AnnotationError
from engine.project.layers import decode_layer, encode_layer
from engine.project.store import AnnotationStore
from tests.support.disk import Painter, tree
from tests.support.stored import IMAGE, SIZE, painted, state_of


@pytest.fixture
def store(tmp_path: Path) -> AnnotationStore:
    return AnnotationStore(tmp_path)


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


def test_damaged_files_are_set_aside_behind_a_link_too(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = AnnotationStore(tmp_path / "link")
    painted(store)
    assert [path.name for path in store.set_aside(IMAGE).rglob("*.journal")] == ["a.jpg.journal"]


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
