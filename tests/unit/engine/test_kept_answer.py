"""What is kept of a network's answer: exact where there is room, smaller otherwise, and never half of it."""

import numpy as np
import pytest

from engine.annotate.geometry import Box
from engine.worker import kept_answer
from engine.worker.kept_answer import KeptAnswer


def _answer(classes: int, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    found = np.random.default_rng(0).random((classes, *size), np.float32)
    return found / found.sum(axis=0)


def _whole(kept: KeptAnswer) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    boxes, bands = zip(*kept.bands(), strict=True)
    assert [box.top for box in boxes] == [0, *(box.bottom for box in boxes[:-1])]
    return np.concatenate(bands, axis=1)


def test_a_small_image_is_kept_as_it_is() -> None:
    said = _answer(3, (20, 30))
    kept = KeptAnswer((20, 30), 3)
    assert not kept.is_whole
    kept.add(said, Box.of_size((20, 30)))
    assert kept.is_whole
    assert np.array_equal(_whole(kept), said.astype(np.float16).astype(np.float32))


def test_it_is_told_in_bands_a_cache_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_answer, "_BAND_NUMBERS", 3 * 30 * 7)
    said = _answer(3, (20, 30))
    kept = KeptAnswer((20, 30), 3)
    kept.add(said, Box.of_size((20, 30)))
    assert [box.height for box, _ in kept.bands()] == [7, 7, 6]
    assert _whole(kept) == pytest.approx(said, abs=1e-3)


def test_tiles_are_put_together_and_overlaps_are_their_mean() -> None:
    said = _answer(2, (10, 40))
    kept = KeptAnswer((10, 40), 2)
    kept.add(said[:, :, :24], Box(0, 0, 10, 24))
    assert not kept.is_whole
    other = 1 - said[:, :, 20:]
    kept.add(other, Box(0, 20, 10, 40))
    assert kept.is_whole
    found = _whole(kept)
    assert found[:, :, :20] == pytest.approx(said[:, :, :20], abs=1e-3)
    assert found[:, :, 20:24] == pytest.approx(0.5, abs=1e-3)
    assert found[:, :, 24:] == pytest.approx(other[:, :, 4:], abs=1e-3)


@pytest.mark.parametrize(("size", "classes"), [((3000, 4000), 11), ((700, 900), 200), ((40, 200_000), 2)])
def test_no_image_takes_more_than_its_share(size: tuple[int, int], classes: int) -> None:
    kept = KeptAnswer(size, classes)
    assert kept.size[0] * kept.size[1] <= 1.01 * kept_answer._MOST_PIXELS
    assert 2 * classes * kept.size[0] * kept.size[1] <= 1.01 * kept_answer._MOST_BYTES
    assert kept.size[0] * size[1] == pytest.approx(kept.size[1] * size[0], rel=0.05)


def test_a_large_image_is_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_answer, "_MOST_PIXELS", 100)
    said = np.repeat(np.repeat(_answer(2, (10, 10)), 4, axis=1), 4, axis=2)
    kept = KeptAnswer((40, 40), 2)
    assert kept.size == (10, 10)
    for top in (0, 20):
        for left in (0, 20):
            box = Box(top, left, top + 20, left + 20)
            assert not kept.is_whole
            kept.add(said[:, box.top : box.bottom, box.left : box.right], box)
    assert kept.is_whole
    assert _whole(kept) == pytest.approx(said[:, ::4, ::4], abs=1e-3)
