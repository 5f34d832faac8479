"""Filters learnt without labels: what small pieces of an image look like."""

import numpy as np
import pytest

from engine.quick import head
from engine.quick.features import FEATURES, feature_grid
from engine.quick.texture import CHANNELS, _learnt, texture_features


def stripes(upright: bool, contrast: float = 1.0) -> np.ndarray:
    lab = np.zeros((64, 64, 3), np.float32)
    wave = np.sin(np.arange(64) * 1.3) * contrast
    lab[..., 0] = wave[None, :] if upright else wave[:, None]
    return lab


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (37, 50), (3, 200), (64, 80)])
def test_every_image_has_them_for_places_of_four_by_four_pixels(size: tuple[int, int]) -> None:
    lab = np.random.default_rng(0).normal(size=(*size, 3)).astype(np.float32)
    found = texture_features(lab)
    assert found.shape == (CHANNELS, -(-size[0] // 4), -(-size[1] // 4))
    assert found.dtype == np.float16
    assert np.isfinite(found).all()
    assert not found.flags.writeable
    assert np.array_equal(found, texture_features(lab))


def test_the_filters_are_the_same_whenever_they_are_learnt() -> None:
    before = texture_features(stripes(upright=True))
    _learnt.cache_clear()
    assert np.array_equal(before, texture_features(stripes(upright=True)))


def test_they_tell_directions_apart_and_look_past_brightness() -> None:
    up, across, faint = stripes(upright=True), stripes(upright=False), stripes(upright=True, contrast=0.6)
    middle = (slice(None), 8, 8)
    seen, other, weak, bright = (
        texture_features(lab)[middle].astype(np.float32) for lab in (up, across, faint, up + 0.7)
    )
    apart = np.linalg.norm(seen - other)
    assert np.linalg.norm(seen - weak) < 0.5 * apart
    assert np.linalg.norm(seen - bright) < 0.01 * apart


def test_the_answer_and_the_fit_lift_features_by_one_formula() -> None:
    image = np.random.default_rng(1).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    values = feature_grid(image).at(np.arange(40))
    lifted = head._lifted(values)
    assert lifted.shape == (40, FEATURES + head._HIDDEN + CHANNELS)
    matrix = np.random.default_rng(2).normal(size=(lifted.shape[1], 3)).astype(np.float32)
    readout = head.Readout(np.arange(3, dtype=np.uint8), matrix, np.zeros(3, np.float32))
    assert np.allclose(readout._scores(values), lifted @ matrix, atol=1e-2)
