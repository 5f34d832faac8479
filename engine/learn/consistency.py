"""Learning from unlabelled pixels: agreeing, under strong changes, with what the average is sure about.

As FixMatch (Sohn et al., NeurIPS 2020, equation 4) with the average of the weights as the teacher. Teaching
from a weak network's own answers makes it worse, so a gate stands before it: only when sure answers were
right often enough on held-out corrections are they learnt from. Worker thread.

B batch, K classes, S edge of a crop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.config import SparseConfig
from engine.errors import EngineError
from engine.learn.batches import Batch, make_batch
from engine.learn.pool import Crop, Pool
from models.base import IGNORE_INDEX, SegmentationModel
from models.processes import apart, process_count, summed

_EVERY = 50
_CROPS = 6
_FEW = 200


class Consistency:
    """The teacher, its gate and the loss.

    Args:
        teacher: The average of the weights.
        pool: Gives held-out crops for the gate.
        classes: Class table; its order is the order of the channels.
        config: How sure, how often right, and how much it counts.
        seed: Start of the random changes.
    """

    def __init__(
        self,
        teacher: SegmentationModel[Any],
        pool: Pool,
        classes: ClassTable,
        config: SparseConfig,
        *,
        seed: int,
    ) -> None:
        self.config = config
        self._teacher = teacher
        self._pool = pool
        self._channel_of = classes.channel_of()
        self._rng = np.random.default_rng([seed, 3])
        self._noise = torch.Generator().manual_seed(seed)
        self._count = 0
        self.precision: float | None = None

    def set_classes(self, classes: ClassTable) -> None:
        """Follow a changed class table; the gate closes until it was measured again."""
        self._channel_of = classes.channel_of()
        self._count, self.precision = 0, None

    @property
    def is_open(self) -> bool:
        """Whether the teacher may be believed."""
        return self.precision is not None and self.precision >= self.config.consistency_precision

    @torch.no_grad()
    def prepare(self, batch: Batch, crop: int) -> tuple[Tensor, Tensor] | None:
        """Return strongly changed images and pseudo-labels for a batch, or None while the gate is closed.

        Args:
            batch: (B, 3, S, S) images and what people said.
            crop: S.

        Returns:
            (B, 3, S, S) float images and (B, S, S) int64 channels, 255 where people spoke or the teacher is
            not sure.
        """
        if self._count % _EVERY == 0:
            self.precision = self._measured(crop, batch.image.device)
        self._count += 1
        if not self.is_open:
            return None
        confidence, channel = self._answer(batch.image)
        silent = (batch.target == IGNORE_INDEX) & (batch.provenance == 0)
        sure = silent & (confidence >= self.config.consistency_confidence)
        return self._changed(batch.image), torch.where(sure, channel, IGNORE_INDEX)

    def loss(self, logits: Tensor, pseudo: Tensor) -> Tensor:
        """Return the weighted cross-entropy of pseudo-labels, a scalar: the mean over all pixels.

        Of several processes, each returns its share of the mean over the pixels of all.

        Args:
            logits: (B, K, S, S) float of the changed images.
            pseudo: (B, S, S) int64 channels, 255 where nothing is to be learnt.
        """
        total = F.cross_entropy(logits.float(), pseudo, ignore_index=IGNORE_INDEX, reduction="sum")
        return self.config.consistency * total / (pseudo.numel() * process_count())

    def _answer(self, image: Tensor) -> tuple[Tensor, Tensor]:
        self._teacher.eval()
        # The teacher is the same in all processes; only some of them may have something to ask it.
        with apart():
            confidence, channel = self._teacher(image).logits.float().softmax(dim=1).max(dim=1)
        return confidence, channel

    def _changed(self, image: Tensor) -> Tensor:
        """Return images with other contrast and brightness per channel, noise, and a grey box each."""
        shape = (image.shape[0], image.shape[1], 1, 1)

        def uniform(low: float, high: float) -> Tensor:
            return (low + (high - low) * torch.rand(shape, generator=self._noise)).to(image.device)

        changed = image * uniform(0.6, 1.4) + uniform(-0.5, 0.5)
        changed = changed + 0.1 * torch.randn(image.shape, generator=self._noise).to(image.device)
        edge = image.shape[-1]
        for number in range(image.shape[0]):
            size = int(self._rng.integers(edge // 8, edge // 3 + 1))
            top, left = (int(self._rng.integers(0, edge - size + 1)) for _ in range(2))
            changed[number, :, top : top + size, left : left + size] = 0.0
        return changed.contiguous(memory_format=torch.channels_last)

    def _measured(self, crop: int, device: torch.device) -> float | None:
        """Return how often sure answers are right on held-out corrections; None where there are too few.

        Several processes count together: the gate opens for all of them or for none.
        """
        crops = self._held_out_crops(crop)
        found = torch.zeros(2, dtype=torch.int64, device=device)
        if crops:
            batch = make_batch(crops, self._channel_of, device)
            confidence, channel = self._answer(batch.image)
            sure = (batch.target != IGNORE_INDEX) & (confidence >= self.config.consistency_confidence)
            found = torch.stack([sure.sum(), (sure & (channel == batch.target)).sum()])
        count, right = summed(found).tolist()
        return right / count if count >= _FEW else None

    def _held_out_crops(self, crop: int) -> list[Crop]:
        items = self._pool.held_out()
        chosen = self._rng.permutation(len(items))[:_CROPS]
        found = []
        for number in chosen:
            try:
                found.append(self._pool.held_out_crop(items[int(number)], crop))
            except EngineError:
                continue  # the measurement names images that cannot be read
        return found
