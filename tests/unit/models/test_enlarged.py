"""Sums and norms over enlarged features, without enlarging, equal those of the enlarged ones."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from models.enlarged import Enlargement, weights_along

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
FACTORS = st.tuples(st.integers(1, 30), st.integers(1, 30))


@settings(max_examples=60, deadline=None)
@given(cells=SIZES, pixels=FACTORS, seed=st.integers(0, 1000))
def test_every_shape_agrees_with_interpolation(
    cells: tuple[int, int], pixels: tuple[int, int], seed: int
) -> None:
    generator = torch.manual_seed(seed)
    features = torch.randn(2, 5, *cells, generator=generator)
    group = torch.randint(0, 3, (2, *pixels), generator=generator)
    values = torch.rand(2, *pixels, generator=generator)
    enlargement = Enlargement(cells, pixels, features.device)
    big = F.interpolate(features, size=pixels, mode="bilinear", align_corners=False)

    torch.testing.assert_close(
        enlargement.squared_norm(features), big.square().sum(dim=1), rtol=1e-4, atol=1e-4
    )

    index = enlargement.index(group, 3)
    shares = enlargement.gather(values, index, (2, 3, cells[0] * cells[1]))
    chosen = F.one_hot(group, 3).movedim(-1, 1) * values[:, None]
    expected = torch.einsum("bghw,bchw->gc", chosen, big)
    found = torch.einsum("bgp,bcp->gc", shares, features.flatten(2))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(shares.sum(dim=(0, 2)), chosen.sum(dim=(0, 2, 3)), rtol=1e-5, atol=1e-5)

    maps = torch.randn(2, 3, *cells, generator=generator)
    big_maps = F.interpolate(maps, size=pixels, mode="bilinear", align_corners=False)
    torch.testing.assert_close(
        enlargement.pick(maps.flatten(2), index),
        big_maps.gather(1, group[:, None])[:, 0],
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(("pixels", "cells"), [(65, 5), (33, 3), (513, 65), (64, 8), (71, 9), (9, 9), (4, 7)])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-9), (torch.float64, 1e-13)])
def test_weights_are_those_of_torch(pixels: int, cells: int, dtype: torch.dtype, error: float) -> None:
    each = torch.eye(cells, dtype=dtype)[None, :, :, None]
    expected = F.interpolate(each, size=(pixels, 1), mode="bilinear", align_corners=False)[0, :, :, 0].T
    torch.testing.assert_close(weights_along(pixels, cells, each), expected, rtol=0, atol=error)


def test_weights_sum_to_one() -> None:
    enlargement = Enlargement((3, 4), (17, 50), torch.device("cpu"))
    torch.testing.assert_close(enlargement.weights.sum(dim=0), torch.ones(17, 50))
    assert enlargement.corners.min() >= 0
    assert enlargement.corners.max() == 11


def test_channels_last_features_have_the_same_norms() -> None:
    features = torch.randn(2, 16, 7, 9, generator=torch.manual_seed(0))
    enlargement = Enlargement((7, 9), (40, 41), features.device)
    expected = enlargement.squared_norm(features)
    found = enlargement.squared_norm(features.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1)])
def test_single_rows_and_columns_have_no_neighbours(size: tuple[int, int]) -> None:
    features = torch.ones(1, 2, *size)
    norms = Enlargement(size, (4, 12), features.device).squared_norm(features)
    torch.testing.assert_close(norms, torch.full((1, 4, 12), 2.0))
