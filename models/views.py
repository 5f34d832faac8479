"""Inspection views that several networks show in the same way."""

from torch import Tensor

from models.inspection import InspectionKind
from models.output import InspectionView
from models.relation import ClassRelations


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


def relation_views(relations: ClassRelations) -> dict[str, InspectionView]:
    """Returns what classes tell each other over the whole data set, by name."""
    return {
        "relation_mean": InspectionView(
            kind=InspectionKind.CLASS_MATRIX,
            title="Relation, mean",
            explanation="How much the error of the column's class rises when the row's class is deleted.",
            values=relations.mean.clone(),
        ),
        "relation_variance": InspectionView(
            kind=InspectionKind.CLASS_MATRIX,
            title="Relation, variance",
            explanation="How much more the column's error varies when the row's class is deleted.",
            values=relations.variance.clone(),
        ),
        "deletions": InspectionView(
            kind=InspectionKind.CLASS_VALUES,
            title="Deletions",
            explanation="How often each class was deleted to see who needs it.",
            values=relations.counter.clone(),
        ),
        "class_vectors": InspectionView(
            kind=InspectionKind.CLASS_VECTORS,
            title="Class vectors",
            explanation="What the network remembers of each class over all images; zero if never seen.",
            values=relations.vectors.clone(),
        ),
    }
