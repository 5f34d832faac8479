"""Import of foreign masks: matching, meaning of values, patches that spare what people painted."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.annotate.annotation import Annotation
from engine.annotate.classes import ClassTable, Provenance
from engine.annotate.stroke import PaintRule
from engine.errors import ExchangeError, ImageError
from engine.exchange import mask_files
from engine.exchange.mask_files import MaskKind, find_masks, match_masks, read_mask_file
from engine.exchange.mask_import import (
    ImportImage,
    ImportProblem,
    import_labels,
    import_masks,
    import_patch,
    imported_labels,
    preview_import,
)
from engine.project.store import AnnotationStore

SIZE = (4, 6)


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


def save_palette(path: Path, ids: np.ndarray, palette: list[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(ids)
    image.putpalette(palette)
    image.save(path)
    return path


def ids(*values: int) -> np.ndarray:
    return np.resize(np.array(values, np.uint8), SIZE)


def images(*names: str) -> list[ImportImage]:
    return [ImportImage(image_id=name, size=SIZE) for name in names]


# --- files ---


def test_grey_ids_of_any_depth(tmp_path: Path) -> None:
    wide = np.resize(np.array([0, 7, 4000], np.uint16), SIZE)
    for pixels, values in ((ids(0, 7, 255), (0, 7, 255)), (wide, (0, 7, 4000))):
        mask = read_mask_file(save(tmp_path / "m.png", pixels))
        assert (mask.kind, mask.values, mask.size) == (MaskKind.IDS, values, SIZE)
        assert sum(mask.pixels().values()) == 24
    bits = read_mask_file(save(tmp_path / "b.png", ids(0, 255), "1"))
    assert bits.values == (0, 1)
    grey = read_mask_file(save(tmp_path / "la.png", np.dstack([ids(0, 3), ids(255)])))
    assert grey.values == (0, 3)


def test_numbers_larger_than_any_colour_are_told_apart_too(tmp_path: Path) -> None:
    large = np.resize(np.array([3, 1 << 24, (1 << 30) + 1, 3], np.int32), SIZE)
    Image.fromarray(large).save(tmp_path / "m.tif")
    mask = read_mask_file(tmp_path / "m.tif")
    assert mask.values == (3, 1 << 24, (1 << 30) + 1)
    assert np.array_equal(np.array(mask.values)[mask.codes], large)


def test_palette_keeps_ids_and_colours(tmp_path: Path) -> None:
    mask = read_mask_file(save_palette(tmp_path / "m.png", ids(0, 1), [1, 2, 3, 40, 50, 60]))
    assert mask.kind is MaskKind.PALETTE
    assert mask.values == (0, 1)
    assert mask.palette == {0: (1, 2, 3), 1: (40, 50, 60)}


def test_colours_and_grey_saved_as_colours(tmp_path: Path) -> None:
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:, 3:] = (128, 64, 128)
    mask = read_mask_file(save(tmp_path / "c.png", pixels))
    assert mask.kind is MaskKind.COLORS
    assert mask.values == ((0, 0, 0), (128, 64, 128))
    alpha = np.dstack([pixels, np.full(SIZE, 9, np.uint8)])
    assert read_mask_file(save(tmp_path / "a.png", alpha)).values == mask.values
    grey = np.repeat(ids(0, 5)[:, :, None], 3, axis=2)
    assert read_mask_file(save(tmp_path / "g.png", grey)).values == (0, 5)


def test_photographs_and_damage_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    with pytest.raises(ExchangeError, match="different values"):
        read_mask_file(save(tmp_path / "photo.png", noise))
    whole = save(tmp_path / "m.png", noise).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ExchangeError, ImageError)):
        read_mask_file(tmp_path / "cut.png")
    (tmp_path / "none.png").write_bytes(b"")
    with pytest.raises(ImageError):
        read_mask_file(tmp_path / "none.png")


def test_matching_by_name(tmp_path: Path) -> None:
    names = ["a.png", "b_mask.png", "sub/c.tif", "d.jpg.png", "other/e_gtFine_labelIds.png", "stray.png"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/x.png").touch()
    (tmp_path / "notes.txt").touch()
    masks = find_masks(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in masks] == sorted(names)
    wanted = ["a.jpg", "b.jpg", "sub/c.jpg", "d.jpg", "e.jpg", "f.jpg"]
    matched, unmatched = match_masks(wanted, masks, tmp_path)
    assert {image_id: path.name for image_id, path in matched.items()} == {
        "a.jpg": "a.png",
        "b.jpg": "b_mask.png",
        "sub/c.jpg": "c.tif",
        "d.jpg": "d.jpg.png",
        "e.jpg": "e_gtFine_labelIds.png",
    }
    assert [path.name for path in unmatched] == ["stray.png"]


def test_ambiguous_names_match_nothing(tmp_path: Path) -> None:
    for name in ("x/a.png", "y/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    matched, unmatched = match_masks(["a.jpg"], find_masks(tmp_path), tmp_path)
    assert matched == {}
    assert len(unmatched) == 2
    matched, _ = match_masks(["x/a.jpg", "y/a.jpg"], find_masks(tmp_path), tmp_path)
    assert len(matched) == 2


# --- preview


def test_preview_says_everything(tmp_path: Path) -> None:
    save(tmp_path / "a.png", ids(0, 1, 255))
    save(tmp_path / "b.png", ids(0)[:, :3])
    save(tmp_path / "turned.png", ids(0).T)
    save(tmp_path / "stray.png", ids(0))
    (tmp_path / "bad.png").write_bytes(b"no image")
    preview = preview_import(
        images("a.jpg", "b.jpg", "bad.jpg", "turned.jpg", "c.jpg"), tmp_path, ClassTable()
    )
    assert preview.found == 5
    assert [match.image_id for match in preview.matched] == ["a.jpg"]
    assert [path.name for path in preview.unmatched] == ["stray.png"]
    assert preview.without_mask == ("c.jpg",)
    assert [problem.path.name for problem in preview.problems] == ["b.png", "bad.png", "turned.png"]
    assert "3 x 4 pixels, but its image is 6 x 4" in preview.problems[0].message
    assert "sides are swapped" in preview.problems[2].message
    assert preview.values == {0: 8, 1: 8, 255: 8}
    assert preview.ignore == 255
    assert preview.mapping == {0: 0, 1: 1, 255: 255}
    assert preview.classes.names == ("class 0", "class 1")
    assert preview.unknown == (0, 1)


def test_ids_by_class_file_beside_the_masks(tmp_path: Path) -> None:
    save(tmp_path / "masks/a.png", ids(5, 9, 77, 255))
    listing = {"classes": [{"id": 5, "name": "Sky"}, {"id": 9, "name": "car", "color": [1, 2, 3]}]}
    (tmp_path / "classes.json").write_text(json.dumps(listing))
    classes = ClassTable().add("road").add("sky")
    preview = preview_import(images("a.png"), tmp_path / "masks", classes)
    assert preview.classes.names == ("road", "sky", "car")
    assert preview.mapping == {5: 1, 9: 2, 77: 255, 255: 255}
    assert preview.unknown == (77,)
    assert preview.classes.by_index(2).color == (1, 2, 3)


def test_a_new_project_keeps_ids(tmp_path: Path) -> None:
    save(tmp_path / "masks/a.png", ids(3, 200, 255))
    assert preview_import(images("a.png"), tmp_path / "masks", ClassTable()).mapping == {
        3: 3,
        200: 200,
        255: 255,
    }
    listing = [{"id": 200, "name": "sky"}, {"id": 3, "name": "car"}, {"id": 7, "name": "void"}]
    (tmp_path / "classes.json").write_text(json.dumps(listing))
    preview = preview_import(images("a.png"), tmp_path / "masks", ClassTable())
    assert preview.classes.indices == (200, 3)
    assert preview.mapping == {3: 3, 200: 200, 255: 255}


def test_ids_of_a_project_with_classes(tmp_path: Path) -> None:
    save(tmp_path / "a.png", ids(0, 1, 9))
    preview = preview_import(images("a.png"), tmp_path, ClassTable().add("road").add("sky"))
    assert preview.mapping == {0: 0, 1: 1, 9: 255}
    assert preview.unknown == (9,)
    assert len(preview.classes) == 2


def test_colours_by_class_colour_and_black_as_ignore(tmp_path: Path) -> None:
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:, 2:4] = (10, 200, 10)
    pixels[:, 4:] = (1, 1, 99)
    save(tmp_path / "a.png", pixels)
    classes = ClassTable().add("grass", (10, 200, 10))
    preview = preview_import(images("a.png"), tmp_path, classes)
    assert preview.kind is MaskKind.COLORS
    assert preview.ignore == (0, 0, 0)
    assert preview.mapping == {(0, 0, 0): 255, (1, 1, 99): 255, (10, 200, 10): 0}
    assert preview.unknown == ((1, 1, 99),)
    black = preview_import(images("a.png"), tmp_path, classes.add("night", (0, 0, 0)))
    assert black.ignore is None
    assert black.mapping[(0, 0, 0)] == 1


def test_palette_colours_become_new_classes(tmp_path: Path) -> None:
    save_palette(tmp_path / "a.png", ids(0, 1), [0, 0, 0, 40, 50, 60])
    preview = preview_import(images("a.png"), tmp_path, ClassTable())
    assert preview.kind is MaskKind.PALETTE
    assert preview.classes.by_index(preview.mapping[1]).color == (40, 50, 60)


def test_two_values_0_and_255_are_both_kept(tmp_path: Path) -> None:
    save(tmp_path / "a.png", ids(0, 255))
    preview = preview_import(images("a.png"), tmp_path, ClassTable())
    assert preview.ignore is None
    assert len(preview.classes) == 2


def test_class_file_beside_a_folder_of_images_and_masks(tmp_path: Path) -> None:
    save(tmp_path / "train/masks/a.png", ids(0))
    (tmp_path / "classes.txt").write_text("road\n")
    assert preview_import(images("a.png"), tmp_path / "train/masks", ClassTable()).classes.names == (
        "class 0",
    )
    (tmp_path / "train/images").mkdir()
    assert preview_import(images("a.png"), tmp_path / "train/masks", ClassTable()).classes.names == ("road",)


def test_void_names_are_left_unlabelled(tmp_path: Path) -> None:
    save(tmp_path / "a.png", ids(0, 1))
    (tmp_path / "classes.txt").write_text("road\nvoid\n")
    preview = preview_import(images("a.png"), tmp_path, ClassTable())
    assert preview.mapping == {0: 0, 1: 255}
    assert preview.classes.names == ("road",)


def test_nothing_that_fits_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match="no mask files"):
        preview_import(images("a.png"), tmp_path, ClassTable())
    save(tmp_path / "x.png", ids(0))
    with pytest.raises(ExchangeError, match="name of an image"):
        preview_import(images("a.png"), tmp_path, ClassTable())
    with pytest.raises(ExchangeError, match="its image is"):
        preview_import([ImportImage(image_id="x.png", size=(9, 9))], tmp_path, ClassTable())
    with pytest.raises(ExchangeError, match="not a folder"):
        preview_import(images("a.png"), tmp_path / "gone", ClassTable())


def test_values_that_are_no_ids_get_some(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.resize(np.array([0, 1000, 2000], np.uint16), SIZE))
    preview = preview_import(images("a.png"), tmp_path, ClassTable())
    assert preview.mapping == {0: 0, 1000: 1, 2000: 2}
    assert preview.classes.names == ("class 0", "class 1000", "class 2000")


# --- import ---


def test_patch_spares_strokes_and_locked_classes(tmp_path: Path) -> None:
    classes = ClassTable().add("road").add("sky").with_flags(1, locked=True)
    annotation = Annotation.from_arrays(ids(0, 1, 255), np.resize(np.array([1, 2, 0], np.uint8), SIZE), 3)
    labels = ids(1, 0, 1)
    patch = import_patch(annotation, labels, classes, PaintRule.OVER_PREDICTIONS)
    annotation.apply(patch)
    assert (annotation.label_map == ids(0, 1, 1)).all()
    assert set(annotation.provenance[annotation.label_map == 1].tolist()) == {2, Provenance.IMPORTED}
    assert import_patch(annotation, np.full(SIZE, 255, np.uint8), classes, PaintRule.EVERYTHING) is None


def test_import_into_the_store_and_take_back(tmp_path: Path) -> None:
    save(tmp_path / "masks/a.png", ids(0, 1, 255))
    save(tmp_path / "masks/b.png", ids(255, 255, 0))
    (tmp_path / "project").mkdir()
    store = AnnotationStore(tmp_path / "project")
    preview = preview_import(images("a.jpg", "b.jpg"), tmp_path / "masks", ClassTable())
    seen: list[tuple[int, int]] = []
    report = import_masks(
        store, preview, preview.mapping, progress=lambda done, total: seen.append((done, total))
    )
    assert [(image.image_id, image.revision, image.labelled) for image in report.images] == [
        ("a.jpg", 1, (0, 1)),
        ("b.jpg", 1, (0,)),
    ]
    assert report.pixels == 24
    assert seen == [(1, 2), (2, 2)]
    loaded = store.load("a.jpg", SIZE)
    assert (loaded.annotation.label_map == ids(0, 1, 255)).all()
    assert set(loaded.annotation.provenance[loaded.annotation.label_map != 255].tolist()) == {3}
    assert len(loaded.history.done) == 1
    again = import_masks(store, preview, preview.mapping)
    assert [image.revision for image in again.images] == [0, 0]


def test_masks_that_change_meanwhile_and_damaged_annotations_are_skipped(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / f"masks/{name}.png", ids(0, 1))
    preview = preview_import(images("a.jpg", "b.jpg", "c.jpg"), tmp_path / "masks", ClassTable())
    save(tmp_path / "masks/a.png", ids(0)[:, :2])
    (tmp_path / "masks/b.png").write_bytes(b"gone bad")
    store = AnnotationStore(tmp_path)
    store.label_path("c.jpg").parent.mkdir(parents=True)
    store.label_path("c.jpg").write_bytes(b"damaged")
    report = import_masks(store, preview, preview.mapping)
    assert report.images == ()
    assert len(report.problems) == 3
    assert store.label_path("c.jpg").read_bytes() == b"damaged"


@pytest.mark.parametrize(("asked", "written"), [(1, 0), (2, 1), (3, 1), (99, 3)])
def test_a_cancelled_import_writes_no_mask_more(tmp_path: Path, asked: int, written: int) -> None:
    names = ("a.png", "b.png", "c.png")
    for name in names:
        save(tmp_path / "masks" / name, ids(0, 1))
    preview = preview_import(images(*names), tmp_path / "masks", ClassTable().add("sky").add("road"))
    (tmp_path / "maskloop").mkdir()
    store = AnnotationStore(tmp_path / "maskloop")
    questions = iter(range(1, 100))
    report = import_masks(store, preview, preview.mapping, cancelled=lambda: next(questions) >= asked)
    assert [image.image_id for image in report.images] == list(names[:written])
    for name in names:
        assert store.load(name, SIZE).annotation.revision == int(name in names[:written])
    left = 3 - written
    found = [problem.message for problem in report.problems]
    assert found == ([f"Cancelled: {left} masks were left out."] if left else [])


def test_mapping_to_unknown_classes_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", ids(0, 1))
    preview = preview_import(images("a.png"), tmp_path, ClassTable())
    with pytest.raises(ExchangeError, match="do not exist"):
        list(imported_labels(preview, {0: 77}))
    ((_, labels),) = imported_labels(preview, {0: 1})
    assert not isinstance(labels, ImportProblem)
    assert set(np.unique(labels).tolist()) == {1, 255}
    assert (import_labels(read_mask_file(tmp_path / "a.png"), {}) == 255).all()


def test_a_mask_of_more_pixels_than_an_image_may_have_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", np.zeros(SIZE, np.uint8))
    monkeypatch.setattr(mask_files, "MAX_PIXELS", SIZE[0] * SIZE[1] - 1)
    with pytest.raises(ExchangeError, match="too large"):
        read_mask_file(path)
