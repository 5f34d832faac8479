"""Batch normalisation over the joint batch of several processes, on every device.

torch's own (`nn.SyncBatchNorm`) runs on graphics cards only and is a class of its own; this is a function, so
that networks are built and saved the same way whether one process trains them or many.

B batch of this process, C channels, h w size, N values per channel over all processes.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.processes import gathered, summed

_AXES = (0, 2, 3)


def joint_moments(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns mean, sum of squared deviations, (C,) float32 each, and N, a float32 scalar.

    Every process adds its own mean and deviations (Chan, Golub, LeVeque 1979): squares of the values
    themselves would lose the variance where the mean is large.

    Args:
        values: (B, C, h, w), computed in float32 or better.
    """
    wide = values if values.dtype == torch.float64 else values.float()
    mean = wide.mean(_AXES)
    spread = (wide - mean[:, None, None]).square().sum(_AXES)
    count = torch.full_like(mean, wide.numel() // wide.shape[1])
    means, spreads, counts = gathered(torch.stack([mean, spread, count])[None]).unbind(1)
    total = counts.sum(0)
    joint = (means * counts).sum(0) / total
    joint_spread = (spreads + counts * (means - joint).square()).sum(0)
    return joint, joint_spread, total[0]


def joint_batch_norm(
    values: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalises by the statistics of all processes.

    Args:
        values: (B, C, h, w) of any precision.
        weight: (C,) scale.
        bias: (C,) shift.
        eps: added to the variance.

    Returns:
        (B, C, h, w) in the precision of `values`, and (C,) float32 mean and unbiased variance, which carry no
        gradient.
    """
    result: tuple[Tensor, Tensor, Tensor] = _JointNorm.apply(values, weight, bias, eps)
    return result


class _JointNorm(torch.autograd.Function):
    """The gradient needs two sums per channel over all processes, as the value needs two moments."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, spread, count = joint_moments(values)
        inverse = (spread / count + eps).rsqrt()
        unbiased = spread / (count - 1).clamp(min=1)
        scale = (weight * inverse)[:, None, None]
        shifted = (values - mean[:, None, None]) * scale + bias[:, None, None]
        ctx.save_for_backward(values, weight, mean, inverse, count)
        ctx.mark_non_differentiable(mean, unbiased)
        return shifted.to(values.dtype), mean, unbiased

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        values, weight, mean, inverse, count = ctx.saved_tensors
        normal = (values - mean[:, None, None]) * inverse[:, None, None]
        wide = upstream.to(normal.dtype)
        of_bias, of_weight = wide.sum(_AXES), (wide * normal).sum(_AXES)
        # A copy: `stack` makes one, which the sum over the processes may change.
        of_all = summed(torch.stack([of_bias, of_weight])) / count
        rest = of_all[0][:, None, None] + normal * of_all[1][:, None, None]
        gradient = (wide - rest) * (weight * inverse)[:, None, None]
        # Scale and shift keep their own share: gradients of parameters are added up over processes later.
        return gradient.to(values.dtype), of_weight.to(weight.dtype), of_bias.to(weight.dtype), None
