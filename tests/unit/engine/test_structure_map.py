"""The structure map sees what pixel counts do not; a shifted mask is found with its direction."""

import numpy as np
import pytest

from engine.inspect.label_shift import LabelShift, label_shift
from engine.inspect.structure import STRIDE, WINDOW, stretched, structure_map


def _scene(seed: int = 0) -> np.ndarray:
    """(72, 96) channels: two fields and a thin pole."""
    label = np.zeros((72, 96), np.int64)
    rows = np.arange(96) // 3 + 10 + np.random.default_rng(seed).integers(0, 3)
    label[np.arange(72)[:, None] > rows[None, :]] = 1
    label[8:60, 50:52] = 2
    return label


def _one_hot(label: np.ndarray) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[label].transpose(2, 0, 1)


def test_a_perfect_prediction_leaves_no_deficit() -> None:
    label = _scene()
    assert structure_map(_one_hot(label), label).max() < 1e-3


def test_a_soft_border_is_no_deficit_to_speak_of_but_a_broken_pole_is() -> None:
    label = _scene()
    soft = 0.8 * _one_hot(label) + 0.2 / 3
    broken = label.copy()
    broken[30:44, 50:52] = label[30:44, 48:50]
    at_soft = structure_map(soft, label)
    at_break = structure_map(_one_hot(broken), label)
    window = (30 // STRIDE, 40 // STRIDE)
    assert at_break[window] > 5 * at_soft[window]
    assert at_break[0, 0] < 1e-3


def test_pixels_without_a_label_do_not_count() -> None:
    label = _scene()
    broken = label.copy()
    broken[30:44, 50:52] = 0
    asked = np.where(np.abs(np.arange(96) - 51)[None, :] < 14, 255, label)
    assert structure_map(_one_hot(broken), asked).max() < 1e-2


def test_the_map_by_pixel_has_the_size_asked_for() -> None:
    values = structure_map(_one_hot(_scene()), np.roll(_scene(), 3, axis=0))
    drawn = stretched(values, (72, 96))
    assert drawn.shape == (72, 96)
    assert drawn.max() <= values.max()
    assert drawn[:WINDOW, :WINDOW].max() > 0


@pytest.mark.parametrize("move", [(2, 0), (-2, 0), (0, 2), (0, -2)])
def test_a_shifted_mask_is_found_with_the_move_that_puts_it_right(move: tuple[int, int]) -> None:
    truth = _scene()
    colours = np.array([[200, 60, 40], [40, 160, 60], [30, 40, 220]], np.uint8)
    noise = np.random.default_rng(1).integers(0, 12, (*truth.shape, 3)).astype(np.uint8)
    image = colours[truth] + noise
    blurred = 0.6 * _one_hot(truth) + 0.4 / 3
    right = label_shift(blurred, image, truth)
    wrong = label_shift(blurred, image, np.roll(truth, move, axis=(0, 1)))
    assert right.score < 0.0 < wrong.score
    assert wrong.move == (-move[0], -move[1])


def test_sizes_that_do_not_fit_are_refused() -> None:
    label, image = _scene(), np.zeros((72, 96, 3), np.uint8)
    with pytest.raises(ValueError, match="differ in size"):
        structure_map(_one_hot(label), label[1:])
    with pytest.raises(ValueError, match="smaller than a window"):
        structure_map(_one_hot(label)[:, :9], label[:9])
    with pytest.raises(ValueError, match="differ in size"):
        label_shift(_one_hot(label), image[1:], label)
    with pytest.raises(ValueError, match="smaller than a window"):
        label_shift(_one_hot(label)[:, :9], image[:9], label[:9])


def test_a_mask_without_borders_has_no_shift() -> None:
    flat = np.zeros((72, 96), np.int64)
    assert label_shift(_one_hot(flat), np.zeros((72, 96, 3), np.uint8), flat) == LabelShift(0.0, (0, 0))
