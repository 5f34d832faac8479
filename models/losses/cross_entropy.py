"""Pixel-wise cross-entropy with an ignore value.

B batch, K classes, H W image size.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import IGNORE_INDEX
from models.blocks import resize
from models.losses.enlarged_entropy import enlarged_cross_entropy
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
        class_weights: K weights of the classes; the weighted sum is divided by the sum of the weights of the
            labelled pixels. None weighs all alike. Not together with `class_balance`.
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
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor, trust: Tensor | None = None) -> Tensor:
        """Returns the loss, a float32 scalar.

        Args:
            logits: (B, K, H, W) floating point of any precision; computed in float32 (or float64 if given).
                Of another size they are enlarged bilinearly, band by band, which costs less than to enlarge
                them before.
            target: (B, H, W) int64, 0..K-1 and 255 for ignored pixels.
            trust: (B, H, W) floating point, how much each pixel counts, at least 0; None for all alike. The
                mean is weighted, so that trusting all pixels half changes nothing.
        """
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        labelled = target != IGNORE_INDEX
        if logits.shape[-2:] != target.shape[-2:]:
            if self.label_smoothing == 0.0:
                return self._enlarged(logits, target, labelled, trust)
            logits = resize(logits, target.shape[-2:])
        if trust is not None:
            return self._trusted(logits, target, labelled, trust)
        if self.class_balance == 0.0:
            weights = None if self.class_weights is None else self.class_weights.to(logits.dtype)
            total = F.cross_entropy(
                logits,
                target,
                weight=weights,
                ignore_index=IGNORE_INDEX,
                reduction="sum",
                label_smoothing=self.label_smoothing,
            )
            if weights is None or self.divide_by_count:
                return total / summed(labelled.sum()).clamp(min=1)
            weight = summed((weights[torch.where(labelled, target, 0)] * labelled).sum())
            return total / torch.where(weight > 0, weight, torch.ones_like(weight))
        losses = F.cross_entropy(
            logits, target, ignore_index=IGNORE_INDEX, reduction="none", label_smoothing=self.label_smoothing
        )
        weights = self._pixel_weights(target, labelled, logits.shape[1]).to(losses.dtype)
        # Without a labelled pixel both sums are exactly 0; every weight is at least 1 otherwise.
        return (losses * weights).sum() / summed(weights.sum()).clamp(min=1)

    def _enlarged(self, logits: Tensor, target: Tensor, labelled: Tensor, trust: Tensor | None) -> Tensor:
        counts = labelled.to(logits.dtype) if trust is None else trust.to(logits.dtype) * labelled
        if self.class_balance:
            counts = counts * self._pixel_weights(target, labelled, logits.shape[1]).to(counts.dtype)
        elif self.class_weights is not None:
            counts = counts * self.class_weights.to(counts.dtype)[torch.where(labelled, target, 0)]
        by_count = self.divide_by_count and trust is None and not self.class_balance
        weight = summed((labelled.to(counts.dtype) if by_count else counts).sum())
        return enlarged_cross_entropy(logits, target, counts) / torch.where(
            weight > 0, weight, torch.ones_like(weight)
        )

    def _trusted(self, logits: Tensor, target: Tensor, labelled: Tensor, trust: Tensor) -> Tensor:
        losses = F.cross_entropy(
            logits, target, ignore_index=IGNORE_INDEX, reduction="none", label_smoothing=self.label_smoothing
        )
        counts = trust.to(losses.dtype) * labelled
        if self.class_balance:
            counts = counts * self._pixel_weights(target, labelled, logits.shape[1]).to(losses.dtype)
        elif self.class_weights is not None:
            counts = counts * self.class_weights.to(losses.dtype)[torch.where(labelled, target, 0)]
        weight = summed(counts.sum())
        return (losses * counts).sum() / torch.where(weight > 0, weight, torch.ones_like(weight))

    def _pixel_weights(self, target: Tensor, labelled: Tensor, num_classes: int) -> Tensor:
        """Returns (B, H, W) weights of at least 1, 0 at ignored pixels."""
        channels = torch.where(labelled, target, num_classes).flatten()
        counts = torch.zeros(num_classes + 1, device=target.device)
        counts.scatter_add_(0, channels, torch.ones_like(channels, dtype=counts.dtype))
        counts = summed(counts)[:num_classes]
        share = counts.sum().clamp(min=1) / counts.clamp(min=1)
        by_channel = torch.cat([share**self.class_balance, share.new_zeros(1)])
        return by_channel[channels].view_as(target)
