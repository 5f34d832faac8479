"""Projects that cannot be trusted open read-only and stay as they are; after a crash nothing is missing."""

import os
from pathlib import Path

import pytest

from engine.annotate.classes import ClassTable
from engine.annotate.journal import RecordKind
from engine.errors import (
    CodecError,
    ProjectError,
    StorageError,
)
from engine.project import project as project_module
from engine.project.manifest import (
    ImageStatus,
    Manifest,
    backup_path,
    read_manifest,
)
from engine.project.migrations import NewerSchemaError, brought_forward, schema_of
from engine.project.project import Project
from tests.support.disk import Painter, images_folder, tree
from tests.support.stored import CLASSES, SIZE, annotate, made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return images_folder(tmp_path / "Bilder é")


# --- damage --------------------------------------------------------------------------------------


def spoilt(data: bytes) -> dict[str, bytes]:
    return {
        "half": data[: len(data) // 2],
        "empty": b"",
        "rubbish": b"\xff\xfe rubbish",
        "list": b"[]",
        "no schema": data.replace(b'"schema": 1', b'"schemo": 1'),
        "wrong schema": data.replace(b'"schema": 1', b'"schema": "1"'),
        "old schema": data.replace(b'"schema": 1', b'"schema": 0'),
        "newer": data.replace(b'"schema": 1', b'"schema": 99'),
        "unknown key": data.replace(b'"schema": 1', b'"schema": 1, "extra": 2'),
        "bad split": data.replace(b'"train"', b'"trian"'),
        "way out": data.replace(b"a1.png", b"../a1.png"),
        "absolute": data.replace(b"a1.png", b"/etc/a1.png"),
        "other image": data.replace(b'"image_id": "a1.png"', b'"image_id": "a2.png"'),
        "deep": b"[" * 100_000,
    }


@pytest.mark.parametrize("kind", list(spoilt(b"")))
def test_damaged_manifest_opens_read_only_and_is_never_overwritten(folder: Path, kind: str) -> None:
    made(folder)
    Project.open(folder).close()
    path = folder / "maskloop/project.json"
    data = spoilt(path.read_bytes())[kind]
    assert data != path.read_bytes()
    path.write_bytes(data)
    before = tree(folder)
    project = Project.open(folder)
    assert project.read_only
    assert "project.json" in project.read_only_reason
    assert "overwrite" in project.read_only_reason
    assert project.manifest.classes == CLASSES  # from the last good copy, to look at
    for action in (project.ensure, project.save, lambda: project.update(Manifest())):
        with pytest.raises(ProjectError, match="read-only"):
            action()
    with pytest.raises(StorageError, match="read-only"):
        project.store.append("a0.png", *Painter(SIZE).step())
    assert project.store.load("a1.png", SIZE).annotation.revision == 3
    project.close()
    assert tree(folder) == before


def test_reason_names_the_newer_version(folder: Path) -> None:
    made(folder)
    path = folder / "maskloop/project.json"
    path.write_bytes(path.read_bytes().replace(b'"schema": 1', b'"schema": 99'))
    project = Project.open(folder)
    assert "newer" in project.read_only_reason
    project.close()


def test_damaged_manifest_without_a_good_copy(folder: Path) -> None:
    made(folder)
    path = folder / "maskloop/project.json"
    path.write_bytes(b"{")
    assert not backup_path(path).exists()
    project = Project.open(folder)
    assert project.read_only
    assert project.manifest.classes == ClassTable()
    project.close()
    backup_path(path).write_bytes(b"{")
    project = Project.open(folder)
    assert project.read_only
    project.close()


def test_missing_manifest_with_annotations_opens_read_only(folder: Path) -> None:
    made(folder)
    (folder / "maskloop/project.json").unlink()
    project = Project.open(folder)
    assert project.read_only
    assert "missing" in project.read_only_reason
    project.close()
    assert not (folder / "maskloop/project.json").exists()


def test_folder_left_by_a_kill_before_the_first_manifest_opens(folder: Path) -> None:
    (folder / "maskloop").mkdir()
    project = Project.open(folder)
    assert not project.read_only
    project.close()


def test_good_manifest_is_kept_as_backup(folder: Path) -> None:
    made(folder)
    path = folder / "maskloop/project.json"
    Project.open(folder).close()
    assert backup_path(path).read_bytes() == path.read_bytes()
    read_manifest(backup_path(path))


def test_backup_that_cannot_be_written_is_a_note(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(folder)

    def full(path: Path, data: bytes) -> None:
        raise StorageError("“x” could not be written: the disk is full.", "Free some space.")

    monkeypatch.setattr(project_module, "atomic_write", full)
    project = Project.open(folder)
    assert not project.read_only
    assert project.manifest.classes == CLASSES
    assert "full" in project.notes[0]
    project.close()


def test_old_layout_without_a_copy_is_not_touched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(folder)
    path = folder / "maskloop/project.json"
    path.write_bytes(path.read_bytes().replace(b'"schema": 1', b'"schema": 7'))
    monkeypatch.setattr("engine.project.manifest.SCHEMA", 8)
    monkeypatch.setattr("engine.project.project.SCHEMA", 8)
    monkeypatch.setattr(
        "engine.project.manifest.brought_forward",
        lambda raw, schema, where: brought_forward(raw, schema, where, steps={7: dict}, current=8),
    )

    def full(path: Path, data: bytes) -> None:
        raise StorageError("“x” could not be written: the disk is full.", "Free some space.")

    monkeypatch.setattr(project_module, "atomic_write", full)
    project = Project.open(folder)
    assert project.read_only
    assert "full" in project.read_only_reason
    project.close()


# --- older and newer layouts ---------------------------------------------------------------------


def test_migrations_run_on_a_copy_step_by_step() -> None:
    raw = {"schema": 1, "images": {"a.png": {}}}

    def first(data: dict[str, object]) -> dict[str, object]:
        data["images"] = [*data["images"]]
        return data

    def second(data: dict[str, object]) -> dict[str, object]:
        return {**data, "title": "new"}

    result = brought_forward(raw, 1, "project.json", steps={1: first, 2: second}, current=3)
    assert result == {"schema": 3, "images": ["a.png"], "title": "new"}
    assert raw == {"schema": 1, "images": {"a.png": {}}}
    with pytest.raises(CodecError, match="layout 1"):
        brought_forward(raw, 1, "project.json", steps={2: second}, current=3)
    with pytest.raises(NewerSchemaError, match="newer"):
        brought_forward(raw, 4, "project.json", current=3)


def test_old_layout_is_brought_forward_and_kept_beside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(folder)
    path = folder / "maskloop/project.json"
    data = path.read_bytes().replace(b'"schema": 1', b'"schema": 7')
    path.write_bytes(data)
    monkeypatch.setattr("engine.project.manifest.SCHEMA", 8)
    monkeypatch.setattr("engine.project.project.SCHEMA", 8)
    monkeypatch.setattr(
        "engine.project.manifest.brought_forward",
        lambda raw, schema, where: brought_forward(raw, schema, where, steps={7: dict}, current=8),
    )
    project = Project.open(folder)
    assert not project.read_only
    assert project.manifest.schema == 8
    assert project.manifest.classes == CLASSES
    assert path.read_bytes() == data
    assert (folder / "maskloop/project.layout-7.json").read_bytes() == data
    project.close()


def test_schema_number() -> None:
    assert schema_of(b'{"schema": 3}', "x") == (3, {"schema": 3})


# --- after a crash -------------------------------------------------------------------------------


def test_strokes_newer_than_the_manifest_are_taken_in(folder: Path) -> None:
    project = Project.open(folder)
    annotate(project)
    painter = Painter(SIZE, 1)
    for _ in range(20):
        project.store.append("a2.png", *painter.step(RecordKind.PATCH))
    for _ in range(20):
        project.store.append("a2.png", *painter.step(RecordKind.UNDO))
    project.close()  # the manifest does not know of a2.png
    again = Project.open(folder)
    record = again.manifest.images["a2.png"]
    assert (record.revision, record.size, record.status) == (40, SIZE, ImageStatus.STARTED)
    assert record.labelled == (0, 1, 2)
    assert again.recovered == ("a2.png",)
    assert again.manifest.images["a1.png"].revision == 3
    again.close()


def test_unknown_annotations_are_taken_in_however_old_but_not_unreadable_ones(folder: Path) -> None:
    project = Project.open(folder)
    annotate(project)
    for name in ("a0.png", "a2.png"):
        project.store.append(name, *Painter(SIZE).step(RecordKind.PATCH))
    project.close()
    project.store.journal_path("a0.png").write_bytes(b"rubbish" * 20)
    os.utime(project.store.journal_path("a2.png"), (1.0, 1.0))
    again = Project.open(folder)
    assert again.manifest.images["a0.png"].revision == 0
    assert again.manifest.images["a2.png"].revision == 1
    assert again.recovered == ("a2.png",)
    assert not again.read_only
    again.close()


def test_project_killed_before_its_first_manifest_knows_its_strokes(folder: Path) -> None:
    project = Project.open(folder)
    project.ensure()
    project.store.append("a0.png", *Painter(SIZE).step(RecordKind.PATCH))
    project.close()
    again = Project.open(folder)
    assert again.read_only
    assert again.manifest.images["a0.png"].revision == 1
    again.close()
