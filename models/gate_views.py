"""Inspection views of networks whose stages guide each other by gates.

B batch, K classes, h w size of the finest features.
"""

import torch.nn.functional as F
from torch import Tensor

from models.backbones.base import Features
from models.explanation import Gate
from models.inspection import InspectionKind
from models.output import InspectionView
from models.views import probability_view

_CHANNEL_EDGE = 96
"""Longest edge at which single channels of a gate are shown: hundreds of maps, looked at one by one."""


def views_of_guidance(number: int, logits: Tensor, kept: Gate, num_classes: int) -> dict[str, InspectionView]:
    """Returns what a stage predicts, and its gate on average, by class and by channel.

    Args:
        number: of the stage, from 1.
        logits: (B, K, h, w) of its prediction.
        kept: its gate.
        num_classes: K.
    """
    gate = kept.values.float()
    small = min(gate.shape[-2], _CHANNEL_EDGE), min(gate.shape[-1], _CHANNEL_EDGE)
    return {
        f"prediction_stage{number}": InspectionView(
            kind=InspectionKind.LABEL_MAP,
            title=f"Prediction of stage {number}",
            explanation=f"What stage {number} took each place for; it guides the stage after it.",
            values=logits.detach().argmax(dim=1),
        ),
        f"gate_stage{number}": InspectionView(
            kind=InspectionKind.HEATMAP,
            title=f"Guided attention, stage {number} to {number + 1}",
            explanation="How far the prediction opens each place for the next stage, averaged over channels.",
            values=gate.mean(dim=1),
        ),
        f"gate_classes_stage{number}": InspectionView(
            kind=InspectionKind.CLASS_HEATMAPS,
            title=f"Attention by class, stage {number} to {number + 1}",
            explanation="How far the channels that each class opens most are open at each place.",
            values=kept.by_class(num_classes).float(),
        ),
        f"gate_channels_stage{number}": InspectionView(
            kind=InspectionKind.CHANNEL_HEATMAPS,
            title=f"Attention by channel, stage {number} to {number + 1}",
            explanation="How far each single channel is open at each place, reduced in size.",
            values=F.adaptive_avg_pool2d(gate, small),
        ),
    }


def views_of_aggregation(
    number: int, taken: tuple[Tensor, ...], encoded: Features, strides: tuple[int, ...]
) -> dict[str, InspectionView]:
    """Returns for every level how much of the encoder's features came from the stage before.

    Args:
        number: of the stage, from 2.
        taken: what was taken over at each level but the finest.
        encoded: features of the stage's encoder by level.
        strides: of the levels.
    """
    views = {}
    for level, values in enumerate(taken, start=1):
        stride = strides[level]
        foreign = values.detach().float().abs().mean(dim=1)
        all_of_it = encoded[level].detach().float().abs().mean(dim=1)
        views[f"taken_stage{number}_level{level}"] = InspectionView(
            kind=InspectionKind.HEATMAP,
            title=f"Taken over by stage {number}, 1/{stride} of the size",
            explanation=f"Share of the features at each place of stage {number} that the stage before gave.",
            values=foreign / (foreign + all_of_it).clamp(min=1e-6),
        )
    return views


def view_of_classes(logits: Tensor) -> dict[str, InspectionView]:
    """Returns how probable the last stage finds each class, from logits (B, K, h, w)."""
    return {
        "classes": probability_view(
            logits, "How probable the last stage finds each class, at the size of its finest features."
        )
    }
