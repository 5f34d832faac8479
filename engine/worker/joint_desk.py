"""Network and quick model together on screen: the pool of both, renewed with every stroke. Worker thread.

The network's probabilities of the image on screen are kept while its weights are shown: after a stroke only
the quick model has to answer again, on large images at a reduced size. Of networks whose class memory takes
strokes in itself nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.config import Voice
from engine.messages import Predict
from engine.opencv import cv2
from engine.predict.predictor import PredictedPart, Predictor
from engine.project.images import ImageArray
from engine.quick.head import Readout
from engine.quick.joint import Opinion, likeliest, pooled
from engine.quick.picture import opinion
from engine.worker.assembly import MOST_PIXELS
from engine.worker.kept_answer import KeptAnswer
from engine.worker.network import LiveNetwork
from engine.worker.quick_desk import QuickDesk
from models.instant_memory import RemembersClasses


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """What the network says of one image of (H, W), and with which weights."""

    image_id: str
    weights: tuple[object, ...]
    size: tuple[int, int]
    answer: KeptAnswer


class JointDesk:
    """Predicts with both models.

    Args:
        quick: The quick model's desk.
    """

    def __init__(self, quick: QuickDesk) -> None:
        self._quick = quick
        self._kept: _Kept | None = None

    def forget(self) -> None:
        """Give back what is kept: network, classes or weights are others now."""
        self._kept = None

    def predictor(
        self,
        network: LiveNetwork,
        share: float,
        image: ImageArray,
        wanted: Predict,
        *,
        is_on_screen: bool = True,
    ) -> Predictor:
        """Return what predicts one image with both; the network alone where the quick model is silent.

        Args:
            network: Whose weights are shown.
            share: The network's share, in [0, 1].
            image: (H, W, 3) uint8 RGB.
            wanted: Which image it is; its labelled cells stand in what is shown only.
            is_on_screen: Whether strokes may follow, so that the network's answer is worth keeping.
        """
        found = self._quick.opinion(image, wanted) if share < 1 else None
        if found is None:
            return network.predictor()
        kept = None
        if is_on_screen and wanted.voice is Voice.SHOWN and _can_keep(network, found.size, image):
            kept = KeptAnswer(found.size, len(network.classes))
            self._kept = _Kept(wanted.image_id, _weights(network), found.size, kept)

        def refine(
            _tile: NDArray[np.uint8], probabilities: NDArray[np.float32], box: Box
        ) -> NDArray[np.float32]:
            if kept is not None:
                kept.add(probabilities, box)
            return _together(network, found, probabilities, box, share)

        return network.predictor().refined_by(refine)

    def can_renew(self, network: LiveNetwork, image_id: str, size: tuple[int, int]) -> bool:
        """Whether a changed quick model alone is enough to predict an image of (H, W) anew."""
        kept = self._kept
        if kept is None or kept.image_id != image_id or kept.size != size:
            return False
        return kept.weights == _weights(network) and kept.answer.is_whole

    def renewed(
        self, network: LiveNetwork, share: float, image: ImageArray, wanted: Predict
    ) -> Iterator[PredictedPart]:
        """Predict an image anew whose answer of the network is kept, see `can_renew`. Arguments as above."""
        found = self._quick.opinion(image, wanted)
        kept = self._kept
        if kept is None or found is None:
            return
        answer = kept.answer
        found = replace(found, size=answer.size)
        index_of = network.classes.index_of()
        label_map, confidence = np.empty(answer.size, np.uint8), np.empty(answer.size, np.float32)
        for box, probabilities in answer.bands():
            channel, sure = likeliest(_together(network, found, probabilities, box, share))
            label_map[box.slices], confidence[box.slices] = index_of[channel], sure
        yield _part(label_map, np.clip(confidence, 0, 1, out=confidence), kept.size)


class JointPredictor:
    """Predicts whole images with both models of one moment, keeping nothing of them.

    Args:
        network: Whose weights are shown.
        readout: The quick model.
        share: The network's share, in [0, 1].
    """

    def __init__(self, network: LiveNetwork, readout: Readout, share: float) -> None:
        self._network = network
        self._readout = readout
        self._share = share

    def of(self, image: ImageArray) -> Predictor:
        """Return what predicts one (H, W, 3) uint8 RGB image."""
        found = opinion(self._readout.look(image), self._readout)
        return self._network.predictor().refined_by(
            lambda _tile, probabilities, box: _together(self._network, found, probabilities, box, self._share)
        )

    def predict(self, image: ImageArray) -> Iterator[PredictedPart]:
        """Predict an (H, W, 3) uint8 RGB image part by part."""
        return self.of(image).predict(image)


def channels_of(
    network: LiveNetwork, classes: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the network's channel of every class that is in its table, and (k,) which these are."""
    channel = np.full(256, -1, np.int64)
    channel[list(network.classes.indices)] = np.arange(len(network.classes))
    found = channel[classes]
    return found[found >= 0], found >= 0


def _together(
    network: LiveNetwork, found: Opinion, probabilities: NDArray[np.float32], box: Box, share: float
) -> NDArray[np.float32]:
    channels, known = channels_of(network, found.classes)
    said = found.over(box)
    # Nearly always all are known, and a choice would copy every plane.
    expected = found.expected[known]
    return pooled(probabilities, said if known.all() else said[known], channels, share, expected)


def _part(
    label_map: NDArray[np.uint8], confidence: NDArray[np.float32], size: tuple[int, int]
) -> PredictedPart:
    """Returns the whole image of (H, W) of what was found at a reduced size."""
    if label_map.shape != size:
        label_map = cv2.resize(label_map, size[::-1], interpolation=cv2.INTER_NEAREST).astype(
            np.uint8, copy=False
        )
        confidence = cv2.resize(confidence, size[::-1], interpolation=cv2.INTER_NEAREST).astype(
            np.float32, copy=False
        )
    label_map.setflags(write=False)
    confidence.setflags(write=False)
    return PredictedPart(box=Box.of_size(size), label_map=label_map, confidence=confidence, complete=True)


def _can_keep(network: LiveNetwork, size: tuple[int, int], image: ImageArray) -> bool:
    """Whether a whole picture may follow a stroke: not where one is too much to send as it is."""
    if isinstance(network.model, RemembersClasses) or image.shape[:2] != size:
        return False
    return size[0] * size[1] <= MOST_PIXELS


def _weights(network: LiveNetwork) -> tuple[object, ...]:
    # Weights a person chose may be of the same step as those being trained.
    return network.shown_step, network.is_descent, network.classes.indices
