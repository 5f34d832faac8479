"""Quick model and network together: a geometric mean of their probabilities.

The two err differently: one sees colour, texture and place and learns from every stroke at once, the other
sees shapes and takes minutes to learn. What both find probable is right more often than what either does.
With probabilities n of the network and q of the quick model and the network's share s, a class c that the
quick model knows gets

    n_c^s q_c^(1 - s) / sum over the classes it knows, times what the network gives to all these together

(a logarithmic opinion pool: Genest and Zidek, Combining Probability Distributions, 1986, section 3). Classes
that nobody painted keep what the network says: the quick model has never heard of them.

The quick model was taught as if all classes were equally frequent. A network that learnt from the same labels
expects each as often as it was labelled, which would count as evidence against rare ones: there n_c is
divided by the class's share of the labels first (Saerens, Latinne and Decaestecker: Adjusting the Outputs of
a Classifier to New a Priori Probabilities, Neural Computation 2002, equation 2.4, for equal new ones).

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
_RAREST = 2e-3
"""No class is expected less often than about this: of a few labelled pixels nothing is learnt so exactly."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What the quick model says of an image.

    Attributes:
        classes: (k,) uint8 permanent class indices.
        chances: (k, h, w) float32 logarithms of probabilities, on the grid of its features.
        size: (H, W) of the image.
        expected: (k,) float32, see `expected_of`.
    """

    classes: NDArray[np.uint8]
    chances: NDArray[np.float32]
    size: tuple[int, int]
    expected: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float32],
        size: tuple[int, int],
        expected: NDArray[np.float32],
    ) -> Opinion:
        """Make one of (k, h, w) float32 probabilities in [0, 1]."""
        return cls(classes, logarithms(probabilities), size, expected)

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


def expected_of(pixels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return how often a network expects classes that learnt from these labels, as logarithms.

    Args:
        pixels: (k,) labelled pixels of every class, or any share of them; at least one is positive.

    Returns:
        (k,) float32; the difference of two is what counts.
    """
    found: NDArray[np.float32] = np.log(pixels / pixels.sum() + _RAREST).astype(np.float32)
    return found


def pooled(
    network: NDArray[np.float32],
    quick: NDArray[np.float32],
    channels: NDArray[np.int64],
    share: float,
    expected: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return what both say together.

    Args:
        network: (K, ...) float32 probabilities, of any further shape; not changed.
        quick: (k, ...) float32 logarithms of probabilities, of the same further shape.
        channels: (k,) which channels of the network these are.
        share: The network's share, in [0, 1].
        expected: (k,) float32 logarithms of how often the network expects each of these classes.

    Returns:
        (K, ...) float32 with the sum of `network` over classes.
    """
    known = network[channels]
    scores = found_in(known, expected)
    scores *= np.float32(share)
    scores += np.float32(1 - share) * quick
    scores -= scores.max(axis=0)
    np.exp(scores, out=scores)
    scores *= known.sum(axis=0) / scores.sum(axis=0)
    result = network.copy()
    result[channels] = scores
    return result


def likeliest(probabilities: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the channel of the largest probability, and how large it is.

    Several times as fast as `argmax`, which goes through the channels of every pixel one by one.

    Args:
        probabilities: (K, ...) float32, K at most 255; not changed.

    Returns:
        (...) uint8 the first of the channels that have it, (...) float32.
    """
    largest = probabilities[0].copy()
    channel = np.zeros(largest.shape, np.uint8)
    for number, plane in enumerate(probabilities[1:], start=1):
        # Whole planes of small numbers: choosing pixels by a mask takes seven times as long.
        np.maximum(channel, (plane > largest).view(np.uint8) * np.uint8(number), out=channel)
        np.maximum(largest, plane, out=largest)
    return channel, largest


def found_in(network: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a network found in the image itself, beyond what it expects of every image.

    Args:
        network: (k, ...) float32 probabilities.
        expected: (k,) float32 logarithms of how often it expects each class.

    Returns:
        (k, ...) float32 logarithms, up to a constant.
    """
    found = logarithms(network)
    found -= expected.reshape(-1, *[1] * (network.ndim - 1))
    return found
