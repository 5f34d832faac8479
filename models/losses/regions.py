"""A lower bound of the mutual information of label and prediction regions (Zhao et al. 2019, section 3).

Every R x R neighbourhood of a map is one sample of a D-dimensional variable, D = R * R. What the prediction
leaves unexplained of the labels is the posterior covariance; half the logarithm of its determinant is the
quantity to make small.

B maps (one per image and class), h w their size, P = (h - R + 1)(w - R + 1) regions, y labels, q predictions.

The posterior covariance is computed as that of the residual y - F q of a ridge regression,

    F = S_yq (S_qq + e I)^-1,    M = S_yy - S_yq (S_qq + e I)^-1 S_qy = cov(y - F q) + e F F^T,

which is the published formula without its cancellation: M stays positive whatever the rounding, so its
factorisation cannot fail. The same residual gives the gradient, -(W F)^T (y - F q) with W = (M + e I)^-1, so
value and gradient come out of one pass over the regions.

Products are in float64. In float32 S_qq loses the digits that decide about a saturated prediction (an error
of 1e-7 * P against e = 5e-4), see `tests/bench`. The maps themselves stay float32, and regions are laid out
for a few maps at a time, so double precision costs neither much memory nor much time.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

RIDGE = 5e-4
"""e: added to the diagonal of both covariances."""

LOG_FLOOR = 1e-8
"""Added to the diagonal of the Cholesky factor before its logarithm."""

_CPU_BYTES = 4 << 20
_DEVICE_BYTES = 256 << 20


def floor_of(radius: int) -> float:
    """Returns the bound of a class that an image does not hold: the smallest value there is, for one map."""
    return radius * radius * math.log(math.sqrt(RIDGE) + LOG_FLOOR)


def region_bound(labels: Tensor, predictions: Tensor, radius: int, counted: Tensor | None = None) -> Tensor:
    """Returns (N, C) float64: half the log determinant of the posterior covariance; the less the better.

    Covariances are sums over regions, not means, as in the authors' code. Gradients flow to `predictions`
    only, once. Maps smaller than a region count as without regions.

    Args:
        labels: (N, C, h, w) share of every class in a place, 0..1, floating point.
        predictions: (N, C, h, w) probabilities.
        radius: R, edge of a region, at least 1.
        counted: (N, h, w) bool, places that may be part of a region that counts; None for all.
    """
    bound: Tensor = _bound_of(labels, predictions, radius, counted)
    return bound


def posterior_covariance(
    labels: Tensor, predictions: Tensor, radius: int, counted: Tensor | None = None
) -> Tensor:
    """Returns (N, C, D, D) float64: M + e I of every map. For looking at; arguments as in `region_bound`."""
    maps = _Maps(labels, predictions, radius, counted)
    found = [maps.solve(chunk).covariance for chunk in maps.chunks()]
    return torch.cat(found).view(*labels.shape[:2], radius * radius, radius * radius)


class _Solution:
    """The regression of a few maps: covariance (b, D, D), factor (b, D, D), residual and weights."""

    def __init__(self, covariance: Tensor, weights: Tensor, residual: Tensor) -> None:
        self.covariance = covariance
        self.weights = weights
        self.residual = residual
        self.factor = torch.linalg.cholesky_ex(covariance).L

    def bound(self) -> Tensor:
        """Returns (b,): half the log determinant."""
        diagonal: Tensor = self.factor.diagonal(dim1=-2, dim2=-1)
        return (diagonal + LOG_FLOOR).log().sum(-1)

    def gradient(self, size: tuple[int, int], radius: int) -> Tensor:
        """Returns (b, h, w): derivative of the bound by the predictions."""
        weighted = torch.cholesky_solve(self.weights, self.factor)
        by_region = torch.bmm(weighted.transpose(1, 2), self.residual).neg_()
        return F.fold(by_region, size, radius).squeeze(1)


class _Maps:
    """Label and prediction maps side by side, cut into chunks of which regions are laid out."""

    def __init__(self, labels: Tensor, predictions: Tensor, radius: int, counted: Tensor | None) -> None:
        images, classes, height, width = predictions.shape
        self.radius, self.size = radius, (height, width)
        self.pairs = torch.stack([labels, predictions], dim=2).view(images * classes, 2, height, width)
        self.counted = None if counted is None else self._region_counts(counted, classes)
        regions = (height - radius + 1) * (width - radius + 1)
        budget = _CPU_BYTES if predictions.device.type == "cpu" else _DEVICE_BYTES
        self._step = max(1, budget // (16 * radius * radius * max(1, regions)))

    def _region_counts(self, counted: Tensor, classes: int) -> Tensor:
        """Returns (N * C, P) float64: 1 where a region holds only places that may count."""
        blocked = F.max_pool2d((~counted)[:, None].double(), self.radius, stride=1)
        return (1.0 - blocked).flatten(1).repeat_interleave(classes, dim=0)

    def chunks(self) -> list[slice]:
        total = self.pairs.shape[0]
        return [slice(start, min(start + self._step, total)) for start in range(0, total, self._step)]

    def solve(self, chunk: slice) -> _Solution:
        dimensions = self.radius * self.radius
        maps = self.pairs[chunk].double()
        maps = maps - maps.mean((2, 3), keepdim=True)
        regions = F.unfold(maps, self.radius)
        if self.counted is None:
            number: Tensor | float = regions.shape[-1]
        else:
            regions *= self.counted[chunk, None]
            number = self.counted[chunk].sum(-1).clamp_(min=1)[:, None, None]
        means = regions.sum(-1, keepdim=True) / number
        regions -= means if self.counted is None else means * self.counted[chunk, None]
        labels, predictions = regions[:, :dimensions], regions[:, dimensions:]
        products = torch.bmm(predictions, regions.transpose(1, 2))
        identity = torch.eye(dimensions, dtype=torch.float64, device=regions.device)
        own = products[..., dimensions:] + RIDGE * identity
        weights = torch.cholesky_solve(products[..., :dimensions], torch.linalg.cholesky_ex(own).L)
        weights = weights.transpose(1, 2)
        residual = torch.baddbmm(labels, weights, predictions, alpha=-1)
        covariance = torch.baddbmm(RIDGE * identity, residual, residual.transpose(1, 2))
        return _Solution(
            covariance.baddbmm_(weights, weights.transpose(1, 2), alpha=RIDGE), weights, residual
        )


class _RegionBound(torch.autograd.Function):
    """Value and gradient in one pass; nothing but the gradient of the maps is kept."""

    @staticmethod
    def forward(ctx: Any, labels: Tensor, predictions: Tensor, radius: int, counted: Tensor | None) -> Tensor:
        maps = _Maps(labels, predictions, radius, counted)
        wanted = ctx.needs_input_grad[1]
        bounds, gradients = [], []
        for chunk in maps.chunks():
            solution = maps.solve(chunk)
            bounds.append(solution.bound())
            if wanted:
                gradients.append(solution.gradient(maps.size, radius).to(predictions.dtype))
        if wanted:
            ctx.save_for_backward(torch.cat(gradients).view_as(predictions))
        return torch.cat(bounds).view(predictions.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[None, Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return None, gradient * upstream[..., None, None].to(gradient.dtype), None, None


# Compiled code calls it as it stands: how the regions are cut into chunks is nothing to trace.
_bound_of: Any = torch.compiler.disable(_RegionBound.apply)
