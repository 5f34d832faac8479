"""How far confidence can be trusted, fitted on pixels that people labelled. NumPy only, any thread.

A confidence c is read as a calibrated one by a logistic curve in its log-odds (Platt 1999; with shift 0 it is
the temperature scaling of Guo et al. 2017, eq. 9, for the question "right or wrong"):
``calibrated(c) = sigmoid(logit(c) / temperature + shift)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.measure.calibration import BINS, Calibration

MIN_PIXELS = 200
"""Fewer pixels than this say nothing about calibration."""

_EDGE = 1e-4
_ROUNDS = 50
_RIDGE = 1e-3

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """The logistic curve from confidence to share of right pixels; the default leaves it as it is."""

    temperature: float = 1.0
    shift: float = 0.0

    def __call__(self, confidence: NDArray[np.floating]) -> Floats:
        """Return calibrated confidence, float64 in (0, 1), same shape."""
        return _sigmoid(_logit(confidence) / self.temperature + self.shift)

    def expected_wrong(self, confidence: NDArray[np.floating]) -> float:
        """Return the share of pixels expected to be wrong if all of them were accepted; 0 for none."""
        return float(np.mean(1.0 - self(confidence))) if confidence.size else 0.0


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram.

    Attributes:
        ece: Expected calibration error in [0, 1]: mean over bins, weighted by pixels, of the distance
            between mean confidence and share of right pixels (Guo et al. 2017, eq. 5).
        bins: (mean confidence, share right, share of pixels) of each bin that holds pixels.
    """

    ece: float
    bins: tuple[tuple[float, float, float], ...]


def reliability(confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Compare confidence with what was right.

    Args:
        confidence: (N,) floats in [0, 1].
        right: (N,) bool.
        bins: Number of bins of equal width.
    """
    counted = Calibration(bins)
    counted.update(confidence, right)
    rows = tuple(
        (part.confidence, part.accuracy, part.pixels / confidence.size)
        for part in counted.bins()
        if part.confidence is not None and part.accuracy is not None
    )
    return Reliability(ece=counted.error() or 0.0, bins=rows)


def fit_curve(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> Curve:
    """Fit the curve by maximum likelihood (Newton's method, drawn a little towards the identity).

    Args:
        confidence: (N,) floats in [0, 1].
        right: (N,) bool.

    Returns:
        The fitted curve; the identity for fewer than `MIN_PIXELS` pixels, and a rising one in every case.
    """
    if confidence.size < MIN_PIXELS:
        return Curve()
    inputs = np.stack([_logit(confidence), np.ones(confidence.size)], axis=1)
    identity = np.array([1.0, 0.0])
    weights = identity.copy()
    pull = _RIDGE * confidence.size
    for _ in range(_ROUNDS):
        expected = _sigmoid(inputs @ weights)
        gradient = inputs.T @ (expected - right) + pull * (weights - identity)
        curvature = (inputs * (expected * (1.0 - expected))[:, None]).T @ inputs + pull * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -1.0, 1.0)
        if float(np.abs(step).max()) < 1e-8:
            break
    slope = max(float(weights[0]), 0.02)
    return Curve(temperature=1.0 / slope, shift=float(weights[1]))


def representative(labels: NDArray[np.integer], shares: NDArray[np.floating]) -> NDArray[np.int64]:
    """Draw labelled pixels, with replacement, so that classes are as frequent as in whole images.

    People correct what is rare and what is wrong. A curve fitted on their strokes as they are would tell of
    twenty poles for one road, and expect far too many wrong pixels.

    Args:
        labels: (N,) true channels of labelled pixels.
        shares: (K,) floats >= 0, how much of whole images the classes are.

    Returns:
        (N,) int64 places in `labels`, the same for the same arguments; each once where nothing can be drawn.
    """
    counts = np.bincount(labels, minlength=len(shares)).astype(np.float64)
    weights = (np.asarray(shares, np.float64) / np.maximum(counts, 1.0))[labels]
    if weights.sum() <= 0.0:
        return np.arange(len(labels))
    rng = np.random.default_rng(0)
    return rng.choice(len(labels), size=len(labels), p=weights / weights.sum())


def cross_fitted(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], groups: NDArray[np.integer]
) -> Floats:
    """Calibrate every pixel by a curve that was fitted on the other groups.

    Args:
        confidence: (N,) floats in [0, 1].
        right: (N,) bool.
        groups: (N,) integers: pixels of one image share a group. A single group is split in two halves.

    Returns:
        (N,) float64 in (0, 1), honest in that no pixel helped to fit its own curve.
    """
    names = np.unique(groups)
    if names.size < 2:
        groups = (np.arange(confidence.size) * 2 // max(1, confidence.size)).astype(np.int64)
        names = np.unique(groups)
    calibrated = np.empty(confidence.size, np.float64)
    for name in names:
        own = groups == name
        calibrated[own] = fit_curve(confidence[~own], right[~own])(confidence[own])
    return calibrated


def _logit(confidence: NDArray[np.floating]) -> Floats:
    safe = np.clip(confidence.astype(np.float64), _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(safe / (1.0 - safe)), np.float64)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -60.0, 60.0))), np.float64)
