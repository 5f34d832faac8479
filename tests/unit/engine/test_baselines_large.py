"""Baselines on images too large to be looked at in one go: the same answers, piece by piece."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.measure.baselines import forest, networks
from tests.support.robot import COLORS, blobs


def test_a_filter_bank_in_bands_is_that_of_the_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skimage", reason="the filter bank is made of it: maskloop[robot]")
    image = np.random.default_rng(0).integers(0, 256, (210, 24, 3)).astype(np.uint8)
    whole = forest.filter_bank(image)
    parts = list(forest.bands(image, 32))
    assert [part.start for part, _ in parts] == list(range(0, 210, 32))
    np.testing.assert_allclose(np.concatenate([features for _, features in parts]), whole, atol=1e-5)
    rows = np.asarray([3, 40, 209])
    assert [part.start for part, _ in forest.bands(image, 32, rows)] == [0, 32, 192]
    monkeypatch.setattr(forest, "_WHOLE", 100)
    monkeypatch.setattr(forest, "_BLOCK", 32 * 24)
    bank = forest._Bank()
    np.testing.assert_allclose(
        bank.at("a", image, rows, np.asarray([0, 5, 9])), whole[rows, [0, 5, 9]], atol=1e-5
    )
    assert not bank._kept, "features of large images are not kept"


def test_features_are_kept_within_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def bank(image: np.ndarray) -> np.ndarray:
        made.append(int(image[0, 0, 0]))
        return np.zeros((*image.shape[:2], 62), np.float32)

    monkeypatch.setattr(forest, "filter_bank", bank)
    monkeypatch.setattr(forest, "_CACHED_BYTES", 2 * 10 * 10 * 62 * 4)
    kept = forest._Bank()
    for place in (0, 1, 0, 2, 0, 1):
        image = np.full((10, 10, 3), place, np.uint8)
        assert [part for part, _ in kept.of(str(place), image)] == [slice(0, 10)]
    assert made == [0, 1, 2, 1], "the two looked at last are at hand"


class _Near(nn.Module):
    """Logits from a pixel and its neighbours."""

    def forward(self, image: Tensor) -> Tensor:
        near = nn.functional.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
        return torch.cat((near, -near[:, :1]), dim=1) * 9.0


def test_networks_predict_large_images_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    image = COLORS[blobs(2)]
    channels, confidence = networks._predicted(_Near(), image)
    asked: list[tuple[int, ...]] = []
    answer = networks._answer

    def noted(net: nn.Module, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(part.shape[:2])
        return answer(net, part)

    monkeypatch.setattr(networks, "_answer", noted)
    monkeypatch.setattr(networks, "_WHOLE", 1000)
    monkeypatch.setattr(networks, "_TILE", 40)
    monkeypatch.setattr(networks, "_AROUND", 4)
    tiled, sure = networks._predicted(_Near(), image)
    assert len(asked) == 9
    assert max(max(shape) for shape in asked) <= 48
    assert (tiled == channels).all()
    np.testing.assert_allclose(sure, confidence, atol=1e-6)
