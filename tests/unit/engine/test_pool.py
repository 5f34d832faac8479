from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, VOID, Provenance
from engine.config import CropConfig
from engine.errors import AnnotationError, ImageError, TrainingRefusedError
from engine.learn.pool import Layers, Pool, store_reader
from engine.messages import PoolItem
from engine.project.manifest import Split
from tests.support.learning import BOX, CLASSES, GROUND, SIZE, SKY, make_project, picture, sparse

STILL = CropConfig(size=32, scale_low=1.0, scale_high=1.0, corrected_share=1.0)


class Shelf:
    """Images and annotations in memory, and a count of what was read."""

    def __init__(self) -> None:
        self.layers: dict[str, Layers] = {}
        self.images: dict[str, NDArray[np.uint8]] = {}
        self.reads: list[str] = []

    def put(self, name: str, image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> PoolItem:
        painted = np.where(labels < VOID, Provenance.STROKE, Provenance.NOBODY).astype(np.uint8)
        self.images[name], self.layers[name] = image, (labels, painted)
        return PoolItem(
            image_id=name,
            image_path=f"/x/{name}",
            size=(labels.shape[0], labels.shape[1]),
            split=Split.TRAIN,
            revision=1,
        )

    def read_layers(self, item: PoolItem) -> Layers:
        self.reads.append(item.image_id)
        return self.layers[item.image_id]

    def pool(self, config: CropConfig = STILL, *, cache: int = 10**7, seed: int = 0) -> Pool:
        return Pool(
            self.read_layers,
            CLASSES,
            config,
            cache,
            read_pixels=lambda path: self.images[path.name],
            seed=seed,
        )


def _dots(value: int, size: tuple[int, int] = SIZE, at: tuple[int, int] = (30, 40)) -> NDArray[np.uint8]:
    labels = np.full(size, UNLABELLED, np.uint8)
    labels[at] = value
    return labels


def test_crops_show_the_pixels_of_the_labels_they_carry() -> None:
    shelf = Shelf()
    labels = picture(0)[1]
    # Every pixel says its class in colour, so image and label map prove each other.
    item = shelf.put("a", np.stack([labels] * 3, -1), labels)
    pool = shelf.pool()
    pool.update(item)
    for _ in range(20):
        crop = pool.draw(32)
        assert crop.image.shape == (32, 32, 3)
        assert (crop.image[..., 0] == crop.label_map).all()
        assert (crop.provenance == Provenance.STROKE).all()


def test_a_single_corrected_pixel_is_inside_every_crop() -> None:
    shelf = Shelf()
    pool = shelf.pool()
    pool.update(shelf.put("a", picture(0)[0], _dots(SKY)))
    pool.update(shelf.put("b", picture(1)[0], _dots(BOX, at=(0, 79))))
    for _ in range(40):
        assert (pool.draw(32).label_map < VOID).sum() == 1


def test_classes_come_in_turn_however_rare() -> None:
    shelf = Shelf()
    labels = np.full(SIZE, GROUND, np.uint8)
    labels[5, 5] = SKY
    labels[60, 70] = BOX
    pool = shelf.pool()
    pool.update(shelf.put("a", picture(0)[0], labels))
    seen = [set(np.unique(pool.draw(16).label_map)) for _ in range(30)]
    assert sum(SKY in present for present in seen) >= 10
    assert sum(BOX in present for present in seen) >= 10


def test_unlabelled_void_and_unknown_classes_are_never_drawn() -> None:
    shelf = Shelf()
    labels = np.full(SIZE, UNLABELLED, np.uint8)
    labels[0], labels[1], labels[2] = VOID, 77, SKY
    pool = shelf.pool()
    pool.update(shelf.put("a", picture(0)[0], labels))
    assert pool.classes_present() == (SKY,)
    with pytest.raises(TrainingRefusedError, match="one class"):
        pool.check()
    pool.set_classes(CLASSES.remove(SKY))
    assert pool.classes_present() == ()
    with pytest.raises(TrainingRefusedError, match="Nothing to learn"):
        pool.draw(16)


def test_held_out_images_are_never_drawn() -> None:
    shelf = Shelf()
    pool = shelf.pool()
    pool.update(replace(shelf.put("val", picture(0)[0], picture(0)[1]), split=Split.VAL))
    pool.update(replace(shelf.put("none", picture(1)[0], picture(1)[1]), split=Split.NONE))
    assert pool.classes_present() == ()
    assert [item.image_id for item in pool.held_out()] == ["val"]
    moved = replace(pool.held_out()[0], split=Split.TRAIN)
    pool.update(moved)
    assert pool.classes_present() == (SKY, GROUND, BOX)
    assert pool.held_out() == ()


def test_a_change_counts_with_the_next_draw() -> None:
    shelf = Shelf()
    item = shelf.put("a", picture(0)[0], _dots(SKY))
    pool = shelf.pool()
    pool.update(item)
    pool.draw(16)
    shelf.layers["a"] = shelf.put("a", picture(0)[0], _dots(BOX)) and shelf.layers["a"]
    pool.update(replace(item, revision=2))
    crop = pool.draw(16)
    assert set(np.unique(crop.label_map)) == {BOX, UNLABELLED}


def test_images_just_corrected_come_more_often() -> None:
    shelf = Shelf()
    items = [
        shelf.put(str(number), np.full((*SIZE, 3), number, np.uint8), picture(0)[1]) for number in range(20)
    ]
    pool = shelf.pool(replace(STILL, recent_share=0.5))
    list(pool.fill(items))
    pool.update(items[7])
    drawn = [int(pool.draw(16).image[0, 0, 0]) for _ in range(200)]
    assert 70 <= drawn.count(7) <= 140


def test_strokes_draw_more_crops_than_accepted_pixels() -> None:
    shelf = Shelf()
    labels = np.full((64, 400), SKY, np.uint8)
    item = shelf.put("a", np.zeros((64, 400, 3), np.uint8), labels)
    origin = np.full((64, 400), Provenance.ACCEPTED, np.uint8)
    origin[30:34, 380:384] = Provenance.STROKE
    shelf.layers["a"] = labels, origin
    pool = shelf.pool()
    pool.update(item)
    hits = sum((pool.draw(32).provenance == Provenance.STROKE).any() for _ in range(100))
    assert 60 <= hits <= 98


@given(st.tuples(st.integers(1, 90), st.integers(1, 90)), st.integers(8, 64), st.integers(0, 1000))
def test_any_image_gives_crops_of_the_size_asked_for(size: tuple[int, int], edge: int, seed: int) -> None:
    shelf = Shelf()
    labels = np.full(size, SKY, np.uint8)
    pool = shelf.pool(CropConfig(size=32, scale_low=0.25, scale_high=4.0), seed=seed)
    pool.update(shelf.put("a", np.full((*size, 3), 9, np.uint8), labels))
    crop = pool.draw(edge)
    assert crop.image.shape == (edge, edge, 3)
    assert crop.label_map.shape == crop.provenance.shape == (edge, edge)
    # Outside the image nothing is said, and what is labelled is never only padding.
    assert set(np.unique(crop.label_map)) <= {SKY, UNLABELLED}
    assert (crop.image == 9).all()


def test_draws_repeat_with_the_seed() -> None:
    shelf = Shelf()
    item = shelf.put("a", *picture(0))
    first, second = shelf.pool(seed=3), shelf.pool(seed=3)
    for pool in (first, second):
        pool.update(item)
    assert all((first.draw(16).image == second.draw(16).image).all() for _ in range(10))


def test_memory_stays_within_the_budget_by_reading_again() -> None:
    shelf = Shelf()
    items = [shelf.put(str(number), *picture(number)) for number in range(6)]
    pool = shelf.pool(cache=SIZE[0] * SIZE[1] * 5)  # one image with its annotation
    list(pool.fill(items))
    before = len(shelf.reads)
    for _ in range(30):
        pool.draw(16)
    assert len(shelf.reads) > before


def test_filling_reads_only_what_is_new_and_forgets_what_is_gone() -> None:
    shelf = Shelf()
    items = [shelf.put(str(number), *picture(number)) for number in range(3)]
    pool = shelf.pool()
    assert list(pool.fill(items)) == [1, 2, 3]
    shelf.reads.clear()
    list(pool.fill([replace(items[0], revision=2), items[1]]))
    assert shelf.reads == ["0"]
    assert {item.image_id for item in pool.items} == {"0", "1"}
    assert pool.image_count() == 2
    pool.clear()
    assert pool.items == ()


@pytest.mark.parametrize("spoil", ["annotation", "image", "size"])
def test_what_cannot_be_read_is_named_once_and_left_out(spoil: str) -> None:
    shelf = Shelf()
    bad, good = shelf.put("bad", *picture(0)), shelf.put("good", *picture(1))

    def read_layers(item: PoolItem) -> Layers:
        if spoil == "annotation" and item.image_id == "bad":
            raise AnnotationError("The annotation of bad is damaged.")
        return shelf.read_layers(item)

    def read_pixels(path: Path) -> NDArray[np.uint8]:
        if path.name == "good":
            return shelf.images["good"]
        if spoil == "image":
            raise ImageError("bad is empty.")
        return np.zeros((5, 5, 3), np.uint8)

    pool = Pool(read_layers, CLASSES, STILL, 10**7, read_pixels=read_pixels)
    list(pool.fill([bad, good]))
    for _ in range(20):
        pool.draw(16)
    (notice,) = pool.take_notices()
    assert "bad" in notice
    assert pool.take_notices() == ()
    assert pool.image_count() == 1


def test_the_store_gives_strokes_of_snapshot_and_journal(tmp_path: Path) -> None:
    project = make_project(tmp_path, train=1, held_out=0)
    read: Callable[[PoolItem], Layers] = store_reader(str(project.folder))
    label_map, provenance = read(project.items[0])
    assert (label_map == sparse(picture(0)[1])).all()
    assert ((provenance == Provenance.STROKE) == (label_map != UNLABELLED)).all()
