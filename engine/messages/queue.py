"""Messages about the queue: which image would teach most, and predictions made before they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.messages.values import Prediction, PredictionSource

# ------------------------------------------------------------------------------------- to the worker


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreImages:
    """Look at images nobody has on screen, when there is time. A newer one replaces it.

    Answered by one `ImageScored` per look and one or more `PredictedAhead` per image in `ahead`; an image
    that cannot be read is passed over in silence, since whoever opens it is told why.

    Attributes:
        paths: Image files by image id, of every image named below and perhaps of others.
        describe: Ids of the images to describe, in this order; each is read once, small.
        score: Ids of the images to predict in small, in this order, again for every model shown.
        ahead: Ids of the images to predict whole: those a person is likely to open next.
        looks: For each image a person had on screen a number that grows with every look at it.
        survey: Ids of more images to predict in small by a network with several stages, after those of
            `score`: how far its first guess and its answer differ is worth knowing of every image. Each once,
            then again for a newer model as far as a minute of work goes.
    """

    paths: Mapping[str, str]
    describe: tuple[str, ...]
    score: tuple[str, ...]
    ahead: tuple[str, ...]
    looks: Mapping[str, int] = field(default_factory=dict)
    survey: tuple[str, ...] = ()


# ----------------------------------------------------------------------------------- from the worker


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageScored:
    """What a small look at an image found.

    Attributes:
        image_id: The image.
        uncertainty: 1 minus the mean confidence, in [0, 1]; None where the image was only described.
        flicker: Share of the last changes of the model at which a pixel changed its class, mean over
            pixels, in [0, 1].
        changed: Share of pixels with another class than when a person last looked, in [0, 1]; None where
            nobody has looked yet.
        shares: Share of the pixels predicted as each permanent class index; small ones are left out.
        step: Training step of the weights that predicted; 0 of the quick model.
        source: Who predicted; None where the image was only described.
        disputed: Share of pixels where the network's first stage guessed another class than it answers in the
            end, in [0, 1]; None of a model with one stage.
        descriptor: (D,) float32, read-only; alike for images that look alike. Comes with the first answer
            about an image only.
    """

    image_id: str
    uncertainty: float | None = None
    flicker: float = 0.0
    changed: float | None = None
    shares: Mapping[int, float] = field(default_factory=dict)
    step: int = 0
    source: PredictionSource | None = None
    disputed: float | None = None
    descriptor: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedAhead:
    """A part of a prediction of an image that is not on screen; `complete` with its last part."""

    prediction: Prediction
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AllScored:
    """Everything the last `ScoreImages` asked for is done, with the model of now."""


QueueEvent = ImageScored | PredictedAhead | AllScored
