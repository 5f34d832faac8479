from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.canvas.pyramids import MOST_CHANGES, SMALLEST_SIDE, LabelPyramid, level_for, sample
from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box

sizes = st.tuples(st.integers(1, 900), st.integers(1, 900))


def _scribbled(size: tuple[int, int], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    label_map = np.full(size, UNLABELLED, dtype=np.uint8)
    label_map[random.random(size) < 0.02] = random.integers(0, 5)
    return label_map


def levels_of(pyramid: LabelPyramid) -> list[np.ndarray]:
    return [pyramid.level(index) for index in range(len(pyramid))]


def test_levels_halve_until_small() -> None:
    pyramid = LabelPyramid(np.full((1025, 2047), UNLABELLED, dtype=np.uint8))
    assert [level.shape for level in levels_of(pyramid)] == [
        (1025, 2047),
        (513, 1024),
        (257, 512),
        (129, 256),
    ]
    assert max(levels_of(pyramid)[-1].shape) <= SMALLEST_SIDE


def test_level_zero_is_the_annotation_itself() -> None:
    label_map = np.full((4, 4), UNLABELLED, dtype=np.uint8)
    pyramid = LabelPyramid(label_map)
    label_map[1, 1] = 3
    assert pyramid.level(0)[1, 1] == 3


@given(sizes, st.integers(0, 1000))
def test_a_coarse_pixel_is_the_first_labelled_of_its_block(size: tuple[int, int], seed: int) -> None:
    pyramid = LabelPyramid(_scribbled(size, seed))
    for fine, coarse in pairwise(levels_of(pyramid)):
        padded = np.full((coarse.shape[0] * 2, coarse.shape[1] * 2), UNLABELLED, dtype=np.uint8)
        padded[: fine.shape[0], : fine.shape[1]] = fine
        blocks = padded.reshape(coarse.shape[0], 2, coarse.shape[1], 2).transpose(0, 2, 1, 3).reshape(-1, 4)
        labelled = blocks != UNLABELLED
        first = blocks[np.arange(len(blocks)), labelled.argmax(axis=1)]
        expected = np.where(labelled.any(axis=1), first, UNLABELLED).reshape(coarse.shape)
        assert (coarse == expected).all()


@given(sizes, st.integers(0, 1000), st.tuples(*[st.integers(-20, 950)] * 4))
def test_changing_a_box_is_like_building_anew(
    size: tuple[int, int], seed: int, corners: tuple[int, int, int, int]
) -> None:
    label_map = _scribbled(size, seed)
    pyramid = LabelPyramid(label_map)
    top, bottom = sorted(corners[:2])
    left, right = sorted(corners[2:])
    box = Box(top, left, bottom, right)
    label_map[box.clip(size).slices] = 4 if seed % 2 else UNLABELLED
    pyramid.changed(box)
    for updated, built in zip(levels_of(pyramid), levels_of(LabelPyramid(label_map)), strict=True):
        assert (updated == built).all()


def test_many_changes_are_joined() -> None:
    label_map = np.full((600, 700), UNLABELLED, dtype=np.uint8)
    pyramid = LabelPyramid(label_map)
    for row in range(MOST_CHANGES * 2):
        label_map[row * 4, row * 5] = 2
        pyramid.changed(Box(row * 4, row * 5, row * 4 + 1, row * 5 + 1))
    for updated, built in zip(levels_of(pyramid), levels_of(LabelPyramid(label_map)), strict=True):
        assert (updated == built).all()


def test_nothing_outside_the_changed_box_is_read() -> None:
    label_map = np.full((2000, 2000), UNLABELLED, dtype=np.uint8)
    pyramid = LabelPyramid(label_map)
    label_map[:] = 1  # the canvas is only told of a corner
    pyramid.changed(Box(0, 0, 64, 64))
    coarse = pyramid.level(1)
    assert (coarse[:32, :32] == 1).all()
    assert (coarse[40:, :] == UNLABELLED).all()


@pytest.mark.parametrize(
    ("scale", "count", "level"),
    [
        (1.0, 4, 0),
        (0.51, 4, 0),
        (0.5, 4, 1),
        (0.26, 4, 1),
        (0.25, 4, 2),
        (0.01, 4, 3),
        (8.0, 4, 0),
        (0.1, 1, 0),
    ],
)
def test_level_never_magnifies(scale: float, count: int, level: int) -> None:
    assert level_for(scale, count) == level


@given(
    st.lists(st.integers(0, 29), min_size=1, max_size=60),
    st.lists(st.integers(0, 39), min_size=1, max_size=60),
    st.sampled_from([1, 2, 4]),
)
def test_sampling_is_indexing(rows: list[int], columns: list[int], stride: int) -> None:
    array = np.arange(30 * 40, dtype=np.uint32).reshape(30, 40)[::stride, ::stride]
    down = np.sort(np.array(rows)) // stride
    along = np.sort(np.array(columns)) // stride
    assert (sample(array, down, along) == array[down][:, along]).all()
