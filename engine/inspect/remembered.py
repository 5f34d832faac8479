"""How far strokes lie from what is remembered of each class. NumPy only, any thread.

Remembered of a class are the network's own memory of it, if it has one, and the strokes people gave it. A
stroke is as far from a class as the nearer of the two: the nearest vector of the memory, or the strokes of
the class that are most like it in other images. Those of its own image count only where there are no others:
whoever has the wrong class in hand paints several strokes with it, and they would vouch for each other. One
vector for a class, whether the network's or the mean of the strokes, lies between a class's several looks and
near none.
N strokes, K classes, M vectors, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_TINY = 1e-12
_NEAREST, _PART = 10, 4
"""A stroke is compared with a quarter of a class's strokes, ten at most: all would be the mean again. With
sixty strokes a class anything from 5 to 20 finds as many slips; with fifteen, a quarter finds more."""


def directions(vectors: NDArray[np.floating]) -> Floats:
    """Return vectors (…, C) with length 1, float32; a zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, _TINY), np.float32)


def class_distances(
    features: NDArray[np.floating],
    channels: NDArray[np.integer],
    images: NDArray[np.integer],
    memory: Mapping[int, NDArray[np.floating]],
    classes: int,
) -> Floats:
    """Return how far each stroke is from each class.

    Args:
        features: (N, C) one vector per stroke.
        channels: (N,) the class each was given, in 0 … K-1.
        images: (N,) the image each is in, as any number.
        memory: (M, C) vectors the network keeps, by class; empty for a network without.
        classes: K.

    Returns:
        (N, K) cosine distances in [0, 2], float32; inf where nothing else is remembered of a class.
    """
    unit = directions(features)
    result = np.full((len(unit), classes), np.inf, np.float32)
    between = 1.0 - unit @ unit.T
    np.fill_diagonal(between, np.inf)
    elsewhere = np.where(images[:, None] == images, np.inf, between)
    for channel in np.unique(channels).tolist():
        found = _nearest(elsewhere[:, channels == channel])
        here = _nearest(between[:, channels == channel])
        result[:, channel] = np.where(np.isfinite(found), found, here)
    for channel, vectors in memory.items():
        far = 1.0 - unit @ directions(vectors).T
        result[:, channel] = np.minimum(result[:, channel], far.min(axis=1, initial=np.inf))
    return result


def _nearest(distances: NDArray[np.floating]) -> Floats:
    """Return (N,) means of the smallest distances in each row (N, n), inf left out."""
    count = min(_NEAREST, max(1, distances.shape[1] // _PART))
    nearest = np.partition(distances, count - 1, axis=1)[:, :count]
    others = np.isfinite(nearest).sum(axis=1)
    sums = np.where(np.isfinite(nearest), nearest, 0.0).sum(axis=1)
    return np.asarray(np.where(others > 0, sums / np.maximum(others, 1), np.inf), np.float32)
