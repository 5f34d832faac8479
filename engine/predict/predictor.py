"""From an image to a label map with confidence. Worker thread.

K classes, h w size of a tile. A small image is one tile; a large one is cut, and each tile is handed out
as soon as it is known, blended with those neighbours that are known already. Memory follows the tiles that
still wait for a neighbour, never the image.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.annotate.classes import UNLABELLED, ClassTable
from engine.annotate.geometry import Box
from engine.config import Precision, PredictConfig
from engine.errors import DeviceMemoryError
from engine.predict.compute import autocast, is_out_of_memory, release_memory, shortage_told
from engine.predict.tiles import fade, plan_tiles, touches
from models.base import SegmentationModel, normalise
from models.inspection import FIRST_STAGE, InspectionKind

_SMALLEST_TILE = 128


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictedPart:
    """What is known about one box of an image.

    Attributes:
        box: Part of the image; parts may overlap, a later one is the better one.
        label_map: (h, w) uint8 permanent class indices, read-only.
        confidence: (h, w) float32 largest softmax probability, in [0, 1], read-only.
        complete: Whether this is the last part.
    """

    box: Box
    label_map: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    complete: bool


_SMALL_IMAGE = (
    "There is not enough memory to look at small images.",
    "Close other programs, or choose a smaller network.",
)


def _never() -> bool:
    return False


Refine = Callable[[NDArray[np.uint8], NDArray[np.float32], Box], NDArray[np.float32]]
"""Makes other probabilities (K, h, w) of an (h, w, 3) tile, those of the network, and where the tile lies."""


class Predictor:
    """Predicts images with a network that others may train in between.

    Attributes:
        refine: Has the last word on probabilities, see `refined_by`; None for the network alone.

    Args:
        model: Network on `device`; set to evaluation mode for every tile.
        classes: Class table; its order is the order of the channels.
        config: Tiles and averaging.
        device: Where the network is; it may move to the processor later, when training needs the room.
        precision: Number format there; never AUTO.
    """

    def __init__(
        self,
        model: SegmentationModel[Any],
        classes: ClassTable,
        config: PredictConfig,
        device: torch.device,
        precision: Precision = Precision.FLOAT32,
    ) -> None:
        self._model = model
        self._index_of = torch.from_numpy(np.array(classes.index_of(), np.uint8)).to(device)
        self._config = config
        self._device = device
        self._precision = precision
        self.refine: Refine | None = None

    def refined_by(self, refine: Refine) -> Predictor:
        """Return a predictor of the same network whose probabilities something else has the last word on.

        Args:
            refine: Called with every tile, off the device.
        """
        other = copy.copy(self)
        other.refine = refine
        return other

    def predict(
        self,
        image: NDArray[np.uint8],
        *,
        visible: Box | None = None,
        cancelled: Callable[[], bool] = _never,
    ) -> Iterator[PredictedPart]:
        """Predict part by part, what is on screen first.

        Args:
            image: (H, W, 3) uint8 RGB.
            visible: Part on screen, or None.
            cancelled: Asked before every tile; True ends the prediction without a last part.

        Raises:
            DeviceMemoryError: Memory is too small even for small tiles.
        """
        tile = self._first_tile(image.shape[0], image.shape[1])
        while True:
            try:
                yield from self._parts(image, tile, visible, cancelled)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if tile // 2 < _SMALLEST_TILE:
                    raise DeviceMemoryError(
                        "There is not enough memory to predict this image, not even in small tiles.",
                        "Close other programs, or choose a smaller network.",
                    ) from error
            else:
                return
            tile = min(tile // 2, self._config.tile)
            release_memory(self._device)

    def predict_whole(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Predict a whole image.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (H, W) uint8 permanent class indices and (H, W) float32 confidence, read-only.

        Raises:
            DeviceMemoryError: Memory is too small even for small tiles.
        """
        size = image.shape[:2]
        label_map = np.full(size, UNLABELLED, np.uint8)
        confidence = np.zeros(size, np.float32)
        for part in self.predict(image):
            label_map[part.box.slices] = part.label_map
            confidence[part.box.slices] = part.confidence
        label_map.setflags(write=False)
        confidence.setflags(write=False)
        return label_map, confidence

    def predict_stages(
        self, image: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8] | None]:
        """Predict a small image in one piece, and say what the network's first stage took it for.

        Args:
            image: (H, W, 3) uint8 RGB, small enough for one tile.

        Returns:
            (H, W) uint8 permanent class indices, (H, W) float32 confidence and (h, w) uint8 permanent class
            indices of the first stage at the size of its features, None where there is one stage only.

        Raises:
            DeviceMemoryError: Memory is too small.
        """
        with shortage_told(*_SMALL_IMAGE):
            return self._stages(image)

    def probabilities_at(
        self, image: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Predict a small image in one piece and return what the network itself says of some pixels.

        Args:
            image: (H, W, 3) uint8 RGB, small enough for one tile.
            rows: (n,) of the pixels.
            columns: (n,) of the pixels.

        Returns:
            (K, n) float32 probabilities.

        Raises:
            DeviceMemoryError: Memory is too small.
        """
        with shortage_told(*_SMALL_IMAGE):
            found: NDArray[np.float32] = self._probabilities(image).cpu().numpy()[:, rows, columns]
        return found

    @torch.inference_mode()
    def _stages(
        self, image: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8] | None]:
        pixels = self._ready(image)
        with autocast(self._device, self._precision):
            output = self._model(pixels, inspect=True)
        probabilities = output.logits[0].float().softmax(dim=0)
        if self.refine is not None:
            whole = Box(0, 0, image.shape[0], image.shape[1])
            probabilities = torch.from_numpy(self.refine(image, probabilities.cpu().numpy(), whole))
        confidence, channel = probabilities.max(dim=0)
        views = (output.inspection[name] for name in FIRST_STAGE if name in output.inspection)
        first = next((view.values[0] for view in views if view.kind is InspectionKind.LABEL_MAP), None)
        index_of = self._index_of.cpu()
        return (
            _frozen(index_of[channel.cpu()].numpy()),
            _frozen(confidence.cpu().clamp_(0.0, 1.0).numpy()),
            None if first is None else _frozen(index_of[first.cpu()].numpy()),
        )

    def frozen_copy(self) -> SegmentationModel[Any]:
        """Return a copy of the network as it predicts now: evaluation mode, float32, no gradients.

        What is asked of the copy later fits together, whatever training does to the network meanwhile.
        """
        copied = copy.deepcopy(self._model).eval()
        return copied.requires_grad_(requires_grad=False)

    def _first_tile(self, height: int, width: int) -> int:
        """Return the edge of the tiles to try first: the whole image where it is small."""
        if height * width <= self._config.single_tile_megapixels * 1e6:
            return max(height, width)
        return self._config.tile

    def _parts(
        self, image: NDArray[np.uint8], tile: int, visible: Box | None, cancelled: Callable[[], bool]
    ) -> Iterator[PredictedPart]:
        size = (int(image.shape[0]), int(image.shape[1]))
        boxes = plan_tiles(size, tile, self._config.overlap, visible)
        blend = _Blend(boxes, size, min(self._config.overlap, tile // 2))
        for number, box in enumerate(boxes):
            if cancelled():
                return
            probabilities = self._probabilities(image[box.slices])
            if self.refine is not None:
                refined = self.refine(image[box.slices], probabilities.cpu().numpy(), box)
                probabilities = torch.from_numpy(refined)
            if len(boxes) > 1:
                probabilities = blend.add(number, probabilities)
            confidence, channel = probabilities.max(dim=0)
            yield PredictedPart(
                box=box,
                label_map=_frozen(self._index_of.to(channel.device)[channel].cpu().numpy()),
                confidence=_frozen(confidence.clamp_(0.0, 1.0).cpu().numpy()),
                complete=number == len(boxes) - 1,
            )

    @torch.inference_mode()
    def _probabilities(self, tile: NDArray[np.uint8]) -> Tensor:
        """Return (K, h, w) float32 softmax probabilities of an (h, w, 3) uint8 tile, on the device."""
        image = self._ready(tile)
        probabilities = self._softmax(image)
        if self._config.flip:
            probabilities = (probabilities + self._softmax(image.flip(-1)).flip(-1)) / 2
        return probabilities

    def _ready(self, tile: NDArray[np.uint8]) -> Tensor:
        """Return (1, 3, h, w) float32 of an (h, w, 3) uint8 tile where the network is, and make it ready."""
        self._model.eval()
        self._follow_device()
        pixels = torch.from_numpy(np.array(tile[None], np.uint8)).to(self._device)
        return normalise(pixels).contiguous(memory_format=torch.channels_last)

    def _follow_device(self) -> None:
        device = next((parameter.device for parameter in self._model.parameters()), self._device)
        if device.type != self._device.type:
            self._device, self._precision = device, Precision.FLOAT32

    def _softmax(self, image: Tensor) -> Tensor:
        with autocast(self._device, self._precision):
            logits: Tensor = self._model(image).logits
        return logits[0].float().softmax(dim=0)


class _Blend:
    """Keeps the weighted probabilities of tiles as long as a neighbour still needs them."""

    def __init__(self, boxes: tuple[Box, ...], size: tuple[int, int], overlap: int) -> None:
        self._boxes = boxes
        self._size = size
        self._overlap = overlap
        self._neighbours = [
            {other for other, box in enumerate(boxes) if other != own and touches(box, boxes[own])}
            for own in range(len(boxes))
        ]
        self._done: set[int] = set()
        self._held: dict[int, tuple[Tensor, Tensor]] = {}

    def add(self, number: int, probabilities: Tensor) -> Tensor:
        """Take in the (K, h, w) probabilities of a tile; return them blended with all known neighbours.

        The result is on the CPU.
        """
        box = self._boxes[number]
        weight = torch.from_numpy(fade(box, self._size, self._overlap))
        own = probabilities.cpu() * weight
        mixed, total = own.clone(), weight.clone()
        for other in self._neighbours[number] & self._held.keys():
            theirs, their_weight = self._held[other]
            here, there = _shared(box, self._boxes[other])
            mixed[(slice(None), *here)] += theirs[(slice(None), *there)]
            total[here] += their_weight[there]
        self._done.add(number)
        # Half precision halves what waits; three digits are plenty for a share of a blend.
        self._held[number] = (own.half(), weight)
        for waiting in [held for held in self._held if self._neighbours[held] <= self._done]:
            del self._held[waiting]
        return mixed.div_(total)


def _shared(box: Box, other: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the common part of two boxes in the coordinates of either."""
    both = box.intersect(other)
    return both.shifted(-box.top, -box.left).slices, both.shifted(-other.top, -other.left).slices


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
