"""Predictions of the image on screen, tile by tile. Worker thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from engine.errors import EngineError
from engine.learn.image_cache import ImageCache
from engine.messages import Event, Predict, Prediction, PredictionReady
from engine.predict.predictor import PredictedPart
from engine.predict.tiles import touches
from engine.project.images import ImageArray, read_image
from engine.worker.network import LiveNetwork

_CACHE_BYTES = 256 * 2**20


class ScreenPrediction:
    """Predicts what was asked for last; the newest request replaces whatever is under way.

    Args:
        emit: Receives the parts.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._images = ImageCache(_CACHE_BYTES)
        self._parts: Iterator[PredictedPart] | None = None
        self._size = (0, 0)
        self._visible_left = 0
        self.wanted: Predict | None = None

    @property
    def is_running(self) -> bool:
        """Whether tiles are still to come."""
        return self._parts is not None

    @property
    def is_urgent(self) -> bool:
        """Whether tiles on screen are still to come."""
        return self._parts is not None and self._visible_left > 0

    def begin(self, network: LiveNetwork) -> None:
        """Begin with the image wanted; a network that has learnt nothing stays silent.

        Raises:
            ImageError: The image cannot be read; it is not tried again until the next request.
        """
        self._parts = None
        if self.wanted is None or not network.has_learnt:
            return
        try:
            image = self._read(self.wanted.image_path)
        except EngineError:
            self.wanted = None
            raise
        self._size = (int(image.shape[0]), int(image.shape[1]))
        self._visible_left = 1
        self._parts = network.predictor().predict(image, visible=self.wanted.visible)

    def advance(self, network: LiveNetwork) -> bool:
        """Predict and send one tile; return whether that was the last.

        Raises:
            DeviceMemoryError: Memory is too small even for small tiles.
        """
        if self._parts is None or self.wanted is None:
            return True
        part = next(self._parts, None)
        if part is None:
            self._parts = None
            return True
        visible = self.wanted.visible
        # Tiles on screen come first; the first one that is not ends the hurry.
        self._visible_left = int(visible is None or touches(part.box, visible))
        self._emit(
            PredictionReady(
                request_id=self.wanted.request_id,
                prediction=self._prediction(part, network),
                complete=part.complete,
            )
        )
        if part.complete:
            self._parts = None
        return part.complete

    def cancel(self) -> None:
        """Drop what is under way; what is wanted stays wanted."""
        self._parts = None

    def _prediction(self, part: PredictedPart, network: LiveNetwork) -> Prediction:
        return Prediction(
            image_id="" if self.wanted is None else self.wanted.image_id,
            size=self._size,
            box=part.box,
            label_map=part.label_map,
            confidence=part.confidence,
            step=network.step,
            checkpoint=network.checkpoint,
        )

    def _read(self, path: str) -> ImageArray:
        (image,) = self._images.get(path, lambda: (read_image(Path(path)),))
        return image
