"""How far confidence can be trusted, fitted on pixels that people labelled. NumPy only, any thread.

A confidence c is read as a calibrated one by a logistic curve in its log-odds (Platt 1999; with shift 0 it is
the temperature scaling of Guo et al. 2017, eq. 9, for the question "right or wrong"):
``calibrated(c) = sigmoid(logit(c) / temperature + shift)``.

Two numbers cannot follow a network whose classes are sure of themselves in different ways: what is right at
confidence 0.6 depends on which classes are found there. Where labels suffice, a rising line through knots
takes the logistic curve's place: shares of right pixels in bins as large as each other, drawn towards the
logistic curve by some votes and made to rise (pool adjacent violators; Zadrozny and Elkan 2002).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.measure.calibration import BINS, Calibration

MIN_PIXELS = 200
"""Fewer pixels than this say nothing about calibration."""

WHOLE_IMAGES = 3
"""So many held-out images labelled whole make strokes elsewhere superfluous."""

_EDGE = 1e-4
_ROUNDS = 50
_RIDGE = 1e-3
_KNOTS = 20
"""Bins of equal mass the line is drawn through."""
_PRIOR_VOTES = 5.0
"""Votes with which the logistic curve counts in every bin."""
_CELLS = 16
"""Places along the longer side of an image with a vote of their own: pixels of one are right together."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """The curve from confidence to share of right pixels; the default leaves it as it is.

    Attributes:
        temperature: Divisor of the log-odds, above 0.
        shift: Added to them after that.
        knots: (confidence, share right) of a rising line that replaces the logistic curve; none of them: it
            stands. Beyond the first and the last knot the line is level.
    """

    temperature: float = 1.0
    shift: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def __call__(self, confidence: NDArray[np.floating]) -> Floats:
        """Return calibrated confidence, float64 in (0, 1), same shape."""
        if self.knots:
            places, shares = zip(*self.knots, strict=True)
            return np.asarray(np.interp(confidence, places, shares), np.float64)
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


def votes_of(rows: NDArray[np.integer], columns: NDArray[np.integer], size: tuple[int, int]) -> int:
    """Return how many opinions pixels of one image are: those in one small square share theirs.

    Args:
        rows: (N,) rows of pixels.
        columns: (N,) columns of them.
        size: (height, width) of the image.
    """
    edge = max(1, math.ceil(max(size) / _CELLS))
    return int(np.unique((rows // edge) * (_CELLS + 1) + columns // edge).size)


def fit_curve(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], votes: float | None = None
) -> Curve:
    """Fit the curve: the logistic one by maximum likelihood, then the rising line it is a prior of.

    Args:
        confidence: (N,) floats in [0, 1].
        right: (N,) bool.
        votes: How many independent opinions the pixels are, see `votes_of`; None: each is one.

    Returns:
        The fitted curve; the identity for fewer than `MIN_PIXELS` pixels, and one that never falls in every
        case.
    """
    if confidence.size < MIN_PIXELS:
        return Curve()
    logistic = _logistic(confidence, right)
    share = (confidence.size if votes is None else votes) / _KNOTS
    order = np.argsort(confidence, kind="stable")
    places, shares = [], []
    for part in np.array_split(order, _KNOTS):
        places.append(float(np.mean(confidence[part])))
        prior = float(np.mean(logistic(confidence[part])))
        shares.append((share * float(right[part].mean()) + _PRIOR_VOTES * prior) / (share + _PRIOR_VOTES))
    return dataclasses.replace(logistic, knots=tuple(zip(places, _risen(shares), strict=True)))


def _risen(shares: Sequence[float]) -> list[float]:
    """Return the rising sequence closest to some numbers (pool adjacent violators)."""
    pools: list[tuple[float, int]] = []
    for share in shares:
        pools.append((share, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (left, many), (right, more) = pools[-2], pools.pop()
            pools[-1] = ((left * many + right * more) / (many + more), many + more)
    return [share for share, count in pools for _ in range(count)]


def _logistic(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> Curve:
    """Fit the logistic curve (Newton's method, drawn a little towards the identity)."""
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


def chance_error(found: Reliability, votes: float) -> float:
    """Return the calibration error that chance alone gives a perfect curve asked so few times.

    A share p of n votes strays from the truth by sqrt(2 p (1 - p) / (pi n)) on average, in every bin.

    Args:
        found: The diagram.
        votes: How many independent opinions are in it, see `votes_of`.
    """
    strays = [
        share * min(1.0, math.sqrt(2.0 * sure * (1.0 - sure) / (math.pi * max(1e-9, share * votes))))
        for sure, _, share in found.bins
    ]
    return float(sum(strays))


def cross_fitted(
    confidence: NDArray[np.floating],
    right: NDArray[np.bool_],
    groups: NDArray[np.integer],
    votes: float | None = None,
) -> Floats:
    """Calibrate every pixel by a curve that was fitted on the other groups.

    Args:
        confidence: (N,) floats in [0, 1].
        right: (N,) bool.
        groups: (N,) integers: pixels of one image share a group. A single group is split in two halves.
        votes: How many independent opinions all pixels are, see `votes_of`; None: each is one.

    Returns:
        (N,) float64 in (0, 1), honest in that no pixel helped to fit its own curve.
    """
    names = np.unique(groups)
    if names.size < 2:
        groups = (np.arange(confidence.size) * 2 // max(1, confidence.size)).astype(np.int64)
        names = np.unique(groups)
    calibrated = np.empty(confidence.size, np.float64)
    each = 1.0 if votes is None else votes / max(1, confidence.size)
    for name in names:
        own = groups == name
        others = fit_curve(confidence[~own], right[~own], each * float(np.count_nonzero(~own)))
        calibrated[own] = others(confidence[own])
    return calibrated


def _logit(confidence: NDArray[np.floating]) -> Floats:
    safe = np.clip(confidence.astype(np.float64), _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(safe / (1.0 - safe)), np.float64)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -60.0, 60.0))), np.float64)
