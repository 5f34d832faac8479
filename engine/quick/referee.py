"""Who is shown, quick model or network: whoever is right more often where people spoke. Pure, no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TO_NETWORK, _TO_QUICK = 0.08, 0.04
"""By how much the other one must be better, in mIoU, so that nothing flutters. The way to the network is
longer: strokes lie where the quick model on screen was wrong, and the one that is asked is much like it."""
_PATIENCE = 2
"""Verdicts in a row it takes to go over."""


class Referee:
    """Remembers who is shown and goes over to the other one only where that is clearly better.

    The network begins where it has learnt already, as from a checkpoint; the quick model does where it has
    not. Both begin again with `begin`.
    """

    def __init__(self) -> None:
        self.prefers_network = False
        self._verdicts = 0

    def begin(self, *, network_has_learnt: bool) -> None:
        """Begin with a network that was just opened."""
        self.prefers_network = network_has_learnt
        self._verdicts = 0

    def judge(self, quick: float, network: float) -> bool:
        """Take in what both score on the same pixels; return whether the other one has earned to be shown.

        It is shown from `go_over` on; without that it has to earn it anew.
        """
        lead = quick - network if self.prefers_network else network - quick
        if lead < (_TO_QUICK if self.prefers_network else _TO_NETWORK):
            self._verdicts = 0
            return False
        self._verdicts += 1
        if self._verdicts < _PATIENCE:
            return False
        self._verdicts = 0
        return True

    def go_over(self) -> None:
        """Show the other one from now on."""
        self.prefers_network = not self.prefers_network
        self._verdicts = 0


def agreement(
    labels: NDArray[np.uint8], predicted: NDArray[np.uint8], pixels: NDArray[np.int64]
) -> float | None:
    """Return the mean over the classes in `labels` of intersection over union; None without any.

    Args:
        labels: (n,) what people said of some places, permanent class indices.
        predicted: (n,) what was predicted there.
        pixels: (n,) how many pixels each place stands for.
    """
    if not len(labels):
        return None
    hits = np.bincount(labels, np.where(labels == predicted, pixels, 0), 256)
    said, seen = np.bincount(labels, pixels, 256), np.bincount(predicted, pixels, 256)
    present = said > 0
    return float((hits[present] / (said + seen - hits)[present]).mean())
