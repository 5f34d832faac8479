"""Attention over places of which many are alike, asked once per group of places.

What MCIBI's places answer depends on nothing but how they share in the classes, and large parts of an image
share alike. Places whose shares fall into the same cell of a grid form a group; a group answers once, with
the mean of its shares, and counts as often as it has places. The error is of second order in the width of the
grid. What a deletion changes is the difference of two such answers, added to the exact one, so that deleting
nothing changes nothing at all.

K classes, C channels, N groups, h w size of a feature map, P = h * w. One image.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.attention import AttentionBlock, places

MOST_GROUPS = 1536
"""Groups at most; with as few places every place may as well answer for itself."""

_GRIDS = (256, 128, 64, 32, 16, 8, 4)
"""Cells of the grid along the share of one class, finest first."""


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Places grouped by their shares in the classes.

    Attributes:
        shares: (N, K) float, mean of each group.
        counts: (N,) float, places of each group.
    """

    shares: Tensor
    counts: Tensor


def alike_places(shares: Tensor) -> Alike | None:
    """Groups places by their shares, as finely as `MOST_GROUPS` allow; the same shares give the same groups.

    Args:
        shares: (K, P) float in [0, 1].

    Returns:
        None where places are too few to gain by it, or too different.
    """
    if shares.shape[1] <= MOST_GROUPS:
        return None
    # Cells are told apart by a sum of random numbers: two cells of the same sum would need 2^32 places.
    signs = torch.randint(-(2**62), 2**62, (len(shares), 1), generator=torch.Generator().manual_seed(0))
    for grid in _GRIDS:
        codes = ((shares * grid).round().long() * signs).sum(dim=0)
        groups, group, counts = codes.unique(return_inverse=True, return_counts=True)
        if len(groups) <= MOST_GROUPS:
            sums = shares.new_zeros(len(groups), len(shares)).index_add_(0, group, shares.T.contiguous())
            return Alike(shares=sums / counts[:, None], counts=counts.to(shares.dtype))
    return None


class AlikeAnswers:
    """One attention of one image over a mixture of class vectors, ready to be asked without some classes.

    Args:
        attention: in evaluation.
        asking: (1, C, h, w), what gives the queries.
        alike: the places that answer.
        exact: (1, O, h, w), what the attention gives with all classes.
        vectors: (K, C) of the classes.
    """

    def __init__(
        self, attention: AttentionBlock, asking: Tensor, alike: Alike, exact: Tensor, vectors: Tensor
    ) -> None:
        self._attention = attention
        self._query = places(attention.query(asking))
        self._alike = alike
        self._vectors = vectors.to(asking.dtype)
        self._exact = exact
        self._counts = alike.counts.log().to(asking.dtype)
        self._all = self._answer(alike.shares, self._vectors)

    def without(self, deleted: Tensor) -> Tensor:
        """Returns (1, O, h, w) with nothing mixed in of classes (K,) bool."""
        return self._corrected(self._answer(self._alike.shares * ~deleted, self._vectors))

    def with_vectors(self, vectors: Tensor) -> Tensor:
        """Returns (1, O, h, w) with other vectors (K, C) mixed."""
        return self._corrected(self._answer(self._alike.shares, vectors.to(self._vectors.dtype)))

    def _corrected(self, changed: Tensor) -> Tensor:
        # The last layer of an attention is a ReLU: what it gives is never negative.
        return changed.sub_(self._all).add_(self._exact).relu_()

    def _answer(self, shares: Tensor, vectors: Tensor) -> Tensor:
        mixtures = (shares.to(vectors.dtype) @ vectors).T[None, :, :, None].contiguous()
        key, value = (places(part(mixtures)) for part in (self._attention.key, self._attention.value))
        # A group of n places weighs n times: exp(score + log n).
        counts = self._counts.expand(1, 1, self._query.shape[2], -1)
        mixed = F.scaled_dot_product_attention(self._query, key, value, attn_mask=counts)
        size = self._exact.shape[-2:]
        result: Tensor = self._attention.out(mixed.squeeze(1).transpose(1, 2).unflatten(2, size))
        return result
