"""The quick model's head: class-balanced logistic regression, fitted anew to a bounded choice of samples.

With features x, brought to mean 0 and deviation 1 over the balanced samples, classes c and weights w that
give every class the same sum, the head minimises (Bishop: Pattern Recognition and Machine Learning, 2006,
section 4.3.4)

    - sum w log softmax(W x + b)_c + ridge |W|^2

by L-BFGS from zero (Nocedal and Wright: Numerical Optimization, 2006, chapter 7). It always begins at zero
and sees its samples in the same order, so that what comes out depends on the annotations of now alone: what
was taken back was never there, to the last bit. The number of samples is bounded, and with it the time.

Hand-made features x are lifted to (x, max(0, V x + v)) with fixed random V and v (Rahimi and Recht 2007; Cho
and Saul 2009; Huang et al. 2006). Those of the stages, texture and network, enter as they are: so the head is
applied to the coarse stages, and its scores are blended between their cells.

F features, D of them after lifting (hand-made, lifted, stages), K classes, n samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.quick.features import FEATURES, FeatureGrid, Stages, feature_grid, neighbours
from engine.quick.pretrained import stage_features

if TYPE_CHECKING:
    from torch import Tensor

_HIDDEN = 256
_SPREAD = 2.0
_RIDGE = 0.01
_SMALLEST_SPREAD = 0.02
_FARTHEST = 6.0
"""A feature this many deviations away says no more than that."""
_STEPS, _PAST = 30, 8
"""Steps of L-BFGS, and how many of them it remembers."""
_BLOCK = 8192
"""Cells lifted at once: 8 MB of numbers."""
_SEED = 20


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """Turns features into probabilities of classes.

    Attributes:
        classes: (K,) uint8 permanent class indices of the columns.
        matrix: (D, K) float32.
        offsets: (K,) float32.
        expected: (K,) float32 logarithms of how often a network expects each class that it is pooled with,
            see `engine.quick.joint`: all alike where it did not learn from the same labels.
        stages: What the features of images have to be made with.
    """

    classes: NDArray[np.uint8]
    matrix: NDArray[np.float32]
    offsets: NDArray[np.float32]
    expected: NDArray[np.float32]
    stages: Stages = stage_features

    @property
    def features(self) -> int:
        """F, those before lifting."""
        return len(self.matrix) - _HIDDEN

    def look(self, image: NDArray[np.uint8]) -> FeatureGrid:
        """Return the features of an (H, W, 3) uint8 RGB image as this model knows them."""
        return feature_grid(image, self.stages)

    def probabilities(self, values: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return (n, K) float32 with sum 1 over classes for (n, F) features."""
        return _softmax(self._scores(values), axis=1)

    def over(self, grid: FeatureGrid, first: int, last: int) -> NDArray[np.float32]:
        """Return (K, last - first, w) float32 probabilities of some rows of cells of an image."""
        height, width = grid.cells
        by_hand = grid.values[first:last].reshape(-1, FEATURES)
        scores = self._scores(by_hand).reshape(last - first, width, -1)
        start = FEATURES + _HIDDEN
        for stage in grid.stages:
            count, rows, columns = stage.shape
            coarse = _product(stage.reshape(count, -1).T, self.matrix[start : start + count]).reshape(
                rows, columns, -1
            )
            scores += _blended(_blended(coarse, height, first, last).swapaxes(0, 1), width).swapaxes(0, 1)
            start += count
        if start != len(self.matrix):
            raise ValueError(f"a model of {len(self.matrix)} features was asked about {start}")
        return _softmax(_planes(scores), axis=0)

    def _scores(self, values: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return (n, K) of (n, F) features, or of the hand-made ones of them alone."""
        scores = _scores_of_lifted(values[:, :FEATURES], self.matrix)
        others = values.shape[1] - FEATURES
        if others:
            start = FEATURES + _HIDDEN
            scores += _product(values[:, FEATURES:], self.matrix[start : start + others])
        scores += self.offsets
        return scores


def fitted(
    values: NDArray[np.float16], labels: NDArray[np.uint8], weights: NDArray[np.float64]
) -> Readout | None:
    """Return the head of these samples, or None where they are of fewer than two classes.

    Args:
        values: (n, F) float16 features.
        labels: (n,) uint8 permanent class indices.
        weights: (n,) float64, positive.
    """
    classes, channels = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        return None
    x = _lifted(values)
    share = (weights / np.bincount(channels, weights)[channels] / len(classes)).astype(np.float32)
    mean = share @ x
    x -= mean
    spread = np.sqrt(share @ np.square(x)) + np.float32(_SMALLEST_SPREAD)
    x /= spread
    np.clip(x, -_FARTHEST, _FARTHEST, out=x)
    matrix, offsets = _minimised(x, channels, share, len(classes))
    matrix /= spread[:, None]
    offsets -= (mean @ matrix).astype(np.float32)
    return Readout(classes.astype(np.uint8), matrix, offsets, np.zeros(len(classes), np.float32))


def _minimised(
    x: NDArray[np.float32], channels: NDArray[np.int64], share: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return W (D, K) and b (K,) at the minimum, or near it.

    Scores have classes as rows: sums over classes run along memory then, and the gradient's product reads
    the samples in their order.
    """
    import torch

    samples, wanted = torch.from_numpy(x), torch.from_numpy(channels)
    weight = torch.from_numpy(share)
    target = torch.nn.functional.one_hot(wanted, count).T.to(torch.float32).contiguous()
    # The offsets stand in the last row; they are not drawn to zero.
    theta = torch.zeros(x.shape[1] + 1, count)
    solver = torch.optim.LBFGS([theta], max_iter=_STEPS, history_size=_PAST, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        scores = torch.addmm(theta[-1], samples, theta[:-1])
        logs = torch.log_softmax(scores.T.contiguous(), dim=0)
        error = weight * (logs.exp() - target)
        slope = torch.mm(error, samples).T + 2 * _RIDGE * theta[:-1]
        theta.grad = torch.cat((slope, error.sum(1)[None]))
        return _RIDGE * theta[:-1].square().sum() - (weight * target * logs).sum()

    with torch.no_grad():
        solver.step(loss)
    found = theta.numpy()
    return np.ascontiguousarray(found[:-1]), np.ascontiguousarray(found[-1])


def _softmax(scores: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return probabilities along an axis, in place."""
    scores -= scores.max(axis=axis, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=axis, keepdims=True)
    return scores


def _planes(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (K, h, w) of (h, w, K): what follows goes plane by plane. torch turns blocks, numpy numbers."""
    import torch

    planes: NDArray[np.float32] = torch.from_numpy(scores).permute(2, 0, 1).contiguous().numpy()
    return planes


def _blended(
    coarse: NDArray[np.float32], count: int, first: int = 0, last: int | None = None
) -> NDArray[np.float32]:
    """Return (last - first, ...) of `count` finer rows between the coarse (rows, ...) ones."""
    before, behind, share = (one[first:last] for one in neighbours(count, len(coarse)))
    share = share.reshape(-1, *[1] * (coarse.ndim - 1))
    found: NDArray[np.float32] = coarse[before] * (1 - share) + coarse[behind] * share
    return found


def _random_layer() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return V (F, H) and v (H,): the same on every machine (numpy promises the stream of PCG64)."""
    rng = np.random.Generator(np.random.PCG64(_SEED))
    directions = rng.normal(size=(FEATURES, _HIDDEN)) * _SPREAD / np.sqrt(FEATURES)
    return directions.astype(np.float32), rng.uniform(-1, 1, _HIDDEN).astype(np.float32)


_DIRECTIONS, _OFFSETS = _random_layer()


def _hidden(by_hand: Tensor, room: Tensor | None = None) -> Tensor:
    """Return (n, H): max(0, V x + v) of (n, FEATURES) hand-made features, into `room` where that is given."""
    import torch

    directions, offsets = torch.from_numpy(_DIRECTIONS), torch.from_numpy(_OFFSETS)
    return torch.addmm(offsets, by_hand, directions, out=room).relu_()


def _lifted(values: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return (n, D) of (n, F) features."""
    import torch

    x = _as_float32(values)
    by_hand = x[:, :FEATURES]
    lifted: NDArray[np.float32] = torch.cat((by_hand, _hidden(by_hand), x[:, FEATURES:]), dim=1).numpy()
    return lifted


def _scores_of_lifted(values: NDArray[np.float16], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, K) scores of (n, FEATURES) features, lifted by blocks and never kept.

    All of it in a few calls of torch, which lets go of Python's lock in each: the window paints meanwhile.
    """
    import torch

    by_hand = torch.from_numpy(matrix[:FEATURES])
    hidden = torch.from_numpy(matrix[FEATURES : FEATURES + _HIDDEN])
    scores = torch.empty(len(values), matrix.shape[1])
    room = torch.empty(min(_BLOCK, len(values)), _HIDDEN)
    with torch.no_grad():
        for start in range(0, len(values), _BLOCK):
            x = _as_float32(values[start : start + _BLOCK])
            part = scores[start : start + _BLOCK]
            torch.mm(x, by_hand, out=part)
            part.addmm_(_hidden(x, room[: len(x)]), hidden)
    return scores.numpy()


def _product(left: NDArray[np.float16], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a matrix product, on as many threads as the worker allows torch.

    numpy takes all cores and waits for them busily: ten times slower as soon as anything else runs.
    """
    import torch

    product: NDArray[np.float32] = torch.mm(_as_float32(left), torch.from_numpy(right)).numpy()
    return product


def _as_float32(values: NDArray[np.float16]) -> Tensor:
    """Return features as float32; numpy would turn them one by one.

    By way of a copy, as torch wants no array that must not be written to.
    """
    import torch

    return torch.from_numpy(values.copy()).float()
