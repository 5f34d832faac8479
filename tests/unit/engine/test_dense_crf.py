"""Dense CRF against a slow obvious version, and what it does to pictures."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.measure.dense_crf import CrfConfig, refined

CONFIG = CrfConfig(
    iterations=3, appearance=4.0, appearance_reach=5.0, color_reach=40.0, smoothness=2.0, smoothness_reach=1.5
)


def example(height: int, width: int, classes: int = 3) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    random = np.random.default_rng(height)
    image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    scores = np.exp(random.normal(size=(classes, height, width)))
    return image, (scores / scores.sum(axis=0)).astype(np.float32)


def slow(
    image: NDArray[np.uint8], probabilities: NDArray[np.float32], config: CrfConfig
) -> NDArray[np.float64]:
    """Pixel by pixel, pair by pair, as the paper's algorithm 1 says."""
    classes, height, width = probabilities.shape
    cells = [(y, x) for y in range(height) for x in range(width)]

    def near(a: tuple[int, int], b: tuple[int, int], reach: float) -> float:
        return ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (2 * reach**2)

    def alike(a: tuple[int, int], b: tuple[int, int]) -> float:
        difference = image[a].astype(float) - image[b].astype(float)
        return float((difference**2).sum()) / (2 * config.color_reach**2)

    kernels = [
        (config.appearance, lambda a, b: math.exp(-near(a, b, config.appearance_reach) - alike(a, b))),
        (config.smoothness, lambda a, b: math.exp(-near(a, b, config.smoothness_reach))),
    ]
    norms = [{a: sum(k(a, b) for b in cells if b != a) for a in cells} for _, k in kernels]
    found = {a: probabilities[:, a[0], a[1]].astype(float) for a in cells}
    for _ in range(config.iterations):
        new = {}
        for a in cells:
            cost = -np.log(probabilities[:, a[0], a[1]].astype(float))
            for (weight, kernel), norm in zip(kernels, norms, strict=True):
                for b in cells:
                    if b == a:
                        continue
                    heard = weight * kernel(a, b) / math.sqrt(norm[a] * norm[b])
                    for label in range(classes):
                        # Potts: every other class than the neighbour's costs.
                        cost[label] += heard * (found[b].sum() - found[b][label])
            powers = np.exp(-(cost - cost.min()))
            new[a] = powers / powers.sum()
        found = new
    return np.stack([found[a] for a in cells], axis=1).reshape(classes, height, width)


def test_it_is_the_slow_obvious_one() -> None:
    image, probabilities = example(4, 5)
    np.testing.assert_allclose(
        refined(image, probabilities, CONFIG), slow(image, probabilities, CONFIG), atol=2e-5
    )


@pytest.mark.parametrize("size", [(6, 7), (90, 70), (1, 1), (1, 200)])
def test_no_round_changes_nothing_and_every_round_leaves_distributions(size: tuple[int, int]) -> None:
    image, probabilities = example(*size)
    same = refined(image, probabilities, CrfConfig(iterations=0, edge=16))
    np.testing.assert_allclose(same, probabilities, atol=1e-5)
    found = refined(image, probabilities, CrfConfig(iterations=2, edge=16))
    assert found.shape == probabilities.shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=0), 1.0, atol=1e-5)


def test_doubtful_pixels_go_with_their_colour() -> None:
    """Two halves in two colours, doubted here and there: what is doubted goes with the half."""
    image = np.zeros((80, 120, 3), np.uint8)
    image[:, 60:] = 220
    truth = np.zeros((80, 120), int)
    truth[:, 60:] = 1
    wrong = np.random.default_rng(0).random((80, 120)) < 0.2
    said = np.where(wrong, 1 - truth, truth)
    probabilities = np.where(np.stack([said == 0, said == 1]), 0.7, 0.3).astype(np.float32)
    found = refined(image, probabilities, CrfConfig(edge=60)).argmax(axis=0)
    assert (found == truth).mean() > 0.99
    # The edge between the colours stays where it is.
    assert (found[:, 58:62] == truth[:, 58:62]).mean() > 0.95
