"""Everything the quick model knows of a project: features of the images seen last, samples of the annotated.

One thread. Cost of a changed annotation: the features of what changed in it, and one fit to a bounded number
of samples.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.quick.features import MIRRORED_FEATURES, FeatureGrid, Stages, feature_grid, mirrored
from engine.quick.head import Readout, fitted
from engine.quick.joint import expected_of
from engine.quick.pretrained import stage_features
from engine.quick.samples import Cells, chosen

_GRID_BYTES = 192 * 2**20
_MOST_OF_A_CLASS = 300
"""Samples of a class that are learnt from at once, whatever the number of images."""


@dataclass(frozen=True, slots=True, eq=False)
class _Learnt:
    """Samples of an image, their features (n, F) float16, and (256,) what is labelled by class, in pixels."""

    cells: Cells
    values: NDArray[np.float16]
    pixels: NDArray[np.float64]


class QuickModel:
    """What was learnt, by image id.

    Args:
        grid_bytes: Budget of the features kept; those of one image are always kept.
        stages: What a network sees of images: one and the same as long as the model lives, as features of
            two networks say nothing about each other.
    """

    def __init__(self, grid_bytes: int = _GRID_BYTES, stages: Stages = stage_features) -> None:
        self._budget = grid_bytes
        self._stages = stages
        self._grids: OrderedDict[str, FeatureGrid] = OrderedDict()
        self._learnt: dict[str, _Learnt] = {}

    @property
    def images(self) -> tuple[str, ...]:
        """Ids of the images learnt from, the one changed last at the end."""
        return tuple(self._learnt)

    def grid(self, image_id: str, read: Callable[[], NDArray[np.uint8]]) -> FeatureGrid:
        """Return the features of an image, kept or new.

        Args:
            image_id: The image.
            read: Returns its (H, W, 3) uint8 RGB pixels; what it and the stages raise goes through.
        """
        grid = self._grids.pop(image_id, None)
        if grid is None:
            grid = feature_grid(read(), self._stages)
        self._grids[image_id] = grid
        while len(self._grids) > 1 and sum(kept.nbytes for kept in self._grids.values()) > self._budget:
            self._grids.popitem(last=False)
        return grid

    def learn(self, image_id: str, grid: FeatureGrid, cells: Cells) -> bool:
        """Replace what an image teaches; return whether that changed anything.

        Args:
            image_id: The image.
            grid: Its features.
            cells: All its labelled cells, see `engine.quick.samples.labelled_cells`.
        """
        pixels = np.bincount(cells.labels, cells.pixels, minlength=256).astype(np.float64)
        cells = chosen(cells)
        old = self._learnt.pop(image_id, None)
        if len(cells):
            self._learnt[image_id] = _Learnt(cells, _values(grid, cells, old), pixels)
        before = Cells.none() if old is None else old.cells
        return not np.array_equal(before.keys(), cells.keys())

    def forget(self, image_id: str) -> bool:
        """Take out what an image taught; return whether there was anything."""
        return self._learnt.pop(image_id, None) is not None

    def is_enough(self, classes: tuple[int, ...]) -> bool:
        """Whether two classes have samples, so that there is a readout; without fitting it.

        Args:
            classes: Permanent indices that count.
        """
        found = [set(np.unique(learnt.cells.labels).tolist()) for learnt in self._learnt.values()]
        return len(set(classes).intersection(set().union(*found))) > 1

    def readout(
        self, classes: tuple[int, ...], *, without: Iterable[str] = (), mirrors: bool = True
    ) -> Readout | None:
        """Return the model of now, or None while fewer than two classes have samples.

        Args:
            classes: Permanent indices that count.
            without: Images it shall never have seen.
            mirrors: Whether a mirrored image teaches the same; it does so only where no network sees the
                images.
        """
        unseen = set(without)
        names = sorted(name for name in self._learnt if name not in unseen)
        taken = [self._learnt[name] for name in names]
        limits = _limits([learnt.cells.labels for learnt in taken], classes)
        values, labels, weights = [], [], []
        for learnt in taken:
            cells = chosen(learnt.cells, limits)
            kept = np.isin(learnt.cells.places, cells.places)
            values.append(learnt.values[kept])
            labels.append(cells.labels)
            weights.append(cells.weights)
        if not taken:
            return None
        if mirrors and values[0].shape[1] == MIRRORED_FEATURES:
            values, labels, weights = [*values, *map(mirrored, values)], labels * 2, weights * 2
        found = fitted(np.concatenate(values), np.concatenate(labels), np.concatenate(weights))
        if found is None:
            return None
        expected = expected_of(np.sum([learnt.pixels for learnt in taken], axis=0)[found.classes])
        return replace(found, stages=self._stages, expected=expected)


def _values(grid: FeatureGrid, cells: Cells, old: _Learnt | None) -> NDArray[np.float16]:
    """Return (n, F) features of cells; those known from before are not worked out again."""
    if old is None:
        return grid.at(cells.places)
    known = np.isin(cells.places, old.cells.places)
    values = np.empty((len(cells), old.values.shape[1]), np.float16)
    values[known] = old.values[np.searchsorted(old.cells.places, cells.places[known])]
    values[~known] = grid.at(cells.places[~known])
    return values


def _limits(labels: list[NDArray[np.uint8]], classes: tuple[int, ...]) -> NDArray[np.int64]:
    """Return (256,) how many samples of every class an image may give; 0 of classes that do not count.

    Images share the places of a class evenly; what one leaves over goes to the others.
    """
    limits = np.zeros(256, np.int64)
    counts = np.array([np.bincount(one, minlength=256) for one in labels], np.int64).reshape(-1, 256)
    for index in classes:
        left, asking = _MOST_OF_A_CLASS, len(labels)
        for count in np.sort(counts[:, index]):
            limits[index] = max(1, left // asking)
            if count > limits[index]:
                break
            left, asking = left - int(count), asking - 1
    return limits
