"""Labelled regions ranked by how likely each is a slip, as a message. NumPy only, any thread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.inspect.label_errors import suspicions
from engine.inspect.labelled import Stroke
from engine.messages import LabelError

_MOST_ERRORS = 500


def ranked_errors(
    strokes: Sequence[Stroke], indices: Sequence[int], memory: NDArray[np.float32] | None
) -> tuple[LabelError, ...]:
    """Return the most suspicious regions first; those with score 0 are left out.

    Args:
        strokes: What people painted or imported.
        indices: Permanent class index of each channel.
        memory: (K, M, C) class memory, zero where empty; None for a network without one.
    """
    if not strokes:
        return ()
    vectors: dict[int, NDArray[np.float32]] = {}
    for channel, index in enumerate(indices):
        filled = None if memory is None else memory[channel][np.abs(memory[channel]).max(axis=1) > 0]
        if filled is not None and len(filled):
            vectors[index] = filled
    found = suspicions(
        np.stack([stroke.feature for stroke in strokes]),
        np.array([stroke.region.class_index for stroke in strokes]),
        np.array([float(stroke.region.pixels) for stroke in strokes]),
        vectors or None,
        np.array([stroke.chance for stroke in strokes]),
        np.unique([stroke.region.image_id for stroke in strokes], return_inverse=True)[1],
    )
    errors = [
        LabelError(
            image_id=stroke.region.image_id,
            box=stroke.region.box,
            y=stroke.region.y,
            x=stroke.region.x,
            class_index=stroke.region.class_index,
            suggested=suspicion.suggested,
            pixels=stroke.region.pixels,
            score=suspicion.score,
            loss=suspicion.loss,
            distance=suspicion.distance,
            contradiction=suspicion.contradiction,
        )
        for stroke, suspicion in zip(strokes, found, strict=True)
        if suspicion.score > 0
    ]
    return tuple(sorted(errors, key=lambda error: -error.score)[:_MOST_ERRORS])
