"""Affinity-field loss (Ke, Hwang, Liu, Yu: ECCV 2018, arXiv 1803.10335, equation 4). A row for comparison.

Neighbouring pixels of one class shall have similar class distributions, neighbours across a boundary
distributions that differ by a margin. Similarity is the Kullback-Leibler divergence between the two-valued
distributions (p, 1 - p) of every class. The adaptive choice of the neighbourhood's size, which the paper
learns against the network, is left out: sizes are fixed and count alike.

N images, K classes, H W size of the logits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.loss_configs import AffinityConfig
from models.precision import as_given
from models.processes import summed

_CLIP = 1e-4
# One of each pair of opposite directions: a pair of pixels is looked at both ways.
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


class AffinityField(nn.Module):
    """Cross-entropy and affinity fields over one set of logits.

    Args:
        config: neighbourhood, margin and weights.
    """

    def __init__(self, config: AffinityConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Returns the weighted terms by name, scalars of at least float32.

        Args:
            logits: (N, K, H, W) floating point of any precision.
            target: (N, H, W) int64, 0..K-1; every other value is an ignored pixel.
        """
        config, num_classes = self.config, logits.shape[1]
        labelled = (target >= 0) & (target < num_classes)
        channels = torch.where(labelled, target, num_classes)
        with as_given(logits):
            wide = logits if logits.dtype == torch.float64 else logits.float()
            logarithms = F.log_softmax(wide, dim=1)
            pixel = F.nll_loss(logarithms, channels, ignore_index=num_classes, reduction="sum")
            same, different = self._fields(logarithms.exp(), channels, num_classes)
        return {
            "softmax": pixel / summed(labelled.sum()).clamp(min=1),
            "within": config.within * same,
            "across": config.across * different,
        }

    def _fields(self, probabilities: Tensor, channels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Returns mean divergence of neighbours of one class, and its mean lack across boundaries."""
        clipped = probabilities.clamp(_CLIP, 1 - _CLIP)
        sums = clipped.new_zeros(4)
        for direction in _DIRECTIONS:
            step = (direction[0] * self.config.distance, direction[1] * self.config.distance)
            sums = sums + self._pairs(_shifted(clipped, step), _shifted(channels, step), num_classes)
        counts = summed(sums[1::2].detach().clone()).clamp(min=1)
        return sums[0] / counts[0], sums[2] / counts[1]

    def _pairs(
        self, probabilities: tuple[Tensor, Tensor], labels: tuple[Tensor, Tensor], num_classes: int
    ) -> Tensor:
        """Returns (4,): sum and number within classes, sum and number across boundaries."""
        here, there = probabilities
        known = (labels[0] < num_classes) & (labels[1] < num_classes)
        same = known & (labels[0] == labels[1])
        across = known & (labels[0] != labels[1])
        difference = torch.logit(here) - torch.logit(there)
        rest = torch.log1p(-here) - torch.log1p(-there)
        # a log(a / b) + (1 - a) log((1 - a) / (1 - b)) is a times the difference of logits plus the rest.
        both_ways = (here * difference + rest, -there * difference - rest)
        within = ((both_ways[0] + both_ways[1]).mean(1) * same).sum()
        lacks = F.relu(self.config.margin - both_ways[0]) + F.relu(self.config.margin - both_ways[1])
        lacking = (lacks.mean(1) * across).sum()
        return torch.stack([within, same.sum(), lacking, across.sum()]).to(within.dtype)


def _shifted(values: Tensor, step: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Returns what lies at each place and at the place `step` rows and columns on, where both exist."""
    rows, columns = step
    height, width = values.shape[-2:]
    here = values[..., : max(0, height - rows), max(0, -columns) : max(0, width - max(0, columns))]
    there = values[..., min(rows, height) :, max(0, columns) : max(0, width - max(0, -columns))]
    return here, there
