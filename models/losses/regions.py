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

Products are in float64, because in float32 S_qq loses the digits that stand against e, the more the larger
the maps. Measured against float64: maps of 129 x 129 from logits up to 5: value 1e-7, gradient 1e-5; 512 x
512 maps of 0.2 and 0.8: value 7e-4, gradient 1e-2; saturated predictions: gradient 0.23 on 128 x 128 and 6
on 512 x 512 (all relative). The maps stay float32, and regions are laid out for a few maps at a time, so
that double precision costs little memory.
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
    """Returns (N, C): half the log determinant of the posterior covariance; the less the better.

    Covariances are sums over regions, not means, as in the authors' code. The gradient flows to `predictions`
    only, and once. Maps have at least R places along each axis. The result is float64, but float32 on MPS.

    Args:
        labels: (N, C, h, w) share of every class in a place, 0..1, floating point.
        predictions: (N, C, h, w) probabilities.
        radius: R, edge of a region, at least 1.
        counted: (N, h, w) bool, places that may be part of a region that counts; None for all.
    """
    if predictions.device.type == "mps":
        # There is no float64 there; the pooled maps are small enough to be sent to the processor and back.
        counted = None if counted is None else counted.cpu()
        on_cpu = region_bound(labels.cpu(), predictions.cpu(), radius, counted)
        return on_cpu.float().to(predictions.device)
    bound: Tensor = _bound_of(labels, predictions, radius, counted)
    return bound


def posterior_covariance(
    labels: Tensor, predictions: Tensor, radius: int, counted: Tensor | None = None
) -> Tensor:
    """Returns (N, C, D, D) float64: M + e I of every map. For looking at; arguments as in `region_bound`."""
    regions = _counted_regions(counted, radius, labels.shape[1])
    maps = _Maps(labels.flatten(0, 1), predictions.flatten(0, 1), radius, regions)
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

    def gradient(self, size: torch.Size, radius: int) -> Tensor:
        """Returns (b, h, w): derivative of the bound by the predictions."""
        weighted = torch.cholesky_solve(self.weights, self.factor)
        by_region = torch.bmm(weighted.transpose(1, 2), self.residual).neg_()
        return F.fold(by_region, size, radius).squeeze(1)


class _Maps:
    """Label and prediction maps, b of them, cut into chunks of which regions are laid out."""

    def __init__(self, labels: Tensor, predictions: Tensor, radius: int, counted: Tensor | None) -> None:
        height, width = predictions.shape[-2:]
        self._pairs = torch.stack([labels, predictions], dim=1)
        self._radius, self._counted = radius, counted
        regions = (height - radius + 1) * (width - radius + 1)
        budget = _CPU_BYTES if predictions.device.type == "cpu" else _DEVICE_BYTES
        self._step = max(1, budget // (16 * radius * radius * max(1, regions)))

    def chunks(self) -> list[slice]:
        """Returns which maps to take together."""
        total = self._pairs.shape[0]
        return [slice(start, min(start + self._step, total)) for start in range(0, total, self._step)]

    def solve(self, chunk: slice) -> _Solution:
        """Returns the regression of labels on predictions, map by map."""
        dimensions = self._radius * self._radius
        regions = self._centred_regions(chunk)
        labels, predictions = regions[:, :dimensions], regions[:, dimensions:]
        products = torch.bmm(predictions, regions.transpose(1, 2))
        ridge = RIDGE * torch.eye(dimensions, dtype=torch.float64, device=regions.device)
        factor = torch.linalg.cholesky_ex(products[..., dimensions:] + ridge).L
        weights = torch.cholesky_solve(products[..., :dimensions], factor).transpose(1, 2)
        residual = torch.baddbmm(labels, weights, predictions, alpha=-1)
        covariance = torch.baddbmm(ridge, residual, residual.transpose(1, 2))
        covariance = torch.baddbmm(covariance, weights, weights.transpose(1, 2), alpha=RIDGE)
        return _Solution(covariance, weights, residual)

    def _centred_regions(self, chunk: slice) -> Tensor:
        """Returns (b, 2 D, P) float64 without their means; zero where a region does not count."""
        maps = self._pairs[chunk].double()
        windows = maps.unfold(2, self._radius, 1).unfold(3, self._radius, 1)
        regions = windows.permute(0, 1, 4, 5, 2, 3).reshape(maps.shape[0], 2 * self._radius**2, -1)
        if self._counted is None:
            return regions.sub_(regions.mean(-1, keepdim=True))
        counted = self._counted[chunk, None]
        regions.mul_(counted)
        means = regions.sum(-1, keepdim=True) / counted.sum(-1, keepdim=True).clamp_(min=1)
        return regions.addcmul_(means, counted, value=-1)


def _counted_regions(counted: Tensor | None, radius: int, classes: int) -> Tensor | None:
    """Returns (N * C, P) float64: 1 where a region holds only places that may count."""
    if counted is None:
        return None
    blocked = F.max_pool2d((~counted)[:, None].double(), radius, stride=1)
    return (1.0 - blocked).flatten(1).repeat_interleave(classes, dim=0)


def _worth_solving(labels: Tensor) -> Tensor | None:
    """Returns which of (b, h, w) maps hold their class at all, as indices; None for all of them.

    The others are at the floor and have no gradient. They are left out on the processor only, where looking
    costs nothing: on a GPU the shapes stay fixed and nobody waits.
    """
    if labels.device.type != "cpu":
        return None
    return labels.flatten(1).amax(1).nonzero()[:, 0]


class _RegionBound(torch.autograd.Function):
    """Value and gradient in one pass; nothing but the gradient of the maps is kept."""

    @staticmethod
    def forward(ctx: Any, labels: Tensor, predictions: Tensor, radius: int, counted: Tensor | None) -> Tensor:
        regions = _counted_regions(counted, radius, labels.shape[1])
        of_labels, of_predictions = labels.flatten(0, 1), predictions.flatten(0, 1)
        chosen = _worth_solving(of_labels)
        if chosen is not None:
            of_labels, of_predictions = of_labels[chosen], of_predictions[chosen]
            regions = None if regions is None else regions[chosen]
        maps = _Maps(of_labels, of_predictions, radius, regions)
        bounds, gradients = [], []
        for chunk in maps.chunks():
            solution = maps.solve(chunk)
            bounds.append(solution.bound())
            if ctx.needs_input_grad[1]:
                gradients.append(solution.gradient(predictions.shape[-2:], radius).to(predictions.dtype))
        if ctx.needs_input_grad[1]:
            of_maps = _put_back(gradients, chosen, torch.zeros_like(predictions).flatten(0, 1))
            ctx.save_for_backward(of_maps.view_as(predictions))
        floor = torch.full(
            (labels.shape[0] * labels.shape[1],),
            floor_of(radius),
            dtype=torch.float64,
            device=labels.device,
        )
        return _put_back(bounds, chosen, floor).view(predictions.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[None, Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return None, gradient * upstream[..., None, None].to(gradient.dtype), None, None


def _put_back(parts: list[Tensor], chosen: Tensor | None, values: Tensor) -> Tensor:
    """Returns `values` with the rows `chosen` replaced by the parts, in order; None replaces all."""
    if not parts:
        return values
    return torch.cat(parts) if chosen is None else values.index_copy_(0, chosen, torch.cat(parts))


# Compiled code calls it as it stands: how the regions are cut into chunks is nothing to trace.
_bound_of: Any = torch.compiler.disable(_RegionBound.apply)
