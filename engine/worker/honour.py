"""What people said stands in every prediction that is shown. Worker thread.

That is so on the images the quick model knows, the ones changed last. Only the picture changes by it:
judging, candidates, exports, expected errors and what is looked for as an error ask the model itself.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import VOID
from engine.predict.predictor import PredictedPart


def honoured(part: PredictedPart, said: NDArray[np.uint8] | None) -> PredictedPart:
    """Return a part in which every labelled pixel has the class it was given, with certainty.

    Args:
        part: What a model says of a box; it is not changed.
        said: (H, W) uint8 permanent class indices of the whole image, 254 void, 255 unlabelled: these two
            leave the model its word. None where nobody said anything, or of another size than the image is.
    """
    box = part.box
    if said is None or box.bottom > said.shape[0] or box.right > said.shape[1]:
        return part
    there = said[box.slices]
    known = there < VOID
    if not known.any():
        return part
    # Copied and written over: `np.where` takes twice as long, which counts on large images.
    label_map, confidence = part.label_map.copy(), part.confidence.copy()
    np.copyto(label_map, there, where=known)
    np.copyto(confidence, 1, where=known)
    label_map.setflags(write=False)
    confidence.setflags(write=False)
    return replace(part, label_map=label_map, confidence=confidence)
