"""Predictions of the image on screen, tile by tile. Worker thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.config import Voice
from engine.errors import EngineError
from engine.learn.image_cache import ImageCache
from engine.messages import (
    Event,
    PoolItem,
    Predict,
    Prediction,
    PredictionReady,
    PredictionSource,
    StartTraining,
)
from engine.predict.predictor import PredictedPart, Predictor
from engine.predict.tiles import touches
from engine.project.images import ImageArray, read_image
from engine.quick.samples import Cells
from engine.worker.as_shown import AsShown
from engine.worker.assembly import MOST_PIXELS, Assembly
from engine.worker.calibrating import OnScreen
from engine.worker.contest import Contest
from engine.worker.exporting import Predicts, filling_predictor
from engine.worker.honour import honoured
from engine.worker.joint_desk import JointDesk, JointPredictor
from engine.worker.memory_desk import MemoryDesk
from engine.worker.nearby_desk import NearbyDesk
from engine.worker.network import LiveNetwork
from engine.worker.origin import came_from
from engine.worker.pace import Clock
from engine.worker.quick_answers import QuickPredictor
from engine.worker.quick_desk import QuickDesk
from engine.worker.sight import sight_of

_CACHE_BYTES = 256 * 2**20


class ScreenPrediction:
    """Predicts what was asked for last; the newest request replaces whatever is under way.

    Args:
        emit: Receives the parts.
        clock: Monotonic seconds.
    """

    def __init__(self, emit: Callable[[Event], None], clock: Clock) -> None:
        self._emit = emit
        self.quick = QuickDesk()
        self._contest = Contest(self.quick, clock, self._read, emit)
        self.as_shown = AsShown(self.quick, self._read, self._contest.share)
        self._memory = MemoryDesk()
        self._nearby = NearbyDesk(self.quick)
        self._joint = JointDesk(self.quick)
        self._source, self._share = PredictionSource.NETWORK, 1.0
        self._images = ImageCache(_CACHE_BYTES)
        self._parts: Iterator[PredictedPart] | None = None
        self._assembly: Assembly | None = None
        self._size = (0, 0)
        self._visible_left = 0
        self._said: NDArray[np.uint8] | None = None
        self.wanted: Predict | None = None

    @property
    def is_running(self) -> bool:
        """Whether tiles are still to come."""
        return self._parts is not None

    def is_busy(self, network: LiveNetwork | None) -> bool:
        """Whether there is anything to do without a command and without a run."""
        return self.is_running or self.is_curious(network, trains=False)

    def start(self, network: LiveNetwork, command: StartTraining) -> None:
        """Follow what a run is to be like."""
        self._contest.limits = command.config.promotion
        chosen = replace(network.request, quick_mirrors=command.config.augment.flip)
        if chosen != network.request:
            network.request = chosen
            self.quick.follow(chosen)
            # A round of questions under way would mix the answers of two quick models.
            self._contest.forget()

    def opened(self, network: LiveNetwork) -> None:
        """Follow a network that was just opened."""
        came = came_from(network)
        self.quick.open(network.request, sight_of(network, came), came_trained=came is not None)
        self._contest.begin(network, came_trained=came is not None)
        self._joint.forget()
        self.as_shown.forget()

    def follow_classes(self, network: LiveNetwork) -> None:
        """Follow a changed class table."""
        self.quick.follow(network.request)
        self._contest.forget()
        self._joint.forget()

    def follow_weights(self) -> None:
        """Follow weights that a person chose: they may be of the same step as those shown before."""
        self._joint.forget()

    def corrected(self, item: PoolItem, network: LiveNetwork | None) -> bool:
        """Let the quick model learn from an annotation; return whether the image wanted looks different now.

        The image on screen is learnt from at once, others when there is time.
        """
        if self.wanted is None or self.wanted.image_id != item.image_id:
            self.quick.note(item)
            return False
        before = self.quick.cells(item.image_id)
        if not self.quick.learn(item):
            return False
        after = self.quick.cells(item.image_id)
        if after is not None:
            self._contest.stroke(item, after.painted().new_since(before), network)
        share = self._contest.share(network)
        if network is None or share == 0:
            return True
        if share < 1 and self._joint.can_renew(network, item.image_id, item.size):
            return True
        painted = Cells.none() if after is None else after.painted()
        reads_anew = self._memory.corrected(network, item, self._read(item.image_path), painted)
        if reads_anew or (share < 1 and self._memory.serves(network)):
            return True
        return self._nearby.corrected(network, item, painted, self.wanted)

    def is_curious(self, network: LiveNetwork | None, *, trains: bool) -> bool:
        """Whether there is something to ponder.

        Args:
            network: The network.
            trains: Whether a run goes on.
        """
        return self.quick.has_news or self._contest.is_due(network, trains=trains)

    def ponder(self, network: LiveNetwork | None) -> bool:
        """Learn from an annotation that waited, or compare; return whether the image looks different now.

        To be called where `is_curious` says so. Of many annotations only the last is worth a new prediction.

        Raises:
            DeviceMemoryError: Memory is too small for the network's answer.
        """
        if self.quick.has_news:
            changed = self.quick.learn_next() and not self.quick.has_news
            return changed and self._contest.share(network) < 1
        return network is not None and self._contest.advance(network)

    def predictor(self, network: LiveNetwork) -> Predicts:
        """Return what fills unlabelled pixels: who is shown, without strokes in a class memory.

        Raises:
            EngineError: Nobody has learnt anything yet.
        """
        share, readout = self._contest.share(network), self.quick.readout()
        if readout is None or share == 1:
            return filling_predictor(network)
        return QuickPredictor(readout) if share == 0 else JointPredictor(network, readout, share)

    def looking(self, network: LiveNetwork, image: ImageArray) -> Predictor:
        """Return what takes a small look at an image nobody has on screen, where the network has a say.

        Args:
            network: Whose weights are shown.
            image: (H, W, 3) uint8 RGB, small.
        """
        share, readout = self._contest.share(network), self.quick.readout()
        if readout is None or share in {0, 1}:
            return network.predictor()
        return JointPredictor(network, readout, share).of(image)

    def ahead(self, network: LiveNetwork, image: ImageArray, wanted: Predict) -> Iterator[PredictedPart]:
        """Predict an image that may be opened next, as it would be shown. Arguments as `JointDesk`."""
        share = self._contest.share(network)
        if share == 0:
            return self.quick.predict(image, wanted)
        return self._joint.predictor(network, share, image, wanted, is_on_screen=False).predict(image)

    def on_screen(self, network: LiveNetwork) -> OnScreen:
        """Return who predicts now, and with what share of the network."""
        return OnScreen(self.quick, self._contest.share(network))

    def shown_by(self, network: LiveNetwork) -> PredictionSource | None:
        """Return who predicts now; None while nobody has learnt."""
        share = self._contest.share(network)
        if share == 0:
            return PredictionSource.QUICK
        if not network.has_learnt:
            return None
        return PredictionSource.JOINT if share < 1 else PredictionSource.NETWORK

    def _is_quick(self, network: LiveNetwork | None) -> bool:
        return self._contest.share(network) == 0

    @property
    def is_urgent(self) -> bool:
        """Whether tiles on screen are still to come."""
        return self._parts is not None and self._visible_left > 0

    def begin(self, network: LiveNetwork) -> None:
        """Begin with the image wanted; where neither network nor quick model has learnt, all stay silent.

        Raises:
            ImageError: The image cannot be read; it is not tried again until the next request.
        """
        self._parts = self._assembly = None
        if self.wanted is not None:
            self.quick.catch_up(self.wanted.image_id)
        asks_network = self.wanted is not None and self.wanted.voice is Voice.NETWORK
        is_quick = not asks_network and self._is_quick(network)
        if self.wanted is None or not (is_quick or network.has_learnt):
            return
        try:
            image = self._read(self.wanted.image_path)
        except EngineError:
            self.wanted = None
            raise
        self._size = (int(image.shape[0]), int(image.shape[1]))
        self._visible_left = 1
        is_shown = self.wanted.voice is Voice.SHOWN
        self._said = self.quick.said(self.wanted.image_id, self._size) if is_shown else None
        if is_quick:
            self._source, self._share = PredictionSource.QUICK, 0.0
            self._parts = self.quick.predict(image, self.wanted)
            if self._size[0] * self._size[1] <= MOST_PIXELS:
                self._assembly = Assembly(self._size)
        else:
            self._begin_network(network, image, self.wanted)

    def _begin_network(self, network: LiveNetwork, image: ImageArray, wanted: Predict) -> None:
        """Begin with an image in which the network has a say, alone or with the quick model."""
        share = 1.0 if wanted.voice is Voice.NETWORK else self._contest.share(network)
        source = PredictionSource.NETWORK

        def predictor() -> Predictor:
            return self._joint.predictor(network, share, image, wanted)

        if wanted.voice is not Voice.SHOWN:
            self._parts = predictor().predict(image, visible=wanted.visible)
        else:
            painted = self._painted()
            source = self._memory.look(network, wanted.image_id, painted)
            self._nearby.look(network, wanted.image_id, painted)
            if share < 1 and self._joint.can_renew(network, wanted.image_id, self._size):
                self._parts = self._joint.renewed(network, share, image, wanted)
            else:
                self._parts = self._nearby.parts(network, predictor, image, wanted)
        self._source, self._share = source if share == 1 else PredictionSource.JOINT, share

    def advance(self, network: LiveNetwork) -> bool:
        """Predict and send one tile; return whether that was the last.

        Raises:
            DeviceMemoryError: Memory is too small even for small tiles.
        """
        if self._parts is None or self.wanted is None:
            return True
        with self._with_strokes(network):
            part = next(self._parts, None)
        if part is not None and self._assembly is not None:
            part = self._assembly.add(part)
            if part is None:
                return False
        if part is None:
            self._parts = self._assembly = None
            return True
        part = honoured(part, self._said)
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
            self._parts = self._assembly = None
        return part.complete

    def _with_strokes(self, network: LiveNetwork) -> contextlib.AbstractContextManager[object]:
        """In what is shown a class memory has taken in the strokes already."""
        is_shown = self.wanted is not None and self.wanted.voice is Voice.SHOWN
        return self._memory.applied(network) if is_shown else contextlib.nullcontext()

    def cancel(self) -> None:
        """Drop what is under way; what is wanted stays wanted."""
        self._parts = self._assembly = None

    def _prediction(self, part: PredictedPart, network: LiveNetwork) -> Prediction:
        return Prediction(
            image_id="" if self.wanted is None else self.wanted.image_id,
            size=self._size,
            box=part.box,
            label_map=part.label_map,
            confidence=part.confidence,
            step=0 if self._source is PredictionSource.QUICK else network.shown_step,
            checkpoint="" if self._source is PredictionSource.QUICK else network.checkpoint,
            source=self._source,
            share=self._share,
        )

    def _painted(self) -> Cells | None:
        cells = None if self.wanted is None else self.quick.cells(self.wanted.image_id)
        return None if cells is None else cells.painted()

    def _read(self, path: str) -> ImageArray:
        (image,) = self._images.get(path, lambda: (read_image(Path(path)),))
        return image
