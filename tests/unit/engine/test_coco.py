"""COCO files: the reference reader rebuilds our label maps exactly."""

import contextlib
import io
import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from engine.annotate.classes import ClassTable
from engine.errors import ExchangeError
from engine.exchange.base import LabelledImage
from engine.exchange.coco import CocoExporter, image_annotations
from engine.exchange.rings import column_runs, compressed_runs, count_holes, outer_ring, regions_of

# pycocotools speaks NumPy 1's dialect.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def table(count: int) -> ClassTable:
    classes = ClassTable()
    for index in range(count):
        classes = classes.add(f"class {index}")
    return classes


def labelled(*label_maps: np.ndarray) -> list[LabelledImage]:
    return [
        LabelledImage(image_id=f"{place}.jpg", image_path=Path(f"{place}.jpg"), label_map=label_map)
        for place, label_map in enumerate(label_maps)
    ]


def export(folder: Path, items: Iterable[LabelledImage], classes: ClassTable) -> COCO:
    CocoExporter().export(items, classes, folder, lambda done: None)
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(folder / "annotations.json"))


def rebuilt(coco: COCO, image_id: int) -> np.ndarray:
    info = coco.imgs[image_id]
    label_map = np.full((info["height"], info["width"]), 255, np.uint8)
    for entry in coco.imgToAnns[image_id]:
        mask = coco.annToMask(entry).astype(bool)
        assert (label_map[mask] == 255).all(), "regions overlap"
        label_map[mask] = entry["category_id"] - 1
    return label_map


def vectors() -> dict[str, np.ndarray]:
    """The shapes on which readers and writers usually differ."""
    empty = np.full((60, 70), 255, np.uint8)

    def drawn(*slices: tuple[slice, slice], base: np.ndarray = empty) -> np.ndarray:
        canvas = base.copy()
        for part in slices:
            canvas[part] = 1
        return canvas

    ring = drawn(np.s_[5:55, 5:55])
    ring[20:40, 20:40] = 255
    diagonal = empty.copy()
    diagonal[np.arange(30), np.arange(30)] = 1
    checkers = empty.copy()
    checkers[:8, :8] = np.indices((8, 8)).sum(axis=0) % 2
    return {
        "dot": drawn(np.s_[7:8, 9:10]),
        "row": drawn(np.s_[7:8, 3:50]),
        "column": drawn(np.s_[3:50, 7:8]),
        "diagonal": diagonal,
        "square": drawn(np.s_[5:15, 5:15]),
        "ring": ring,
        "touching corners": drawn(np.s_[5:15, 5:15], np.s_[15:25, 15:25]),
        "checkers": checkers,
        "borders": drawn(np.s_[0:60, 0:3], np.s_[0:3, 0:70], np.s_[57:60, 40:70], np.s_[30:60, 67:70]),
        "full": np.zeros((60, 70), np.uint8),
        "empty": empty,
        "one row": np.array([[0, 0, 1, 255, 1, 1]], np.uint8),
        "one column": np.array([[0], [1], [1], [255], [0]], np.uint8),
    }


@pytest.mark.parametrize("name", vectors())
def test_reader_rebuilds(name: str, tmp_path: Path) -> None:
    label_map = vectors()[name]
    coco = export(tmp_path, labelled(label_map), table(2))
    assert (rebuilt(coco, 1) == label_map).all()


def test_square_is_a_polygon_along_pixel_edges(tmp_path: Path) -> None:
    coco = export(tmp_path, labelled(vectors()["square"]), table(2))
    (entry,) = coco.anns.values()
    assert entry["segmentation"] == [[5, 5, 15, 5, 15, 15, 5, 15]]
    assert entry["bbox"] == [5, 5, 10, 10]
    assert entry["area"] == 100.0
    assert (entry["id"], entry["image_id"], entry["category_id"]) == (1, 1, 2)
    assert type(entry["iscrowd"]) is int


def test_ring_keeps_its_hole(tmp_path: Path) -> None:
    coco = export(tmp_path, labelled(vectors()["ring"]), table(2))
    (entry,) = coco.anns.values()
    assert isinstance(entry["segmentation"], dict)
    assert coco.annToMask(entry).sum() == entry["area"] == 2100


@settings(max_examples=60)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 4), st.integers(0, 10**6))
def test_any_label_map_is_rebuilt(height: int, width: int, values: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label_map = rng.integers(0, values, (height, width)).astype(np.uint8)
    label_map[rng.random((height, width)) < 0.2] = 255
    again = np.full_like(label_map, 255)
    for entry in image_annotations(label_map, table(4), 1):
        segmentation = entry["segmentation"]
        if isinstance(segmentation, list):
            segmentation = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
        mask = coco_mask.decode(segmentation).astype(bool)
        assert mask.sum() == entry["area"]
        assert coco_mask.toBbox(coco_mask.encode(np.asfortranarray(mask))).tolist() == entry["bbox"]
        again[mask] = int(str(entry["category_id"])) - 1
    assert (again == label_map).all()


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10**6))
def test_run_lengths_equal_the_reference(height: int, width: int, seed: int) -> None:
    label_map = (np.random.default_rng(seed).random((height, width)) < 0.6).astype(np.uint8)
    for region in regions_of(label_map, (0, 1)):
        whole = np.zeros((height, width), np.uint8)
        rows, columns = region.mask.shape
        whole[region.top : region.top + rows, region.left : region.left + columns] = region.mask
        expected = coco_mask.encode(np.asfortranarray(whole))["counts"].decode("ascii")
        assert compressed_runs(column_runs(region, (height, width))) == expected


def test_holes_are_counted_and_corners_do_not_join() -> None:
    grid = np.ones((5, 5), bool)
    grid[1, 1] = grid[3, 3] = False
    assert count_holes(grid) == 2
    ring = outer_ring(np.array([[1, 1], [1, 0]], bool))
    assert ring == [(0, 0), (0, 2), (1, 2), (1, 1), (2, 1), (2, 0)]


def test_own_annotations_score_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    maps = [np.kron(rng.integers(0, 3, (4, 5)), np.ones((12, 12))).astype(np.uint8) for _ in range(3)]
    coco = export(tmp_path, labelled(*maps), table(3))
    detections = [{**entry, "score": 1.0} for entry in coco.anns.values()]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(coco, coco.loadRes(detections), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_names_ids_and_streams(tmp_path: Path) -> None:
    classes = ClassTable().add("straße").add("木 “tree”").add("🚗")
    classes = classes.remove(0).move(2, 0)
    seen: list[int] = []
    items = (item for item in labelled(np.full((3, 4), 2, np.uint8), np.full((4, 3), 1, np.uint8)))
    report = CocoExporter().export(items, classes, tmp_path, seen.append)
    content = json.loads((tmp_path / "annotations.json").read_text("utf-8"))
    assert [(entry["id"], entry["name"]) for entry in content["categories"]] == [(3, "🚗"), (2, "木 “tree”")]
    assert [entry["id"] for entry in content["images"]] == [1, 2]
    assert [(entry["height"], entry["width"]) for entry in content["images"]] == [(3, 4), (4, 3)]
    assert seen == [1, 2]
    assert report.files == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations.json"]


def test_failure_keeps_the_old_file(tmp_path: Path) -> None:
    export(tmp_path, labelled(np.zeros((3, 3), np.uint8)), table(1))
    old = (tmp_path / "annotations.json").read_bytes()
    with pytest.raises(ExchangeError, match="without a class: 9"):
        export(tmp_path, labelled(np.zeros((3, 3), np.uint8), np.full((3, 3), 9, np.uint8)), table(1))
    assert (tmp_path / "annotations.json").read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 1


def test_void_and_unlabelled_are_reported(tmp_path: Path) -> None:
    label_map = np.array([[0, 254], [255, 255]], np.uint8)
    report = CocoExporter().export(labelled(label_map), table(1), tmp_path, lambda done: None)
    assert (report.unlabelled_pixels, report.void_pixels) == (2, 1)
    assert any("2 pixels (50.0 %) are unlabelled" in note for note in report.notes)
    content = json.loads((tmp_path / "annotations.json").read_text("utf-8"))
    assert [entry["area"] for entry in content["annotations"]] == [1.0]


def test_most_classes(tmp_path: Path) -> None:
    label_map = np.arange(254, dtype=np.uint8).reshape(2, 127)
    coco = export(tmp_path, labelled(label_map), table(254))
    assert (rebuilt(coco, 1) == label_map).all()
    assert len(list(itertools.chain(*coco.imgToAnns.values()))) == 254
