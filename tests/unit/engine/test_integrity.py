"""The check of a whole project finds every damage, names file, cause and remedy, and writes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.annotate.classes import ClassTable
from engine.annotate.journal import RecordKind
from engine.errors import ProjectError, StorageError
from engine.files import hash_file
from engine.project.integrity import Finding, Severity, check_project
from engine.project.manifest import ImageRecord
from engine.project.project import Project
from tests.support.disk import Painter, images_folder, tree

SIZE = (24, 32)
CLASSES = ClassTable().add("road").add("tree").add("sky")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound project with two annotated images out of three."""
    folder = images_folder(tmp_path / "images")
    project = Project.open(folder)
    project.ensure()
    manifest = replace(project.manifest, classes=CLASSES)
    for seed, name in enumerate(("a0.png", "a1.png")):
        painter = Painter(SIZE, seed)
        for _ in range(12):
            project.store.append(name, *painter.step(RecordKind.PATCH))
        project.store.settle(name, SIZE)
        digest = hash_file(project.image_path(name))
        record = ImageRecord(image_id=name, content_hash=digest, revision=painter.revision, size=SIZE)
        manifest = manifest.with_record(record)
    project.update(manifest)
    project.save()
    project.close()
    return folder


def findings_of(folder: Path) -> tuple[Finding, ...]:
    """Check a folder, and that checking wrote nothing."""
    before = tree(folder)
    findings = check_project(folder)
    assert tree(folder) == before
    for finding in findings:
        assert finding.message.endswith(".")
        assert finding.hint
    return findings


def test_sound_project_has_no_findings(folder: Path) -> None:
    assert findings_of(folder) == ()


def test_folder_without_a_project_has_no_findings(tmp_path: Path) -> None:
    assert findings_of(images_folder(tmp_path)) == ()


def test_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ProjectError):
        check_project(tmp_path / "gone")


def test_progress_counts_images(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    check_project(folder, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("kind", ["empty", "cut", "flipped", "rubbish"])
def test_each_file_damaged_in_turn_is_found_alone(folder: Path, kind: str) -> None:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock"]
    assert len(files) == 3 + 1 + 2 * 3
    for path in files:
        whole = path.read_bytes()
        middle = len(whole) // 2
        bad = {
            "empty": b"",
            "cut": whole[:middle],
            "flipped": whole[:middle] + bytes([whole[middle] ^ 0x55]) + whole[middle + 1 :],
            "rubbish": b"rubbish" * 20,
        }[kind]
        path.write_bytes(bad)
        findings = findings_of(folder)
        path.write_bytes(whole)
        harmless = path.suffix == ".journal" and kind in {"empty", "cut"}  # undo steps are lost, nothing else
        assert bool(findings) != harmless, path
        concerned = {finding.path.name.split(".")[0] for finding in findings}
        assert concerned <= {path.name.split(".")[0]}, path


def test_lost_annotation_is_found(folder: Path) -> None:
    for kind, suffix in (("annotations", ".png"), ("provenance", ".png"), ("journal", ".journal")):
        (folder / "maskloop" / kind / f"a1.png{suffix}").unlink()
    findings = findings_of(folder)
    assert [finding.severity for finding in findings] == [Severity.ERROR]
    assert "lost" in findings[0].message


def test_missing_image_with_an_annotation_is_found(folder: Path) -> None:
    (folder / "a1.png").unlink()
    (folder / "a2.png").unlink()
    findings = findings_of(folder)
    assert [(finding.path.name, finding.severity) for finding in findings] == [("a1.png", Severity.WARNING)]


def test_image_that_was_exchanged_is_found(folder: Path) -> None:
    (folder / "a1.png").write_bytes((folder / "a2.png").read_bytes())
    findings = findings_of(folder)
    assert [finding.severity for finding in findings] == [Severity.WARNING]
    assert "changed" in findings[0].message


def test_missing_manifest_is_found(folder: Path) -> None:
    (folder / "maskloop/project.json").unlink()
    findings = findings_of(folder)
    assert [finding.path.name for finding in findings] == ["project.json"]


def test_missing_checkpoint_is_found(folder: Path) -> None:
    project = Project.open(folder)
    project.update(replace(project.manifest, checkpoint="checkpoints/best.pt"))
    project.save()
    project.close()
    findings = findings_of(folder)
    assert [finding.path.name for finding in findings] == ["best.pt"]
    (folder / "maskloop/checkpoints").mkdir()
    (folder / "maskloop/checkpoints/best.pt").touch()
    assert findings_of(folder) == ()


def test_unknown_class_is_found(folder: Path) -> None:
    project = Project.open(folder)
    project.update(replace(project.manifest, classes=CLASSES.remove(1)))
    project.save()
    project.close()
    findings = findings_of(folder)
    assert {finding.path.name for finding in findings} == {"a0.png.png", "a1.png.png"}
    assert all("without a class" in finding.message for finding in findings)


def test_annotation_of_an_unreadable_image_is_checked_by_its_own_size(folder: Path) -> None:
    (folder / "a1.png").write_bytes(b"")
    (folder / "maskloop/project.json").unlink()
    assert {finding.path.name for finding in findings_of(folder)} == {"a1.png", "project.json"}
    (folder / "maskloop/annotations/a1.png.png").write_bytes(b"")
    names = [finding.path.name for finding in findings_of(folder)]
    assert names == ["project.json", "a1.png", "a1.png.png"]
    (folder / "maskloop/provenance/a1.png.png").unlink()
    assert "cannot be checked" in findings_of(folder)[-1].message


def test_image_that_cannot_be_hashed_is_reported_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise StorageError("“x” could not be read: the disk reports an error.", "Check the disk.")

    (folder / "a1.png").write_bytes(b"")
    monkeypatch.setattr("engine.project.integrity.hash_file", fail)
    assert [finding.path.name for finding in findings_of(folder)] == ["a1.png"]


def test_leftovers_are_found(folder: Path) -> None:
    (folder / "maskloop/annotations/.maskloop-abc.tmp").touch()
    findings = findings_of(folder)
    assert [finding.severity for finding in findings] == [Severity.WARNING]
    assert "left behind" in findings[0].message


def test_open_project_can_be_checked(folder: Path) -> None:
    project = Project.open(folder)
    assert all("backup" in finding.path.name for finding in check_project(folder))
    project.close()
