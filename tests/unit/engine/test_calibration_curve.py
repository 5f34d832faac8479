"""Calibration recovers curves it is given, and what it promises for acceptance comes true."""

import numpy as np
import pytest

from engine.inspect.calibration import (
    MIN_PIXELS,
    Curve,
    chance_error,
    cross_fitted,
    fit_curve,
    reliability,
    representative,
    votes_of,
)


def _pixels(curve: Curve, count: int = 40_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    confidence = draw.uniform(0.3, 0.999, count)
    return confidence, draw.random(count) < curve(confidence)


def test_perfect_confidence_has_no_calibration_error() -> None:
    confidence, right = _pixels(Curve())
    measured = reliability(confidence, right)
    assert measured.ece < 0.01
    assert sum(share for *_, share in measured.bins) == pytest.approx(1.0)


def test_ece_is_the_weighted_distance_of_the_bins() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, False, True])
    measured = reliability(confidence, right, bins=10)
    assert measured.bins == (
        (pytest.approx(0.55), 0.5, 0.5),
        (pytest.approx(0.95), 1.0, 0.5),
    )
    assert measured.ece == pytest.approx(0.05)
    assert reliability(np.empty(0), np.empty(0, bool)).bins == ()


@pytest.mark.parametrize("truth", [Curve(2.5, 0.0), Curve(0.6, 0.4), Curve(1.5, -0.7)])
def test_the_curve_that_made_the_pixels_is_found(truth: Curve) -> None:
    found = fit_curve(*_pixels(truth))
    assert found.temperature == pytest.approx(truth.temperature, rel=0.1)
    assert found.shift == pytest.approx(truth.shift, abs=0.1)


def test_few_pixels_leave_confidence_as_it_is_and_one_sided_ones_stay_finite() -> None:
    confidence, right = _pixels(Curve(3.0), count=MIN_PIXELS - 1)
    assert fit_curve(confidence, right) == Curve()
    sure = np.full(MIN_PIXELS, 0.9)
    for answer in (True, False):
        curve = fit_curve(sure, np.full(MIN_PIXELS, answer))
        assert curve.temperature > 0.0
        assert np.isfinite([curve.temperature, curve.shift]).all()


def test_cross_fitting_makes_overconfidence_honest() -> None:
    confidence, right = _pixels(Curve(3.0, -0.2))
    groups = np.arange(confidence.size) % 7
    assert reliability(confidence, right).ece > 0.1
    assert reliability(cross_fitted(confidence, right, groups), right).ece < 0.02
    assert reliability(cross_fitted(confidence, right, np.zeros_like(groups)), right).ece < 0.02


def test_the_expected_share_of_wrong_pixels_comes_true() -> None:
    truth = Curve(2.0, 0.1)
    confidence, right = _pixels(truth)
    curve = fit_curve(confidence, right)
    kept = confidence > 0.8
    assert curve.expected_wrong(confidence[kept]) == pytest.approx(1.0 - right[kept].mean(), abs=0.01)
    assert curve.expected_wrong(np.empty(0)) == 0.0


def test_strokes_stand_for_whole_images() -> None:
    """Half of the strokes are poles, always missed; in the images one pixel in a hundred is a pole."""
    labels = np.repeat([0, 1], 1000)
    drawn = representative(labels, np.array([0.99, 0.01, 0.0]))
    assert drawn.shape == labels.shape
    assert (labels[drawn] == 1).mean() == pytest.approx(0.01, abs=0.01)
    right = labels == 0
    confidence = np.full(len(labels), 0.9)
    assert fit_curve(confidence, right).expected_wrong(confidence) > 0.4
    curve = fit_curve(confidence[drawn], right[drawn])
    assert curve.expected_wrong(confidence) == pytest.approx(0.01, abs=0.02)
    assert np.array_equal(representative(labels, np.zeros(3)), np.arange(len(labels)))


def test_few_votes_leave_the_logistic_curve() -> None:
    confidence, right = _pixels(Curve(2.0, 0.3), count=2000)
    places = np.linspace(0.35, 0.99, 30)
    few, many = (fit_curve(confidence, right, votes) for votes in (1.0, 1e6))
    logistic = Curve(few.temperature, few.shift)
    assert np.abs(few(places) - logistic(places)).max() < 0.03
    assert np.abs(many(places) - logistic(places)).max() > np.abs(few(places) - logistic(places)).max()
    assert (np.diff(many(places)) >= 0).all()


def test_pixels_of_one_place_share_a_vote() -> None:
    rows, columns = np.nonzero(np.ones((120, 160), bool))
    assert votes_of(rows, columns, (120, 160)) == 16 * 12
    dab = (rows < 10) & (columns < 10)
    assert votes_of(rows[dab], columns[dab], (120, 160)) == 1


def test_chance_explains_what_a_perfect_curve_seems_to_miss() -> None:
    draw = np.random.default_rng(3)
    confidence = draw.uniform(0.5, 1.0, 300)
    seen = [reliability(confidence, draw.random(300) < confidence) for _ in range(60)]
    foreseen = np.mean([chance_error(each, 300) for each in seen])
    assert foreseen == pytest.approx(np.mean([each.ece for each in seen]), rel=0.25)
