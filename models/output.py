"""What a network returns.

B batch, K classes, H W image size, h w feature size.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from models.blocks import resize
from models.explanation import Explanation
from models.inspection import InspectionKind

_AXES = {
    InspectionKind.HEATMAP: 3,
    InspectionKind.LABEL_MAP: 3,
    InspectionKind.CLASS_HEATMAPS: 4,
    InspectionKind.CHANNEL_HEATMAPS: 4,
    InspectionKind.CLASS_MATRIX: 2,
    InspectionKind.CLASS_VECTORS: 2,
    InspectionKind.CLASS_MEMORY: 3,
    InspectionKind.CLASS_VALUES: 1,
}
_CLASS_AXES = {
    InspectionKind.CLASS_HEATMAPS: (1,),
    InspectionKind.CLASS_MATRIX: (0, 1),
    InspectionKind.CLASS_VECTORS: (0,),
    InspectionKind.CLASS_MEMORY: (0,),
    InspectionKind.CLASS_VALUES: (0,),
}


@dataclass(frozen=True, kw_only=True)
class InspectionView:
    """Inner state made visible.

    Attributes:
        kind: meaning and shape of `values`, see `InspectionKind`.
        title: a few words, shown above the view.
        explanation: one sentence for the user.
        values: detached tensor on the network's device, without gradient.
    """

    kind: InspectionKind
    title: str
    explanation: str
    values: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlarged:
    """Logits that nobody has enlarged yet: in training, losses that do so band by band need no others.

    Attributes:
        small: (B, K, h, w) float.
        size: (H, W), to which they are enlarged bilinearly.
    """

    small: Tensor
    size: tuple[int, int]

    def made(self) -> Tensor:
        """Returns (B, K, H, W)."""
        return resize(self.small, self.size)


class FoundLosses:
    """Where a cross-entropy leaves the losses of pixels, which it finds anyway, for who needs them later."""

    def __init__(self) -> None:
        self._target: Tensor | None = None
        self._losses: Tensor | None = None

    def keep(self, target: Tensor, losses: Tensor) -> None:
        """Remembers (B, H, W) losses of a (B, H, W) target, without gradient, 0 where nothing is known."""
        self._target, self._losses = target, losses

    def of(self, target: Tensor) -> Tensor | None:
        """Returns the losses (B, H, W) of this very tensor; None where nobody found them."""
        return self._losses if self._target is target else None


class _Logits:
    """The attribute `SegmentationOutput.logits`: as given, or enlarged by whoever reads it."""

    def __get__(self, output: Any, _: type | None = None) -> Tensor:
        if output is None:
            raise AttributeError("logits have no default")
        given: Tensor | Enlarged = output.__dict__["_logits"]
        return given.made() if isinstance(given, Enlarged) else given

    def __set__(self, output: Any, given: Tensor | Enlarged) -> None:
        output.__dict__["_logits"] = given


@dataclass(frozen=True, kw_only=True)
class SegmentationOutput:
    """What every network returns; a network subclasses it with fields of its own for its `observe`.

    Attributes:
        logits: (B, K, H, W) float, before softmax, at the full size of the image given. A network may give
            them as `Enlarged`; they are then made anew whenever they are read.
        auxiliary_logits: logits of deeply supervised stages by name, (B, K, h, w) at any size; may be empty
            in evaluation.
        inspection: views by name; empty unless asked for.
        explanation: what later questions about this batch need; None unless asked for, and for networks that
            have nothing to explain.
        small_logits: (B, K, h, w) float, of which `logits` are the bilinear enlargement and nothing else, so
            that a loss may enlarge them band by band; None where a network does not say.
        found_losses: where the cross-entropy of `small_logits` leaves its losses of pixels; None where the
            network has no use for them.
    """

    logits: _Logits = _Logits()
    auxiliary_logits: Mapping[str, Tensor] = field(default_factory=dict)
    inspection: Mapping[str, InspectionView] = field(default_factory=dict)
    explanation: Explanation | None = None
    small_logits: Tensor | None = None
    found_losses: FoundLosses | None = None

    def for_pixels(self) -> Tensor:
        """Returns small logits where there are any, else full ones, for losses that enlarge them."""
        return self.logits if self.small_logits is None else self.small_logits


def check_view(view: InspectionView, num_classes: int) -> None:
    """Checks that a view is what its kind promises.

    Raises:
        ValueError: wrong number of axes, wrong number of classes, labels out of range, values that are not
            finite, values that still carry a gradient, or an empty title or explanation.
    """
    values = view.values
    if not view.title or not view.explanation:
        raise ValueError("a view needs a title and an explanation")
    if values.requires_grad:
        raise ValueError(f"{view.title}: values must be detached")
    if values.dim() != _AXES[view.kind]:
        raise ValueError(f"{view.title}: {view.kind.value} has {_AXES[view.kind]} axes, not {values.dim()}")
    if any(values.shape[axis] != num_classes for axis in _CLASS_AXES.get(view.kind, ())):
        raise ValueError(f"{view.title}: shape {tuple(values.shape)} does not fit {num_classes} classes")
    if view.kind is InspectionKind.LABEL_MAP:
        _check_labels(view, num_classes)
    elif not values.is_floating_point() or not bool(torch.isfinite(values).all()):
        raise ValueError(f"{view.title}: values must be finite floating-point numbers")


def _check_labels(view: InspectionView, num_classes: int) -> None:
    values = view.values
    if values.dtype != torch.int64:
        raise ValueError(f"{view.title}: a label map is int64, not {values.dtype}")
    if values.numel() and not 0 <= int(values.min()) <= int(values.max()) < num_classes:
        raise ValueError(f"{view.title}: a label is outside 0..{num_classes - 1}")
