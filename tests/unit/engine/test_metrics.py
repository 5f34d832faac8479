"""Confusion matrix against a slow, obvious count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.measure.metrics import ConfusionMatrix

CHANNELS = st.integers(0, 3) | st.just(255)
PAIR = arrays.arrays(np.uint8, st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 6)), elements=CHANNELS)


def slow_iou(prediction: np.ndarray, target: np.ndarray, channel: int) -> float | None:
    both = either = 0
    for p, t in zip(prediction.ravel().tolist(), target.ravel().tolist(), strict=True):
        if t > 3:
            continue
        both += p == channel and t == channel
        either += p == channel or t == channel
    return both / either if either else None


@given(PAIR)
def test_iou_equals_slow_count(pair: np.ndarray) -> None:
    matrix = ConfusionMatrix(4)
    matrix.update(pair[0], pair[1])
    expected = [slow_iou(pair[0], pair[1], channel) for channel in range(4)]
    assert list(matrix.iou_per_class()) == pytest.approx(expected, nan_ok=True)
    known = pair[1] <= 3
    assert matrix.pixels == known.sum()
    if known.any():
        assert matrix.pixel_accuracy() == pytest.approx((pair[0] == pair[1])[known].mean())
        present = [value for value in expected if value is not None]
        assert matrix.miou() == pytest.approx(sum(present) / len(present))
    else:
        assert matrix.miou() is None
        assert matrix.pixel_accuracy() is None


@given(PAIR, PAIR)
def test_merge_equals_counting_both(first: np.ndarray, second: np.ndarray) -> None:
    together, left, right = ConfusionMatrix(4), ConfusionMatrix(4), ConfusionMatrix(4)
    for matrix, pairs in ((together, (first, second)), (left, (first,)), (right, (second,))):
        for pair in pairs:
            matrix.update(pair[0], pair[1])
    left.merge(right)
    assert (left.counts == together.counts).all()
    assert (left.missed == together.missed).all()


def test_unknown_prediction_is_wrong_not_ignored() -> None:
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([[0, 255]], np.uint8), np.array([[0, 0]], np.uint8))
    assert matrix.iou_per_class() == (0.5, None)
    assert matrix.pixel_accuracy() == 0.5
    assert matrix.named_iou(("road", "sky")) == {"road": 0.5, "sky": None}


def test_blocks_do_not_change_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = np.random.default_rng(0).integers(0, 5, (2, 50, 50)).astype(np.uint8)
    whole, parts = ConfusionMatrix(4), ConfusionMatrix(4)
    whole.update(pair[0], pair[1])
    monkeypatch.setattr("engine.measure.metrics._BLOCK", 7)
    parts.update(pair[0], pair[1])
    assert (whole.counts == parts.counts).all()


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="number of classes"):
        ConfusionMatrix(0)
    with pytest.raises(ValueError, match="shape"):
        ConfusionMatrix(2).update(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="merge"):
        ConfusionMatrix(2).merge(ConfusionMatrix(3))


def test_frequent_classes_weigh_more() -> None:
    matrix = ConfusionMatrix(3)
    assert matrix.frequency_weighted_iou() is None
    matrix.update(np.array([0, 0, 0, 1, 2], np.uint8), np.array([0, 0, 0, 0, 1], np.uint8))
    # Class 0: 3 of 4, four fifths of the pixels; class 1: 0 of 2, one fifth; class 2 is in no target.
    assert matrix.frequency_weighted_iou() == pytest.approx(0.8 * 0.75)
