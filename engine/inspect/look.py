"""One image seen by one network, kept for the questions that follow. Worker thread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.inspect.snapshot import Snapshot, working_image
from engine.messages import InspectedView
from engine.opencv import cv2
from models.inspection import InspectionKind
from models.output import InspectionView

_BATCHED = (InspectionKind.HEATMAP, InspectionKind.LABEL_MAP, InspectionKind.CLASS_HEATMAPS)
_COARSE = ("pseudo_label", "coarse", "prediction_stage1")
"""Names under which networks show the prediction of their first stage."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What a network kept of an image.

    Attributes:
        image_id: The image.
        size: (H, W) of the whole image.
        snapshot: The network.
        image: (h, w, 3) uint8 RGB at working size.
        logits: (K, h, w) float32 at working size.
        views: What the network shows.
    """

    image_id: str
    size: tuple[int, int]
    snapshot: Snapshot
    image: NDArray[np.uint8]
    logits: Tensor
    views: tuple[InspectedView, ...]

    @property
    def classes(self) -> ClassTable:
        """Class table; its order is the order of the channels."""
        return self.snapshot.classes

    def place(self, y: int, x: int) -> tuple[int, int]:
        """Return the pixel of the working image that shows a pixel of the whole image."""
        height, width = self.image.shape[:2]
        row = min(height - 1, max(0, int((y + 0.5) * height / self.size[0])))
        column = min(width - 1, max(0, int((x + 0.5) * width / self.size[1])))
        return row, column

    def label_map(self, channels: Tensor) -> NDArray[np.uint8]:
        """Return (H, W) uint8 permanent class indices of (h, w) channels of any size, nearest pixel."""
        index_of = np.array(self.classes.index_of(), np.uint8)
        return enlarged_labels(index_of[channels.cpu().numpy()], self.size)

    def coarse(self) -> NDArray[np.uint8] | None:
        """Return (H, W) uint8 permanent class indices of the first stage's prediction, or None."""
        for view in self.views:
            if view.name in _COARSE and view.kind is InspectionKind.LABEL_MAP:
                return self.label_map(torch.from_numpy(view.values))
        return None


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
    return Look(
        image_id=image_id,
        size=(int(image.shape[0]), int(image.shape[1])),
        snapshot=snapshot,
        image=small,
        logits=output.logits[0].float(),
        views=tuple(inspected(name, view) for name, view in output.inspection.items()),
    )


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
