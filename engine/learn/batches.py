"""Crops become tensors. B batch, S edge of a crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.config import AugmentConfig
from engine.learn.augment import augment
from engine.learn.pool import Crop, Pool
from models.base import normalise


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What one training step learns from.

    Attributes:
        image: (B, 3, S, S) float32 as `models.base.normalise` returns it, channels last in memory.
        target: (B, S, S) int64 class channels; 255 where nothing counts (unlabelled, void, unknown class).
        provenance: (B, S, S) uint8, see `engine.annotate.classes.Provenance`.
    """

    image: Tensor
    target: Tensor
    provenance: Tensor


def make_batch(crops: Sequence[Crop], channel_of: NDArray[np.uint8], device: torch.device) -> Batch:
    """Stack crops of equal size.

    Args:
        crops: At least one.
        channel_of: See `ClassTable.channel_of`.
        device: Where the batch shall be.
    """
    image = torch.from_numpy(np.stack([crop.image for crop in crops]))
    target = torch.from_numpy(np.stack([channel_of[crop.label_map] for crop in crops]))
    provenance = torch.from_numpy(np.stack([crop.provenance for crop in crops]))
    if device.type == "cuda":
        # Bytes travel, from pinned memory and without waiting; they are widened on the card.
        image, target, provenance = (part.pin_memory() for part in (image, target, provenance))
    image, target, provenance = (part.to(device, non_blocking=True) for part in (image, target, provenance))
    # The lookup says 255 where nothing counts, which is the ignore index of the losses.
    return Batch(
        image=normalise(image).contiguous(memory_format=torch.channels_last),
        target=target.to(torch.int64),
        provenance=provenance,
    )


class Batches:
    """Draws, changes and stacks crops.

    Args:
        pool: Where crops come from.
        classes: Class table whose order is the order of the channels.
        augmentation: How crops are changed.
        device: Where batches shall be.
        seed: Start of the random changes.
    """

    def __init__(
        self, pool: Pool, classes: ClassTable, augmentation: AugmentConfig, device: torch.device, *, seed: int
    ) -> None:
        self._pool = pool
        self._channel_of = classes.channel_of()
        self._augmentation = augmentation
        self._device = device
        self._rng = np.random.default_rng([seed, 1])

    def set_classes(self, classes: ClassTable) -> None:
        """Follow a changed class table."""
        self._channel_of = classes.channel_of()

    def set_device(self, device: torch.device) -> None:
        """Make batches on another device."""
        self._device = device

    def set_augmentation(self, augmentation: AugmentConfig) -> None:
        """Change how crops are changed."""
        self._augmentation = augmentation

    def next(self, count: int, size: int) -> Batch:
        """Return a batch of `count` crops of `size` pixels.

        Raises:
            TrainingRefusedError: The pool has nothing to draw from.
        """
        crops = [augment(self._pool.draw(size), self._augmentation, self._rng) for _ in range(count)]
        return make_batch(crops, self._channel_of, self._device)
