"""Pixels grouped by the class a network takes them for, without looping over classes or images.

Groups are one-hot matrices: collecting pixels into classes and giving classes back to pixels are two matrix
products of fixed shape. B batch, K classes, C channels, h w size of a feature map, P = h * w.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Which class every pixel belongs to.

    Attributes:
        label: (B, h, w) int64 in 0..K-1.
        members: (B, K, P) bool, the same one-hot.
        present: (B, K) bool, classes that have a pixel.
    """

    label: Tensor
    members: Tensor
    present: Tensor

    def at(self, places: Tensor) -> "Groups":
        """Returns the same groups on a map (1, n) of a few places, numbered row by row, (n,) int64."""
        return Groups(
            label=self.label.flatten(1)[:, None, places],
            members=self.members[:, :, places],
            present=self.present,
        )


def group(logits: Tensor) -> Groups:
    """Groups pixels by their most probable class; without gradient.

    Args:
        logits: (B, K, h, w) float.
    """
    label = logits.detach().argmax(dim=1)
    classes = torch.arange(logits.shape[1], device=logits.device)
    members = label.flatten(1)[:, None] == classes[:, None]
    return Groups(label=label, members=members, present=members.any(dim=2))


def group_vectors(logits: Tensor, features: Tensor, groups: Groups) -> Tensor:
    """Returns one vector per class, (B, K, C) of the features' precision; 0 for absent classes.

    The pixels of a class are weighted by the softmax of the class's logit over just these pixels: what the
    network is sure of counts more. Gradients reach features and logits.

    Args:
        logits: (B, K, h, w) float; computed in float32 at least.
        features: (B, C, h, w) float.
        groups: of the same image.
    """
    scores = logits.flatten(2)
    if scores.dtype in (torch.float16, torch.bfloat16):
        scores = scores.float()
    # A finite number, not -inf: rows of absent classes would else turn into NaN before they are zeroed.
    scores = scores.masked_fill(~groups.members, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=2) * groups.members
    vectors: Tensor = weights.to(features.dtype) @ features.flatten(2).transpose(1, 2)
    return vectors


def spread(vectors: Tensor, groups: Groups, *, like: Tensor | None = None) -> Tensor:
    """Gives every pixel the vector of its class: (B, K, C) to (B, C, h, w).

    Args:
        vectors: of every class.
        groups: pixels by class.
        like: (B, any, h, w), whose memory format the result shall have, lest what adds both reads one of them
            against the grain; None for contiguous.
    """
    if (
        like is not None
        and not like.is_contiguous()
        and like.is_contiguous(memory_format=torch.channels_last)
    ):
        first = vectors.shape[1] * torch.arange(len(vectors), device=vectors.device)
        rows = nn.functional.embedding(groups.label + first[:, None, None], vectors.flatten(0, 1))
        return rows.permute(0, 3, 1, 2)
    pixels = torch.bmm(vectors.transpose(1, 2), groups.members.to(vectors.dtype))
    return pixels.view(*pixels.shape[:2], *groups.label.shape[1:])


def masked_softmax(scores: Tensor, allowed: Tensor) -> Tensor:
    """Softmax over the last axis among allowed entries; all 0 where nothing is allowed.

    Args:
        scores: (..., K) float, finite.
        allowed: bool, broadcasts against `scores`.
    """
    highest = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).amax(dim=-1, keepdim=True)
    # Not allowed scores may lie above the highest allowed one: cut off, or exp could become infinite.
    shares: Tensor = (scores - highest).clamp(max=0).exp() * allowed
    total = shares.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
    return torch.div(shares, total)
