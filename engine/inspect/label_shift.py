"""Is a whole mask shifted against its image? NumPy and OpenCV only, any thread.

The label's 3x3 region vectors are explained linearly, window by window, from the prediction's region vectors
and from the picture's colours there. A mask that lies where the picture has its borders leaves little
unexplained; the same mask two pixels aside leaves more. So the label is moved by a few pixels each way, and
the move that leaves least is what the mask seems to be off by. The trace of the posterior variance is
compared instead of the log-determinant of RMI: the determinant weighs every fine detail of a border like its
place, and no picture explains those details. The colours are what makes two pixels visible: a prediction's
own borders are not that exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.inspect.structure import WINDOW, region_vectors
from engine.opencv import cv2

MOVE = 2
"""Pixels of one move that is tried."""

_MOVES = ((-MOVE, 0), (MOVE, 0), (0, -MOVE), (0, MOVE))
_CENTRE = 4
_MIN_SHARE = 0.05
_NOISE = 5e-4

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LabelShift:
    """How much better a moved mask would fit.

    Attributes:
        score: Share of the unexplained variance that goes away by the best move; below 0 where every move
            makes it worse.
        move: Rows and columns to move the mask by, so that it fits better.
    """

    score: float
    move: tuple[int, int]


def label_shift(
    probabilities: Floats, image: NDArray[np.uint8], label: NDArray[np.integer], *, ignore: int = 255
) -> LabelShift:
    """Look for a shift of the whole mask by two pixels.

    Args:
        probabilities: (K, h, w) float32 in [0, 1].
        image: (h, w, 3) uint8 RGB.
        label: (h, w) class channels; `ignore` where nobody said anything.
        ignore: Value of pixels without a label.

    Returns:
        The best move and its score; score 0 and no move where no window holds a border.

    Raises:
        ValueError: The sizes differ, or the map is smaller than a window.
    """
    *_, found = label_shift_in_pieces(probabilities, image, label, ignore=ignore)
    if found is None:
        raise LookupError("the last piece gives the answer")
    return found


def label_shift_in_pieces(
    probabilities: Floats, image: NDArray[np.uint8], label: NDArray[np.integer], *, ignore: int = 255
) -> Iterator[LabelShift | None]:
    """Do the work of `label_shift` in pieces of one move each at most; with the last comes the answer.

    Raises:
        ValueError: As `label_shift`, with the first piece.
    """
    if probabilities.shape[1:] != label.shape or image.shape[:2] != label.shape:
        raise ValueError("prediction, image and label differ in size")
    if min(label.shape) < WINDOW:
        raise ValueError(f"a map of {label.shape} is smaller than a window of {WINDOW}")
    inner = WINDOW - 2
    colours = _colours(image, inner)
    # A class that is nowhere labelled has no border to explain.
    guesses = {
        channel: region_vectors(plane, inner, WINDOW)
        for channel, plane in enumerate(probabilities)
        if bool((label == channel).any())
    }
    yield None
    here = _left(guesses, colours, label, ignore)
    if here <= 0.0:
        yield LabelShift(score=0.0, move=(0, 0))
        return
    left: dict[tuple[int, int], float] = {}
    for move in _MOVES:
        yield None
        left[move] = _left(guesses, colours, _moved(label, move, ignore), ignore)
    best = min(left, key=lambda move: left[move])
    yield LabelShift(score=(here - left[best]) / here, move=best)


def _colours(image: NDArray[np.uint8], inner: int) -> Floats:
    """Return (rows, columns, n, 11): 3x3 lightness and the two colour axes in the middle."""
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1.0), cv2.COLOR_RGB2LAB).astype(np.float32) / 128.0
    light, *tints = (region_vectors(np.ascontiguousarray(lab[..., axis]), inner, WINDOW) for axis in range(3))
    return np.concatenate([light, *(tint[..., _CENTRE : _CENTRE + 1] for tint in tints)], axis=-1)


def _left(guesses: dict[int, Floats], colours: Floats, label: NDArray[np.integer], ignore: int) -> float:
    """Return the unexplained variance of the label, mean over windows and summed over classes."""
    inner = WINDOW - 2
    whole = region_vectors((label != ignore).astype(np.float32), inner, WINDOW).min(axis=-1) > 0
    total = 0.0
    for channel, guess in guesses.items():
        truth = region_vectors((label == channel).astype(np.float32), inner, WINDOW)
        share = truth[..., _CENTRE].mean(axis=-1)
        mixed = (share > _MIN_SHARE) & (share < 1.0 - _MIN_SHARE)
        if mixed.any():
            estimate = np.concatenate([guess[mixed], colours[mixed]], axis=-1)
            total += _unexplained(truth[mixed], estimate, whole[mixed])
    return total / float(whole[..., 0].size)


def _unexplained(truth: Floats, estimate: Floats, counts: NDArray[np.bool_]) -> float:
    weights = counts[..., None].astype(np.float32)
    number = np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
    truth = (truth - (truth * weights).sum(axis=1, keepdims=True) / number) * weights
    estimate = (estimate - (estimate * weights).sum(axis=1, keepdims=True) / number) * weights
    covariance = (np.swapaxes(estimate, 1, 2) @ truth / number).astype(np.float64)
    variance = (np.swapaxes(estimate, 1, 2) @ estimate / number).astype(np.float64)
    variance += np.eye(variance.shape[-1]) * _NOISE
    explained = (covariance * np.linalg.solve(variance, covariance)).sum()
    return float((np.square(truth) / number).sum() - explained)


def _moved(label: NDArray[np.integer], move: tuple[int, int], ignore: int) -> NDArray[np.integer]:
    dy, dx = move
    moved = np.full_like(label, ignore)
    height, width = label.shape
    moved[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = label[
        max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
    ]
    return moved
