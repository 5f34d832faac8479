"""A path along the middle of a region: the longest way through its skeleton.

Thinning: Zhang and Suen, A fast parallel algorithm for thinning digital patterns, CACM 1984.
"""

import functools
import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Cell = tuple[int, int]

_NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
# Clockwise from the north: the order in which the paper numbers a pixel's neighbours.
_CLOCKWISE: tuple[Cell, ...] = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def medial_path(
    inside: Mask, depth: NDArray[np.float32], *, longest: float, step: int = 1
) -> tuple[tuple[float, float], ...]:
    """The longest of the longest paths of the skeleton's components.

    Args:
        inside: (h, w) bool with at least one true pixel; the path's points lie inside.
        depth: (h, w) float32, distance to the border; of ``step`` x ``step`` pixels the deepest counts.
        longest: pixels after which the path is cut.
        step: pixels per cell of the grid the skeleton is made on.

    Returns:
        Points (y, x) of pixels, at least one; consecutive ones lie in neighbouring cells.
    """
    best: list[Cell] = []
    for walk in _longest_walks(thinned(_grid(inside, step))):
        if len(walk) > len(best):
            best = walk
    if not best:
        y, x = np.unravel_index(int(np.where(inside, depth, -1.0).argmax()), inside.shape)
        return ((float(y), float(x)),)
    return tuple(_cut([_pixel(inside, depth, cell, step) for cell in best], longest))


def path_length(points: Sequence[tuple[float, float]]) -> float:
    """Length of a polyline in pixels."""
    return sum(math.hypot(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(points))


def thinned(mask: Mask) -> Mask:
    """The skeleton of a mask, one pixel wide. Squares of two by two pixels vanish altogether.

    Args:
        mask: (h, w) bool.
    """
    padded = np.pad(mask, 1)
    middle = np.asarray(padded[1:-1, 1:-1])  # a view
    while True:
        before = int(middle.sum())
        for table in (_removable(second=False), _removable(second=True)):
            middle[table[_codes(padded)]] = False
        if int(middle.sum()) == before:
            return middle


def _codes(padded: Mask) -> NDArray[np.uint8]:
    """Which of its eight neighbours each pixel has, as bits, clockwise from the north."""
    bits = padded.view(np.uint8)
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    codes = np.zeros((height, width), np.uint8)
    for place, (dy, dx) in enumerate(_CLOCKWISE):
        codes |= bits[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] << place
    return codes


@functools.cache
def _removable(*, second: bool) -> Mask:
    """(256,) bool: whether a pixel with these neighbours goes in the first or second half of a round."""
    table = np.zeros(256, np.bool_)
    for code in range(256):
        present = [bool(code >> place & 1) for place in range(8)]
        north, east, south, west = present[0], present[2], present[4], present[6]
        rises = sum(b and not a for a, b in zip(present, [*present[1:], present[0]], strict=True))
        if second:
            open_side = not (north and east and west) and not (north and south and west)
        else:
            open_side = not (north and east and south) and not (east and south and west)
        table[code] = 2 <= sum(present) <= 6 and rises == 1 and open_side
    return table


def _grid(inside: Mask, step: int) -> Mask:
    """Cells that have a pixel inside."""
    height, width = inside.shape
    rows, columns = -(-height // step), -(-width // step)
    padded = np.zeros((rows * step, columns * step), np.bool_)
    padded[:height, :width] = inside
    return np.asarray(padded.reshape(rows, step, columns, step).any(axis=(1, 3)), np.bool_)


def _longest_walks(skeleton: Mask) -> Iterator[list[Cell]]:
    """The longest way through each component, components in the order of their first pixel."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(skeleton), strict=True)}
    while left:
        origin = _search(left, min(left))
        first = next(reversed(origin))
        origin = _search(left, first)
        cell: Cell | None = next(reversed(origin))
        walk = []
        while cell is not None:
            walk.append(cell)
            cell = origin[cell]
        left -= origin.keys()
        yield walk[::-1]


def _search(cells: set[Cell], start: Cell) -> dict[Cell, Cell | None]:
    """Breadth-first search: where each reached cell was reached from, in the order they were reached."""
    origin: dict[Cell, Cell | None] = {start: None}
    queue = deque([start])
    while queue:
        cell = queue.popleft()
        for dy, dx in _NEIGHBOURS:
            neighbour = (cell[0] + dy, cell[1] + dx)
            if neighbour in cells and neighbour not in origin:
                origin[neighbour] = cell
                queue.append(neighbour)
    return origin


def _pixel(inside: Mask, depth: NDArray[np.float32], cell: Cell, step: int) -> tuple[float, float]:
    """The deepest pixel of a cell."""
    top, left = cell[0] * step, cell[1] * step
    window = np.where(
        inside[top : top + step, left : left + step], depth[top : top + step, left : left + step], -1.0
    )
    y, x = np.unravel_index(int(window.argmax()), window.shape)
    return (float(top + y), float(left + x))


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
