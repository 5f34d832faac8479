"""The quick model's head: class-balanced ridge regression on fixed random features, from sums alone.

A cell's features x are lifted to phi(x) = (1, x, max(0, W x + b)) with fixed random W and b (random features
of the arc-cosine kind: Rahimi and Recht 2007; Cho and Saul 2009; Huang et al. 2006). For every class c the
head keeps A_c = sum w phi phi^T, s_c = sum w phi and N_c = sum w over its samples. With every class weighing
the same, the regression of "is it class c" on phi is

    (sum_c A_c / N_c + ridge) M = (s_1 / N_1, ..., s_K / N_K)

so that a changed annotation costs what has changed, not what there is, and classes may come, go and change
places without learning anew.

The sums are exact. Features are multiples of 2**-6, W of 2**-7, so that W x has no rounding error in float32
whatever the order of its terms; phi is then rounded to multiples of 2**-9 up to 2**5 and weights are
multiples of 2**-3, so that every partial sum of up to 2**22 samples fits a float64. Adding and subtracting
in any order gives the same bits, and what was taken out has left nothing behind.

D length of phi, F features, K classes, n samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.quick.features import FEATURES

_HIDDEN = 512
_SPREAD = 2.0
_RIDGE = 1e-3
_SHARPNESS = 6.0
_STEPS = 128.0
_GRAIN, _LIMIT = np.float32(512), np.float32(32)
_BLOCK = 1024
"""Cells lifted at once: few enough for a processor's cache."""
_SEED = 20


@dataclass(slots=True, eq=False)
class _Sums:
    """Sums over the samples of one class: (D, D), (D,) and a number, all float64."""

    products: NDArray[np.float64]
    vector: NDArray[np.float64]
    weight: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """Turns features into probabilities of classes.

    Attributes:
        classes: (K,) uint8 permanent class indices of the columns.
        matrix: (D, K) float32.
    """

    classes: NDArray[np.uint8]
    matrix: NDArray[np.float32]

    def probabilities(self, values: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return (n, K) float32 with sum 1 over classes for (n, F) features."""
        scores = np.empty((len(values), len(self.classes)), np.float32)
        for start in range(0, len(values), _BLOCK):
            block = slice(start, start + _BLOCK)
            scores[block] = _product(_lifted(values[block]), self.matrix)
        scores *= np.float32(_SHARPNESS)
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def labels(self, values: NDArray[np.float16]) -> NDArray[np.uint8]:
        """Return (n,) uint8, the most probable permanent class index of (n, F) features."""
        found: NDArray[np.uint8] = self.classes[self.probabilities(values).argmax(axis=1)]
        return found


class QuickHead:
    """Sums per class; samples are added and subtracted, and a readout is solved for whenever it is wanted."""

    def __init__(self) -> None:
        self._sums: dict[int, _Sums] = {}

    @property
    def classes(self) -> tuple[int, ...]:
        """Permanent indices of the classes that have samples, ascending."""
        return tuple(sorted(index for index, sums in self._sums.items() if sums.weight > 0))

    def add(
        self,
        values: NDArray[np.float16],
        labels: NDArray[np.uint8],
        weights: NDArray[np.float64],
        *,
        sign: int = 1,
    ) -> None:
        """Take samples in, or out again.

        Args:
            values: (n, F) float16 features.
            labels: (n,) uint8 permanent class indices.
            weights: (n,) float64, multiples of 1/8.
            sign: 1 adds; -1 subtracts what was added before.
        """
        for index in np.unique(labels):
            chosen = labels == index
            lifted = _rounded(_lifted(values[chosen])).astype(np.float64)
            weighted = lifted * (sign * weights[chosen])[:, None]
            sums = self._sums.get(int(index))
            if sums is None:
                length = lifted.shape[1]
                sums = self._sums[int(index)] = _Sums(np.zeros((length, length)), np.zeros(length))
            sums.products += weighted.T @ lifted
            sums.vector += weighted.sum(axis=0)
            sums.weight += float((sign * weights[chosen]).sum())
            if sums.weight <= 0:
                del self._sums[int(index)]

    def solve(self, classes: tuple[int, ...]) -> Readout | None:
        """Return the readout of the samples of now, or None while there are fewer than two classes.

        Args:
            classes: Permanent indices that count; samples of other classes are passed over.
        """
        known = [index for index in self.classes if index in classes]
        if len(known) < 2:
            return None
        sums = [self._sums[index] for index in known]
        products = sum((one.products / one.weight for one in sums), np.zeros_like(sums[0].products))
        vectors = np.stack([one.vector / one.weight for one in sums], axis=1)
        ridge = _RIDGE * len(known) * np.trace(products) / len(products)
        products[np.diag_indices_from(products)] += ridge
        matrix = np.linalg.solve(products, vectors)
        return Readout(np.array(known, np.uint8), matrix.astype(np.float32))

    def without(
        self, values: NDArray[np.float16], labels: NDArray[np.uint8], weights: NDArray[np.float64]
    ) -> QuickHead:
        """Return a head that never saw these samples; this one stays as it is."""
        other = QuickHead()
        other._sums = {
            index: _Sums(sums.products.copy(), sums.vector.copy(), sums.weight) if index in labels else sums
            for index, sums in self._sums.items()
        }
        other.add(values, labels, weights, sign=-1)
        return other


def _random_layer() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return W (F, H) and b (H,): the same on every machine (numpy promises the stream of PCG64)."""
    rng = np.random.Generator(np.random.PCG64(_SEED))
    directions = rng.normal(size=(FEATURES, _HIDDEN)) * _SPREAD / np.sqrt(FEATURES)
    offsets = rng.uniform(-1, 1, _HIDDEN)
    return _stepped(directions), _stepped(offsets)


def _stepped(values: NDArray[np.float64]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = (np.rint(values * _STEPS) / _STEPS).astype(np.float32)
    return result


_DIRECTIONS, _OFFSETS = _random_layer()


def _lifted(values: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return phi, (n, D) float32, of (n, F) features."""
    x = values.astype(np.float32)
    lifted = np.empty((len(x), 1 + FEATURES + _HIDDEN), np.float32)
    lifted[:, 0] = 1
    lifted[:, 1 : 1 + FEATURES] = x
    hidden = _product(x, _DIRECTIONS)
    hidden += _OFFSETS
    np.maximum(hidden, 0, out=lifted[:, 1 + FEATURES :])
    return lifted


def _product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a matrix product, on as many threads as the worker allows torch.

    numpy takes all cores and waits for them busily: ten times slower as soon as anything else runs.
    """
    import torch

    product: NDArray[np.float32] = torch.mm(torch.from_numpy(left), torch.from_numpy(right)).numpy()
    return product


def _rounded(lifted: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values in steps of 1/512 within -32..32."""
    result: NDArray[np.float32] = np.clip(np.rint(lifted * _GRAIN) / _GRAIN, -_LIMIT, _LIMIT)
    return result
