"""Cross-entropy of logits that are smaller than the target, without enlarging them as a whole.

Enlarged logits of many classes are the largest tensors of a training step: written, read and kept for the
backward pass several times over. Here they are made band by band, and the gradient with respect to the small
logits is summed up in the same sweep, so that no more than a band ever exists. Values and gradients are those
of bilinear enlargement (half-pixel centres) followed by cross-entropy, up to rounding.

B batch, K classes, H W size of the target, h w size of the logits. Inside, rows come first: (h, B, K, w).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from models.enlarged import weights_along
from models.precision import as_given

_BAND_BYTES = {"cpu": 4 * 2**20}
_ELSEWHERE = 256 * 2**20
_LEAST_EXPONENT = -60.0


class _WeightedSum(torch.autograd.Function):
    """Sum over pixels of weight times cross-entropy; the gradient is computed with it."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Returns a scalar of the logits' precision."""
        sweep = _Sweep(logits, target)
        rows_of_weights = weights.to(logits.dtype).transpose(0, 1)
        total = logits.new_zeros(())
        gradient = torch.zeros_like(sweep.wide)
        for rows, cells, shares, scores in sweep.bands():
            weight = rows_of_weights[rows, :, None]
            places = sweep.target[rows, :, None]
            losses, parts, whole = _losses(scores, places)
            total += (losses * weight).sum()
            change = parts.mul_(weight / whole).scatter_add_(2, places, -weight)
            gradient[cells].flatten(1).addmm_(shares.T, change.flatten(1))
        ctx.save_for_backward((gradient @ sweep.across).permute(1, 2, 0, 3))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        """Scales what `forward` found."""
        (found,) = ctx.saved_tensors
        return gradients[0] * found, None, None


class _Sweep:
    """Enlarged logits, band by band."""

    def __init__(self, logits: Tensor, target: Tensor) -> None:
        self._size = (target.shape[1], logits.shape[2])
        self._down = weights_along(target.shape[1], logits.shape[2], logits)
        self.across = weights_along(target.shape[2], logits.shape[3], logits)
        """(W, w) weights of the columns."""
        self.wide = logits.permute(2, 0, 1, 3).contiguous() @ self.across.T
        """(h, B, K, W) logits, enlarged along the rows."""
        self.target = torch.where(target < logits.shape[1], target, 0).transpose(0, 1)
        """(H, B, W) int64, any class where nothing is known."""
        row_bytes = self.wide[0].numel() * self.wide.element_size()
        self._rows = max(1, _BAND_BYTES.get(logits.device.type, _ELSEWHERE) // max(1, row_bytes))

    def bands(self) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
        """Yields rows, the cells they come from, weights (rows, cells), logits (rows, B, K, W)."""
        height, cells = self._size
        for start in range(0, height, self._rows):
            stop = min(height, start + self._rows)
            # One cell more on both sides than the centres of first and last row need.
            first = max(0, int((start + 0.5) * cells / height - 0.5) - 1)
            last = min(cells, int((stop - 0.5) * cells / height - 0.5) + 3)
            shares = self._down[start:stop, first:last]
            values = (shares @ self.wide[first:last].flatten(1)).unflatten(1, self.wide.shape[1:])
            yield slice(start, stop), slice(first, last), shares, values


def _losses(logits: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns cross-entropies (rows, B, 1, W), and probabilities before and by what they are divided.

    Args:
        logits: (rows, B, K, W), overwritten by the probabilities.
        places: (rows, B, 1, W) int64, the target.
    """
    highest, chosen = logits.amax(dim=2, keepdim=True), logits.gather(2, places)
    # Numbers that underflow are ten times slower to reckon with, and a gradient is such an exponential by the
    # number of pixels; as small as this they count for nothing.
    shares = logits.sub_(highest).clamp_(min=_LEAST_EXPONENT).exp_()
    total = shares.sum(dim=2, keepdim=True)
    return total.log() + highest - chosen, shares, total


def enlarged_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Returns the sum over pixels of weight times cross-entropy, a scalar.

    Args:
        logits: (B, K, h, w) float32 or float64, enlarged to the target in effect.
        target: (B, H, W) int64, 0..K-1; other values where `weights` is 0.
        weights: (B, H, W) floating point or bool, 0 where nothing is known.
    """
    with as_given(logits):
        result: Tensor = _WeightedSum.apply(logits, target, weights)
    return result


@torch.no_grad()
def enlarged_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the cross-entropy of every pixel, (B, H, W), without gradient; 0 where nothing is known.

    Args:
        logits: (B, K, h, w) float of any precision, computed in float32 at least.
        target: (B, H, W) int64, 0..K-1; other values where nothing is known.
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    with as_given(logits):
        sweep = _Sweep(logits, target)
        found = [_losses(scores, sweep.target[rows, :, None])[0] for rows, _, _, scores in sweep.bands()]
        return torch.cat(found)[:, :, 0].transpose(0, 1) * (target < logits.shape[1])
