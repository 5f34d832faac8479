"""Boxes against sets of pixels, which are slow and obvious."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.annotate.geometry import Box, union_all

_EDGE = st.integers(-4, 9)
boxes = st.builds(Box, _EDGE, _EDGE, _EDGE, _EDGE)


def pixels(box):
    return {(y, x) for y in range(box.top, box.bottom) for x in range(box.left, box.right)}


@given(boxes)
def test_extent(box):
    inside = pixels(box)
    assert box.area == len(inside)
    assert box.is_empty == (not inside)
    assert box.size == (box.height, box.width)
    assert box.height * box.width == box.area


@given(boxes, boxes)
def test_union_and_intersection(first, second):
    assert pixels(first.intersect(second)) == pixels(first) & pixels(second)
    union = first.union(second)
    assert pixels(union) >= pixels(first) | pixels(second)
    joined = union_all([first, second])
    if first.is_empty and second.is_empty:
        assert joined is None
    else:
        assert joined == union
        rows = [y for y, _ in pixels(first) | pixels(second)]
        columns = [x for _, x in pixels(first) | pixels(second)]
        assert union == Box(min(rows), min(columns), max(rows) + 1, max(columns) + 1)


@given(boxes, boxes)
def test_contains(first, second):
    assert first.contains(second) == (pixels(second) <= pixels(first))


@given(boxes, st.tuples(st.integers(0, 6), st.integers(0, 6)))
def test_clip_stays_on_the_image(box, size):
    clipped = box.clip(size)
    assert pixels(clipped) == pixels(box) & pixels(Box.of_size(size))
    assert 0 <= clipped.top <= clipped.bottom <= size[0]
    assert 0 <= clipped.left <= clipped.right <= size[1]
    assert np.zeros(size)[clipped.slices].shape == clipped.size


@given(st.builds(Box, st.integers(0, 5), st.integers(0, 5), _EDGE, _EDGE))
def test_slices_cut_the_box_out_of_an_array(box):
    array = np.zeros((12, 12), bool)
    array[box.slices] = True
    assert set(map(tuple, np.argwhere(array).tolist())) == pixels(box)


@given(boxes, st.integers(-3, 3), st.integers(-3, 3))
def test_moved_and_padded(box, rows, columns):
    assert pixels(box.shifted(rows, columns)) == {(y + rows, x + columns) for y, x in pixels(box)}
    assert box.padded(rows).padded(-rows) == box


def test_points():
    box = Box(1, 2, 3, 4)
    assert box.holds(1, 2)
    assert box.holds(2.9, 3.9)
    assert not box.holds(3, 2)
    assert not box.holds(0.9, 2)
    assert not box.holds(1, 4)
