"""Labels that lie aside are told with their direction, at the size of the file; labels in place are not."""

from typing import Any, cast

import numpy as np
import pytest
import torch

from engine.annotate.classes import ClassTable
from engine.inspect.look import Look
from engine.inspect.mask_shift import (
    MaskShift,
    is_labelled_enough,
    mask_shift,
    mask_shift_in_pieces,
    place_of_labels,
)
from engine.inspect.snapshot import Snapshot

CLASSES = ClassTable().add("field").add("sky").add("pole")
COLOURS = np.array([[200, 60, 40], [40, 160, 60], [30, 40, 220]], np.uint8)


def _scene() -> np.ndarray:
    """(72, 96) channels: two fields and a thin pole."""
    label = np.zeros((72, 96), np.int64)
    label[np.arange(72)[:, None] > (np.arange(96) // 3 + 11)[None, :]] = 1
    label[8:60, 50:54] = 2
    return label


def _look(zoom: int = 1) -> Look:
    """A look at the scene by a network that is right and unsure; the file is `zoom` times as large."""
    truth = _scene()
    noise = np.random.default_rng(1).integers(0, 12, (*truth.shape, 3)).astype(np.uint8)
    channels = torch.from_numpy(truth)
    height, width = truth.shape
    return Look(
        image_id="a",
        size=(height * zoom, width * zoom),
        snapshot=Snapshot(model=cast("Any", None), classes=CLASSES, step=1, device=torch.device("cpu")),
        image=COLOURS[truth] + noise,
        logits=torch.nn.functional.one_hot(channels, 3).permute(2, 0, 1).float() * 2.0,
        frame=truth.shape,
        channels=channels,
        views=(),
        explanation=None,
    )


def _annotation(move: tuple[int, int] = (0, 0), zoom: int = 1) -> np.ndarray:
    painted = np.roll(np.array(CLASSES.indices, np.uint8)[_scene()], move, axis=(0, 1))
    return np.asarray(painted.repeat(zoom, axis=0).repeat(zoom, axis=1))


def _said(look: Look, annotation: np.ndarray | None) -> str:
    pieces = place_of_labels(look, annotation)
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return str(end.value)


@pytest.mark.parametrize(
    ("move", "where"),
    [((0, 2), "to the left"), ((0, -2), "to the right"), ((2, 0), "up"), ((-2, 0), "down")],
)
def test_labels_that_lie_aside_are_told_with_the_way_back(move: tuple[int, int], where: str) -> None:
    said = _said(_look(), _annotation(move))
    assert said.startswith(f"The labels fit better moved by 2 px {where} (score +0.")


def test_labels_in_their_place_get_no_move() -> None:
    found = mask_shift(_look(), _annotation())
    assert found is not None
    assert not found.fits_better
    assert _said(_look(), _annotation()) == "The labels lie where they should: no move by 2 px fits better."


def test_a_few_strokes_are_not_judged() -> None:
    strokes = np.full((72, 96), 255, np.uint8)
    strokes[:, :60] = _annotation((0, 2))[:, :60]
    assert is_labelled_enough(_look(), strokes)
    strokes[:, 40:] = 255
    assert not is_labelled_enough(_look(), strokes)
    assert _said(_look(), strokes) == ""
    assert _said(_look(), None) == ""


def test_in_a_shrunken_image_the_move_is_that_of_the_file() -> None:
    found = mask_shift(_look(3), _annotation((0, 2), 3))
    assert found is not None
    assert found.move == (0, -6)
    assert "moved by about 6 px to the left" in found.sentence


def test_with_many_classes_image_and_labels_are_shrunk_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.inspect.look._MOST_LOGITS", 3 * 48 * 64)
    found = mask_shift(_look(), _annotation((0, 3)))
    assert found is not None
    assert found.move == (0, -3)
    assert not found.is_exact


def test_the_search_is_made_of_pieces_and_flat_labels_say_nothing() -> None:
    *before, found = mask_shift_in_pieces(_look(), _annotation((2, 0)))
    assert before == [None] * 5
    assert found is not None
    flat = np.full((72, 96), CLASSES.indices[0], np.uint8)
    assert _said(_look(), flat) == ""


def test_a_score_that_reads_as_nothing_is_no_finding() -> None:
    near = MaskShift(score=0.004, move=(0, 2), tried=(2, 2), is_exact=True)
    assert not near.fits_better
    assert "lie where they should" in near.sentence


@pytest.mark.parametrize(("score", "says"), [(0.012, "may fit"), (0.03, "fit")])
def test_small_scores_are_said_with_a_may(score: float, says: str) -> None:
    found = MaskShift(score=score, move=(0, 2), tried=(2, 2), is_exact=True)
    assert found.sentence == f"The labels {says} better moved by 2 px to the right (score {score:+.2f})."
