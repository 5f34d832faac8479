"""Corrections in a class memory at once, for networks that have one. Worker thread.

The shown network's memory always holds what training left; checkpoints, exports, judging and further training
know nothing of what happens here. Only while a tile for the screen is predicted, the memory is read as if it
knew the strokes made since these weights are shown (`models.instant_memory`). When other weights are shown,
strokes begin anew: training has learnt from the old ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.messages import PoolItem, PredictionSource
from engine.project.images import ImageArray
from engine.project.manifest import Split
from engine.quick.samples import Cells, cell_middles
from engine.worker.fresh_strokes import FreshStrokes
from engine.worker.network import LiveNetwork
from models.base import normalise
from models.instant_memory import ClassSums, RemembersClasses, class_sums, together

if TYPE_CHECKING:
    from torch import Tensor

_WINDOW_PIXELS = 1_500_000
"""Largest image whose features are computed as it is; of larger ones every second pixel or fewer is seen."""


class MemoryDesk:
    """Strokes made since the present weights are shown, as sums of the network's own features."""

    def __init__(self) -> None:
        self._fresh = FreshStrokes()
        self._said: dict[str, ClassSums] = {}
        self._features: tuple[str, Tensor] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no stroke counts."""
        return not self._said

    def serves(self, network: LiveNetwork) -> bool:
        """Whether a network has a class memory that takes strokes in."""
        return isinstance(network.model, RemembersClasses)

    def look(self, network: LiveNetwork, image_id: str, cells: Cells | None) -> PredictionSource:
        """Note what is painted in an image already: only later strokes count. Return who will predict it.

        Args:
            network: Whose memory it is.
            image_id: The image.
            cells: All its painted cells, None without any.
        """
        self._follow(network)
        self._fresh.look(image_id, cells)
        return PredictionSource.NETWORK if self.is_empty else PredictionSource.MEMORY

    def corrected(self, network: LiveNetwork, item: PoolItem, image: ImageArray, cells: Cells) -> bool:
        """Take in an annotation as it is now; return whether the memory reads differently.

        Args:
            network: Whose memory it is.
            item: The image.
            image: (H, W, 3) uint8 RGB.
            cells: All its painted cells.
        """
        self._follow(network)
        model = network.model
        if not isinstance(model, RemembersClasses) or item.split is Split.NONE:
            return False
        if image.shape[:2] != item.size:
            return False  # the file is another image now; the pool tells
        if item.image_id not in self._fresh:
            self._fresh.look(item.image_id, cells)
            return False
        new = self._fresh.among(item.image_id, cells)
        import torch

        channel_of = {index: channel for channel, index in enumerate(network.classes.indices)}
        new = new.where(np.isin(new.labels, list(channel_of)))
        old = self._said.pop(item.image_id, None)
        if len(new):
            features = self._seen(network, model, item.image_id, image)
            size = (int(image.shape[0]), int(image.shape[1]))
            y, x = cell_middles(new, size)
            self._said[item.image_id] = class_sums(
                features,
                size,
                torch.from_numpy(y),
                torch.from_numpy(x),
                torch.tensor([channel_of[int(label)] for label in new.labels]),
                torch.from_numpy(new.pixels),
                len(network.classes),
            )
        now = self._said.get(item.image_id)
        if old is None or now is None:
            return old is not now
        return not (torch.equal(old.sums, now.sums) and torch.equal(old.pixels, now.pixels))

    @contextlib.contextmanager
    def applied(self, network: LiveNetwork) -> Iterator[None]:
        """Let the memory read as if it knew the strokes, as long as this lasts."""
        model: Any = network.model
        if self.is_empty or not self._fresh.are_of(network) or not isinstance(model, RemembersClasses):
            yield
            return
        memory = model.memory
        base = memory.memory
        # In the order of image ids: the same strokes give the same bits, whichever came first.
        said = together([self._said[name] for name in sorted(self._said)])
        memory.memory = memory.with_corrections(said)
        try:
            yield
        finally:
            memory.memory = base

    def _follow(self, network: LiveNetwork) -> None:
        if self._fresh.follow(network):
            self._said, self._features = {}, None

    def _seen(
        self, network: LiveNetwork, model: RemembersClasses, image_id: str, image: ImageArray
    ) -> Tensor:
        """Return the features of an image; those of the image corrected last are kept."""
        if self._features is not None and self._features[0] == image_id:
            return self._features[1]
        network.model.eval()
        import torch

        step = max(1, int(np.ceil(np.sqrt(image.shape[0] * image.shape[1] / _WINDOW_PIXELS))))
        pixels = torch.from_numpy(np.array(image[None, ::step, ::step], np.uint8))
        # Not where it was opened: it follows a run that had to move to the processor.
        pixels = pixels.to(next(network.model.parameters()).device)
        with torch.inference_mode():
            features = model.memory_features(normalise(pixels)).float().cpu()
        self._features = image_id, features
        return features
