"""What a candidate would look like on screen: the quick model's word beside its own. Worker thread.

While the network has no say yet, the least one it can earn counts: the first picture with it in it must not
lose what people said either.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.learn.judge import QuickSay
from engine.messages import PoolItem
from engine.project.images import ImageArray
from engine.quick.features import grid_size
from engine.quick.referee import SHARES
from engine.worker.joint_desk import channels_of
from engine.worker.network import LiveNetwork
from engine.worker.quick_desk import QuickDesk

_MOST_KEPT = 16
"""Images whose features at the judged places are kept: a few megabytes each."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """(n, F) features of (n,) cells of an image of one revision, and whose they are."""

    by: object
    revision: int
    places: NDArray[np.int64]
    values: NDArray[np.float16]

    def fits(self, by: object, item: PoolItem, places: NDArray[np.int64]) -> bool:
        """Whether it is of these cells."""
        return self.by is by and self.revision == item.revision and np.array_equal(self.places, places)


class AsShown:
    """Tells a judge what the quick model says, see `engine.learn.judge.Beside`.

    Args:
        quick: The quick model's desk.
        read: Returns the pixels of an image file, (H, W, 3) uint8 RGB; `EngineError` where it cannot be read.
        share: Returns how much of what is shown is a network's.
    """

    def __init__(
        self,
        quick: QuickDesk,
        read: Callable[[str], ImageArray],
        share: Callable[[LiveNetwork], float],
    ) -> None:
        self._quick = quick
        self._read = read
        self._share = share
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def forget(self) -> None:
        """Give back what is kept."""
        self._seen.clear()

    def beside(
        self,
        network: LiveNetwork,
        item: PoolItem,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        unseen: Sequence[str],
    ) -> QuickSay | None:
        """Return what the quick model says of some pixels; None where the network alone is shown.

        Args:
            network: Whose candidate is judged.
            item: The image.
            rows: (n,) of the pixels.
            columns: (n,) of the pixels.
            unseen: Ids of images the quick model must not have seen.
        """
        share = max(self._share(network), SHARES[1])
        if share == 1 or not self._quick.has_learnt:
            return None
        cells = grid_size(item.size)
        places = (rows * cells[0] // item.size[0]) * cells[1] + columns * cells[1] // item.size[1]
        try:
            found = self._quick.chances(self._values(item, places), unseen)
        except EngineError:
            return None  # the pool names images that cannot be read
        if found is None:
            return None
        channels, known = channels_of(network, found.classes)
        return QuickSay(
            share=share, chances=found.chances[known], channels=channels, expected=found.expected[known]
        )

    def _values(self, item: PoolItem, places: NDArray[np.int64]) -> NDArray[np.float16]:
        seen = self._seen.pop(item.image_id, None)
        if seen is None or not seen.fits(self._quick.seen_by, item, places):
            values = self._quick.features_at(item, lambda: self._read(item.image_path), places)
            # Finding them may have changed with what: a card that is full hands over to the processor.
            seen = _Seen(self._quick.seen_by, item.revision, places, values)
        self._seen[item.image_id] = seen
        while len(self._seen) > _MOST_KEPT:
            self._seen.popitem(last=False)
        return seen.values
