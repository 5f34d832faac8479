"""The kinds of inner state that a network can show (torch-free, so that the window can draw by kind)."""

from enum import Enum


class InspectionKind(Enum):
    """What the values of an `InspectionView` mean and which shape they have.

    B batch, K classes, M slots per class, C channels, h w size of a feature map. Kinds that belong to the
    image carry the batch first, kinds that belong to the classes do not.
    """

    HEATMAP = "heatmap"
    """(B, h, w) float, any range: one number per place, e.g. an attention."""
    LABEL_MAP = "label_map"
    """(B, h, w) int64 in 0..K-1: one class per place, e.g. a pseudo-label."""
    CLASS_HEATMAPS = "class_heatmaps"
    """(B, K, h, w) float: one heat map per class."""
    CHANNEL_HEATMAPS = "channel_heatmaps"
    """(B, C, h, w) float: one heat map per channel, for looking at one of them, e.g. of a gate."""
    CLASS_MATRIX = "class_matrix"
    """(K, K) float: one number per pair of classes, row acts on column, e.g. a class relation."""
    CLASS_VECTORS = "class_vectors"
    """(K, C) float: one vector per class."""
    CLASS_MEMORY = "class_memory"
    """(K, M, C) float: M vectors per class."""
    CLASS_VALUES = "class_values"
    """(K,) float: one number per class, e.g. how often it was seen."""


FIRST_STAGE = ("pseudo_label", "coarse", "prediction_stage1")
"""Names under which networks show the prediction of their first stage, as a `LABEL_MAP`."""
