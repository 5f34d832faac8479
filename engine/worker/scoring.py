"""Small looks at images nobody has on screen, and predictions made before they are asked for. Worker thread.

Three kinds of work take turns, one small piece at a time: an image is described (read once, small), an image
is predicted in small by whoever is shown, and a tile of an image a person is likely to open next is
predicted. Work per image is bounded whatever the camera, and what is kept is bounded by bytes and counts.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box
from engine.errors import EngineError, ImageError
from engine.inspect.uncertainty import FlickerHistory
from engine.learn.image_cache import ImageCache
from engine.messages import (
    AllScored,
    Event,
    ImageScored,
    Predict,
    PredictedAhead,
    Prediction,
    PredictionSource,
    ScoreImages,
)
from engine.predict.compute import shortage_told
from engine.predict.predictor import PredictedPart, Predictor
from engine.project.images import probe, read_image, thumbnail
from engine.quick.likeness import descriptor
from engine.worker.honour import honoured
from engine.worker.network import LiveNetwork
from engine.worker.pace import Clock, Pace
from engine.worker.views import ScreenPrediction

_DESCRIBED_EDGE = 160
_EDGE = 512
"""Longest edge an image is predicted at for its score, in pixels."""
_SPACING = 8
"""Pixels of the small image between two places that count."""
_SHARE = 0.12
"""Largest share of the time while training."""
_AHEAD_S = 10.0
"""A prediction made ahead is made anew after so many seconds, if the model is another one by then."""
_AHEAD_PIXELS = 24_000_000
_SMALL_BYTES = 48 * 2**20
_KEPT = 128
"""Images whose last class maps are kept."""
_KEPT_FEATURES = 32
"""Images whose quick features are kept: about 3 MB each."""
_SMALLEST_SHARE = 0.002
_RENEWED_S = 60.0
"""Seconds of work for a newer model on images that an older one has surveyed; the oldest answers go first."""

Version = tuple[PredictionSource, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Ahead:
    """An image being predicted before it is asked for."""

    image_id: str
    size: tuple[int, int]
    version: Version
    parts: Iterator[PredictedPart]


class ScoringDesk:
    """What the queue wants to know, answered when there is time.

    Args:
        screen: Knows who is shown, and the quick model.
        emit: Receives the answers.
        clock: Monotonic seconds.
    """

    def __init__(self, screen: ScreenPrediction, emit: Callable[[Event], None], clock: Clock) -> None:
        self._screen = screen
        self._emit = emit
        self._clock = clock
        self._pace = Pace(clock, 0.0, share=_SHARE)
        self._last_look: dict[str, tuple[int, NDArray[np.uint8] | None]] = {}
        self._wanted = ScoreImages(paths={}, describe=(), score=(), ahead=())
        self._described: set[str] = set()
        self._failed: set[str] = set()
        self._images = ImageCache(_SMALL_BYTES)
        self._turn = 0
        self._is_told = True
        self._survey: dict[str, None] = {}
        self.forget()

    def forget(self) -> None:
        """Forget what models said: the network is another one now, or its classes are."""
        self._scored: dict[str, Version] = {}
        self._renewing: tuple[Version | None, float] = None, 0.0
        self._has_stages = False
        self._values: OrderedDict[str, tuple[NDArray[np.float16], tuple[int, int]]] = OrderedDict()
        self._flicker = FlickerHistory(images=_KEPT)
        self._last_look = {name: (look, None) for name, look in self._wanted.looks.items()}
        self._versions: dict[Version, int] = {}
        self._ahead: _Ahead | None = None
        self._ahead_done: dict[str, tuple[Version, float]] = {}

    def want(self, command: ScoreImages) -> None:
        """Work for another list from now on."""
        if command.paths != self._wanted.paths:
            self._failed.clear()  # another folder, or files that came back
        self._wanted = command
        first = frozenset(command.score)
        self._survey = dict.fromkeys(name for name in command.survey if name not in first)
        self._is_told = False
        self._described &= set(command.paths)
        before = self._last_look
        self._last_look = {
            name: before[name] if name in before and before[name][0] == look else (look, None)
            for name, look in command.looks.items()
        }

    # --- what is to be done -------------------------------------------------------------------------------

    def is_busy(self, network: LiveNetwork | None) -> bool:
        """Whether anything is left to do."""
        return network is not None and (not self._is_told or any(self._next(network)))

    def is_due(self, network: LiveNetwork | None, *, is_training: bool) -> bool:
        """Whether to do a piece now: always while idle, a small share of the time while training."""
        return (not is_training or self._pace.is_due) and self.is_busy(network)

    def _next(self, network: LiveNetwork | None) -> tuple[str | None, str | None, str | None, str | None]:
        """Return the image to describe, to score, to predict ahead and to survey next."""
        wanted = self._wanted
        describe = next((name for name in wanted.describe if self._is_new(name)), None)
        if network is None:
            return None, None, None, None
        version = self._version(network)
        if version is None:
            return describe, None, None, None
        score, survey = self._to_score(version), self._to_survey(version)
        if self._ahead is not None:
            return describe, score, self._ahead.image_id, survey
        ahead = next((name for name in wanted.ahead if self._is_stale(name, version)), None)
        return describe, score, ahead, survey

    def _is_new(self, name: str) -> bool:
        return name not in self._described and name not in self._failed

    def _to_score(self, version: Version) -> str | None:
        """Return an image never scored, else one scored by an older model."""
        names = [name for name in self._wanted.score if name not in self._failed]
        never = next((name for name in names if name not in self._scored), None)
        return never or next((name for name in names if self._scored[name] != version), None)

    def _to_survey(self, version: Version) -> str | None:
        """Return a further image, once the network has turned out to have several stages, or None.

        Every image of the folder gets its turn once; newer models take another look at those whose answers
        are oldest, for a minute of work each, or a folder of thousands would never let the computer rest.
        """
        if version[0] is PredictionSource.QUICK or not self._has_stages:
            return None
        never = (name for name in self._survey if name not in self._scored and name not in self._failed)
        found = next(never, None)
        if found is None and self._renewed(version) < _RENEWED_S:
            old = (name for name, seen in self._scored.items() if seen != version and name in self._survey)
            found = next((name for name in old if name not in self._failed), None)
        return found

    def _renewed(self, version: Version) -> float:
        """Return the seconds of work spent on further images for this model."""
        return self._renewing[1] if self._renewing[0] == version else 0.0

    def _is_stale(self, name: str, version: Version) -> bool:
        if name in self._failed:
            return False
        done = self._ahead_done.get(name)
        return done is None or (done[0] != version and self._clock() - done[1] >= _AHEAD_S)

    def _version(self, network: LiveNetwork | None) -> Version | None:
        """Return who is shown and how new they are; None while nobody has learnt."""
        source = None if network is None else self._screen.shown_by(network)
        if network is None or source is None:
            return None
        quick = source is PredictionSource.QUICK
        return source, self._screen.quick.version if quick else network.shown_step

    # --- pieces -------------------------------------------------------------------------------------------

    def advance(self, network: LiveNetwork) -> None:
        """Do one piece.

        Raises:
            DeviceMemoryError: Memory is too small to predict; nothing more is predicted for this list.
        """
        self._pace.begin()
        describe, score, ahead, survey = self._next(network)
        # In turns, so that neither a long folder nor a model that changes often holds up the others.
        pieces = [
            (name, do)
            for name, do in ((ahead, self._predict_ahead), (score, self._score), (describe, self._describe))
            if name is not None
        ]
        if not pieces and not self._is_told:
            self._emit(AllScored())
            self._is_told = True
        elif pieces or survey is not None:
            self._is_told = not pieces
            if survey is not None:
                pieces.append((survey, self._look_further))
            self._turn += 1
            name, do = pieces[self._turn % len(pieces)]
            self._do(name, do, network)
        self._pace.end()

    def _do(self, name: str, do: Callable[[str, LiveNetwork], None], network: LiveNetwork) -> None:
        try:
            with shortage_told():
                do(name, network)
        except EngineError as error:
            self._failed.add(name)
            self._ahead = None
            if not isinstance(error, ImageError):
                self._wanted = ScoreImages(
                    paths=self._wanted.paths, describe=self._wanted.describe, score=(), ahead=()
                )
                raise

    def _describe(self, name: str, _network: LiveNetwork) -> None:
        found = descriptor(thumbnail(Path(self._wanted.paths[name]), _DESCRIBED_EDGE))
        self._described.add(name)
        self._emit(ImageScored(image_id=name, descriptor=found))

    def _look_further(self, name: str, network: LiveNetwork) -> None:
        """Score an image of the survey, and count the time where an older model had its turn already."""
        version, began = self._version(network), self._clock()
        is_renewed = name in self._scored
        self._score(name, network)
        if is_renewed and version is not None:
            self._renewing = version, self._renewed(version) + self._clock() - began

    def _score(self, name: str, network: LiveNetwork) -> None:
        version = self._version(network)
        if version is None:
            return
        quick = version[0] is PredictionSource.QUICK
        disputed: float | None = None
        if quick:
            labels, confidence = self._quick_look(name)
        else:
            labels, confidence, disputed = self._network_look(name, network)
            self._has_stages = disputed is not None
        self._scored.pop(name, None)  # the oldest answers stay in front
        self._scored[name] = version
        number = self._versions.setdefault(version, len(self._versions))
        # Of images that nobody is likely to open next only what they look like now is worth keeping.
        if name in self._wanted.score:
            self._flicker.add(name, labels, number)
        flicker = self._flicker.flicker(name)
        counts = np.bincount(labels.ravel(), minlength=256) / labels.size
        self._emit(
            ImageScored(
                image_id=name,
                uncertainty=float(np.clip(1.0 - confidence.mean(), 0.0, 1.0)),
                flicker=0.0 if flicker is None else float(flicker.mean()),
                changed=self._changed(name, labels),
                shares={int(i): float(counts[i]) for i in np.flatnonzero(counts >= _SMALLEST_SHARE)},
                step=0 if quick else version[1],
                source=version[0],
                disputed=disputed,
            )
        )

    def _changed(self, name: str, labels: NDArray[np.uint8]) -> float | None:
        """Return the share of places that are another class than at the last look."""
        if name not in self._last_look:
            return None
        look, before = self._last_look[name]
        if before is None or before.shape != labels.shape:
            self._last_look[name] = look, labels
            return 0.0
        return float((before != labels).mean())

    def _quick_look(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return class and confidence at places of an image, by the quick model."""
        readout = self._screen.quick.readout()
        if readout is None:
            raise RuntimeError("the quick model is shown and has learnt nothing")
        if name not in self._values or self._values[name][0].shape[1] != readout.features:
            grid = readout.look(self._small(name))
            rows, columns = _places(grid.size, grid.cells)
            values = grid.at((rows[:, None] * grid.cells[1] + columns).ravel())
            self._values[name] = values, (len(rows), len(columns))
        values, shape = self._values[name]
        self._values.move_to_end(name)
        while len(self._values) > _KEPT_FEATURES:
            self._values.popitem(last=False)
        chances = readout.probabilities(values)
        labels = readout.classes[chances.argmax(axis=1)].reshape(shape)
        return labels, chances.max(axis=1).reshape(shape)

    def _network_look(
        self, name: str, network: LiveNetwork
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], float | None]:
        """Return class and confidence at places of an image, by the network, and how far it was disputed.

        The first stage's guess comes out of the same pass, so that it costs no second one. Only the network
        itself overrules it: what the quick model adds says nothing about stages.
        """
        small = self._small(name)
        looking, own = _noting(self._screen.looking(network, small))
        label_map, confidence, first = looking.predict_stages(small)
        size, disputed = (int(label_map.shape[0]), int(label_map.shape[1])), None
        if first is not None:
            rows, columns = _places(size, (first.shape[0], first.shape[1]))
            guessed = first[rows][:, columns]
            final = network.classes.index_of()[own[-1]] if own else label_map
            answered = final[_middles(len(rows), size[0])][:, _middles(len(columns), size[1])]
            disputed = float((guessed != answered).mean())
        rows, columns = _places(size, size)
        return label_map[rows][:, columns], confidence[rows][:, columns], disputed

    def _small(self, name: str) -> NDArray[np.uint8]:
        path = self._wanted.paths[name]
        (image,) = self._images.get(path, lambda: (thumbnail(Path(path), _EDGE),))
        return image

    def _predict_ahead(self, name: str, network: LiveNetwork) -> None:
        if self._ahead is None:
            self._ahead = self._begin_ahead(name, network)
        if self._ahead is None:
            return
        ahead = self._ahead
        part = next(ahead.parts, None)
        if part is None or part.complete:
            self._ahead = None
            self._ahead_done[name] = ahead.version, self._clock()
        if part is not None:
            part = honoured(part, self._screen.quick.said(name, ahead.size))
            made = _prediction(ahead, part, network, self._screen.on_screen(network).share)
            self._emit(PredictedAhead(prediction=made, complete=part.complete))

    def _begin_ahead(self, name: str, network: LiveNetwork) -> _Ahead | None:
        version, path = self._version(network), Path(self._wanted.paths[name])
        size = probe(path).size
        if version is None:
            return None
        if size[0] * size[1] > _AHEAD_PIXELS:
            self._ahead_done[name] = version, math.inf  # too large to hold; predicted when it is opened
            return None
        image = read_image(path)
        wanted = Predict(image_id=name, image_path=str(path), request_id=0)
        parts = self._screen.ahead(network, image, wanted)
        return _Ahead(name, (int(image.shape[0]), int(image.shape[1])), version, parts)


def _noting(predictor: Predictor) -> tuple[Predictor, list[NDArray[np.int64]]]:
    """Return a predictor that notes the network's own channels, (H, W), where others have the last word."""
    own: list[NDArray[np.int64]] = []
    refine = predictor.refine
    if refine is None:
        return predictor, own

    def noted(tile: NDArray[np.uint8], probabilities: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        own.append(probabilities.argmax(axis=0))
        return refine(tile, probabilities, box)

    return predictor.refined_by(noted), own


def _places(size: tuple[int, int], cells: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of cells about every `_SPACING` pixels of an image of (H, W)."""
    counts = [max(1, min(count, extent // _SPACING)) for count, extent in zip(cells, size, strict=True)]
    rows, columns = (_middles(count, extent) for count, extent in zip(counts, cells, strict=True))
    return rows, columns


def _middles(count: int, extent: int) -> NDArray[np.int64]:
    """Return the middles of `count` equal parts of `extent` cells."""
    return np.asarray((np.arange(count) + 0.5) * extent / count, np.int64)


def _prediction(ahead: _Ahead, part: PredictedPart, network: LiveNetwork, share: float) -> Prediction:
    quick = ahead.version[0] is PredictionSource.QUICK
    return Prediction(
        image_id=ahead.image_id,
        size=ahead.size,
        box=part.box,
        label_map=part.label_map,
        confidence=part.confidence,
        step=0 if quick else ahead.version[1],
        checkpoint="" if quick else network.checkpoint,
        source=ahead.version[0],
        share=share,
    )
