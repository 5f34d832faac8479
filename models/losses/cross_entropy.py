"""Pixel-wise cross-entropy with an ignore value.

B batch, K classes, H W image size.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import IGNORE_INDEX
from models.blocks import resize
from models.losses.enlarged_entropy import enlarged_sum
from models.output import FoundLosses
from models.processes import summed


class CrossEntropy(nn.Module):
    """Mean cross-entropy over the labelled pixels; 0 (with zero gradient) if there are none.

    Where several processes train together, each returns its share of the mean over the pixels of all. Nothing
    is read back from the device: the number of labelled pixels stays a tensor.

    Args:
        label_smoothing: share of certainty given to the other classes, 0..1.
        class_balance: 0 counts every labelled pixel alike; 1 weighs pixels by the inverse frequency of their
            class in the batch, so that every class present counts alike; values between are the exponent of
            that frequency.
        class_weights: weights of the classes by permanent index, which is the channel until `set_classes`
            says otherwise; what is beyond the last weighs 1. A pixel counts by the weight of its class; the
            weighted sum is divided by the sum of the weights of the labelled pixels. None weighs all alike.
            Not together with `class_balance`.
        divide_by_count: divide by the number of labelled pixels instead, whatever their weights.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_balance: float = 0.0,
        class_weights: Sequence[float] | None = None,
        divide_by_count: bool = False,
    ) -> None:
        super().__init__()
        if class_weights is not None and class_balance:
            raise ValueError("classes are weighted either by given weights or by their frequency")
        self.label_smoothing = label_smoothing
        self.class_balance = class_balance
        self.divide_by_count = divide_by_count
        self._by_index = None if class_weights is None else tuple(class_weights)
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def set_classes(self, indices: Sequence[int]) -> None:
        """Lets the weights follow the classes.

        Args:
            indices: permanent index of the class of each channel.
        """
        if self._by_index is None or self.class_weights is None:
            return
        known = self._by_index
        weights = [known[index] if index < len(known) else 1.0 for index in indices]
        self.class_weights = torch.tensor(weights, dtype=torch.float32, device=self.class_weights.device)

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        trust: Tensor | None = None,
        found: FoundLosses | None = None,
    ) -> Tensor:
        """Returns the loss, a float32 scalar.

        Args:
            logits: (B, K, H, W) floating point of any precision; computed in float32 (or float64 if given).
                Of another size they are enlarged bilinearly, band by band, which costs less than to enlarge
                them before.
            target: (B, H, W) int64, 0..K-1 and 255 for ignored pixels.
            trust: (B, H, W) floating point, how much each pixel counts, at least 0; None for all alike. The
                mean is weighted, so that trusting all pixels half changes nothing.
            found: where to leave the losses of pixels, if they are found one by one; None for nowhere.
        """
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        labelled = target != IGNORE_INDEX
        if logits.shape[-2:] != target.shape[-2:]:
            if self.label_smoothing == 0.0:
                return self._enlarged(logits, target, labelled, trust, found)
            logits = resize(logits, target.shape[-2:])
        if trust is not None:
            return self._trusted(logits, target, labelled, trust)
        if self.class_weights is None and self.class_balance == 0.0:
            total = F.cross_entropy(
                logits,
                target,
                ignore_index=IGNORE_INDEX,
                reduction="sum",
                label_smoothing=self.label_smoothing,
            )
            return total / summed(labelled.sum()).clamp(min=1)
        losses = F.cross_entropy(
            logits, target, ignore_index=IGNORE_INDEX, reduction="none", label_smoothing=self.label_smoothing
        )
        weights = self._pixel_weights(target, labelled, logits.shape[1]).to(losses.dtype)
        below = labelled if self.divide_by_count else weights
        # Without a labelled pixel, or with weights of 0 only, both sums are exactly 0.
        return _quotient((losses * weights).sum(), summed(below.sum().to(losses.dtype)))

    def _enlarged(
        self,
        logits: Tensor,
        target: Tensor,
        labelled: Tensor,
        trust: Tensor | None,
        found: FoundLosses | None,
    ) -> Tensor:
        counts = labelled.to(logits.dtype) if trust is None else trust.to(logits.dtype) * labelled
        if self.class_balance or self.class_weights is not None:
            counts = counts * self._pixel_weights(target, labelled, logits.shape[1]).to(counts.dtype)
        by_count = self.divide_by_count and trust is None
        weight = summed((labelled.to(counts.dtype) if by_count else counts).sum())
        total, each = enlarged_sum(logits, target, counts)
        if found is not None:
            found.keep(target, each)
        return _quotient(total, weight)

    def _trusted(self, logits: Tensor, target: Tensor, labelled: Tensor, trust: Tensor) -> Tensor:
        losses = F.cross_entropy(
            logits, target, ignore_index=IGNORE_INDEX, reduction="none", label_smoothing=self.label_smoothing
        )
        counts = trust.to(losses.dtype) * labelled
        if self.class_balance or self.class_weights is not None:
            counts = counts * self._pixel_weights(target, labelled, logits.shape[1]).to(losses.dtype)
        return _quotient((losses * counts).sum(), summed(counts.sum()))

    def _pixel_weights(self, target: Tensor, labelled: Tensor, num_classes: int) -> Tensor:
        """Returns (B, H, W) float32 weights by class, 0 at ignored pixels."""
        channels = torch.where(labelled, target, num_classes).flatten()
        if self.class_weights is not None:
            given = self.class_weights[:num_classes]
            padded = F.pad(given, (0, num_classes - given.shape[0]), value=1.0)
            return F.pad(padded, (0, 1))[channels].view_as(target)
        counts = torch.zeros(num_classes + 1, device=target.device)
        counts.scatter_add_(0, channels, torch.ones_like(channels, dtype=counts.dtype))
        counts = summed(counts)[:num_classes]
        share = counts.sum().clamp(min=1) / counts.clamp(min=1)
        by_channel = torch.cat([share**self.class_balance, share.new_zeros(1)])
        return by_channel[channels].view_as(target)


def _quotient(above: Tensor, below: Tensor) -> Tensor:
    """Returns a scalar divided by another, or by 1 where that is 0."""
    return above / torch.where(below > 0, below, torch.ones_like(below))
