"""Everything the quick model knows of a project: features of the images seen last, samples of the annotated.

One thread. Cost of a changed annotation: what changed in it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.quick.features import FeatureGrid, feature_grid
from engine.quick.head import QuickHead, Readout
from engine.quick.samples import Cells, chosen

_GRID_BYTES = 192 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class _Learnt:
    """Samples of an image and their features (n, F) float16."""

    cells: Cells
    values: NDArray[np.float16]


class QuickModel:
    """The head and what it was fed, by image id.

    Args:
        grid_bytes: Budget of the features kept; those of one image are always kept.
    """

    def __init__(self, grid_bytes: int = _GRID_BYTES) -> None:
        self._budget = grid_bytes
        self._grids: OrderedDict[str, FeatureGrid] = OrderedDict()
        self._learnt: dict[str, _Learnt] = {}
        self._head = QuickHead()

    @property
    def images(self) -> tuple[str, ...]:
        """Ids of the images learnt from, the one changed last at the end."""
        return tuple(self._learnt)

    def grid(self, image_id: str, read: Callable[[], NDArray[np.uint8]]) -> FeatureGrid:
        """Return the features of an image, kept or new.

        Args:
            image_id: The image.
            read: Returns its (H, W, 3) uint8 RGB pixels; what it raises goes through.
        """
        grid = self._grids.pop(image_id, None)
        if grid is None:
            grid = feature_grid(read())
        self._grids[image_id] = grid
        while (
            len(self._grids) > 1 and sum(kept.values.nbytes for kept in self._grids.values()) > self._budget
        ):
            self._grids.popitem(last=False)
        return grid

    def learn(self, image_id: str, grid: FeatureGrid, cells: Cells) -> bool:
        """Replace what an image teaches; return whether that changed anything.

        Args:
            image_id: The image.
            grid: Its features.
            cells: All its labelled cells, see `engine.quick.samples.labelled_cells`.
        """
        cells = chosen(cells)
        values = grid.values.reshape(-1, grid.values.shape[2])[cells.places]
        new = _Learnt(cells, values)
        old = self._learnt.pop(image_id, None)
        if len(cells):
            self._learnt[image_id] = new
        gone = new.cells.keys()[:0] if old is None else old.cells.keys()
        came = cells.keys()
        if old is not None:
            self._add(old, ~np.isin(gone, came), sign=-1)
        fresh = ~np.isin(came, gone)
        self._add(new, fresh)
        return bool(fresh.any()) or len(gone) != len(came)

    def forget(self, image_id: str) -> bool:
        """Take out what an image taught; return whether there was anything."""
        old = self._learnt.pop(image_id, None)
        if old is None:
            return False
        self._add(old, np.ones(len(old.cells), np.bool_), sign=-1)
        return True

    def readout(self, classes: tuple[int, ...], *, without: Iterable[str] = ()) -> Readout | None:
        """Return the model of now, or None while fewer than two classes have samples.

        Args:
            classes: Permanent indices that count.
            without: Images it shall never have seen.
        """
        head = self._head
        for learnt in (self._learnt[name] for name in without if name in self._learnt):
            head = head.without(learnt.values, learnt.cells.labels, learnt.cells.weights)
        return head.solve(classes)

    def _add(self, learnt: _Learnt, which: NDArray[np.bool_], *, sign: int = 1) -> None:
        cells = learnt.cells.where(which)
        if len(cells):
            self._head.add(learnt.values[which], cells.labels, cells.weights, sign=sign)
