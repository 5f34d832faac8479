"""Label maps from one class table to another, by name."""

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, VOID, ClassTable


def relabelled(label_map: NDArray[np.uint8], old: ClassTable, new: ClassTable) -> NDArray[np.uint8]:
    """The label map in indices of ``new``; classes it does not have become unlabelled, void stays void.

    Args:
        label_map: (H, W) uint8 of permanent class indices of ``old``.
        old: table the values belong to.
        new: table the result belongs to.
    """
    lookup = np.full(256, UNLABELLED, np.uint8)
    lookup[VOID] = VOID
    for spec in old:
        same = new.by_name(spec.name)
        if same is not None:
            lookup[spec.index] = same.index
    return lookup[label_map]
