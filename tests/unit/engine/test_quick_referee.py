"""Quick model and network together: their pool, and who of them is heard how much."""

import math

import numpy as np
import pytest

from engine.annotate.geometry import Box
from engine.quick.joint import Opinion, expected_of, likeliest, pooled
from engine.quick.referee import Referee, answers, losses, score


def test_the_pool_is_the_geometric_mean_over_the_classes_the_quick_model_knows() -> None:
    network = np.array([[0.5, 0.1], [0.2, 0.6], [0.3, 0.3]], np.float32)
    quick = np.array([[0.9, 0.5], [0.1, 0.5]], np.float32)
    channels, alike = np.array([2, 0]), np.zeros(2, np.float32)
    found = pooled(network, np.log(quick), channels, 0.25, alike)
    expected = network.copy()
    for place in range(2):
        scores = network[channels, place] ** 0.25 * quick[:, place] ** 0.75
        expected[channels, place] = scores / scores.sum() * network[channels, place].sum()
    assert found == pytest.approx(expected, rel=1e-5)
    assert found.sum(axis=0) == pytest.approx(network.sum(axis=0), rel=1e-5)
    assert pooled(network, np.log(quick), channels, 1.0, alike) == pytest.approx(network, rel=1e-5)


def test_what_a_network_expects_of_every_image_is_no_evidence() -> None:
    # Nine of ten labelled pixels are of the first class, and the network says so of every place.
    expected = expected_of(np.array([900.0, 100.0]))
    assert np.exp(expected) == pytest.approx([0.9, 0.1], abs=3e-3)
    network = np.array([[0.9, 0.8], [0.1, 0.2]], np.float32)
    quick = np.array([[0.4, 0.4], [0.6, 0.6]], np.float32)
    blind, sees = pooled(network, np.log(quick), np.arange(2), 0.5, expected).T
    alone = np.sqrt(quick[:, 0]) / np.sqrt(quick[:, 0]).sum()
    assert blind == pytest.approx(alone, abs=4e-3), "half as sure as the quick model, and no less"
    assert sees[1] > 0.6, "rarer than usual, though not expected: that speaks for the second class"
    assert (pooled(network, np.log(quick), np.arange(2), 0.5, 0 * expected)[0] > 0.6).all()
    asked = answers(network, quick, np.arange(2), 0.5, expected)
    assert asked.T[1] == pytest.approx(sees)


def test_a_class_of_a_few_pixels_is_not_expected_as_rarely_as_it_was_labelled() -> None:
    expected = expected_of(np.array([1e6, 1.0]))
    assert 300 < np.exp(expected[0] - expected[1]) < 600


def test_an_opinion_about_boxes_is_the_one_about_the_whole_image() -> None:
    rng = np.random.default_rng(1)
    alike = np.zeros(2, np.float32)
    said = Opinion.of(np.array([3, 7], np.uint8), rng.random((2, 6, 9), np.float32), (48, 70), alike)
    whole = said.over(Box(0, 0, 48, 70))
    box = Box(5, 11, 40, 64)
    assert said.over(box) == pytest.approx(whole[(slice(None), *box.slices)], abs=0.02)
    assert whole[:, 4, 4] == pytest.approx(said.chances[:, 0, 0], abs=0.3)


# --- referee


def scored(network: np.ndarray, labels: np.ndarray, pixels: np.ndarray, share: float = 1.0) -> float:
    every, alike = np.arange(len(network)), np.zeros(len(network), np.float32)
    return score(losses(network, network, every, share, alike, labels), labels, pixels)


def test_the_score_is_the_mean_over_classes_of_how_improbable_the_truth_was() -> None:
    labels, pixels = np.array([0, 0, 1]), np.array([1, 3, 5])
    unsure = np.full((2, 3), 0.5, np.float32)
    assert scored(unsure, labels, pixels) == pytest.approx(math.log(2), rel=1e-5)
    half = np.array([[0.5, 0.9, 0.1], [0.5, 0.1, 0.9]], np.float32)
    odds = 9**1.4  # the sharpest that is tried suits what is always right
    wanted = (math.log(2) / 4 + 3 / 4 * math.log(1 + 1 / odds) + math.log(1 + 1 / odds)) / 2
    assert scored(half, labels, pixels) == pytest.approx(wanted, rel=1e-4)
    assert scored(half[::-1].copy(), labels, pixels) > math.log(2)


def test_being_too_sure_of_the_right_order_costs_nothing() -> None:
    scores = np.random.default_rng(4).normal(size=(4, 400)).astype(np.float32)
    labels = (scores + np.random.default_rng(5).gumbel(size=scores.shape)).argmax(axis=0)
    calm, loud = (np.exp(by * scores) / np.exp(by * scores).sum(axis=0) for by in (1.0, 2.0))
    pixels = np.ones(400, np.int64)
    assert scored(loud, labels, pixels) == pytest.approx(scored(calm, labels, pixels), abs=0.01)


def test_two_that_say_the_same_score_the_same_in_every_share_whatever_nobody_painted() -> None:
    rng = np.random.default_rng(6)
    said = rng.dirichlet(np.full(3, 0.3), size=200).T.astype(np.float32)
    # Five more classes that nobody painted have a hundredth of the network's opinion.
    network = np.concatenate([0.99 * said, np.full((5, 200), 0.002, np.float32)])
    labels = (said + 0.5 * rng.random(said.shape)).argmax(axis=0)
    pixels = np.ones(200, np.int64)
    alone, *shares = (
        score(losses(network, said, np.arange(3), share, np.zeros(3, np.float32), labels), labels, pixels)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    assert shares == pytest.approx([alone - math.log(0.99)] * 4, abs=2e-3)


def test_a_class_only_the_network_knows_counts_as_it_says() -> None:
    network, quick = np.array([[0.2], [0.8]], np.float32), np.array([[1.0]], np.float32)
    labels, pixels = np.array([1]), np.array([1])
    first, alike = np.array([0]), np.zeros(1, np.float32)
    assert score(losses(network, quick, first, 0.5, alike, labels), labels, pixels) == pytest.approx(
        -math.log(0.8), rel=1e-5
    )
    assert score(losses(network, quick, first, 0.0, alike, labels), labels, pixels) > 9


def test_alone_the_network_is_scored_with_what_it_expects_and_in_the_pool_without() -> None:
    network = np.array([[0.9, 0.9], [0.1, 0.1]], np.float32)
    unsure = np.full((2, 2), 0.5, np.float32)
    labels, pixels, expected = np.array([0, 1]), np.ones(2, np.int64), np.log([0.9, 0.1]).astype(np.float32)
    alone, half = (
        score(losses(network, unsure, np.arange(2), share, expected, labels), labels, pixels)
        for share in (1.0, 0.5)
    )
    assert half == pytest.approx(math.log(2), abs=1e-4)
    assert alone > half + 0.05


def test_what_is_expected_of_both_together_is_worth_one_image() -> None:
    referee = Referee()
    referee.begin(network_has_learnt=True, came_trained=True)
    assert referee.handicap(1).tolist() == pytest.approx([0.1, 0.07, 0.04, 0.0, 0.05, 0.1])
    assert referee.handicap(4) == pytest.approx(referee.handicap(1) / 4)


@pytest.mark.parametrize(("images", "share"), [(1, 0.15), (5, 0.15), (7, 0.5), (40, 0.75)])
def test_a_network_that_learns_here_earns_more_than_a_sixth_by_many_images(images: int, share: float) -> None:
    referee = Referee()
    referee.begin(network_has_learnt=True, came_trained=True)
    referee.begin(network_has_learnt=False, came_trained=False)
    scores = np.array([2.5, 2.3, 2.2, 2.0, 1.8, 1.9]) + referee.handicap(images)
    for _ in range(8):
        earned = referee.judge(scores, referee.most(images))
        if earned is not None:
            referee.go_over(earned)
    assert referee.share == share


@pytest.mark.parametrize(("images", "share"), [(0, 0.15), (5, 0.15), (6, 0.5), (8, 1.0)])
def test_a_network_that_learnt_here_before_begins_with_all_it_may_have(images: int, share: float) -> None:
    referee = Referee()
    referee.begin(network_has_learnt=True, came_trained=False)
    assert min(referee.share, referee.most(images)) == share
    for_quick = np.array([1.5, 1.6, 1.7, 1.8, 1.9, 2.0])
    for_network = for_quick[::-1]
    assert referee.judge(for_network, referee.most(images)) is None
    assert referee.share == share, "what is judged is what is shown"
    assert referee.judge(for_quick, referee.most(images)) is None
    assert referee.judge(for_quick, referee.most(images)) == 0.0


def test_a_network_that_came_trained_may_have_the_whole_say_at_once() -> None:
    referee = Referee()
    referee.begin(network_has_learnt=True, came_trained=True)
    assert referee.most(1) == 1.0


def test_a_class_nobody_painted_is_the_networks_word_unless_the_quick_model_is_alone() -> None:
    network, quick = np.array([[0.2], [0.8]], np.float32), np.array([[1.0]], np.float32)
    channels, expected = np.array([0]), np.array([-3.0], np.float32)
    for share in (0.25, 0.5, 0.75, 1.0):
        assert answers(network, quick, channels, share, expected) == pytest.approx(network, rel=1e-5)
    assert answers(network, quick, channels, 0.0, expected).tolist() == [[1.0], [0.0]]


def test_the_networks_share_grows_in_steps_and_falls_at_once() -> None:
    referee = Referee()
    referee.begin(network_has_learnt=False, came_trained=False)
    for_network = np.array([2.0, 1.9, 1.8, 1.7, 1.6, 1.5])
    for_quick = for_network[::-1]
    assert referee.judge(np.array([2.0, 1.99, 2.1, 2.1, 2.1, 2.1])) is None, "not clearly better"
    assert referee.judge(for_network) is None, "once is chance"
    assert referee.judge(for_quick) is None, "the best there is already"
    assert referee.judge(for_network) is None
    assert referee.judge(for_network) == 0.15
    assert referee.share == 0.0, "earned, not yet done"
    assert referee.judge(for_network) is None, "who stays asks anew"
    referee.go_over(0.15)
    for share in (0.3, 0.5, 0.75, 1.0):
        assert referee.judge(for_network) is None
        earned = referee.judge(for_network)
        assert earned == share
        referee.go_over(earned)
    assert referee.judge(for_quick) is None
    assert referee.judge(for_quick) == 0.0
    referee.begin(network_has_learnt=True, came_trained=True)
    assert referee.share == 1.0


def test_a_little_better_with_every_step_is_clearly_better_in_the_end() -> None:
    referee = Referee()
    referee.begin(network_has_learnt=False, came_trained=False)
    slowly = np.array([2.0, 1.99, 1.98, 1.97, 1.96, 1.95])
    assert referee.judge(slowly) is None
    assert referee.judge(slowly) == 0.15
    over_a_hill = np.array([2.0, 2.1, 1.9, 1.8, 1.7, 1.6])
    referee.begin(network_has_learnt=False, came_trained=False)
    assert [referee.judge(over_a_hill) for _ in range(3)] == [None] * 3, "the next step would be worse"


def test_on_images_it_has_learnt_from_the_network_earns_half_at_most() -> None:
    referee = Referee()
    referee.begin(network_has_learnt=False, came_trained=False)
    for_network = np.array([2.0, 1.9, 1.8, 1.7, 1.6])
    for _ in range(10):
        earned = referee.judge(for_network, most=0.5)
        if earned is not None:
            referee.go_over(earned)
    assert referee.share == 0.5


def test_the_likeliest_class_is_the_first_of_the_largest() -> None:
    rng = np.random.default_rng(2)
    said = (rng.integers(0, 5, (6, 9, 11)) / 5).astype(np.float32)  # full of ties
    channel, largest = likeliest(said)
    assert np.array_equal(channel, said.argmax(axis=0))
    assert np.array_equal(largest, said.max(axis=0))
    assert channel.dtype == np.uint8
