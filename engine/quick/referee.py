"""How much of what is shown is the network's: as much as suits what people painted best. Pure, no torch.

What both models say is pooled in a few shares (`engine.quick.joint`), and each share is scored by how
probable it finds what people said: the mean over their classes of the negative logarithm of that probability.
Counting right and wrong answers instead would be a matter of luck with the few strokes there are at first.

One or two images tell little of the folder, however many strokes are on them, and these lie where the picture
was wrong when they were made, so that they speak for whoever was not on it. So the strokes speak against an
expectation, worth as much as one image: that both together do better than either alone (Genest and Zidek
1986, section 3), and a network that learns from this project's strokes only with a sixth of the say.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.quick.joint import found_in, logarithms, pooled

SHARES = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0)
"""Shares of the network that are tried: from the quick model alone to the network alone."""

_LEAD = 0.02
"""By how much another share must be better, in natural logarithms, so that nothing flutters."""
_CAME_TRAINED = (0.1, 0.07, 0.04, 0.0, 0.05, 0.1)
_LEARNS_HERE = (0.05, 0.0, 0.05, 0.1, 0.2, 0.3)
"""By how much each share is expected to be worse than the best one, in natural logarithms."""
_MOST = ((6, 0.15), (8, 0.5))
"""Below so many held-out images, such a network earns this share at most."""
_AS_GOOD = 0.01
"""Of shares that differ by no more than this the smallest is the best: what adds nothing has no more say."""
_SHARPNESS = (0.3, 0.5, 0.7, 1.0, 1.4)
"""Inverse temperatures that are tried."""
_PATIENCE = 2
"""Verdicts in a row for more, or for less of the network it takes."""


class Referee:
    """Remembers the network's share and changes it only where another one is clearly better.

    The network begins alone where it came trained, and with all it may have where it has learnt here before;
    the quick model does where it has not. The network's share grows a step at a time: strokes lie where the
    picture on screen was wrong, so that they speak for whoever is not on it yet. It falls at once.
    """

    def __init__(self) -> None:
        self.begin(network_has_learnt=False, came_trained=False)

    def begin(self, *, network_has_learnt: bool, came_trained: bool) -> None:
        """Begin with a network that was just opened.

        Args:
            network_has_learnt: Whether it has learnt anything.
            came_trained: Whether it learnt that elsewhere.
        """
        self.share = 1.0 if network_has_learnt else 0.0
        self._verdicts = 0
        self._learns_here = not came_trained

    def judge(self, scores: NDArray[np.float64], most: float = 1.0) -> float | None:
        """Take in what every share scores on the same places; return one that has earned to be shown.

        It is shown from `go_over` on; without that it has to earn it anew.

        Args:
            scores: (len(SHARES),) what `score` returns for each, with its `handicap`; less is better.
            most: Largest share that may be earned.
        """
        if self._learns_here:
            self.share = min(self.share, most)
        now = SHARES.index(self.share)
        allowed = [number for number, share in enumerate(SHARES) if share <= max(most, self.share)]
        least = min(float(scores[number]) for number in allowed)
        best = next(number for number in allowed if scores[number] <= least + _AS_GOOD)
        # The lead is that of the best share: steps that each add a little add up to a lot.
        lead = float(scores[now] - scores[best])
        best = min(best, now + 1)
        if best == now or lead < _LEAD or scores[best] > scores[now]:
            self._verdicts = 0
            return None
        direction = 1 if best > now else -1
        self._verdicts = self._verdicts + direction if self._verdicts * direction > 0 else direction
        if abs(self._verdicts) < _PATIENCE:
            return None
        self._verdicts = 0
        return SHARES[best]

    def handicap(self, images: int) -> NDArray[np.float64]:
        """Return (len(SHARES),) what is added to the scores of shares that some images gave.

        Args:
            images: How many images gave them, at least one.
        """
        return np.array(_LEARNS_HERE if self._learns_here else _CAME_TRAINED) / images

    def most(self, images: int) -> float:
        """Return the largest share that what some held-out images say can earn.

        The quick model is asked without these images and shown with them. Where there are few, that is a
        large part of all it knows, so that a network that learns here only looks better than it is.
        """
        if not self._learns_here:
            return 1.0
        return next((most for fewest, most in _MOST if images < fewest), 1.0)

    def go_over(self, share: float) -> None:
        """Show another share from now on."""
        self.share = share
        self._verdicts = 0


def answers(
    network: NDArray[np.float32],
    quick: NDArray[np.float32],
    channels: NDArray[np.int64],
    share: float,
    expected: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return what a share says of some places.

    Args:
        network: (K, n) float32 probabilities.
        quick: (k, n) float32 probabilities.
        channels: (k,) which channels of the network these are.
        share: The network's share; 0 is the quick model alone, which knows its own classes only.
        expected: (k,) float32 logarithms of how often the network expects each of these classes.

    Returns:
        (K, n) float32 probabilities.
    """
    if share == 1:
        return network
    if share > 0:
        return pooled(network, logarithms(quick), channels, share, expected)
    alone = np.zeros_like(network)
    alone[channels] = quick
    return alone


def losses(
    network: NDArray[np.float32],
    quick: NDArray[np.float32],
    channels: NDArray[np.int64],
    share: float,
    expected: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return how improbable a share found what people said of some places, at a few temperatures.

    A model that is too sure, or not sure enough, of what it rightly prefers shall not lose by that, for the
    picture is what it prefers (Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML
    2017, section 4.2). Only the classes that the quick model knows are made flatter or steeper among each
    other: what the network gives to all others stays as it is, or most would go to what nobody painted.

    Args:
        network: (K, n) float32 probabilities.
        quick: (k, n) float32 probabilities.
        channels: (k,) which channels of the network these are.
        share: The network's share; alone, what it expects is part of what it says.
        expected: (k,) float32 logarithms of how often the network expects each of these classes.
        labels: (n,) channel of what people said of each place.

    Returns:
        (T, n) negative logarithms of its probability.
    """
    places = np.arange(len(labels))
    # Alone, the quick model knows of nothing else.
    said = network if share > 0 else np.zeros_like(network)
    known = said[channels].sum(axis=0) if share > 0 else np.ones(len(labels), np.float32)
    found_here = logarithms(network[channels]) if share == 1 else found_in(network[channels], expected)
    together = np.float32(share) * found_here + np.float32(1 - share) * logarithms(quick)
    row = np.full(len(network), -1)
    row[channels] = np.arange(len(channels))
    found = np.tile(logarithms(said[labels, places]), (len(_SHARPNESS), 1))
    those = row[labels] >= 0
    for lost, sharpness in zip(found, _SHARPNESS, strict=True):
        scaled = sharpness * together
        scaled -= scaled.max(axis=0)
        sums = np.exp(scaled).sum(axis=0)
        chances = known * np.exp(scaled[row[labels], places]) / sums
        lost[those] = logarithms(chances)[those]
    return -found


def score(lost: NDArray[np.float32], labels: NDArray[np.int64], pixels: NDArray[np.int64]) -> float:
    """Return the mean over classes of what they lost, at the best temperature.

    Args:
        lost: (T, n) as `losses` returns them.
        labels: (n,) channel of what people said of each place, at least one.
        pixels: (n,) how many pixels each place stands for.
    """
    weights = np.bincount(labels, pixels)
    present = weights > 0
    means = [np.bincount(labels, pixels * one)[present] / weights[present] for one in lost]
    return min(float(mean.mean()) for mean in means)
