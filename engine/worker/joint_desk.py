"""Network and quick model together on screen: the pool of both, renewed with every stroke. Worker thread.

The network's probabilities of the image on screen are kept while its weights are shown: after a stroke only
the quick model has to answer again. Of large images, and of networks whose class memory takes strokes in
itself, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.messages import Predict
from engine.predict.predictor import PredictedPart, Predictor
from engine.project.images import ImageArray
from engine.quick.head import Readout
from engine.quick.joint import Opinion, pooled
from engine.quick.picture import opinion
from engine.worker.network import LiveNetwork
from engine.worker.quick_desk import QuickDesk
from models.instant_memory import RemembersClasses

_KEPT_BYTES = 96 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """What the network says of one image: (K, H, W) float16 probabilities, and with which weights."""

    image_id: str
    weights: tuple[object, ...]
    probabilities: NDArray[np.float16]


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
            wanted: Which image it is; `alone` leaves out that its labelled cells stand.
            is_on_screen: Whether strokes may follow, so that the network's answer is worth keeping.
        """
        found = self._quick.opinion(image, wanted) if share < 1 else None
        if found is None:
            return network.predictor()
        keeps = is_on_screen and not wanted.alone and _can_keep(network, found.size)

        def refine(
            _tile: NDArray[np.uint8], probabilities: NDArray[np.float32], box: Box
        ) -> NDArray[np.float32]:
            if keeps and box == Box.of_size(found.size):
                self._kept = _Kept(wanted.image_id, _weights(network), probabilities.astype(np.float16))
            return _together(network, found, probabilities, box, share)

        return network.predictor().refined_by(refine)

    def can_renew(self, network: LiveNetwork, image_id: str, size: tuple[int, int]) -> bool:
        """Whether a changed quick model alone is enough to predict an image of (H, W) anew."""
        kept = self._kept
        if kept is None or kept.image_id != image_id or kept.probabilities.shape[1:] != size:
            return False
        return kept.weights == _weights(network)

    def renewed(
        self, network: LiveNetwork, share: float, image: ImageArray, wanted: Predict
    ) -> Iterator[PredictedPart]:
        """Predict an image anew whose answer of the network is kept, see `can_renew`. Arguments as above."""
        found = self._quick.opinion(image, wanted)
        kept = self._kept
        if kept is None or found is None:
            return
        whole = Box.of_size(found.size)
        probabilities = _together(network, found, kept.probabilities.astype(np.float32), whole, share)
        yield _part(network, probabilities, whole)


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


def _part(network: LiveNetwork, probabilities: NDArray[np.float32], box: Box) -> PredictedPart:
    label_map = network.classes.index_of()[probabilities.argmax(axis=0)]
    confidence = np.clip(probabilities.max(axis=0), 0, 1)
    label_map.setflags(write=False)
    confidence.setflags(write=False)
    return PredictedPart(box=box, label_map=label_map, confidence=confidence, complete=True)


def _can_keep(network: LiveNetwork, size: tuple[int, int]) -> bool:
    needed = 2 * len(network.classes) * size[0] * size[1]
    return needed <= _KEPT_BYTES and not isinstance(network.model, RemembersClasses)


def _weights(network: LiveNetwork) -> tuple[object, ...]:
    # Weights a person chose may be of the same step as those being trained.
    return network.shown_step, network.is_descent, network.classes.indices
