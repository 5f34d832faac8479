"""Slips injected among honest labels come to the top of the list."""

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED, VOID, Provenance
from engine.annotate.geometry import Box
from engine.inspect.label_errors import Suspicion, labelled_regions, suspicions


def _regions(seed: int, slips: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """400 regions of five classes in 40 dimensions: features, classes given, classes true, chances."""
    draw = np.random.default_rng(seed)
    true = draw.integers(0, 5, 400)
    centres = draw.normal(size=(5, 40))
    features = centres[true] + draw.normal(size=(400, 40))
    given = true.copy()
    wrong = draw.choice(400, slips, replace=False)
    given[wrong] = (true[wrong] + draw.integers(1, 5, slips)) % 5
    chances = np.where(given == true, draw.uniform(0.4, 1.0, 400), draw.uniform(0.0, 0.5, 400))
    return features, given, true, chances


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_twenty_most_suspicious_are_mostly_slips(seed: int) -> None:
    features, given, true, chances = _regions(seed)
    scores = np.array([found.score for found in suspicions(features, given, chances=chances)])
    worst = np.argsort(-scores)[:20]
    assert (given[worst] != true[worst]).mean() >= 0.7
    assert ((scores >= 0.0) & (scores < 1.0)).all()


def test_the_class_suggested_for_a_slip_is_the_true_one() -> None:
    features, given, true, _ = _regions(3)
    found = suspicions(features, given + 7)
    wrong = given != true
    suggested = np.array([suspicion.suggested for suspicion in found]) - 7
    assert (suggested[wrong] == true[wrong]).mean() > 0.8
    assert (suggested != given).all()


def test_the_memory_of_the_network_is_heard_where_there_is_one() -> None:
    features, given, true, _ = _regions(4)
    memory = {index: features[true == index].mean(axis=0, keepdims=True) for index in range(5)}
    found = suspicions(features, given, memory=memory)
    distance = np.array([suspicion.distance for suspicion in found])
    assert distance[given != true].min() > np.median(distance[given == true])


def test_too_few_regions_or_one_class_accuse_nobody() -> None:
    features = np.random.default_rng(0).normal(size=(6, 3))
    for classes in (np.zeros(6, int), np.array([0, 1, 0])):
        assert all(found.score == 0.0 for found in suspicions(features[: len(classes)], classes))


def test_a_class_of_one_region_does_not_break_the_folds() -> None:
    features, given, _, _ = _regions(5)
    given[0] = 9
    found = suspicions(features, given)
    assert np.isfinite([suspicion.score for suspicion in found]).all()


def test_regions_are_what_people_painted_not_what_they_accepted() -> None:
    label = np.full((20, 30), UNLABELLED, np.uint8)
    origin = np.zeros((20, 30), np.uint8)
    label[2:8, 2:8], origin[2:8, 2:8] = 3, Provenance.STROKE
    label[2:8, 12:20], origin[2:8, 12:20] = 3, Provenance.ACCEPTED
    label[12:18, 2:10], origin[12:18, 2:10] = 1, Provenance.IMPORTED
    label[12:18, 20:28], origin[12:18, 20:28] = VOID, Provenance.STROKE
    label[0, 29], origin[0, 29] = 3, Provenance.STROKE  # a dot too small to judge
    found = labelled_regions("a.png", label, origin)
    assert [(region.class_index, region.box, region.pixels) for region, _ in found] == [
        (1, Box(12, 2, 18, 10), 48),
        (3, Box(2, 2, 8, 8), 36),
    ]
    for region, mask in found:
        assert mask.sum() == region.pixels
        assert mask[region.y - region.box.top, region.x - region.box.left]


def test_a_region_that_is_alone_with_its_class_is_neither_near_nor_far() -> None:
    features = np.eye(4, 6, dtype=np.float32)
    found = suspicions(features, np.array([1, 2, 3, 4]), images=np.zeros(4, int))
    assert [one.distance for one in found] == [0.5] * 4


def test_scores_tell_bad_from_worse() -> None:
    """Ten nats are not the whole of it: a list of nothing but 100 % would rank nothing for people."""
    scores = [Suspicion(loss, 0.5, 1.0, 0).score for loss in (0.0, 2.0, 10.0, 20.0)]
    assert scores == pytest.approx([0.0, 1 / 2, 5 / 6, 10 / 11])
