import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.config import AugmentConfig
from engine.learn.augment import augment
from engine.learn.pool import Crop
from tests.support.learning import picture

NOTHING = AugmentConfig(
    flip=False, flip_vertical=False, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0
)


def _crop() -> Crop:
    image, labels = picture(0)
    return Crop(image=image, label_map=labels, provenance=(labels % 4).astype(np.uint8))


def test_nothing_asked_for_changes_nothing() -> None:
    crop = _crop()
    result = augment(crop, NOTHING, np.random.default_rng(0))
    assert (result.image == crop.image).all()
    assert (result.label_map == crop.label_map).all()


@given(st.integers(0, 2**32))
def test_geometry_moves_all_layers_alike(seed: int) -> None:
    labels = picture(1)[1]
    crop = Crop(image=np.stack([labels] * 3, -1), label_map=labels, provenance=labels)
    config = dataclasses.replace(NOTHING, flip=True, flip_vertical=True)
    result = augment(crop, config, np.random.default_rng(seed))
    assert (result.image[..., 1] == result.label_map).all()
    assert (result.provenance == result.label_map).all()
    ways = [labels, labels[:, ::-1], labels[::-1], labels[::-1, ::-1]]
    assert any((result.label_map == way).all() for way in ways)


@given(st.integers(0, 2**32))
def test_colour_leaves_labels_and_the_original_alone(seed: int) -> None:
    crop = _crop()
    before = crop.image.copy()
    result = augment(
        crop, dataclasses.replace(AugmentConfig(hue=0.5), flip=False), np.random.default_rng(seed)
    )
    assert result.label_map is crop.label_map
    assert (crop.image == before).all()
    assert result.image.dtype == np.uint8
    assert result.image.shape == crop.image.shape


def test_colour_changes_are_as_strong_as_asked() -> None:
    grey = np.full((8, 8, 3), 128, np.uint8)
    labels = np.zeros((8, 8), np.uint8)
    crop = Crop(image=grey, label_map=labels, provenance=labels)
    config = dataclasses.replace(NOTHING, brightness=0.1)
    means = [augment(crop, config, np.random.default_rng(seed)).image.mean() for seed in range(50)]
    assert 128 - 26.5 <= min(means) < 128 - 10
    assert 128 + 10 < max(means) <= 128 + 26.5


def test_choices_repeat_with_the_seed() -> None:
    crop = _crop()
    one, two = (augment(crop, AugmentConfig(), np.random.default_rng(5)) for _ in range(2))
    assert (one.image == two.image).all()
