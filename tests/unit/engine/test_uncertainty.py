"""Entropy, margin, disagreement and flicker against their definitions."""

import numpy as np
import pytest

from engine.inspect.uncertainty import (
    FLICKER_LENGTH,
    FlickerHistory,
    augmentation_variance,
    entropy,
    flicker,
    narrowness,
)


def _probabilities(*pixels: tuple[float, ...]) -> np.ndarray:
    return np.array(pixels, np.float32).T[:, None, :]


def test_doubt_is_nothing_where_one_class_is_certain_and_full_where_all_are_alike() -> None:
    certain_and_alike = _probabilities((1.0, 0.0, 0.0), (1 / 3, 1 / 3, 1 / 3))
    for measure in (entropy, narrowness):
        np.testing.assert_allclose(measure(certain_and_alike), [[0.0, 1.0]], atol=1e-6)


def test_entropy_and_margin_rank_three_classes_differently() -> None:
    # A close race of two against a spread over three: the margin doubts the first, entropy the second.
    race, spread = (0.5, 0.49, 0.01), (0.5, 0.25, 0.25)
    both = _probabilities(race, spread)
    assert narrowness(both)[0, 0] > narrowness(both)[0, 1]
    assert entropy(both)[0, 0] < entropy(both)[0, 1]
    expected = -sum(p * np.log(p) for p in race) / np.log(3)
    assert entropy(both)[0, 0] == pytest.approx(expected, rel=1e-5)


def test_one_class_leaves_no_doubt() -> None:
    one = np.ones((1, 2, 2), np.float32)
    assert not entropy(one).any()
    assert not narrowness(one).any()


def test_variants_that_are_certain_of_different_classes_disagree_fully() -> None:
    first, second = _probabilities((1.0, 0.0), (1.0, 0.0)), _probabilities((0.0, 1.0), (1.0, 0.0))
    np.testing.assert_allclose(augmentation_variance([first, second]), [[1.0, 0.0]], atol=1e-6)
    with pytest.raises(ValueError, match="two variants"):
        augmentation_variance([first])


def test_flicker_counts_flips_between_neighbours_in_time() -> None:
    maps = [np.array([[0, 1]], np.uint8), np.array([[0, 2]], np.uint8), np.array([[0, 1]], np.uint8)]
    np.testing.assert_array_equal(flicker(maps), [[0.0, 1.0]])
    np.testing.assert_array_equal(flicker(maps[:1]), [[0.0, 0.0]])


def test_history_keeps_the_last_predictions_of_the_last_images() -> None:
    history = FlickerHistory(images=2)
    for step in range(FLICKER_LENGTH + 3):
        history.add("a", np.full((4, 6), step % 2, np.uint8), step)
    assert history.count("a") == FLICKER_LENGTH
    np.testing.assert_array_equal(history.flicker("a"), np.ones((4, 6)))
    assert history.at("a", 0.5, 0.99) == (FLICKER_LENGTH - 1, FLICKER_LENGTH - 1)
    history.add("b", np.zeros((2, 2), np.uint8), 0)
    assert history.flicker("b") is None
    assert history.at("b", 0.0, 0.0) == (0, 0)
    history.add("c", np.zeros((2, 2), np.uint8), 0)
    assert history.count("a") == 0
    history.clear()
    assert history.count("c") == 0


def test_a_prediction_of_the_same_step_replaces_the_last_and_another_size_starts_anew() -> None:
    history = FlickerHistory()
    history.add("a", np.zeros((4, 4), np.uint8), 1)
    history.add("a", np.ones((4, 4), np.uint8), 1)
    assert history.count("a") == 1
    history.add("a", np.ones((4, 5), np.uint8), 2)
    assert history.count("a") == 1


def test_large_predictions_are_kept_small() -> None:
    history = FlickerHistory()
    for step in range(2):
        history.add("a", np.zeros((1500, 3000), np.uint8), step)
    kept = history.flicker("a")
    assert kept is not None
    assert kept.shape == (512, 1024)
