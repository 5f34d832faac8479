"""How a class memory takes in corrections at once, without a gradient, and forgets them without a trace.

The memory that training left, the base, is never overwritten. Corrections are sums of features per class and
image, and what the head reads is base and sums put together anew each time: the same corrections give the
same bits, in whatever order they were made and taken back, and without any it is the base itself.

Of a class with corrections, n pixels with mean feature v, the memory moves towards v by the share
n / (n + 200) / 2: a first dab counts a little, a stroke nearly half, and what training found is never lost.
(The papers update in training only; this rule is ours. It follows theirs in what moves: a vector of the class
in MCIBI, its mean and deviation in MCIBI++.)

K classes, M slots per class, C channels, n places.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from models.blocks import MINIMUM_SIZE

_HALFWAY = 200.0
"""Pixels of corrections that move a class by a quarter."""
_MOST = 0.5
"""Largest share of the corrections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSums:
    """What corrections say of classes.

    Attributes:
        sums: (K, C) float64 on the CPU, sum of features over pixels.
        pixels: (K,) float64 on the CPU.
    """

    sums: Tensor
    pixels: Tensor

    def shares(self) -> Tensor:
        """Returns by how much each class moves, (K,) float64 in [0, 0.5]."""
        return _MOST * self.pixels / (self.pixels + _HALFWAY)

    def means(self) -> Tensor:
        """Returns the mean feature of each class, (K, C) float64; zeros without pixels."""
        return self.sums / self.pixels.clamp(min=1.0)[:, None]


class InstantMemory(ABC):
    """A class memory that can be read as if it knew some corrections."""

    memory: Tensor
    """Buffer with one row per class."""

    @abstractmethod
    def with_corrections(self, said: ClassSums) -> Tensor:
        """Returns what `memory` would be with these corrections; it stays as it is."""


@runtime_checkable
class RemembersClasses(Protocol):
    """A network whose class memory takes in corrections at once."""

    @property
    def memory(self) -> InstantMemory:
        """The class memory."""

    def memory_features(self, image: Tensor) -> Tensor:
        """Returns the features the memory learns from, (B, C, h, w), which do not depend on the memory.

        Args:
            image: (B, 3, H, W) float as `models.base.normalise` returns it.
        """


def class_sums(
    features: Tensor,
    size: tuple[int, int],
    y: Tensor,
    x: Tensor,
    channels: Tensor,
    pixels: Tensor,
    classes: int,
) -> ClassSums:
    """Returns the sums of one image's corrections. Computed on the CPU, so that they repeat bit for bit.

    Args:
        features: (1, C, h, w) float of the image, padded to at least 32 x 32 by the network.
        size: (H, W) of the image.
        y: (n,) float rows of the image, pixel centres at whole numbers.
        x: (n,) float columns.
        channels: (n,) int64 class channels.
        pixels: (n,) float, pixels each place stands for.
        classes: K.
    """
    height, width = max(size[0], MINIMUM_SIZE), max(size[1], MINIMUM_SIZE)
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1).float()
    found = F.grid_sample(
        features.detach().float().cpu(), grid[None, None], padding_mode="border", align_corners=False
    )
    values = found[0, :, 0].T.double()
    weights = pixels.double()
    sums = torch.zeros(classes, values.shape[1], dtype=torch.float64)
    counts = torch.zeros(classes, dtype=torch.float64)
    # Class by class: the order of a scatter's additions is nobody's promise.
    for channel in range(classes):
        own = channels == channel
        sums[channel] = (values[own] * weights[own, None]).sum(dim=0)
        counts[channel] = weights[own].sum()
    return ClassSums(sums=sums, pixels=counts)


def together(corrections: Sequence[ClassSums]) -> ClassSums:
    """Returns the sums of several images, added in the order given; at least one."""
    first, *others = corrections
    sums, pixels = first.sums.clone(), first.pixels.clone()
    for other in others:
        sums += other.sums
        pixels += other.pixels
    return ClassSums(sums=sums, pixels=pixels)
