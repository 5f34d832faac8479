"""Quick model and network together: a geometric mean of their probabilities.

The two err differently: one sees colour, texture and place and learns from every stroke at once, the other
sees shapes and takes minutes to learn. What both find probable is right more often than what either does.
With probabilities n of the network and q of the quick model and the network's share s, a class c that the
quick model knows gets

    n_c^s q_c^(1 - s) / sum over the classes it knows, times what the network gives to all these together

(a logarithmic opinion pool: Genest and Zidek, Combining Probability Distributions, 1986, section 3). Classes
that nobody painted keep what the network says: the quick model has never heard of them.

K classes of the network, k of them known to the quick model, H W size of the image, h w cells of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.opencv import cv2

_SMALLEST = np.float32(1e-4)
"""No opinion is worth more than this against the other one."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What the quick model says of an image.

    Attributes:
        classes: (k,) uint8 permanent class indices.
        chances: (k, h, w) float32 logarithms of probabilities, on the grid of its features.
        size: (H, W) of the image.
    """

    classes: NDArray[np.uint8]
    chances: NDArray[np.float32]
    size: tuple[int, int]

    @classmethod
    def of(
        cls, classes: NDArray[np.uint8], probabilities: NDArray[np.float32], size: tuple[int, int]
    ) -> Opinion:
        """Make one of (h, w, k) float32 probabilities in [0, 1]."""
        planes = np.ascontiguousarray(np.moveaxis(probabilities, 2, 0))
        return cls(classes, logarithms(planes), size)

    def over(self, box: Box) -> NDArray[np.float32]:
        """Return (k, height, width) float32 logarithms of a box of the image, cells blended bilinearly."""
        down, across = (
            cells / extent for cells, extent in zip(self.chances.shape[1:], self.size, strict=True)
        )
        back = np.array(
            [
                [across, 0, (box.left + 0.5) * across - 0.5],
                [0, down, (box.top + 0.5) * down - 0.5],
            ],
            np.float64,
        )
        found = np.empty((len(self.classes), box.height, box.width), np.float32)
        for plane, to in zip(self.chances, found, strict=True):
            cv2.warpAffine(
                plane,
                back,
                (box.width, box.height),
                dst=to,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        return found


def logarithms(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logarithms of probabilities of any shape, none below that of one in ten thousand."""
    found: NDArray[np.float32] = np.log(np.maximum(probabilities, _SMALLEST))
    return found


def pooled(
    network: NDArray[np.float32], quick: NDArray[np.float32], channels: NDArray[np.int64], share: float
) -> NDArray[np.float32]:
    """Return what both say together.

    Args:
        network: (K, ...) float32 probabilities, of any further shape; not changed.
        quick: (k, ...) float32 logarithms of probabilities, of the same further shape.
        channels: (k,) which channels of the network these are.
        share: The network's share, in [0, 1].

    Returns:
        (K, ...) float32 with the sum of `network` over classes.
    """
    known = network[channels]
    scores = np.float32(share) * logarithms(known) + np.float32(1 - share) * quick
    scores -= scores.max(axis=0)
    np.exp(scores, out=scores)
    scores *= known.sum(axis=0) / scores.sum(axis=0)
    result = network.copy()
    result[channels] = scores
    return result
