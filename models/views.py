"""Inspection views that several networks show in the same way."""

from torch import Tensor

from models.inspection import InspectionKind
from models.output import InspectionView


def strength_view(values: Tensor, title: str, explanation: str) -> InspectionView:
    """Returns a heat map of the length of the vectors (B, C, h, w) at each place."""
    return InspectionView(
        kind=InspectionKind.HEATMAP,
        title=title,
        explanation=explanation,
        values=values.detach().float().pow(2).mean(dim=1).sqrt(),
    )


def probability_view(logits: Tensor, explanation: str) -> InspectionView:
    """Returns how probable each class is at each place, from logits (B, K, h, w)."""
    return InspectionView(
        kind=InspectionKind.CLASS_HEATMAPS,
        title="Class probabilities",
        explanation=explanation,
        values=logits.detach().float().softmax(dim=1),
    )
