"""PNG twins: values are ids, palettes and colours agree, old files stay when an export fails."""

import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from engine.annotate.classes import ClassTable
from engine.errors import ExchangeError, StorageError
from engine.exchange.base import LabelledImage, OutputNames, Staging
from engine.exchange.png import IdExporter, PngExporter
from engine.exchange.relabel import relabelled

CLASSES = ClassTable().add("road", (10, 20, 30)).add("Fußgänger 🚶", (200, 0, 0)).add("sky", (0, 0, 250))


def item(image_id: str, label_map: np.ndarray) -> LabelledImage:
    return LabelledImage(image_id=image_id, image_path=Path(image_id), label_map=label_map)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


@pytest.mark.parametrize("shape", [(4, 5), (1, 7), (7, 1), (1, 1)])
def test_three_twins_agree(shape: tuple[int, int], tmp_path: Path) -> None:
    values = np.array([0, 1, 2, 254, 255], np.uint8)
    label_map = np.resize(values, shape)
    report = PngExporter().export([item("sub/ä.jpg", label_map)], CLASSES, tmp_path, lambda done: None)
    expected = np.where(label_map >= 254, 255, label_map)
    ids = read(tmp_path / "label_ids/sub/ä.png")
    assert ids.dtype == np.uint8
    assert (ids == expected).all()
    with Image.open(tmp_path / "indexed/sub/ä.png") as indexed:
        assert indexed.mode == "P"
        assert (np.array(indexed) == expected).all()
        colors = np.array(indexed.convert("RGB"))
    assert (colors == read(tmp_path / "color/sub/ä.png")).all()
    assert colors[label_map == 1].tolist() == [[200, 0, 0]] * int((label_map == 1).sum())
    assert (colors[label_map >= 254] == 0).all()
    assert report.files == 4
    assert report.unlabelled_pixels == (label_map == 255).sum()


def test_classes_json_and_permanent_ids(tmp_path: Path) -> None:
    classes = CLASSES.remove(0).move(2, 0)
    PngExporter().export([item("a.jpg", np.full((2, 2), 2, np.uint8))], classes, tmp_path, lambda done: None)
    content = json.loads((tmp_path / "classes.json").read_text("utf-8"))
    assert content["ignore_index"] == 255
    assert [(entry["id"], entry["name"]) for entry in content["classes"]] == [(2, "sky"), (1, "Fußgänger 🚶")]
    assert (read(tmp_path / "label_ids/a.png") == 2).all()


def test_same_stem_keeps_both(tmp_path: Path) -> None:
    maps = [np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)]
    items = [item("a.jpg", maps[0]), item("A.png", maps[1])]
    report = PngExporter().export(items, CLASSES, tmp_path, lambda done: None)
    assert (read(tmp_path / "label_ids/a.png") == 0).all()
    assert (read(tmp_path / "label_ids/A.png.png") == 1).all()
    assert any("A.png.png" in note for note in report.notes)


def test_shared_colours_are_said(tmp_path: Path) -> None:
    classes = CLASSES.add("street", (10, 20, 30)).add("night", (0, 0, 0))
    report = PngExporter().export(
        [item("a.jpg", np.zeros((2, 2), np.uint8))], classes, tmp_path, lambda d: None
    )
    assert sum("share a colour" in note for note in report.notes) == 2


def test_most_classes(tmp_path: Path) -> None:
    classes = ClassTable()
    for index in range(254):
        classes = classes.add(f"class {index}")
    label_map = np.arange(256, dtype=np.uint8).reshape(16, 16)
    PngExporter().export([item("a.png", label_map)], classes, tmp_path, lambda done: None)
    assert (read(tmp_path / "indexed/a.png") == np.where(label_map == 254, 255, label_map)).all()


def test_writing_twice_is_byte_stable(tmp_path: Path) -> None:
    label_map = np.random.default_rng(0).integers(0, 3, (20, 30)).astype(np.uint8)
    contents = []
    for _ in range(2):
        PngExporter().export([item("a.png", label_map)], CLASSES, tmp_path, lambda done: None)
        contents.append({path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()})
    assert contents[0] == contents[1]


def failing(first: LabelledImage) -> Iterator[LabelledImage]:
    yield first
    raise ExchangeError("no more")


@pytest.mark.parametrize("exporter", [PngExporter(), IdExporter()])
def test_failed_export_leaves_the_old_one(exporter: PngExporter | IdExporter, tmp_path: Path) -> None:
    exporter.export([item("a.png", np.zeros((2, 2), np.uint8))], CLASSES, tmp_path, lambda done: None)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ExchangeError, match="no more"):
        exporter.export(
            failing(item("a.png", np.ones((2, 2), np.uint8))), CLASSES, tmp_path, lambda done: None
        )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_cancelling_through_progress_leaves_nothing(tmp_path: Path) -> None:
    def cancel(done: int) -> None:
        raise ExchangeError("cancelled")

    with pytest.raises(ExchangeError, match="cancelled"):
        PngExporter().export([item("a.png", np.zeros((2, 2), np.uint8))], CLASSES, tmp_path / "out", cancel)
    assert list((tmp_path / "out").iterdir()) == []


def test_ids_only(tmp_path: Path) -> None:
    label_map = np.array([[0, 1, 255]], np.uint8)
    report = IdExporter().export([item("x/a.jpg", label_map)], CLASSES, tmp_path, lambda done: None)
    assert (read(tmp_path / "x/a.png") == label_map).all()
    assert report.files == 2


def test_values_without_a_class_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match=r"a\.png.*7"):
        PngExporter().export(
            [item("a.png", np.full((2, 2), 7, np.uint8))], CLASSES, tmp_path, lambda done: None
        )


@pytest.mark.parametrize("image_id", ["../a.png", "/a.png", "b/../../a.png"])
def test_names_stay_inside(image_id: str) -> None:
    with pytest.raises(ExchangeError, match="inside"):
        OutputNames(".png").name_for(image_id)


def test_the_same_id_twice_is_refused() -> None:
    names = OutputNames(".png")
    names.name_for("a.png")
    names.name_for("a.jpg")
    with pytest.raises(ExchangeError, match="twice"):
        names.name_for("a.jpg")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user who may be refused")
def test_read_only_folder_is_an_error_people_understand(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="could not be written"), Staging(tmp_path / "new"):
        pass


def test_a_file_in_the_way_is_an_error_people_understand(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("I am a file")
    with pytest.raises(StorageError, match="could not be written"), Staging(tmp_path / "out"):
        pass


def test_full_disk_leaves_the_old_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = IdExporter()
    exporter.export([item("a.png", np.zeros((2, 2), np.uint8))], CLASSES, tmp_path, lambda done: None)

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="the disk is full"):
        exporter.export([item("a.png", np.ones((2, 2), np.uint8))], CLASSES, tmp_path, lambda done: None)
    monkeypatch.undo()
    assert (read(tmp_path / "a.png") == 0).all()


def test_staging_without_commit_writes_nothing(tmp_path: Path) -> None:
    with Staging(tmp_path) as staging:
        staging.write(PurePosixPath("a/b.txt"), b"x")
    assert list(tmp_path.iterdir()) == []


def test_relabelled_by_name() -> None:
    new = ClassTable().add("sky").add("ROAD")
    label_map = np.array([[0, 1, 2, 254, 255]], np.uint8)
    assert relabelled(label_map, CLASSES, new).tolist() == [[1, 255, 0, 254, 255]]
