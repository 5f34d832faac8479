"""What the quick model sees of an image, worked out once per image.

Colour, edges, texture, surroundings and position by hand, what small pieces look like
(`engine.quick.texture`), and what a network sees: the one that is open, as it came trained, else one that
knows ImageNet where its weights are installed.

An image is first reduced to at most half a megapixel, so that time and memory have a bound whatever the
camera; the features then lie on a grid of every second pixel of the reduced image. Sums over wide windows
are taken on smaller copies. Texture and the network's features stay on the coarser grids of their stages and
are blended between their cells wherever they are asked for. Pure functions of the pixels: the same image
gives the same numbers.

H W size of the image, h w cells of the grid, F features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2
from engine.quick.pretrained import stage_features
from engine.quick.texture import CHANNELS, mirrored_signs, texture_features

Plane = NDArray[np.float32]

Stages = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float16], ...]]
"""Returns (C, h, w) of every stage of a network for an (H, W, 3) uint8 RGB image; none without one."""

FEATURES = 45
"""Hand-made numbers per cell."""

LIGHTNESS = 16
"""Which of them is the lightness of the cell."""

MIRRORED_FEATURES = FEATURES + CHANNELS
"""Numbers per cell of which is known what they are in a mirrored image: all but those of a network."""

_TURNED = (6, 9, 12, 44)
"""Which change their sign when the image is mirrored: how much edges lie along a diagonal, and the column."""
_LEFT, _RIGHT = slice(37, 40), slice(40, 43)
"""Which are the colours to the left and to the right, and change places."""

_WORKING_PIXELS = 2**19
_STRIDE = 2
_SMALLEST = 1e-4
_GRAIN, _LIMIT = np.float32(64), np.float32(16)
_AWAY = 12
"""How far away the surroundings are looked at, in cells; further away there is more to learn than to know."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureGrid:
    """Features of one image.

    Attributes:
        values: (h, w, FEATURES) float16, read-only: the hand-made ones, every number of the order of 1.
        size: (H, W) of the image.
        stages: (C, rows, columns) float16: texture, then every stage of the network where there are weights.
    """

    values: NDArray[np.float16]
    size: tuple[int, int]
    stages: tuple[NDArray[np.float16], ...] = ()

    @property
    def cells(self) -> tuple[int, int]:
        """(h, w)."""
        return int(self.values.shape[0]), int(self.values.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.values.nbytes + sum(stage.nbytes for stage in self.stages)

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return all features of some cells.

        Args:
            places: (n,) flat indices of the cells.

        Returns:
            (n, F) float16: the hand-made ones, then those of every stage.
        """
        height, width = self.cells
        rows, columns = np.divmod(places, width)
        parts = [self.values.reshape(height * width, -1)[places]]
        for stage in self.stages:
            top, bottom, down = (one[rows] for one in neighbours(height, stage.shape[1]))
            left, right, across = (one[columns] for one in neighbours(width, stage.shape[2]))
            upper = stage[:, top, left] * (1 - across) + stage[:, top, right] * across
            lower = stage[:, bottom, left] * (1 - across) + stage[:, bottom, right] * across
            parts.append((upper * (1 - down) + lower * down).T.astype(np.float16))
        return np.concatenate(parts, axis=1)


def mirrored(values: NDArray[np.float16]) -> NDArray[np.float16]:
    """Return what cells would be like if their image were mirrored left to right.

    Args:
        values: (n, F) float16, hand-made features and those of texture: what a network sees of a mirrored
            image cannot be told from what it saw.
    """
    if values.shape[1] != MIRRORED_FEATURES:
        raise ValueError(f"{values.shape[1]} features are not known to be those of a mirrored image")
    found = values.copy()
    found[:, _TURNED] *= -1
    found[:, _LEFT], found[:, _RIGHT] = values[:, _RIGHT], values[:, _LEFT]
    found[:, FEATURES:] *= mirrored_signs()
    return found


def neighbours(cells: int, inner: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return between which two of `inner` coarser cells the middle of every cell lies, and how far along.

    Returns:
        (cells,) the one before, (cells,) the one behind, (cells,) float32 share of the one behind.
    """
    middles = np.clip((np.arange(cells) + 0.5) * inner / cells - 0.5, 0, inner - 1)
    before = middles.astype(np.int64)
    return before, np.minimum(before + 1, inner - 1), (middles - before).astype(np.float32)


def grid_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the (h, w) cells of an image of (H, W) pixels; about 2**17 at most, at least 1 x 1."""
    height, width = working_size(size)
    return -(-height // _STRIDE), -(-width // _STRIDE)


def working_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size an image of (H, W) is reduced to first; its own up to 2**19 pixels."""
    reduction = math.sqrt(max(1.0, size[0] * size[1] / _WORKING_PIXELS))
    return max(1, round(size[0] / reduction)), max(1, round(size[1] / reduction))


def feature_grid(image: NDArray[np.uint8], stages: Stages = stage_features) -> FeatureGrid:
    """Return the features of an image.

    Args:
        image: (H, W, 3) uint8 RGB, at least one pixel.
        stages: What a network sees of it; what that raises goes through.
    """
    size = (int(image.shape[0]), int(image.shape[1]))
    working = _shrunk(np.ascontiguousarray(image), working_size(size))
    lab = _lab(working)
    cells = grid_size(size)
    planes = [*_fine(lab, cells), *_coarse(_reduced(lab, cells)), *_position(cells)]
    values = np.empty((*cells, len(planes)), np.float16)
    for number, plane in enumerate(planes):
        values[..., number] = np.clip(np.rint(plane * _GRAIN) / _GRAIN, -_LIMIT, _LIMIT)
    values.setflags(write=False)
    return FeatureGrid(values, size, (texture_features(lab), *stages(working)))


def _lab(image: NDArray[np.uint8]) -> Plane:
    """Return (h, w, 3) Lab, lightness within -1..1, colours about as large."""
    lab = cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    lab -= np.array([50, 0, 0], np.float32)
    lab *= np.array([1 / 25, 1 / 15, 1 / 15], np.float32)
    return np.asarray(lab, np.float32)


def _fine(lab: Plane, cells: tuple[int, int]) -> list[Plane]:
    """Edges and texture at the resolution of the reduced image, then averaged into cells."""
    light = np.ascontiguousarray(lab[..., 0])
    planes: list[Plane] = []
    for sigma in (0.8, 1.6):
        planes += _hessian(_float(cv2.GaussianBlur(light, (0, 0), sigma)), cells)
    dx = _float(cv2.Scharr(light, cv2.CV_32F, 1, 0, scale=1 / 32))
    dy = _float(cv2.Scharr(light, cv2.CV_32F, 0, 1, scale=1 / 32))
    products = [_reduced(dx * dx, cells), _reduced(dy * dy, cells), _reduced(dx * dy, cells)]
    for sigma in (0.0, 1.5, 4.0):
        planes += _structure(*(_blurred(plane, sigma) for plane in products))
    mean, square = _reduced(light, cells), _reduced(light * light, cells)
    for sigma in (1.0, 3.0, 8.0):
        variance = _blurred(square, sigma) - np.square(_blurred(mean, sigma))
        planes.append(_log(_float(np.maximum(variance, 0))))
    return planes


def _hessian(smooth: Plane, cells: tuple[int, int]) -> list[Plane]:
    """Larger and smaller curvature: lines and blobs, bright and dark."""
    dxx = _float(cv2.Sobel(smooth, cv2.CV_32F, 2, 0))
    dyy = _float(cv2.Sobel(smooth, cv2.CV_32F, 0, 2))
    dxy = _float(cv2.Sobel(smooth, cv2.CV_32F, 1, 1))
    mean = _float((dxx + dyy) / 2)
    spread = _float(cv2.magnitude((dxx - dyy) / 2, dxy))
    return [_reduced(mean + spread, cells), _reduced(mean - spread, cells)]


def _structure(xx: Plane, yy: Plane, xy: Plane) -> list[Plane]:
    """Energy of edges, and how much they lie along the axes and along the diagonals."""
    energy = xx + yy
    share = 1 / (energy + np.float32(_SMALLEST))
    return [_log(energy), _float((xx - yy) * share * 2), _float(xy * share * 4)]


def _coarse(lab: Plane) -> list[Plane]:
    """Colour at growing scales, and the colour of the surroundings."""
    planes = list(cv2.split(lab))
    for sigma in (1.0, 2.5):
        planes += cv2.split(_blurred(lab, sigma))
    wide = _blurred(lab, 6.0)
    planes += cv2.split(wide)
    planes += cv2.split(_blurred(lab, 16.0))
    for rows, columns in ((-_AWAY, 0), (_AWAY, 0), (0, -_AWAY), (0, _AWAY)):
        planes += cv2.split(_shifted(wide, rows, columns))
    return [_float(plane) for plane in planes]


def _position(cells: tuple[int, int]) -> list[Plane]:
    rows, columns = ((np.arange(count, dtype=np.float32) + 0.5) / count * 4 - 2 for count in cells)
    return [
        np.ascontiguousarray(np.broadcast_to(rows[:, None], cells)),
        np.ascontiguousarray(np.broadcast_to(columns[None, :], cells)),
    ]


def _log(energy: Plane) -> Plane:
    result: Plane = np.log(energy + np.float32(_SMALLEST)) / 2 + 2
    return result


def _blurred(plane: Plane, sigma: float) -> Plane:
    """Gaussian blur; a wide one is done on a smaller copy."""
    if sigma == 0:
        return plane
    height, width = plane.shape[:2]
    factor = 1 if sigma < 4 else 2 if sigma < 8 else 4
    if factor == 1 or min(height, width) < 8 * factor:
        return _float(cv2.GaussianBlur(plane, (0, 0), sigma))
    small = cv2.GaussianBlur(_reduced(plane, (height // factor, width // factor)), (0, 0), sigma / factor)
    return _float(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _shifted(plane: Plane, rows: int, columns: int) -> Plane:
    """Return what lies (rows, columns) away from every cell; beyond the border, what lies on it."""
    height, width = plane.shape[:2]
    ys = np.clip(np.arange(height) + rows, 0, height - 1)
    xs = np.clip(np.arange(width) + columns, 0, width - 1)
    return np.ascontiguousarray(plane[ys][:, xs])


def _reduced(plane: Plane, cells: tuple[int, int]) -> Plane:
    if plane.shape[:2] == cells:
        return plane
    return _float(cv2.resize(plane, (cells[1], cells[0]), interpolation=cv2.INTER_AREA))


def _shrunk(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA), np.uint8)


def _float(values: object) -> Plane:
    return np.asarray(values, np.float32)
