"""Vectors on a plane by UMAP: those that are near each other stay near, far distances mean nothing.

McInnes, Healy, Melville: UMAP: Uniform Manifold Approximation and Projection for Dimension Reduction. 2018.
The package is optional. N vectors, C channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError

Floats = NDArray[np.float32]

FEWEST = 5
"""Vectors that a neighbourhood needs to mean anything."""

_SEED = 0
_NEIGHBOURS = 15


def neighbourhood_plane(vectors: Floats, start: Floats) -> Floats:
    """Return (N, 2) float32 places of vectors (N, C), the same for the same vectors.

    Args:
        vectors: Directions; compared by the cosine of their angle.
        start: (N, 2) places to begin at, such as the principal plane's.

    Raises:
        EngineError: The optional package is not there, or there are too few vectors.
    """
    if len(vectors) < FEWEST:
        raise EngineError(
            f"There are {len(vectors)} vectors; neighbourhoods need {FEWEST}.",
            "Choose principal components, or paint more strokes.",
        )
    made = _umap(n_neighbors=min(_NEIGHBOURS, len(vectors) - 1), init=_spread(start))
    return np.asarray(made.fit_transform(np.asarray(vectors, np.float32)), np.float32)


def _umap(**choices: Any) -> Any:
    try:
        from umap import UMAP
    except ImportError as error:
        raise EngineError(
            "UMAP is not installed; the map by principal components needs nothing more.",
            'Install it: pip install "maskloop[umap]"',
        ) from error
    # One thread and one seed: the same vectors give the same map.
    return UMAP(n_components=2, metric="cosine", random_state=_SEED, n_jobs=1, **choices)


def _spread(start: Floats) -> Floats:
    """Return places in a square of ten, none exactly on another: equal ones could never part."""
    extent = max(float(np.abs(start).max(initial=0.0)), 1e-6)
    noise = np.random.default_rng(_SEED).normal(0.0, 1e-3, start.shape)
    return np.asarray(start * (10.0 / extent) + noise, np.float32)
