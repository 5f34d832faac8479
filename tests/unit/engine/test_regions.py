"""Connected regions against a slow search."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.annotate.geometry import Box
from engine.annotate.regions import region_at


def slow_region(label_map, y, x, connectivity, box):
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    if connectivity == 8:
        steps += [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    found, waiting = {(y, x)}, [(y, x)]
    while waiting:
        row, column = waiting.pop()
        for dy, dx in steps:
            near = (row + dy, column + dx)
            if box.holds(*near) and near not in found and label_map[near] == label_map[y, x]:
                found.add(near)
                waiting.append(near)
    return found


@given(
    arrays.arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 7, 255])),
    st.integers(0, 6),
    st.integers(0, 8),
    st.sampled_from([4, 8]),
    st.sampled_from([None, Box(0, 0, 7, 9), Box(-3, 2, 5, 40)]),
)
def test_region(label_map, y, x, connectivity, limit):
    label_map.flags.writeable = False
    view = Box(0, 0, 7, 9) if limit is None else limit.clip((7, 9))
    if not view.holds(y, x):
        with pytest.raises(ValueError, match="not inside"):
            region_at(label_map, y, x, connectivity=connectivity, limit=limit)
        return
    box, mask = region_at(label_map, y, x, connectivity=connectivity, limit=limit)
    assert mask.shape == box.size
    assert {(box.top + a, box.left + b) for a, b in np.argwhere(mask).tolist()} == slow_region(
        label_map, y, x, connectivity, view
    )
    assert mask.any(axis=0)[[0, -1]].all()
    assert mask.any(axis=1)[[0, -1]].all()


def test_impossible_requests():
    label_map = np.zeros((3, 3), np.uint8)
    for y, x in ((-1, 0), (3, 0), (0, 3)):
        with pytest.raises(ValueError, match="not inside"):
            region_at(label_map, y, x)
    with pytest.raises(ValueError, match="4 or 8"):
        region_at(label_map, 0, 0, connectivity=6)
