"""What a stroke changes around it in another model's prediction, as the quick model sees it. Pure, no torch.

A network needs seconds to learn from a stroke, the quick model does at once. Where it now sees the stroke's
class, is surer of that than the network is of its own answer, and what it sees is joined to the stroke, its
answer stands in for the network's until the network has learnt.

H W size of the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.opencv import cv2
from engine.quick.features import grid_size
from engine.quick.samples import Cells

REACH = 0.2
"""How far from the stroke anything changes, as a share of the image's longer edge."""
SURE = 0.5
"""How sure the quick model has to be."""

Answer = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Label map of permanent class indices and confidence, both of one box."""


def box_around(cells: Cells, size: tuple[int, int]) -> Box | None:
    """Return the part of an image of (H, W) that some painted cells may change; None without any."""
    if not len(cells):
        return None
    reach = round(REACH * max(size))
    edges = []
    for places, count, extent in zip(
        np.divmod(cells.places, grid_size(size)[1]), grid_size(size), size, strict=True
    ):
        first, last = int(places.min()), int(places.max())
        edges.append((first * extent // count - reach, -(-(last + 1) * extent // count) + reach))
    (top, bottom), (left, right) = edges
    return Box(max(0, top), max(0, left), min(size[0], bottom), min(size[1], right))


def painted_in(cells: Cells, size: tuple[int, int], box: Box) -> NDArray[np.uint8]:
    """Return (h, w) uint8 of a box: the class of the painted cell a pixel lies in, 255 elsewhere."""
    height, width = grid_size(size)
    grid = np.full(height * width, UNLABELLED, np.uint8)
    grid[cells.places] = cells.labels
    rows = np.arange(box.top, box.bottom) * height // size[0]
    columns = np.arange(box.left, box.right) * width // size[1]
    found: NDArray[np.uint8] = grid.reshape(height, width)[rows][:, columns]
    return found


def corrected(painted: NDArray[np.uint8], network: Answer, quick: Answer) -> Answer:
    """Return the network's answer with what the quick model sees around strokes; all of one box.

    Args:
        painted: (h, w) uint8 classes of the strokes, 255 where none are.
        network: What the network says.
        quick: What the quick model says, which has learnt the strokes.
    """
    label_map, confidence = network[0].copy(), network[1].copy()
    differs = (quick[0] != network[0]) & (quick[1] >= SURE) & (quick[1] > network[1])
    for index in np.unique(painted[painted != UNLABELLED]):
        stroke = painted == index
        wanted = differs & (quick[0] == index)
        _, pieces = cv2.connectedComponents((wanted | stroke).astype(np.uint8))
        joined = np.zeros(int(pieces.max()) + 1, np.bool_)
        joined[np.unique(pieces[stroke])] = True
        wanted &= joined[pieces]
        label_map[wanted] = index
        confidence[wanted] = quick[1][wanted]
    return label_map, confidence
