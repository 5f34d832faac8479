"""Calibration error against a slow, obvious loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.measure.calibration import Calibration

PIXELS = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=40)


def slow_error(pixels: list[tuple[float, bool]], bins: int) -> float:
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = [(c, r) for c, r in pixels if low < c <= high or (number == 0 and c == 0)]
        if inside:
            confidence = sum(c for c, _ in inside) / len(inside)
            accuracy = sum(r for _, r in inside) / len(inside)
            total += len(inside) / len(pixels) * abs(accuracy - confidence)
    return total


@given(PIXELS)
def test_it_equals_the_slow_loop(pixels: list[tuple[float, bool]]) -> None:
    calibration = Calibration(4)  # quarters are exact, so no pixel lies between two bins
    confidence = np.array([c for c, _ in pixels], np.float32)
    calibration.update(confidence, np.array([r for _, r in pixels]))
    assert calibration.error() == pytest.approx(slow_error(pixels, 4), abs=1e-9)
    assert sum(part.pixels for part in calibration.bins()) == len(pixels)


def test_bins_tell_what_is_in_them() -> None:
    calibration = Calibration(2)
    assert calibration.error() is None
    calibration.update(np.array([0.9, 0.7], np.float32), np.array([True, False]))
    empty, full = calibration.bins()
    assert (empty.pixels, empty.confidence, empty.accuracy) == (0, None, None)
    assert (full.low, full.high, full.pixels, full.accuracy) == (0.5, 1.0, 2, 0.5)
    assert full.confidence == pytest.approx(0.8)
    assert calibration.error() == pytest.approx(0.3)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        Calibration().update(np.zeros(2, np.float32), np.zeros(3, bool))
