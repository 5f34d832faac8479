"""Class memory and human strokes on a plane. NumPy only but for the messages; any thread.

Vectors are compared by the angle between them, as the networks compare them. The plane is that of the two
principal components of the memory's directions: always the same for the same memory, signs included. Or, if
asked for, neighbourhoods of memory and strokes together (`engine.inspect.neighbourhoods`).

How far a stroke is from a class is said by `engine.inspect.remembered`.
K classes, M slots per class, C channels, N strokes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.inspect.labelled import Stroke
from engine.inspect.neighbourhoods import neighbourhood_plane
from engine.inspect.remembered import class_distances, directions
from engine.messages import MemoryMapped, Projection, StrokeDot

Floats = NDArray[np.float32]
_TINY = 1e-12


def map_memory(
    request_id: int,
    step: int,
    indices: Sequence[int],
    memory: Floats | None,
    strokes: Sequence[Stroke],
    projection: Projection = Projection.PRINCIPAL,
) -> MemoryMapped:
    """Return memory vectors and strokes on a plane.

    Args:
        request_id: Comes back.
        step: Training step of the weights.
        indices: Permanent class index of each channel.
        memory: (K, M, C) vectors, zero where empty; None for a network without: a class then stands where
            the mean of its strokes is.
        strokes: What people painted.
        projection: How vectors are put on the plane.

    Raises:
        EngineError: The projection needs a package that is not there, or more vectors.
    """
    remembers = memory is not None
    channels = np.array([stroke.channel for stroke in strokes], np.int64)
    if memory is None:
        memory = _from_strokes(len(indices), strokes)
    filled = np.abs(memory).max(axis=2, initial=0.0) > 0
    vectors = directions(memory[filled])
    owners = np.broadcast_to(np.arange(len(indices))[:, None], filled.shape)[filled]
    features = directions(np.stack([stroke.feature for stroke in strokes])) if strokes else vectors[:0]
    plane = principal_plane(vectors if len(vectors) > 2 else np.concatenate([vectors, features]))
    places, stroke_places = plane.place(vectors), plane.place(features)
    if projection is Projection.NEIGHBOURHOODS:
        start = np.concatenate([places, stroke_places])
        both = neighbourhood_plane(np.concatenate([vectors, features]), start)
        places, stroke_places = both[: len(vectors)], both[len(vectors) :]
    kept = {channel: vectors[owners == channel] for channel in np.unique(owners).tolist() if remembers}
    images = np.unique([stroke.region.image_id for stroke in strokes], return_inverse=True)[1]
    distances = class_distances(features, channels, images, kept, len(indices))
    within = _within(strokes, distances, indices)
    # What nothing can be compared with lies at its class.
    own = distances[np.arange(len(channels)), channels]
    distances[np.arange(len(channels)), channels] = np.where(np.isfinite(own), own, 0.0)
    return MemoryMapped(
        request_id=request_id,
        step=step,
        classes={
            indices[channel]: tuple(_pair(place) for place in places[owners == channel])
            for channel in np.unique(owners).tolist()
        },
        strokes=tuple(
            _dot(stroke, _pair(place), distance, indices)
            for stroke, place, distance in zip(strokes, stroke_places, distances, strict=True)
        ),
        within=within,
        between=_between(vectors, owners),
        explained=plane.explained if projection is Projection.PRINCIPAL else (0.0, 0.0),
        projection=projection,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """A plane in feature space: `middle` (C,), orthonormal `axes` (2, C), share of variance of each axis."""

    middle: Floats
    axes: Floats
    explained: tuple[float, float]

    def place(self, vectors: Floats) -> Floats:
        """Return (N, 2) float32 places of vectors (N, C)."""
        return np.asarray((vectors - self.middle) @ self.axes.T, np.float32)


def principal_plane(vectors: Floats) -> Plane:
    """Return the plane of the two principal components of (N, C) vectors; deterministic, signs included."""
    channels = vectors.shape[1] if vectors.size else 2
    middle = vectors.mean(axis=0) if len(vectors) else np.zeros(channels, np.float32)
    axes = np.zeros((2, channels), np.float32)
    shares = [0.0, 0.0]
    if len(vectors) > 1:
        _, strengths, rows = np.linalg.svd((vectors - middle).astype(np.float64), full_matrices=False)
        total = max(float(np.square(strengths).sum()), _TINY)
        for axis in range(min(2, len(rows))):
            # A component has no sign of its own: its largest entry is made positive.
            sign = 1.0 if rows[axis][np.abs(rows[axis]).argmax()] > 0 else -1.0
            axes[axis] = rows[axis] * sign
            shares[axis] = float(strengths[axis] ** 2 / total)
    return Plane(middle=np.asarray(middle, np.float32), axes=axes, explained=(shares[0], shares[1]))


def _from_strokes(classes: int, strokes: Sequence[Stroke]) -> Floats:
    channels = len(strokes[0].feature) if strokes else 2
    sums = np.zeros((classes, 1, channels), np.float32)
    for stroke in strokes:
        sums[stroke.channel, 0] += directions(stroke.feature)
    return sums


def _dot(stroke: Stroke, place: tuple[float, float], distances: Floats, indices: Sequence[int]) -> StrokeDot:
    own, nearest = stroke.channel, int(distances.argmin())
    return StrokeDot(
        image_id=stroke.region.image_id,
        y=stroke.region.y,
        x=stroke.region.x,
        class_index=indices[own],
        position=place,
        nearest=indices[nearest],
        distance_own=float(distances[own]),
        distance_nearest=float(distances[nearest]),
    )


def _within(strokes: Sequence[Stroke], distances: Floats, indices: Sequence[int]) -> Mapping[int, float]:
    """Return the mean distance of a class's strokes to what is remembered of it, by permanent class index."""
    found: dict[int, list[float]] = {}
    for stroke, row in zip(strokes, distances, strict=True):
        distance = float(row[stroke.channel])
        if np.isfinite(distance):
            found.setdefault(indices[stroke.channel], []).append(distance)
    return {index: float(np.mean(values)) for index, values in sorted(found.items())}


def _between(vectors: Floats, owners: NDArray[np.int64]) -> float:
    """Return the mean distance of vectors of different classes; 0 with a single class."""
    differ = owners[:, None] != owners[None]
    return float((1.0 - vectors @ vectors.T)[differ].mean()) if differ.any() else 0.0


def _pair(place: Floats) -> tuple[float, float]:
    return float(place[0]), float(place[1])
