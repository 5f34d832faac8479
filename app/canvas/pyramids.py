"""Smaller copies of an annotation for zoomed-out views, kept true for the changed rectangle only."""

from functools import reduce
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box

Labels = NDArray[np.uint8]
T = TypeVar("T", bound=np.generic)

SMALLEST_SIDE = 256
"""Levels end once their longer side is not above this."""
MOST_CHANGES = 64
"""Changed boxes kept apart before they are joined to one."""


def level_for(scale: float, count: int) -> int:
    """Returns the coarsest level whose pixels are not larger than a device pixel.

    Args:
        scale: Device pixels per image pixel.
        count: Number of levels there are; level n is 2**n times smaller.
    """
    level = 0
    while level + 1 < count and scale * 2 ** (level + 1) <= 1.0:
        level += 1
    return level


class LabelPyramid:
    """An annotation at full, half, quarter … size.

    A coarse pixel takes the first labelled one of its 2 x 2 block, so that a thin stroke on an empty image
    does not vanish from the fitted view. Changes are noted, and carried out when a coarse level is looked at:
    who paints at 100 % does not pay for them. GUI thread only.
    """

    def __init__(self, label_map: Labels) -> None:
        """Builds the levels.

        Args:
            label_map: (H, W) uint8, a view that changes under the pyramid; tell it with `changed`.
        """
        self._levels: list[Labels] = [label_map]
        height, width = label_map.shape
        while max(height, width) > SMALLEST_SIDE:
            height, width = (height + 1) // 2, (width + 1) // 2
            self._levels.append(np.full((height, width), UNLABELLED, dtype=np.uint8))
        self._changed: list[Box] = []
        self.changed(_labelled_box(label_map))

    def __len__(self) -> int:
        """Number of levels, at least 1."""
        return len(self._levels)

    def level(self, index: int) -> Labels:
        """Returns the (h, w) uint8 label map of a level; level 0 is the annotation itself, not a copy."""
        if index > 0:
            for box in self._changed:
                self._carry_up(box)
            self._changed.clear()
        return self._levels[index]

    def changed(self, box: Box) -> None:
        """Notes that the annotation changed inside `box` (image pixels)."""
        height, width = self._levels[0].shape
        box = box.clip((height, width))
        if box.is_empty:
            return
        self._changed.append(box)
        if len(self._changed) > MOST_CHANGES:
            self._changed = [reduce(Box.union, self._changed)]

    def _carry_up(self, box: Box) -> None:
        """Brings the coarse levels up to date inside `box`; cost follows the box."""
        top, left, bottom, right = box.top, box.left, box.bottom, box.right
        for fine, coarse in pairwise(self._levels):
            top, left, bottom, right = top // 2, left // 2, (bottom + 1) // 2, (right + 1) // 2
            _shrink(
                fine[2 * top : 2 * bottom, 2 * left : 2 * right],
                coarse[top:bottom, left:right],
            )


def _shrink(fine: Labels, coarse: Labels) -> None:
    coarse[...] = fine[::2, ::2]
    for other in (fine[::2, 1::2], fine[1::2, ::2], fine[1::2, 1::2]):
        height, width = other.shape  # one less than the coarse block where the fine side is odd
        part = coarse[:height, :width]
        np.copyto(part, other, where=part == UNLABELLED)


def _labelled_box(label_map: Labels) -> Box:
    """Returns the smallest box around labelled pixels, so that a nearly empty annotation opens at once."""
    rows = np.flatnonzero(label_map.min(axis=1, initial=UNLABELLED) != UNLABELLED)
    if rows.size == 0:
        return Box(0, 0, 0, 0)
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(label_map[top:bottom].min(axis=0, initial=UNLABELLED) != UNLABELLED)
    return Box(top, int(columns[0]), bottom, int(columns[-1]) + 1)


def sample(level: NDArray[T], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[T]:
    """Returns `level[rows][:, columns]`, possibly a view; reads only the block between the outermost.

    Args:
        level: (h, w) array, also a strided view.
        rows: Ascending row indices, at least one.
        columns: Ascending column indices, at least one.
    """
    top, left = int(rows[0]), int(columns[0])
    block = np.ascontiguousarray(level[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1])
    if not _consecutive(rows):
        block = block.take(rows - top, axis=0)
    if not _consecutive(columns):
        block = block.take(columns - left, axis=1)
    return block


def _consecutive(indices: NDArray[np.int64]) -> bool:
    return bool((np.diff(indices) == 1).all())
