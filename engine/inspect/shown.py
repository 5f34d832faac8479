"""What is on screen, asked about images people labelled: network, quick model, or the pool of both.

The quick model on screen has learnt from the very images that could tell how far it can be trusted, so its
opinion here is that of one that has not. People's own pixels stand in what is shown; here they are what both
are asked about. K classes, k of them known to the quick model, (h, w) the working size of an image.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.annotate.geometry import Box
from engine.inspect.judged import Judged, judged_pixels
from engine.inspect.look import look_at
from engine.inspect.snapshot import Snapshot, working_image
from engine.inspect.what_if import channels_at
from engine.quick.head import Readout
from engine.quick.joint import Opinion, pooled
from engine.quick.picture import opinion
from models.base import IGNORE_INDEX


def judged_image(
    image: NDArray[np.uint8],
    label_map: NDArray[np.uint8],
    classes: ClassTable,
    *,
    snapshot: Snapshot | None,
    readout: Readout | None,
    share: float,
) -> Judged | None:
    """Compare what people said of an image with what would be shown of it.

    Args:
        image: (H, W, 3) uint8 RGB.
        label_map: (H, W) uint8 permanent class indices, 254 and 255 where nothing counts.
        classes: Class table; its order is the order of the channels.
        snapshot: The network; None where its share is 0.
        readout: A quick model that has not learnt from this image; None where the network's share is 1.
        share: The network's share of what is shown, in [0, 1].

    Returns:
        The comparison; None where sizes differ or nothing is labelled.

    Raises:
        DeviceMemoryError: Memory is too small for the network.
    """
    if label_map.shape != image.shape[:2]:
        return None
    small = working_image(image)
    channels = channels_at(classes, label_map, (small.shape[0], small.shape[1]))
    if not (channels != IGNORE_INDEX).any():
        return None
    network = None if snapshot is None else look_at(snapshot, "", image).probabilities(max(channels.shape))
    said = None if readout is None else opinion(readout.look(image), readout)
    return judged_pixels(shown_probabilities(network, said, classes, channels.shape, share), channels)


def shown_probabilities(
    network: NDArray[np.float32] | None,
    said: Opinion | None,
    classes: ClassTable,
    size: tuple[int, ...],
    share: float,
) -> NDArray[np.float32]:
    """Return the probabilities of what is shown of an image with nothing labelled, (K, h, w) float32.

    Args:
        network: (K, h, w) float32 probabilities of the network; None where its share is 0.
        said: What the quick model says; None where the network's share is 1.
        classes: Class table; its order is the order of the channels.
        size: (h, w), at which it is shown.
        share: The network's share, in [0, 1].
    """
    if said is None:
        if network is None:
            raise ValueError("somebody has to be asked")
        return network
    whole = Box.of_size((size[0], size[1]))
    channel_of = {index: channel for channel, index in enumerate(classes.indices)}
    channels = np.array([channel_of.get(index, -1) for index in said.classes.tolist()], np.int64)
    known = channels >= 0
    if network is not None:
        over = replace(said, size=whole.size).over(whole)
        return pooled(network, over[known], channels[known], share, said.expected[known])
    # Alone its probabilities are blended between cells, not their logarithms: see `engine.quick.picture`.
    plain = replace(said, chances=np.exp(said.chances), size=whole.size).over(whole)
    alone = np.zeros((len(classes), *whole.size), np.float32)
    alone[channels[known]] = plain[known].clip(0, 1)
    return alone
