"""What counts as evidence of how far confidence can be trusted, and what is said of it."""

import numpy as np
import pytest

from engine.errors import EngineError
from engine.inspect.calibration import MIN_PIXELS, Curve
from engine.inspect.judged import Judged, calibration, evidence, judged_pixels
from engine.project.manifest import Split
from models.base import IGNORE_INDEX

SIZE = (40, 60)


def _bumpy(confidence: np.ndarray) -> np.ndarray:
    """A truth no logistic curve follows: level in the middle, as where one class is surer than another."""
    return np.clip(np.where(confidence < 0.8, 0.5, confidence), 0.0, 1.0)


def _image(seed: int, labelled: float = 1.0) -> Judged:
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, 1.0, SIZE)
    right = rng.random(SIZE) < _bumpy(confidence)
    channels = np.where(right, 0, 1)
    channels[rng.random(SIZE) >= labelled] = IGNORE_INDEX
    return judged_pixels(np.stack([confidence, 1.0 - confidence]).astype(np.float32), channels)


def test_the_line_follows_what_a_logistic_curve_cannot() -> None:
    told = calibration(7, [_image(seed) for seed in range(12)])
    places = np.linspace(0.52, 0.98, 47)
    truth = _bumpy(places)
    line = Curve(told.temperature, told.shift, told.knots)(places)
    logistic = Curve(told.temperature, told.shift)(places)
    assert np.abs(line - truth).mean() < 0.03 < np.abs(logistic - truth).mean()
    assert (np.diff(line) >= 0).all()
    assert (told.request_id, told.images) == (7, 12)
    assert told.ece < 0.04 < told.ece_before
    assert 0.0 < told.chance < 0.03


def test_images_that_differ_are_not_said_to_be_foreseen() -> None:
    """Half of the images are all right and half all wrong: no curve of one half knows the other's images."""
    parts = [_image(seed) for seed in range(6)]
    odd = [
        Judged(
            confidence=part.confidence,
            right=np.full(len(part.right), number % 2 == 0),
            labels=part.labels,
            shares=part.shares,
            votes=part.votes,
            whole=True,
        )
        for number, part in enumerate(parts)
    ]
    assert calibration(1, odd).ece > 0.1


def test_confidence_as_it_is_is_asked_as_the_curve_is() -> None:
    """One image is right, one wrong, half sure of both: no error together, a large one alone."""
    sure = np.full(400, 0.5)
    parts = [
        Judged(
            confidence=sure,
            right=np.full(400, is_right),
            labels=np.zeros(400, np.int64),
            shares=np.array([1.0, 0.0]),
            votes=100,
            whole=True,
        )
        for is_right in (True, False)
    ]
    told = calibration(1, parts)
    assert told.ece_before == pytest.approx(0.5)
    assert told.ece > told.ece_before


def test_whole_images_count_before_strokes_where_most_are_whole() -> None:
    whole, strokes = [_image(seed) for seed in range(3)], [_image(seed, labelled=0.2) for seed in range(3)]
    train = [_image(9)]
    assert evidence({Split.VAL: [*whole, *strokes], Split.TRAIN: train}) == whole
    many = [*whole, *strokes, *strokes]
    assert evidence({Split.VAL: many, Split.TRAIN: train}) == many
    assert evidence({Split.VAL: whole[:2], Split.TRAIN: train}) == whole[:2]
    assert evidence({Split.TRAIN: train}) == train
    assert calibration(1, many).images == 0
    assert calibration(1, whole).images == 3
    assert calibration(1, whole[:2]).images == 0, "two are not enough for a number"


def test_too_few_pixels_are_refused() -> None:
    few = _image(0, labelled=0.5 * MIN_PIXELS / (SIZE[0] * SIZE[1]))
    with pytest.raises(EngineError, match="needs 200 labelled pixels"):
        evidence({Split.VAL: [few]})
    alone = calibration(1, [_image(0)])
    assert np.isfinite([alone.ece, alone.chance]).all()
