import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.annotate.geometry import Box
from engine.predict.tiles import fade, plan_tiles, tile_starts, touches

SIZES = st.tuples(st.integers(1, 300), st.integers(1, 300))


@given(SIZES, st.integers(8, 128), st.integers(0, 64))
def test_tiles_cover_everything_and_stay_inside(size: tuple[int, int], tile: int, overlap: int) -> None:
    covered = np.zeros(size, int)
    for box in plan_tiles(size, tile, overlap):
        assert 0 <= box.top < box.bottom <= size[0]
        assert 0 <= box.left < box.right <= size[1]
        assert box.height == min(tile, size[0])
        assert box.width == min(tile, size[1])
        covered[box.slices] += 1
    assert covered.min() >= 1


@given(st.integers(1, 5000), st.integers(8, 512), st.data())
def test_neighbours_overlap_enough(extent: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile // 2))
    starts = tile_starts(extent, tile, overlap)
    assert starts[0] == 0
    assert starts[-1] == max(0, extent - tile)
    # Rounding the even spread costs at most one pixel of overlap.
    assert all(b - a <= tile - overlap + 1 for a, b in itertools.pairwise(starts))


@given(SIZES, st.integers(8, 64), st.data())
def test_what_is_on_screen_comes_first(size: tuple[int, int], tile: int, data: st.DataObject) -> None:
    top = data.draw(st.integers(0, size[0] - 1))
    left = data.draw(st.integers(0, size[1] - 1))
    visible = Box(top, left, min(size[0], top + 40), min(size[1], left + 40))
    boxes = plan_tiles(size, tile, 4, visible)
    seen = [touches(box, visible) for box in boxes]
    assert seen == sorted(seen, reverse=True)
    assert seen[0]
    assert set(boxes) == set(plan_tiles(size, tile, 4))


@given(SIZES, st.integers(16, 64), st.integers(0, 32))
def test_weights_are_positive_and_whole_where_a_tile_is_alone(
    size: tuple[int, int], tile: int, overlap: int
) -> None:
    boxes = plan_tiles(size, tile, overlap)
    total, count = np.zeros(size), np.zeros(size, int)
    for box in boxes:
        weight = fade(box, size, overlap)
        assert weight.shape == (box.height, box.width)
        assert weight.min() > 0
        assert weight.max() <= 1
        total[box.slices] += weight
        count[box.slices] += 1
    if len(boxes) == 1:
        assert (total == 1).all()
    assert total[count == 0].size == 0
