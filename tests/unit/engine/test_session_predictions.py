"""Whole-image predictions put together from parts."""

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.messages import Prediction
from engine.session.predictions import PredictionCache

SIZE = (20, 30)


def _part(
    box: Box, value: int, *, name: str = "a.png", size: tuple[int, int] = SIZE, step: int = 1
) -> Prediction:
    label_map = np.full(box.size, value, np.uint8)
    confidence = np.full(box.size, 0.5, np.float32)
    label_map.setflags(write=False)
    confidence.setflags(write=False)
    return Prediction(
        image_id=name,
        size=size,
        box=box,
        label_map=label_map,
        confidence=confidence,
        step=step,
        checkpoint="",
    )


def test_parts_come_together_and_the_rest_stays_unlabelled() -> None:
    cache = PredictionCache()
    cache.add(_part(Box(0, 0, 20, 15), 1))
    whole = cache.add(_part(Box(0, 15, 10, 30), 2))
    assert whole.box == Box(0, 0, *SIZE)
    assert (whole.label_map[:, :15] == 1).all()
    assert (whole.label_map[:10, 15:] == 2).all()
    assert (whole.label_map[10:, 15:] == UNLABELLED).all()
    assert cache.get("a.png") is whole


def test_a_new_part_leaves_the_older_prediction_elsewhere() -> None:
    cache = PredictionCache()
    first = cache.add(_part(Box(0, 0, *SIZE), 3))
    whole = cache.add(_part(Box(0, 0, 5, 5), 4, step=9))
    assert whole.step == 9
    assert (whole.label_map[:5, :5] == 4).all()
    assert (whole.label_map[5:] == 3).all()
    assert (first.label_map == 3).all()


def test_a_part_costs_its_box_and_not_the_image() -> None:
    cache = PredictionCache()
    first = cache.add(_part(Box(0, 0, 5, 5), 1))
    second = cache.add(_part(Box(5, 5, 10, 10), 2))
    assert np.shares_memory(first.label_map, second.label_map)


def test_predictions_handed_out_cannot_be_written() -> None:
    whole = PredictionCache().add(_part(Box(0, 0, 5, 5), 1))
    with pytest.raises(ValueError, match="read-only"):
        whole.label_map[0, 0] = 7
    with pytest.raises(ValueError, match="read-only"):
        whole.confidence[0, 0] = 0.1


def test_another_size_starts_anew() -> None:
    cache = PredictionCache()
    cache.add(_part(Box(0, 0, *SIZE), 3))
    whole = cache.add(_part(Box(0, 0, 5, 5), 1, size=(8, 8)))
    assert whole.label_map.shape == (8, 8)
    assert (whole.label_map[5:] == UNLABELLED).all()


def test_the_oldest_leave_when_the_budget_is_spent() -> None:
    one = 20 * 30 * 5
    cache = PredictionCache(byte_budget=2 * one)
    for name in ("a.png", "b.png"):
        cache.add(_part(Box(0, 0, *SIZE), 1, name=name))
    cache.get("a.png")
    cache.add(_part(Box(0, 0, *SIZE), 1, name="c.png"))
    assert cache.get("b.png") is None
    assert cache.get("a.png") is not None
    assert cache.get("c.png") is not None
    cache.clear()
    assert cache.get("a.png") is None
