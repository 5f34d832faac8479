"""What the quick model learns from one image: some labelled cells, chosen the same way every time.

The choice depends on the annotation alone. A stroke more leaves most of it as it was, and taking the stroke
back brings the old choice back exactly.

H W size of the image, h w cells of its feature grid, n samples, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import VOID, Provenance
from engine.quick.features import grid_size

PER_CLASS = 400
"""Most samples of a class in an image."""

_STROKE_WEIGHT, _ACCEPTED_WEIGHT = 1.0, 0.125
"""What a person painted counts eight times what they only accepted."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""Odd constant near 2**64 / golden ratio: scatters neighbouring cells (Knuth's multiplicative hashing)."""
_PIXELS = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Labelled cells of a grid, each with one class.

    Attributes:
        places: (n,) int64 flat index of the cell, ascending.
        labels: (n,) uint8 permanent class index.
        weights: (n,) float64; what a person painted counts more than what they accepted.
        pixels: (n,) int64 labelled pixels the cell stands for.
    """

    places: NDArray[np.int64]
    labels: NDArray[np.uint8]
    weights: NDArray[np.float64]
    pixels: NDArray[np.int64]

    @classmethod
    def none(cls) -> Cells:
        """Return no cells."""
        places = np.zeros(0, np.int64)
        return cls(places, places.astype(np.uint8), places.astype(np.float64), places)

    def __len__(self) -> int:
        return len(self.places)

    def keys(self) -> NDArray[np.int64]:
        """Return (n,) int64 that tell samples of one image apart: cell, class and weight together."""
        painted = (self.weights == _STROKE_WEIGHT).astype(np.int64)
        result: NDArray[np.int64] = (self.places * 256 + self.labels) * 2 + painted
        return result

    def painted(self) -> Cells:
        """Return the cells a person painted or imported, without those they only accepted."""
        return self.where(self.weights == _STROKE_WEIGHT)

    def new_since(self, before: Cells | None) -> Cells:
        """Return the cells that `before` does not hold with the same class and weight."""
        return self if before is None else self.where(~np.isin(self.keys(), before.keys()))

    def where(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> Cells:
        """Return some of the cells."""
        return Cells(self.places[kept], self.labels[kept], self.weights[kept], self.pixels[kept])


def labelled_cells(label_map: NDArray[np.uint8], provenance: NDArray[np.uint8]) -> Cells:
    """Return every cell that holds a labelled pixel, with the class most of these have.

    A pixel painted by hand outvotes all accepted ones of its cell. Void and unlabelled pixels do not count.

    Args:
        label_map: (H, W) uint8 permanent class indices, 254 void, 255 unlabelled.
        provenance: (H, W) uint8, see `engine.annotate.classes.Provenance`.
    """
    size = (int(label_map.shape[0]), int(label_map.shape[1]))
    height, width = grid_size(size)
    flat = np.flatnonzero(label_map.reshape(-1) < VOID)
    if flat.size > _PIXELS:  # a mask of a large image: every so-manieth pixel says the same
        flat = flat[:: -(-flat.size // _PIXELS)]
    y, x = np.divmod(flat, size[1])
    cell = (y * height // size[0]) * width + x * width // size[1]
    painted = provenance.reshape(-1)[flat] != Provenance.ACCEPTED
    keys = (cell * 2 + ~painted) * 256 + label_map.reshape(-1)[flat]
    found, pixels = np.unique(keys, return_counts=True)
    places, rank = np.divmod(found, 512)
    # Within a cell: painted before accepted, then the class with most pixels, then the smaller index.
    order = np.lexsort((found, -pixels, rank >= 256, places))
    first = order[np.unique(places[order], return_index=True)[1]]
    weights = np.where(rank[first] < 256, _STROKE_WEIGHT, _ACCEPTED_WEIGHT)
    return Cells(places[first], (rank[first] % 256).astype(np.uint8), weights, pixels[first])


def chosen(cells: Cells, per_class: int | NDArray[np.int64] = PER_CLASS) -> Cells:
    """Return at most `per_class` cells of every class, painted ones first, scattered over the image.

    Args:
        cells: All there are.
        per_class: The same for all, or (256,) by permanent class index.
    """
    scattered = cells.places.astype(np.uint64) * _MIX
    order = np.lexsort((scattered, -cells.weights, cells.labels))
    labels = cells.labels[order]
    starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]]) if len(labels) else np.zeros(0, np.int64)
    rank = np.arange(len(labels)) - np.repeat(starts, np.diff(np.r_[starts, len(labels)]))
    most = np.broadcast_to(per_class, 256)[labels]
    return cells.where(np.sort(order[rank < most]))


def cell_middles(cells: Cells, size: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (n,) rows and columns of the pixel in the middle of every cell of an image of (H, W)."""
    height, width = grid_size(size)
    rows, columns = np.divmod(cells.places, width)
    return (2 * rows + 1) * size[0] // (2 * height), (2 * columns + 1) * size[1] // (2 * width)
