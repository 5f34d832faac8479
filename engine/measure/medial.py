"""A path along the middle of a region: from one far end to the other, keeping away from the border."""

import heapq
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_CELLS = 1200
_NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)

Cell = tuple[int, int]


def medial_path(
    inside: NDArray[np.bool_], depth: NDArray[np.float32], *, longest: float
) -> tuple[tuple[float, float], ...]:
    """A path through a region that prefers deep places.

    Large regions are walked on a grid of about a thousand cells, so the cost does not follow the region's
    area. Two sweeps of a shortest-path search find two ends that are far apart; the path between them pays
    for coming near the border.

    Args:
        inside: (h, w) bool with at least one true pixel; the path's points lie inside.
        depth: (h, w) float32, distance to the border; larger is safer.
        longest: pixels after which the path is cut.

    Returns:
        Points (y, x) of pixels, at least one; consecutive ones lie at most two grid steps apart.
    """
    step = max(1, round(math.sqrt(float(inside.sum()) / _CELLS)))
    cells = _grid(inside, depth, step)
    deepest = max(cells, key=lambda cell: (cells[cell], -cell[0], -cell[1]))
    reach = max(cells.values())
    first = _farthest(cells, deepest)
    last = _farthest(cells, first)
    walk = _walk(cells, first, last, reach)
    points = [_pixel(inside, depth, cell, step) for cell in walk]
    return tuple(_cut(points, longest))


def path_length(points: Sequence[tuple[float, float]]) -> float:
    """Length of a polyline in pixels."""
    return sum(math.hypot(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(points))


def _grid(inside: NDArray[np.bool_], depth: NDArray[np.float32], step: int) -> dict[Cell, float]:
    """Depth of each grid cell that has a pixel inside: the depth of its deepest one."""
    height, width = inside.shape
    rows, columns = -(-height // step), -(-width // step)
    padded = np.full((rows * step, columns * step), -1.0, np.float32)
    padded[:height, :width] = np.where(inside, depth, -1.0)
    best = padded.reshape(rows, step, columns, step).max(axis=(1, 3))
    ys, xs = np.nonzero(best >= 0.0)
    return {(int(y), int(x)): float(best[y, x]) for y, x in zip(ys, xs, strict=True)}


def _pixel(
    inside: NDArray[np.bool_], depth: NDArray[np.float32], cell: Cell, step: int
) -> tuple[float, float]:
    """The deepest pixel of a cell."""
    top, left = cell[0] * step, cell[1] * step
    window = np.where(
        inside[top : top + step, left : left + step], depth[top : top + step, left : left + step], -1.0
    )
    y, x = np.unravel_index(int(window.argmax()), window.shape)
    return (float(top + y), float(left + x))


def _farthest(cells: dict[Cell, float], start: Cell) -> Cell:
    """The cell with the longest way from ``start``; ties by row and column."""
    distance = {start: 0.0}
    queue = [(0.0, start)]
    while queue:
        so_far, cell = heapq.heappop(queue)
        if so_far > distance[cell]:
            continue
        for dy, dx in _NEIGHBOURS:
            neighbour = (cell[0] + dy, cell[1] + dx)
            if neighbour not in cells:
                continue
            further = so_far + math.hypot(dy, dx)
            if further < distance.get(neighbour, math.inf):
                distance[neighbour] = further
                heapq.heappush(queue, (further, neighbour))
    return max(distance, key=lambda cell: (distance[cell], -cell[0], -cell[1]))


def _walk(cells: dict[Cell, float], first: Cell, last: Cell, reach: float) -> list[Cell]:
    """The cheapest way between two connected cells, where shallow cells cost more."""
    cost = {first: 0.0}
    origin: dict[Cell, Cell] = {}
    queue = [(0.0, first)]
    while queue:
        so_far, cell = heapq.heappop(queue)
        if cell == last:
            break
        if so_far > cost[cell]:
            continue
        for dy, dx in _NEIGHBOURS:
            neighbour = (cell[0] + dy, cell[1] + dx)
            if neighbour not in cells:
                continue
            further = so_far + math.hypot(dy, dx) * (0.2 + (reach / (cells[neighbour] + 0.1)) ** 2)
            if further < cost.get(neighbour, math.inf):
                cost[neighbour] = further
                origin[neighbour] = cell
                heapq.heappush(queue, (further, neighbour))
    walk = [last]
    while walk[-1] != first:
        walk.append(origin[walk[-1]])
    return walk[::-1]


def _cut(points: list[tuple[float, float]], longest: float) -> list[tuple[float, float]]:
    """The beginning of a path, up to a length."""
    kept = points[:1]
    length = 0.0
    for a, b in itertools.pairwise(points):
        length += math.hypot(b[0] - a[0], b[1] - a[1])
        if length > longest:
            break
        kept.append(b)
    return kept
