"""Dense CRF after a network: a row for comparison, as in the tables of region mutual information.

Krähenbühl, Koltun: Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials. NIPS 2011.
Every pixel speaks with every other: pixels that are near and of one colour, or merely near, shall have one
class (Potts). Mean-field inference with all pairs written out, which is exact and needs memory for the square
of the number of cells: images are looked at on a grid of at most `edge` cells, and what inference changes
there is carried back to the pixels. Small images are inferred pixel by pixel. Kernels are normalised
symmetrically, as in the authors' later code, so that weights mean the same on every grid.

N cells, K classes, H W image size, h w size of the grid.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2

_LEAST = 1e-6
Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrfConfig:
    """Weights and reaches, customary for images of about 500 pixels.

    Attributes:
        iterations: rounds of mean field; the tables have 1, 5 and 10.
        appearance: weight of neighbours of one colour.
        appearance_reach: how far they are apart, in pixels.
        color_reach: how far their colours are apart, of 255.
        smoothness: weight of near neighbours whatever their colour.
        smoothness_reach: how far these are apart, in pixels.
        edge: cells along the longer edge of the grid, at most.
    """

    iterations: int = 5
    appearance: float = 10.0
    appearance_reach: float = 80.0
    color_reach: float = 13.0
    smoothness: float = 3.0
    smoothness_reach: float = 3.0
    edge: int = 64


def refined(image: NDArray[np.uint8], probabilities: Values, config: CrfConfig) -> Values:
    """Return what a dense CRF makes of the probabilities of a network.

    Args:
        image: (H, W, 3) uint8 RGB.
        probabilities: (K, H, W) float32, summing to 1 over the classes.
        config: weights, reaches, rounds.

    Returns:
        (K, H, W) float32, summing to 1 over the classes.
    """
    height, width = image.shape[:2]
    scale = min(1.0, config.edge / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    unary = np.log(np.maximum(probabilities, _LEAST))
    small = _resized(unary, size, cv2.INTER_AREA).reshape(len(unary), -1).T
    start = _softmax(small)
    found = mean_field(start, pairs(_resized_image(image, size), scale, config), config.iterations)
    change = np.log(np.maximum(found, _LEAST)) - np.log(np.maximum(start, _LEAST))
    on_grid = np.ascontiguousarray(change.T.reshape(len(unary), *size))
    full = unary + _resized(on_grid, (height, width), cv2.INTER_LINEAR)
    return _softmax(full.reshape(len(unary), -1).T).T.reshape(unary.shape)


def pairs(image: Values, scale: float, config: CrfConfig) -> Values:
    """Return how much every cell listens to every other, (N, N) float32, symmetric, 0 on the diagonal.

    Args:
        image: (h, w, 3) float32, 0 to 255.
        scale: cells per pixel.
        config: weights and reaches.
    """
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([rows.ravel(), columns.ravel()], axis=1) / scale
    colors = image.reshape(-1, 3) / config.color_reach
    by_both = _kernel(np.concatenate([places / config.appearance_reach, colors], axis=1))
    by_place = _kernel(places / config.smoothness_reach)
    return np.asarray(config.appearance * by_both + config.smoothness * by_place, np.float32)


def mean_field(start: Values, listens: Values, iterations: int) -> Values:
    """Return the distributions (N, K) after some rounds of mean field.

    Args:
        start: (N, K) float32 distributions of the network.
        listens: (N, N) float32 from `pairs`.
        iterations: rounds; 0 returns `start`.
    """
    unary = np.log(np.maximum(start, _LEAST))
    found = start
    for _ in range(iterations):
        # Potts: disagreeing costs, so up to a constant per cell agreeing is worth what it weighs.
        found = _softmax(unary + listens @ found)
    return found


def _kernel(features: NDArray[np.floating[Any]]) -> Values:
    """Return exp(-d² / 2) of all pairs of (N, D) features without the diagonal, normalised on both sides."""
    features = features.astype(np.float32)
    squares = (features**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2.0 * (features @ features.T)
    kernel = np.exp(-0.5 * np.maximum(distances, 0.0)).astype(np.float32)
    np.fill_diagonal(kernel, 0.0)
    norms = 1.0 / np.sqrt(np.maximum(kernel.sum(axis=1), _LEAST))
    return np.asarray(kernel * norms[:, None] * norms[None], np.float32)


def _softmax(scores: NDArray[np.float32]) -> Values:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _resized(values: Values, size: tuple[int, int], way: int) -> Values:
    """Return (K, h, w) values at another size; the same ones at their own."""
    if values.shape[1:] == size:
        return values
    return np.stack([cv2.resize(each, size[::-1], interpolation=way) for each in values]).astype(np.float32)


def _resized_image(image: NDArray[np.uint8], size: tuple[int, int]) -> Values:
    if image.shape[:2] == size:
        return image.astype(np.float32)
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.float32)
