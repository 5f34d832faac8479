"""The image pyramid: exact means, aligned to the pixel, blue first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.project.pyramid import SMALLEST_EDGE, build_pyramid


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (256, 256), (257, 513), (1000, 300)])
def test_every_level_is_half_of_the_one_below(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    pyramid = build_pyramid(rgb)
    assert pyramid.size == size
    assert np.array_equal(pyramid.levels[0][..., :3], rgb[..., ::-1])
    for below, level in zip(pyramid.levels, pyramid.levels[1:], strict=False):
        assert level.shape[:2] == ((below.shape[0] + 1) // 2, (below.shape[1] + 1) // 2)
    assert max(pyramid.levels[-1].shape[:2]) <= SMALLEST_EDGE
    for level in pyramid.levels:
        assert level.dtype == np.uint8
        assert (level[..., 3] == 255).all()
        assert not level.flags.writeable
        assert level.flags.c_contiguous
    assert pyramid.nbytes == sum(level.size for level in pyramid.levels)


@given(height=st.integers(1, 9), width=st.integers(257, 270), seed=st.integers(0, 99))
def test_pixels_are_means_of_two_by_two(height: int, width: int, seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    level = build_pyramid(rgb).levels[1]
    padded = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge").astype(float)
    mean = (padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]) / 4
    assert np.abs(level[..., 2::-1] - mean).max() <= 0.5
