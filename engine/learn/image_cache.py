"""Decoded training images and their annotations in memory, within a budget of bytes (torch-free)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Arrays = tuple[NDArray[np.uint8], ...]


class ImageCache:
    """Arrays by key; the least recently used leave when the budget is spent. One thread.

    Args:
        budget: Upper bound in bytes. One entry is always kept, however large.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._entries: OrderedDict[str, Arrays] = OrderedDict()
        self._used = 0

    @property
    def used(self) -> int:
        """Bytes held."""
        return self._used

    def get(self, key: str, read: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of a key, reading them where they are not held."""
        held = self._entries.get(key)
        if held is not None:
            self._entries.move_to_end(key)
            return held
        arrays = read()
        self._entries[key] = arrays
        self._used += _size(arrays)
        while self._used > self._budget and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            self._used -= _size(oldest)
        return arrays

    def drop(self, key: str) -> None:
        """Forget one entry."""
        held = self._entries.pop(key, None)
        if held is not None:
            self._used -= _size(held)


def _size(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays)
