"""Where a network is unsure. Pure functions of probabilities, and a memory of what flickered.

K classes, (h, w) size of the map. Any thread; nothing here keeps what it is given, `FlickerHistory` excepted.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2

FLICKER_LENGTH = 6
"""How many predictions of an image flicker looks back on."""

_FLICKER_EDGE = 1024
_TINY = 1e-12


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how spread out the probabilities are: 0 one class certain, 1 all classes alike.

    Args:
        probabilities: (K, h, w) float32, sums to 1 over K.

    Returns:
        (h, w) float32 in [0, 1], entropy divided by log K; zeros with one class.
    """
    classes = probabilities.shape[0]
    if classes < 2:
        return np.zeros(probabilities.shape[1:], np.float32)
    spread = -(probabilities * np.log(np.maximum(probabilities, _TINY))).sum(axis=0)
    return np.asarray(np.clip(spread / np.log(classes), 0.0, 1.0), np.float32)


def narrowness(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how narrowly the winning class won: 1 minus the margin of probabilities.

    Args:
        probabilities: (K, h, w) float32, sums to 1 over K.

    Returns:
        (h, w) float32 in [0, 1]: 0 far ahead, 1 a draw; zeros with one class.
    """
    if probabilities.shape[0] < 2:
        return np.zeros(probabilities.shape[1:], np.float32)
    best_two = np.partition(probabilities, -2, axis=0)[-2:]
    return np.asarray(np.clip(1.0 - (best_two[1] - best_two[0]), 0.0, 1.0), np.float32)


def augmentation_variance(variants: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return how far predictions of mirrored and rescaled copies of an image disagree.

    Args:
        variants: At least two (K, h, w) float32 probabilities, put back into the image's frame.

    Returns:
        (h, w) float32 in [0, 1]: root of the variance summed over classes, relative to the largest there
        can be, which is when half of the variants are certain of one class and half of another.

    Raises:
        ValueError: Fewer than two variants.
    """
    if len(variants) < 2:
        raise ValueError(f"disagreement needs at least two variants, not {len(variants)}")
    mean = np.mean(variants, axis=0)
    variance = np.mean([np.square(variant - mean).sum(axis=0) for variant in variants], axis=0)
    return np.asarray(np.sqrt(np.clip(variance * 2.0, 0.0, 1.0)), np.float32)


def flicker(label_maps: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Return how often the label changed from one prediction to the next.

    Args:
        label_maps: (h, w) uint8 in the order of time, at least one.

    Returns:
        (h, w) float32 in [0, 1]: flips divided by the number of steps; zeros for a single map.
    """
    flips = np.zeros(label_maps[0].shape, np.float32)
    for earlier, later in itertools.pairwise(label_maps):
        flips += earlier != later
    return np.asarray(flips / max(1, len(label_maps) - 1), np.float32)


class FlickerHistory:
    """The last predictions of the images looked at last, in small. One thread.

    A prediction is kept with its longer edge reduced to 1024 pixels at most, one byte a pixel.

    Args:
        images: How many images to remember; the one touched longest ago is forgotten first.
        length: Predictions to keep of each.
    """

    def __init__(self, images: int = 32, length: int = FLICKER_LENGTH) -> None:
        self._images = images
        self._length = length
        self._maps: OrderedDict[str, deque[tuple[int, NDArray[np.uint8]]]] = OrderedDict()

    def add(self, image_id: str, label_map: NDArray[np.uint8], step: int) -> None:
        """Remember a whole prediction; another one with the same step replaces it.

        Args:
            image_id: The image.
            label_map: (H, W) uint8 permanent class indices.
            step: Training step of the weights that predicted.
        """
        kept = self._maps.setdefault(image_id, deque(maxlen=self._length))
        self._maps.move_to_end(image_id)
        small = _reduced(label_map)
        if kept and kept[-1][1].shape != small.shape:
            kept.clear()
        if kept and kept[-1][0] == step:
            kept.pop()
        kept.append((step, small))
        while len(self._maps) > self._images:
            self._maps.popitem(last=False)

    def count(self, image_id: str) -> int:
        """Return how many predictions of an image are remembered."""
        return len(self._maps.get(image_id, ()))

    def flicker(self, image_id: str) -> NDArray[np.float32] | None:
        """Return (h, w) float32 in [0, 1] as `flicker` does; None before the second prediction."""
        kept = self._maps.get(image_id, deque())
        return flicker([label_map for _, label_map in kept]) if len(kept) > 1 else None

    def at(self, image_id: str, y: float, x: float) -> tuple[int, int]:
        """Return (flips, steps) of one place; `y` and `x` in [0, 1) of the image's height and width."""
        kept = [label_map for _, label_map in self._maps.get(image_id, ())]
        if len(kept) < 2:
            return (0, 0)
        row, column = int(y * kept[0].shape[0]), int(x * kept[0].shape[1])
        labels = [int(label_map[row, column]) for label_map in kept]
        return (sum(a != b for a, b in itertools.pairwise(labels)), len(labels) - 1)

    def clear(self) -> None:
        """Forget everything: another network, or other classes."""
        self._maps.clear()


def _reduced(label_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = label_map.shape
    scale = _FLICKER_EDGE / max(height, width)
    if scale >= 1.0:
        return label_map.copy()
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(label_map, size, interpolation=cv2.INTER_NEAREST), np.uint8)
