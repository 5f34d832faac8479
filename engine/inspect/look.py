"""One image seen by one network, kept for the questions that follow. Worker thread.

K classes, H W size of the whole image, (h, w) size of the working image or of a feature map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.inspect.snapshot import Snapshot, working_image
from engine.inspect.strongest import strongest_enlarged
from engine.messages import InspectedView
from engine.opencv import cv2
from models.explanation import Explanation, Representations
from models.inspection import FIRST_STAGE, InspectionKind
from models.output import InspectionView, SegmentationOutput

_BATCHED = (
    InspectionKind.HEATMAP,
    InspectionKind.LABEL_MAP,
    InspectionKind.CLASS_HEATMAPS,
    InspectionKind.CHANNEL_HEATMAPS,
)
_MOST_LOGITS = 2**26
"""Logits held at once while a label map is made: 256 MB. With more classes the map is made smaller."""

_DELETIONS_BYTES = 192 * 2**20
"""Logits without one class that are kept, for as many classes as fit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What a network kept of an image.

    Attributes:
        image_id: The image.
        size: (H, W) of the whole image.
        snapshot: The network.
        image: (h, w, 3) uint8 RGB at working size.
        logits: (K, h', w') float32 at the size of the last features.
        frame: (height, width) to which they are enlarged; the working image is its upper left part.
        channels: (h, w) int64 channel predicted, at working size.
        views: What the network shows.
        explanation: What the network explains itself by; None where it does not.
    """

    image_id: str
    size: tuple[int, int]
    snapshot: Snapshot
    image: NDArray[np.uint8]
    logits: Tensor
    frame: tuple[int, int]
    channels: Tensor
    views: tuple[InspectedView, ...]
    explanation: Explanation | None
    _deletions: dict[int, Tensor] = field(default_factory=dict)
    _predicted: list[NDArray[np.uint8]] = field(default_factory=list)

    @property
    def classes(self) -> ClassTable:
        """Class table; its order is the order of the channels."""
        return self.snapshot.classes

    @property
    def representations(self) -> Representations | None:
        """What the network's head knows of each class here, or None."""
        return None if self.explanation is None else self.explanation.representations

    def place(self, y: float, x: float) -> tuple[int, int]:
        """Return the pixel of the working image that shows a pixel of the whole image."""
        height, width = self.image.shape[:2]
        row = min(height - 1, max(0, int((y + 0.5) * height / self.size[0])))
        column = min(width - 1, max(0, int((x + 0.5) * width / self.size[1])))
        return row, column

    def enlarged(self, logits: Tensor) -> Tensor:
        """Return logits (K, h', w') at working size (K, h, w), or smaller where there are many classes."""
        height, width = self.image.shape[:2]
        shrink = min(1.0, (_MOST_LOGITS / (len(logits) * height * width)) ** 0.5)
        frame = (round(self.frame[0] * shrink), round(self.frame[1] * shrink))
        whole = F.interpolate(logits[None], size=frame, mode="bilinear", align_corners=False)[0]
        return whole[:, : max(1, round(height * shrink)), : max(1, round(width * shrink))]

    def strongest(self, logits: Tensor) -> Tensor:
        """Return the strongest channel of logits (K, h', w') at every working pixel, (h, w) int64."""
        height, width = self.image.shape[:2]
        return strongest_enlarged(logits, self.frame, (height, width))

    def label_map(self, channels: Tensor) -> NDArray[np.uint8]:
        """Return (H, W) uint8 permanent class indices of (h, w) channels of any size, nearest pixel."""
        index_of = np.array(self.classes.index_of(), np.uint8)
        small = channels.to(torch.uint8).cpu().numpy()
        return enlarged_labels(np.take(index_of, small), self.size)

    def predicted(self) -> NDArray[np.uint8]:
        """Return (H, W) uint8 permanent class indices of the final prediction."""
        if not self._predicted:
            self._predicted.append(self.label_map(self.channels))
        return self._predicted[0]

    def coarse(self) -> NDArray[np.uint8] | None:
        """Return (H, W) uint8 permanent class indices of the first stage's prediction, or None."""
        for view in self.views:
            if view.name in FIRST_STAGE and view.kind is InspectionKind.LABEL_MAP:
                return self.label_map(torch.from_numpy(np.array(view.values)))
        return None

    def probabilities(self, edge: int) -> NDArray[np.float32]:
        """Return (K, h, w) float32 probabilities whose longer edge is `edge` pixels at most."""
        height, width = self.image.shape[:2]
        shrink = min(1.0, edge / max(height, width))
        frame = (max(1, round(self.frame[0] * shrink)), max(1, round(self.frame[1] * shrink)))
        whole = F.interpolate(self.logits[None], size=frame, mode="bilinear", align_corners=False)[0]
        part = whole[:, : max(1, round(height * shrink)), : max(1, round(width * shrink))]
        return np.asarray(part.softmax(dim=0).cpu().numpy(), np.float32)

    def without(self, channels: frozenset[int]) -> Tensor:
        """Return logits (K, h', w') of the head rerun without some classes; single ones are kept.

        Raises:
            LookupError: The network has no representations of classes.
        """
        *_, logits = self.without_in_pieces(channels)
        if logits is None:
            raise LookupError("the last piece gives the logits")
        return logits

    def without_in_pieces(self, channels: frozenset[int]) -> Iterator[Tensor | None]:
        """Do the work of `without` in pieces, and yield its answer with the last.

        Raises:
            LookupError: The network has no representations of classes.
        """
        known = self.representations
        if known is None:
            raise LookupError("the network keeps no representations of classes")
        only = next(iter(channels)) if len(channels) == 1 else None
        if only is not None and only in self._deletions:
            yield self._deletions[only].float()
            return
        deleted = torch.zeros(len(self.logits), dtype=torch.bool, device=self.logits.device)
        deleted[list(channels)] = True
        pieces = known.in_pieces(deleted)
        while True:
            with torch.inference_mode():
                found = next(pieces)
            if found is not None:
                break
            yield None
        logits = found[0].float()
        if only is not None and (len(self._deletions) + 1) * logits.numel() * 4 <= _DELETIONS_BYTES:
            self._deletions[only] = logits
        yield logits

    def without_roughly(self, channels: frozenset[int]) -> Tensor | None:
        """Return about what `without` returns, at once; None where `without` itself is at once.

        What classes do that were deleted alone already is added up; of the others together the network says
        roughly what they do.
        """
        known = self.representations
        if known is None or not known.slow or not channels:
            return None
        measured = channels & self._deletions.keys()
        if len(channels) == len(measured) == 1:
            return None
        logits = self.logits.clone()
        for channel in sorted(measured):
            logits += self._deletions[channel].float() - self.logits
        if channels != measured:
            deleted = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
            deleted[list(channels - measured)] = True
            with torch.inference_mode():
                logits += known.changed_roughly(deleted)[0].float()
        return logits

    def without_at(self, channel: int, place: tuple[int, int]) -> Tensor:
        """Return the logits of one pixel of the frame without a class, (K,) float64 on the processor.

        Only the places around the pixel are computed where the network can do that.
        """
        known = self.representations
        if known is not None and channel not in self._deletions:
            height, width = self.logits.shape[1:]
            rows, row_weights = neighbours(place[0], height, self.frame[0])
            columns, column_weights = neighbours(place[1], width, self.frame[1])
            numbers = [row * width + column for row in rows for column in columns]
            shares = [row * column for row in row_weights for column in column_weights]
            deleted = torch.arange(len(self.logits), device=self.logits.device) == channel
            with torch.inference_mode():
                few = known.without_at(deleted, torch.tensor(numbers, device=deleted.device))
            if few is not None:
                return few[0].double().cpu() @ torch.tensor(shares, dtype=torch.float64)
        return at(self.without(frozenset({channel})), place, self.frame).double()

    def prepare(self) -> None:
        """Compute what deletions will need, so that the first is no slower than the next."""
        if self.representations is not None:
            with torch.inference_mode():
                self.representations.prepare()

    @property
    def is_measured(self) -> bool:
        """Whether every class was deleted alone already, so that the answers are at hand."""
        return self.representations is not None and set(self.present()) <= self._deletions.keys()

    def present(self) -> tuple[int, ...]:
        """Return the channels that have a representation here; none without representations."""
        known = self.representations
        if known is None:
            return ()
        found: list[int] = known.present[0].nonzero().flatten().tolist()
        return tuple(found)


def look_at(snapshot: Snapshot, image_id: str, image: NDArray[np.uint8]) -> Look:
    """Run a network at an image and keep what questions need.

    Args:
        snapshot: The network.
        image_id: The image.
        image: (H, W, 3) uint8 RGB of any size; a large one is shrunk, see `WORKING_PIXELS`.

    Raises:
        DeviceMemoryError: Memory is too small.
    """
    small = working_image(image)
    output = snapshot.run(small)
    explanation = output.explanation
    logits, frame = _kept(output, (small.shape[0], small.shape[1]))
    return Look(
        image_id=image_id,
        size=(int(image.shape[0]), int(image.shape[1])),
        snapshot=snapshot,
        image=small,
        logits=logits,
        frame=frame,
        channels=strongest_enlarged(logits, frame, (small.shape[0], small.shape[1])),
        views=tuple(inspected(name, view) for name, view in output.inspection.items()),
        explanation=explanation,
    )


def _kept(output: SegmentationOutput, size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """Return the logits to keep and the size they are enlarged to: a network may not explain itself."""
    if output.explanation is not None:
        with torch.inference_mode():
            return output.explanation.logits()[0].float(), output.explanation.padded
    return output.logits[0].float(), size


def inspected(name: str, view: InspectionView) -> InspectedView:
    """Return a view of a network's output as read-only arrays, without the batch axis."""
    values = view.values[0] if view.kind in _BATCHED else view.values
    array: NDArray[np.float32] | NDArray[np.int64]
    if view.kind is InspectionKind.LABEL_MAP:
        array = np.array(values.cpu().numpy(), np.int64)
    else:
        array = np.array(values.float().cpu().numpy(), np.float32)
    array.setflags(write=False)
    return InspectedView(
        name=name, kind=view.kind, title=view.title, explanation=view.explanation, values=array
    )


def enlarged_labels(label_map: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a label map at another size, read-only; every pixel takes the nearest label."""
    if label_map.shape == size:
        result = np.array(label_map, np.uint8)
    else:
        flipped = (size[1], size[0])
        result = np.asarray(cv2.resize(label_map, flipped, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    result.setflags(write=False)
    return result


def at(values: Tensor, place: tuple[int, int], frame: tuple[int, int]) -> Tensor:
    """Return what bilinear enlargement of a map gives at one pixel, (C,) on the processor.

    Args:
        values: (C, h, w).
        place: (row, column) in the frame.
        frame: Size the map is enlarged to, with half-pixel centres.
    """
    rows, row_weights = neighbours(place[0], values.shape[1], frame[0])
    columns, column_weights = neighbours(place[1], values.shape[2], frame[1])
    weights = values.new_tensor(row_weights)[:, None] * values.new_tensor(column_weights)[None]
    return (values[:, rows][:, :, columns] * weights).sum(dim=(1, 2)).cpu()


def neighbours(position: int, length: int, frame: int) -> tuple[list[int], list[float]]:
    """Return the two places of a map around a pixel, along one axis, and their weights.

    Args:
        position: Of the pixel in the frame.
        length: Of the map.
        frame: Length the map is enlarged to, with half-pixel centres.
    """
    source = max(0.0, (position + 0.5) * length / frame - 0.5)
    first = min(int(source), length - 1)
    share = source - first
    return [first, min(first + 1, length - 1)], [1.0 - share, share]
