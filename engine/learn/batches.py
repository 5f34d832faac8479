"""Crops become tensors. B batch, S edge of a crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.annotate.classes import ClassTable, Provenance
from engine.config import AugmentConfig, SparseConfig
from engine.learn.augment import augment
from engine.learn.pool import Crop, Pool
from engine.learn.spread import SPREAD
from models.base import IGNORE_INDEX, normalise


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What one training step learns from.

    Attributes:
        image: (B, 3, S, S) float32 as `models.base.normalise` returns it, channels last in memory.
        target: (B, S, S) int64 class channels; 255 where nothing counts (unlabelled, void, unknown class).
        provenance: (B, S, S) uint8, see `engine.annotate.classes.Provenance`.
        trust: (B, S, S) float32, how much a pixel counts in the loss; None where all count alike.
    """

    image: Tensor
    target: Tensor
    provenance: Tensor
    trust: Tensor | None = None


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
        self._trust: Tensor | None = None

    def set_sparse(self, sparse: SparseConfig) -> None:
        """Say how much accepted and spread labels count beside painted ones."""
        trust = trust_of(sparse)
        # There already: from here to a graphics card every step would wait for it.
        self._trust = None if trust is None else trust.to(self._device)

    def set_classes(self, classes: ClassTable) -> None:
        """Follow a changed class table."""
        self._channel_of = classes.channel_of()

    def set_device(self, device: torch.device) -> None:
        """Make batches on another device."""
        self._device = device
        if self._trust is not None:
            self._trust = self._trust.to(device)

    def set_augmentation(self, augmentation: AugmentConfig) -> None:
        """Change how crops are changed."""
        self._augmentation = augmentation

    def next(self, count: int, size: int) -> Batch:
        """Return a batch of `count` crops of `size` pixels.

        Raises:
            TrainingRefusedError: The pool has nothing to draw from.
        """
        crops = [augment(self._pool.draw(size), self._augmentation, self._rng) for _ in range(count)]
        batch = make_batch(crops, self._channel_of, self._device)
        if self._trust is None:
            return batch
        trust = self._trust[batch.provenance.long()]
        # What is not trusted at all was never said, for every loss and every statistic.
        target = torch.where(trust > 0, batch.target, IGNORE_INDEX)
        return replace(batch, target=target, trust=trust)


def trust_of(sparse: SparseConfig) -> Tensor | None:
    """Return (256,) float32, how much a pixel counts by its provenance; None where all count alike."""
    if sparse.accepted_weight == 1.0 and sparse.spread == 0.0:
        return None
    trust = torch.ones(256)
    trust[int(Provenance.ACCEPTED)] = sparse.accepted_weight
    trust[SPREAD] = sparse.spread
    return trust
