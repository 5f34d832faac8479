"""The named, weighted sum of losses.

B batch, K classes, H W image size, h w size of auxiliary logits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from models.blocks import resize
from models.losses.cross_entropy import CrossEntropy
from models.output import FoundLosses, SegmentationOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedLoss:
    """A loss on logits and how much it counts.

    Attributes:
        name: shown in the loss chart.
        weight: factor.
        loss: module called with logits (B, K, H, W) and target (B, H, W), returning a scalar, or several
            by name, which are reported as "name: part".
    """

    name: str
    weight: float
    loss: nn.Module


class TotalLoss(nn.Module):
    """Computes every term of the loss; the total is the sum of what it returns.

    Args:
        terms: losses on the final logits; names differ.
        auxiliary: loss on each set of auxiliary logits, reported as "name: set"; None leaves them out.
    """

    def __init__(self, terms: tuple[WeightedLoss, ...], auxiliary: WeightedLoss | None = None) -> None:
        super().__init__()
        self.terms = terms
        self.auxiliary = auxiliary
        self.losses = nn.ModuleList([term.loss for term in (*terms, *((auxiliary,) if auxiliary else ()))])

    def set_classes(self, indices: Sequence[int]) -> None:
        """Lets weights of classes follow the classes.

        Args:
            indices: permanent index of the class of each channel.
        """
        for loss in self.losses:
            if isinstance(loss, CrossEntropy):
                loss.set_classes(indices)

    if TYPE_CHECKING:

        def __call__(
            self, output: SegmentationOutput, target: Tensor, trust: Tensor | None = None
        ) -> dict[str, Tensor]:
            """Calls `forward`."""

    def forward(
        self, output: SegmentationOutput, target: Tensor, trust: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Returns weighted scalars by name; terms of weight 0 are left out.

        Args:
            output: logits (B, K, H, W) and auxiliary logits at any size, which are resized bilinearly to the
                target.
            target: (B, H, W) int64, 0..K-1 and 255 for ignored pixels.
            trust: (B, H, W) floating point, how much each pixel counts in a cross-entropy; None for all
                alike. Losses over regions and fields take labelled pixels as they are.
        """
        values: dict[str, Tensor] = {}
        for term in self.terms:
            if term.weight:
                logits = _logits_for(term.loss, output)
                values |= _weighted(term, logits, target, trust, output.found_losses)
        return values | self._auxiliary_terms(output.auxiliary_logits, target, trust)

    def _auxiliary_terms(
        self, auxiliary_logits: Mapping[str, Tensor], target: Tensor, trust: Tensor | None
    ) -> dict[str, Tensor]:
        term = self.auxiliary
        if term is None or not term.weight:
            return {}
        return {
            f"{term.name}: {name}": term.weight
            * _value(term.loss, _sized_for(term.loss, logits, target), target, trust)
            for name, logits in auxiliary_logits.items()
        }


def _logits_for(loss: nn.Module, output: SegmentationOutput) -> Tensor:
    return output.for_pixels() if isinstance(loss, CrossEntropy) else output.logits


def _sized_for(loss: nn.Module, logits: Tensor, target: Tensor) -> Tensor:
    return logits if isinstance(loss, CrossEntropy) else resize(logits, target.shape[-2:])


def _value(
    loss: nn.Module, logits: Tensor, target: Tensor, trust: Tensor | None, found: FoundLosses | None = None
) -> Any:
    return loss(logits, target, trust, found) if isinstance(loss, CrossEntropy) else loss(logits, target)


def _weighted(
    term: WeightedLoss, logits: Tensor, target: Tensor, trust: Tensor | None, found: FoundLosses | None
) -> dict[str, Tensor]:
    value: Tensor | Mapping[str, Tensor] = _value(term.loss, logits, target, trust, found)
    if isinstance(value, Tensor):
        return {term.name: term.weight * value}
    return {f"{term.name}: {part}": term.weight * scalar for part, scalar in value.items()}


def total(losses: Mapping[str, Tensor]) -> Tensor:
    """Returns the sum of named losses, a scalar.

    Raises:
        ValueError: there are no losses.
    """
    values = list(losses.values())
    if not values:
        raise ValueError("there is no loss to sum")
    result = values[0]
    for value in values[1:]:
        result = result + value
    return result
