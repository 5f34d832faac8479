"""Opening, making, moving and locking projects."""

import json
import shutil
from pathlib import Path

import pytest

from engine.annotate.classes import ClassTable
from engine.errors import (
    AnnotationError,
    ProjectError,
    ProjectLockedError,
    StorageError,
)
from engine.project import project as project_module
from engine.project.image_ids import check_image_id, is_image_id
from engine.project.manifest import (
    ImageRecord,
    ImageStatus,
    Manifest,
    Split,
    read_manifest,
    write_manifest,
)
from engine.project.project import Project, elsewhere, locate
from tests.support.disk import Painter, full_disk, images_folder, tree
from tests.support.stored import CLASSES, SIZE, annotate, made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return images_folder(tmp_path / "Bilder é")


# --- a new project -------------------------------------------------------------------------------


def test_opening_writes_nothing(folder: Path) -> None:
    before = tree(folder)
    project = Project.open(folder)
    assert not project.exists_on_disk
    assert tuple(project.manifest.images) == ("a0.png", "a1.png", "a2.png")
    assert project.manifest.classes == ClassTable()
    assert not project.read_only
    assert project.folder == folder / "maskloop"
    project.close()
    assert tree(folder) == before


def test_project_is_made_at_the_first_change_and_read_back(folder: Path) -> None:
    project = Project.open(folder)
    painter = annotate(project)
    assert project.exists_on_disk
    project.close()
    again = Project.open(folder)
    assert again.exists_on_disk
    assert again.manifest.classes == CLASSES
    record = again.manifest.images["a1.png"]
    assert (record.split, record.status, record.revision) == (Split.TRAIN, ImageStatus.STARTED, 3)
    loaded = again.store.load("a1.png", SIZE, again.manifest.classes)
    assert loaded.annotation.label_map.tobytes() == painter.annotation.label_map.tobytes()
    assert tuple(again.manifest.images) == ("a0.png", "a1.png", "a2.png")
    again.close()
    again.close()


def test_manifest_holds_no_absolute_path(folder: Path) -> None:
    made(folder)
    text = (folder / "maskloop/project.json").read_text(encoding="utf-8")
    assert str(folder.parent) not in text
    assert json.loads(text)["schema"] == 1


def test_new_images_join_and_order_stays_natural(folder: Path) -> None:
    made(folder)
    shutil.copy(folder / "a0.png", folder / "a10.png")
    shutil.copy(folder / "a0.png", folder / "A5.png")
    project = Project.open(folder)
    assert tuple(project.manifest.images) == ("a0.png", "a1.png", "a2.png", "A5.png", "a10.png")
    project.close()


def test_folder_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="not there") as caught:
        Project.open(tmp_path / "gone")
    assert caught.value.hint
    (tmp_path / "file").touch()
    with pytest.raises(ProjectError, match="is a file"):
        Project.open(tmp_path / "file")


def test_folder_without_images_opens(tmp_path: Path) -> None:
    project = Project.open(tmp_path)
    assert dict(project.manifest.images) == {}
    project.close()


def test_relative_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    project = Project.open(Path(folder.name))
    monkeypatch.chdir("/")
    assert project.image_path("a0.png").exists()
    project.close()


# --- moving --------------------------------------------------------------------------------------


def test_moved_folder_opens_with_everything(folder: Path, tmp_path: Path) -> None:
    painter = made(folder)
    moved = tmp_path / "elsewhere" / "新しい"
    moved.parent.mkdir()
    folder.rename(moved)
    project = Project.open(moved)
    assert not project.read_only
    assert project.missing == {}
    loaded = project.store.load("a1.png", SIZE, project.manifest.classes)
    assert loaded.annotation.label_map.tobytes() == painter.annotation.label_map.tobytes()
    assert loaded.history == painter.history
    project.close()


def test_renamed_image_is_found_by_its_content(folder: Path) -> None:
    painter = made(folder)
    (folder / "a1.png").rename(folder / "renamed.png")
    project = Project.open(folder)
    assert set(project.missing) == {"a1.png"}
    assert project.find_renamed() == {"a1.png": "renamed.png"}
    project.relink("a1.png", "renamed.png")
    assert project.missing == {}
    project.close()
    again = Project.open(folder)
    assert again.missing == {}
    assert again.manifest.images["renamed.png"].revision == 3
    loaded = again.store.load("renamed.png", SIZE)
    assert loaded.annotation.label_map.tobytes() == painter.annotation.label_map.tobytes()
    again.close()


def test_missing_image_is_not_forgotten_by_saving(folder: Path) -> None:
    made(folder)
    (folder / "a1.png").rename(folder.parent / "a1.png")
    project = Project.open(folder)
    write_manifest(project.manifest_path, project.complete(project.manifest))
    project.close()
    (folder.parent / "a1.png").rename(folder / "a1.png")
    again = Project.open(folder)
    assert again.manifest.images["a1.png"].revision == 3
    again.close()


def test_saving_forgets_no_missing_image(folder: Path) -> None:
    made(folder)
    (folder / "a1.png").unlink()
    project = Project.open(folder)
    project.save()
    project.close()
    assert read_manifest(folder / "maskloop/project.json").images["a1.png"].revision == 3


def test_search_for_renamed_images_can_be_cancelled_and_skips_what_is_unreadable(folder: Path) -> None:
    made(folder)
    (folder / "a1.png").rename(folder / "renamed.png")
    project = Project.open(folder)
    assert project.find_renamed(lambda: True) == {}
    (folder / "a0.png").unlink()
    assert project.find_renamed() == {"a1.png": "renamed.png"}
    project.close()


def test_failed_relink_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(folder)
    (folder / "a1.png").rename(folder / "renamed.png")
    project = Project.open(folder)
    before, manifest = tree(folder), project.manifest
    with full_disk(monkeypatch), pytest.raises(StorageError):
        project.relink("a1.png", "renamed.png")
    assert tree(folder) == before
    assert project.manifest == manifest
    assert set(project.missing) == {"a1.png"}
    with pytest.raises(ProjectError):
        project.relink("a0.png", "a2.png")
    with pytest.raises(ProjectError):
        project.relink("a1.png", "nowhere.png")
    project.store.append("renamed.png", *Painter(SIZE).step())
    with pytest.raises(AnnotationError, match="of its own"):
        project.relink("a1.png", "renamed.png")
    project.close()


# --- the lock ------------------------------------------------------------------------------------


def test_second_instance_is_told_and_may_look(folder: Path) -> None:
    made(folder)
    first = Project.open(folder)
    with pytest.raises(ProjectLockedError) as caught:
        Project.open(folder)
    assert caught.value.hint
    before = tree(folder)
    second = Project.open(folder, read_only=True)
    assert second.read_only
    assert "looking" in second.read_only_reason
    assert second.manifest.classes == CLASSES
    assert second.store.load("a1.png", SIZE).annotation.revision == 3
    for action in (second.ensure, second.save, lambda: second.update(Manifest())):
        with pytest.raises(ProjectError, match="read-only"):
            action()
    with pytest.raises(ProjectError, match="read-only"):
        second.relink("a1.png", "a0.png")
    second.close()
    assert tree(folder) == before
    first.close()
    Project.open(folder).close()


def test_second_instance_is_told_at_its_first_change(folder: Path) -> None:
    first, second = Project.open(folder), Project.open(folder)
    first.ensure()
    with pytest.raises(ProjectLockedError):
        second.ensure()
    first.close()
    second.ensure()
    second.close()


def test_failed_opening_gives_the_lock_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(folder)
    with monkeypatch.context() as patched:
        patched.setattr(Project, "_read", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Project.open(folder)
    Project.open(folder).close()


def test_leftovers_of_a_killed_program_are_removed(folder: Path) -> None:
    made(folder)
    leftovers = [folder / "maskloop" / name for name in (".maskloop-1.tmp", "annotations/.maskloop-2.tmp")]
    for path in leftovers:
        path.write_bytes(b"half")
    Project.open(folder, read_only=True).close()
    assert all(path.exists() for path in leftovers)
    Project.open(folder).close()
    assert not any(path.exists() for path in leftovers)


# --- folders that cannot be written --------------------------------------------------------------


def test_images_on_a_read_only_medium(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(folder)
    real = project_module.can_write
    monkeypatch.setattr(
        project_module, "can_write", lambda place: folder not in (place, *place.parents) and real(place)
    )
    project = Project.open(folder)
    assert not project.read_only
    assert project.folder == elsewhere(folder)
    assert not project.folder.exists()
    painter = annotate(project)
    assert (project.folder / "images-folder.txt").read_text(encoding="utf-8").strip() == str(folder)
    project.close()
    assert tree(folder) == before
    again = Project.open(folder)
    loaded = again.store.load("a1.png", SIZE, again.manifest.classes)
    assert loaded.annotation.label_map.tobytes() == painter.annotation.label_map.tobytes()
    with pytest.raises(ProjectLockedError):
        Project.open(folder)
    again.close()
    monkeypatch.setattr(project_module, "can_write", real)
    assert locate(folder) == again.folder  # not forgotten once the medium can be written


def test_places_elsewhere_differ(tmp_path: Path) -> None:
    places = {elsewhere(tmp_path / name / "images") for name in "abc"}
    assert len(places) == 3
    assert elsewhere(Path("/")).name.startswith("images-")


def test_existing_project_on_a_read_only_medium_opens_read_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(folder)
    before = tree(folder)
    monkeypatch.setattr(project_module, "can_write", lambda place: False)
    project = Project.open(folder)
    assert project.read_only
    assert "cannot be written" in project.read_only_reason
    assert project.manifest.classes == CLASSES
    assert project.store.load("a1.png", SIZE).annotation.revision == 3
    project.close()
    assert tree(folder) == before


def test_probe_for_writing(tmp_path: Path) -> None:
    assert project_module.can_write(tmp_path)
    assert not project_module.can_write(tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []


def test_nowhere_to_write(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blocked").touch()
    monkeypatch.setattr(project_module, "can_write", lambda place: False)
    monkeypatch.setattr(
        project_module.platformdirs, "user_data_dir", lambda *a, **k: str(tmp_path / "blocked")
    )
    project = Project.open(folder)
    with pytest.raises(StorageError) as caught:
        project.ensure()
    assert caught.value.hint
    project.close()


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "sub/a.jpg", "ä b/c'd.jpg", "..a.jpg", "a..jpg", "ab:c.jpg"])
def test_image_ids(name: str) -> None:
    assert is_image_id(name)
    check_image_id(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/a", "a/", "a//b", "./a", "a/./b", "a/../b", "C:a", "c:/a", "a\\b", "a\0b", "\udcff"],
)
def test_what_is_no_image_id(name: str) -> None:
    assert not is_image_id(name)
    with pytest.raises(ProjectError):
        check_image_id(name)
    with pytest.raises(ProjectError):
        ImageRecord(image_id=name)


def test_project_paths_stay_inside(folder: Path) -> None:
    project = Project.open(folder)
    with pytest.raises(ProjectError):
        project.image_path("../other.png")
    with pytest.raises(ProjectError):
        Manifest(checkpoint="../best.pt")
    project.close()


def test_large_manifest_is_quick(tmp_path: Path) -> None:
    images = {f"s/{n}.jpg": ImageRecord(image_id=f"s/{n}.jpg", revision=n % 2) for n in range(2000)}
    write_manifest(tmp_path / "project.json", Manifest(images=images, classes=CLASSES))
    manifest = read_manifest(tmp_path / "project.json")
    touched = {name: record for name, record in images.items() if record.revision}
    assert dict(manifest.images) == touched
    assert list(manifest.images) == list(touched)
