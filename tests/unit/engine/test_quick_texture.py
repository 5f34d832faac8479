"""Filters learnt without labels: what small pieces of an image look like."""

import numpy as np
import pytest

from engine.opencv import cv2
from engine.quick import head
from engine.quick.features import FEATURES, feature_grid, mirrored
from engine.quick.texture import CHANNELS, _learnt, mirrored_signs, texture_features


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


@pytest.mark.parametrize("size", [(60, 80), (24, 136), (1024, 2048)])
def test_what_cells_of_a_mirrored_image_are_like_is_known_without_looking_at_it(
    size: tuple[int, int],
) -> None:
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    image = np.asarray(cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    image[::7, ::5] = rng.integers(0, 256, image[::7, ::5].shape)
    seen, other = feature_grid(image), feature_grid(np.ascontiguousarray(image[:, ::-1]))
    height, width = seen.cells
    rows, columns = rng.integers(0, height, 300), rng.integers(0, width, 300)
    found = mirrored(seen.at(rows * width + columns)).astype(np.float32)
    wanted = other.at(rows * width + width - 1 - columns).astype(np.float32)
    assert found == pytest.approx(wanted, abs=0.02)
    assert set(mirrored_signs().tolist()) == {1.0, -1.0}
    assert not np.allclose(found[:, FEATURES:], seen.at(rows * width + columns)[:, FEATURES:], atol=0.5)


def test_nobody_pretends_to_know_what_a_network_sees_of_a_mirrored_image() -> None:
    with pytest.raises(ValueError, match="mirrored"):
        mirrored(np.zeros((3, FEATURES + CHANNELS + 8), np.float16))


def test_the_answer_and_the_fit_lift_features_by_one_formula() -> None:
    image = np.random.default_rng(1).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    values = feature_grid(image).at(np.arange(40))
    lifted = head._lifted(values)
    assert lifted.shape == (40, FEATURES + head._HIDDEN + CHANNELS)
    matrix = np.random.default_rng(2).normal(size=(lifted.shape[1], 3)).astype(np.float32)
    nothing = np.zeros(3, np.float32)
    readout = head.Readout(np.arange(3, dtype=np.uint8), matrix, nothing, nothing)
    assert np.allclose(readout._scores(values), lifted @ matrix, atol=1e-2)
