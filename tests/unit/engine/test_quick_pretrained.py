"""The quick model with the features of a network that knows ImageNet, and without them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.annotate.classes import UNLABELLED, Provenance
from engine.quick import head, pretrained, texture
from engine.quick.features import FEATURES, FeatureGrid, feature_grid, neighbours
from engine.quick.head import Readout, fitted
from engine.quick.model import QuickModel, _limits
from engine.quick.picture import parts
from engine.quick.pretrained import CHANNELS, seen_size, stage_features
from engine.quick.samples import labelled_cells
from models.backbone_configs import OutputStride, ResNetConfig, ResNetDepth
from models.backbones.resnet import ResNetBackbone
from tests.support.learning import BOX, GROUND, SKY, picture

CLASSES = (SKY, GROUND, BOX)


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "_network", lambda: None)


@pytest.fixture
def some_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of the right form that knows nothing; the published weights are nowhere in the tests."""
    config = ResNetConfig(depth=ResNetDepth.RESNET18, output_stride=OutputStride.STRIDE32, pretrained=False)
    torch.manual_seed(0)
    network = ResNetBackbone(config).eval()
    monkeypatch.setattr(pretrained, "_network", lambda: network)


def taught() -> QuickModel:
    model = QuickModel()
    for number in (0, 1, 2):
        image, labels = picture(number)
        annotation = np.full_like(labels, UNLABELLED)
        annotation[::5] = labels[::5]
        cells = labelled_cells(annotation, np.full_like(labels, Provenance.STROKE))
        model.learn(str(number), feature_grid(image), cells)
    return model


def agrees(model: QuickModel) -> float:
    image, labels = picture(9)
    readout = model.readout(CLASSES)
    assert readout is not None
    (whole,) = parts(feature_grid(image), readout, None)
    return float((whole.label_map == labels).mean())


@pytest.mark.usefixtures("no_weights")
def test_without_the_weights_hand_made_features_do() -> None:
    image, _ = picture(0)
    grid = feature_grid(image)
    assert len(grid.stages) == 1  # texture
    assert grid.at(np.arange(3)).shape == (3, FEATURES + texture.CHANNELS)
    assert agrees(taught()) > 0.85


def test_weights_that_are_not_on_the_computer_are_not_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_args, **_kwargs: pytest.fail("asked a server"))
    pretrained._network.cache_clear()
    try:
        assert stage_features(picture(0)[0]) == ()
    finally:
        pretrained._network.cache_clear()


@pytest.mark.usefixtures("some_weights")
def test_with_weights_every_stage_is_there_and_is_learnt_from() -> None:
    found = stage_features(picture(0)[0])
    assert tuple(len(stage) for stage in found) == CHANNELS
    for stage in found:
        assert stage.dtype == np.float16
        assert not stage.flags.writeable
    grid = feature_grid(picture(0)[0])
    assert grid.at(np.arange(3)).shape == (3, FEATURES + texture.CHANNELS + sum(CHANNELS))
    assert agrees(taught()) > 0.85


@pytest.mark.parametrize("size", [(1, 1), (9, 1), (360, 480), (724, 724), (1, 500_000), (500_000, 1)])
def test_what_the_network_sees_is_bounded_whatever_the_form(size: tuple[int, int]) -> None:
    height, width = seen_size(size)
    assert min(height, width) >= 32
    assert height * width <= 360 * 480


def test_middles_of_cells_lie_where_pictures_are_enlarged_to() -> None:
    before, behind, share = neighbours(4, 2)
    assert before.tolist() == [0, 0, 0, 1]
    assert behind.tolist() == [1, 1, 1, 1]
    assert share.tolist() == [0, 0.25, 0.75, 0]


def blank(stages: tuple[tuple[int, int, int], ...]) -> FeatureGrid:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(14, 18, FEATURES)).astype(np.float16)
    return FeatureGrid(values, (28, 36), tuple(rng.normal(size=one).astype(np.float16) for one in stages))


def test_an_image_at_once_gets_what_its_cells_get() -> None:
    grid = blank(((5, 7, 9), (3, 2, 3)))
    rng = np.random.default_rng(4)
    readout = Readout(
        np.arange(4, dtype=np.uint8),
        rng.normal(size=(FEATURES + head._HIDDEN + 8, 4)).astype(np.float32) * 0.02,
        rng.normal(size=4).astype(np.float32),
        np.zeros(4, np.float32),
    )
    cells = np.arange(14 * 18)
    one_by_one = readout.probabilities(grid.at(cells)).reshape(14, 18, 4).transpose(2, 0, 1)
    assert np.allclose(readout.over(grid, 0, 14), one_by_one, atol=2e-3)
    assert np.allclose(readout.over(grid, 5, 11), one_by_one[:, 5:11], atol=2e-3)


def test_every_class_weighs_the_same_and_painted_more_than_accepted() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(600, FEATURES + 4)).astype(np.float16)
    labels = np.r_[np.zeros(550), np.ones(50)].astype(np.uint8)
    values[labels == 1, 0] += 2
    readout = fitted(values, labels, np.ones(600))
    assert readout is not None
    chances = readout.probabilities(values)
    assert abs(chances[labels == 0, 1].mean() - chances[labels == 1, 0].mean()) < 0.05
    # The same place said to be both: whoever painted is right.
    twice = np.repeat(values[:2], 50, axis=0)
    said = np.tile(np.array([0, 1], np.uint8), 50)
    heavy = np.where(np.arange(100) < 50, np.where(said == 0, 1.0, 0.125), np.where(said == 1, 1.0, 0.125))
    judged = fitted(twice, said, heavy)
    assert judged is not None
    assert judged.probabilities(values[:2]).argmax(axis=1).tolist() == [0, 1]
    assert fitted(values[:9], np.zeros(9, np.uint8), np.ones(9)) is None


def test_images_share_what_is_learnt_of_a_class() -> None:
    few, many = np.zeros(10, np.uint8), np.zeros(1000, np.uint8)
    assert _limits([few, few], (0,))[0] >= 10
    shared = _limits([few, many, many], (0,))[0]
    assert 10 + 2 * shared <= 300 < 10 + 2 * (shared + 1)
    assert _limits([many], (1,))[0] == 0
    assert _limits([many] * 500, (0,))[0] == 1
