"""Boundary scores against a slow, obvious search for the nearest outline pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.measure.boundary import BoundaryScores

CHANNELS = st.integers(0, 2) | st.just(255)
PAIR = arrays.arrays(np.uint8, st.tuples(st.just(2), st.integers(2, 7), st.integers(2, 7)), elements=CHANNELS)


def slow_outline(channels: np.ndarray, known: np.ndarray, channel: int) -> list[tuple[int, int]]:
    found = []
    for y, x in np.argwhere((channels == channel) & known).tolist():
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            row, column = y + dy, x + dx
            inside = 0 <= row < channels.shape[0] and 0 <= column < channels.shape[1]
            if inside and known[row, column] and channels[row, column] != channel:
                found.append((y, x))
                break
    return found


def slow_score(prediction: np.ndarray, target: np.ndarray, channel: int, reach: float) -> float | None:
    known = target < 3
    ours, theirs = (slow_outline(channels, known, channel) for channels in (prediction, target))
    if not ours and not theirs:
        return None
    met = [
        sum(any(np.hypot(y - v, x - u) <= reach for v, u in other) for y, x in own) / len(own) if own else 0.0
        for own, other in ((ours, theirs), (theirs, ours))
    ]
    return 2 * met[0] * met[1] / (met[0] + met[1]) if sum(met) else 0.0


@settings(max_examples=60)
@given(PAIR, st.sampled_from([0.01, 0.25]))
def test_it_equals_the_slow_search(pair: np.ndarray, tolerance: float) -> None:
    scores = BoundaryScores(3, tolerance)
    scores.update(pair[0], pair[1])
    reach = max(1.0, tolerance * float(np.hypot(*pair[1].shape)))
    assert list(scores.per_class()) == pytest.approx([slow_score(*pair, c, reach) for c in range(3)])


def test_images_count_alike_and_processes_add_up() -> None:
    target = np.zeros((40, 40), np.uint8)
    target[:, 20:] = 1
    shifted = np.roll(target, 8, axis=1)
    shifted[:, :20] = 0
    both, one, other = BoundaryScores(2), BoundaryScores(2), BoundaryScores(2)
    for scores, prediction in ((one, target), (other, shifted)):
        scores.update(prediction, target)
        both.update(prediction, target)
    assert one.mean() == 1.0
    assert other.mean() == 0.0
    assert both.mean() == 0.5
    one.take_sums(one.sums() + other.sums())
    assert one.per_class() == both.per_class()


def test_a_pixel_beside_the_outline_still_counts_as_met() -> None:
    target = np.zeros((100, 100), np.uint8)
    target[30:60, 30:60] = 1
    scores = BoundaryScores(2)
    scores.update(np.roll(target, 1, axis=0), target)
    assert scores.mean() == 1.0


def test_what_nobody_labelled_makes_no_outline() -> None:
    target = np.full((9, 9), 255, np.uint8)
    target[2:5, 2:5] = 1
    scores = BoundaryScores(2)
    scores.update(np.ones_like(target), target)
    assert scores.mean() is None


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        BoundaryScores(2).update(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
