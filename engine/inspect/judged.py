"""Labelled pixels of images as evidence of how far confidence can be trusted. Worker thread.

Whole images tell the truth about how often what is shown is right. Strokes alone do not: people paint what is
rare and what is wrong. Where enough images are labelled whole, only those count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.inspect.calibration import (
    MIN_PIXELS,
    WHOLE_IMAGES,
    chance_error,
    cross_fitted,
    fit_curve,
    reliability,
    representative,
    votes_of,
)
from engine.messages import CalibrationFitted
from engine.project.manifest import Split
from models.base import IGNORE_INDEX

_MOST_PIXELS = 4000
"""Labelled pixels of one image that count: it has some hundred independent opinions at most."""

_SPLITS = 4
"""Ways of parting the images into two halves, one of which fits and the other is asked."""

_COVERED = 0.5
"""Share of an image from which its labels tell of all of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """Labelled pixels of one image, N of them.

    Attributes:
        confidence: (N,) float64.
        right: (N,) bool, whether the prediction is what people said.
        labels: (N,) int64 channels people said.
        shares: (K,) float64, how much of the whole image each class is: by the labels where they cover half
            of it, else as the network believes.
        votes: How many independent opinions the pixels are.
        whole: Whether the labels cover half of the image.
    """

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    labels: NDArray[np.int64]
    shares: NDArray[np.float64]
    votes: int
    whole: bool


def judged_pixels(probabilities: NDArray[np.float32], channels: NDArray[np.int64]) -> Judged:
    """Compare labels with probabilities.

    Args:
        probabilities: (K, h, w).
        channels: (h, w) channels people labelled, 255 where nobody did.
    """
    known = channels != IGNORE_INDEX
    rows, columns = np.nonzero(known)
    votes = votes_of(rows, columns, (known.shape[0], known.shape[1]))
    chosen = np.random.default_rng(0).permutation(len(rows))[:_MOST_PIXELS]
    rows, columns = rows[chosen], columns[chosen]
    here = probabilities[:, rows, columns]
    labels = channels[rows, columns]
    whole = bool(known.mean() >= _COVERED)
    shares = probabilities.mean(axis=(1, 2), dtype=np.float64)
    if whole:
        shares = np.bincount(labels, minlength=len(shares)) / len(labels)
    return Judged(
        confidence=here.max(axis=0).astype(np.float64),
        right=here.argmax(axis=0) == labels,
        labels=labels,
        shares=shares,
        votes=votes,
        whole=whole,
    )


def evidence(found: Mapping[Split, Sequence[Judged]]) -> list[Judged]:
    """Return the images that count: held-out whole ones, else all held-out ones, else all.

    Raises:
        EngineError: Too few pixels are labelled.
    """
    held_out = list(found.get(Split.VAL, ()))
    whole = [part for part in held_out if part.whole]
    if len(whole) < max(WHOLE_IMAGES, len(held_out) / 2):
        # Whole images among many that were left half done are those that were easy.
        whole = []
    everything = [*held_out, *found.get(Split.TRAIN, ())]
    for parts in (whole, held_out, everything):
        if sum(len(part.right) for part in parts) >= MIN_PIXELS:
            return parts
    raise EngineError(
        f"Calibration needs {MIN_PIXELS} labelled pixels.", "Paint a little more, best held out."
    )


def calibration(request_id: int, parts: Sequence[Judged]) -> CalibrationFitted:
    """Fit the curve on images, and tell how far one fitted on half of them is from the other half.

    Args:
        request_id: Of the question.
        parts: At least one image.
    """
    groups = np.concatenate([np.full(len(part.right), number) for number, part in enumerate(parts)])
    confidence = np.concatenate([part.confidence for part in parts])
    correct = np.concatenate([part.right for part in parts])
    votes = float(sum(part.votes for part in parts))
    whole = all(part.whole for part in parts)
    if not whole:
        labels = np.concatenate([part.labels for part in parts])
        drawn = representative(labels, np.mean([part.shares for part in parts], axis=0))
        votes *= np.unique(drawn).size / len(drawn)
        groups, confidence, correct = groups[drawn], confidence[drawn], correct[drawn]
    asked = [
        (reliability(before, right).ece, reliability(after, right))
        for before, after, right in _asked(confidence, correct, groups, votes)
    ]
    calibrated = cross_fitted(confidence, correct, groups % 10, votes)
    shown = reliability(calibrated, correct)
    curve = fit_curve(confidence, correct, votes)
    return CalibrationFitted(
        request_id=request_id,
        pixels=len(correct),
        temperature=curve.temperature,
        shift=curve.shift,
        knots=curve.knots,
        ece=float(np.mean([after.ece for _, after in asked])),
        ece_before=float(np.mean([before for before, _ in asked])),
        chance=float(np.mean([chance_error(after, votes / 2.0) for _, after in asked])),
        bins=shown.bins,
        images=len(parts) if whole and len(parts) >= WHOLE_IMAGES else 0,
    )


def _asked(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], groups: NDArray[np.int64], votes: float
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]]:
    """Fit on half of the images and ask the other half, and the other way round, several times.

    Halves are judged one by one, confidence as it is like the curve. If all pixels that were left out in turn
    were judged together, what one image is too easy the others would be too hard for it, and any curve would
    look right on average.

    Yields:
        Confidence of the pixels of a half, the same calibrated, and what was right.
    """
    names = np.unique(groups)
    rng = np.random.default_rng(0)
    for _ in range(_SPLITS):
        half = np.isin(groups, rng.permutation(names)[: len(names) // 2])
        if names.size < 2:
            half = np.arange(groups.size) < groups.size // 2
        for own in (half, ~half):
            if own.any():
                curve = fit_curve(confidence[~own], right[~own], votes * float(np.mean(~own)))
                yield confidence[own], curve(confidence[own]), right[own]
