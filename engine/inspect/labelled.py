"""What people labelled, beside what the network makes of it. Worker thread.

(h, w) is the working size of an image, K classes, C channels of features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.annotate.classes import Provenance
from engine.annotate.geometry import Box
from engine.errors import EngineError
from engine.inspect.look import Look, look_at
from engine.inspect.snapshot import Snapshot
from engine.inspect.what_if import labelled_channels
from engine.messages import PoolItem
from engine.opencv import cv2
from engine.project.images import read_image
from models.base import IGNORE_INDEX

_MOST_REGIONS = 300
"""Regions of one image that are looked at, largest first: a picture of thousands of dots helps nobody."""

_FEWEST_PIXELS = 3

Layers = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Label map of permanent class indices and provenance, both (H, W) uint8."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """A connected region of one class that people labelled.

    Attributes:
        image_id: The image.
        channel: Channel of the class.
        box: Around it, in pixels of the whole image.
        y: Row of one of its pixels, near its middle, in the whole image.
        x: Column of that pixel.
        pixels: How many pixels of the whole image it has, about.
        rows: (N,) int64 rows of its pixels at working size.
        columns: (N,) int64 columns.
    """

    image_id: str
    channel: int
    box: Box
    y: int
    x: int
    pixels: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledImage:
    """An annotated image as the network sees it.

    Attributes:
        item: The image.
        look: What the network kept of it.
        channels: (h, w) int64 channels people labelled, 255 where nobody did.
        provenance: (h, w) uint8, see `Provenance`.
    """

    item: PoolItem
    look: Look
    channels: NDArray[np.int64]
    provenance: NDArray[np.uint8]


def labelled_images(
    snapshot: Snapshot, items: Sequence[PoolItem], read: Callable[[PoolItem], Layers]
) -> Iterator[LabelledImage | None]:
    """Look at annotated images, one per piece; None for one that cannot be read or has no label."""
    for item in items:
        yield labelled_image(snapshot, item, read)


def labelled_image(
    snapshot: Snapshot, item: PoolItem, read: Callable[[PoolItem], Layers], look: Look | None = None
) -> LabelledImage | None:
    """Look at one annotated image; None where it cannot be read or nothing in it is labelled.

    Args:
        snapshot: The network.
        item: The image.
        read: Reads its annotation.
        look: What was kept of this very image by this snapshot, if it was looked at already.
    """
    try:
        label_map, provenance = read(item)
        if look is None:
            look = look_at(snapshot, item.image_id, read_image(Path(item.image_path)))
    except EngineError:
        # The pool and the measurement name files that cannot be read; a map leaves them out.
        return None
    if label_map.shape != look.size:
        return None
    channels = labelled_channels(look, label_map).numpy()
    if not (channels != IGNORE_INDEX).any():
        return None
    height, width = channels.shape
    rows = (np.arange(height) * label_map.shape[0] + label_map.shape[0] // 2) // height
    columns = (np.arange(width) * label_map.shape[1] + label_map.shape[1] // 2) // width
    return LabelledImage(item=item, look=look, channels=channels, provenance=provenance[rows][:, columns])


def regions(image: LabelledImage, *, strokes_only: bool) -> tuple[Region, ...]:
    """Return the connected regions of an image, largest first.

    Args:
        image: The image.
        strokes_only: Whether to leave out what was imported or accepted, not painted.
    """
    channels = image.channels
    if strokes_only:
        channels = np.where(image.provenance == Provenance.STROKE, channels, IGNORE_INDEX)
    found: list[Region] = []
    for channel in np.unique(channels):
        if channel != IGNORE_INDEX:
            found += _regions_of(image, channels == channel, int(channel))
    return tuple(sorted(found, key=lambda region: -len(region.rows))[:_MOST_REGIONS])


def _regions_of(image: LabelledImage, mask: NDArray[np.bool_], channel: int) -> list[Region]:
    count, labels, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    scale_y, scale_x = (whole / small for whole, small in zip(image.look.size, mask.shape, strict=True))
    found = []
    largest = sorted(range(1, count), key=lambda label: -int(stats[label, cv2.CC_STAT_AREA]))
    for label in largest[:_MOST_REGIONS]:
        left, top, width, height, area = (int(value) for value in stats[label])
        if area < _FEWEST_PIXELS:
            break
        rows, columns = np.nonzero(labels[top : top + height, left : left + width] == label)
        rows, columns = rows + top, columns + left
        middle = int(np.argmin((rows - centres[label][1]) ** 2 + (columns - centres[label][0]) ** 2))
        found.append(
            Region(
                image_id=image.item.image_id,
                channel=channel,
                box=Box(
                    int(top * scale_y),
                    int(left * scale_x),
                    min(image.look.size[0], round((top + height) * scale_y)),
                    min(image.look.size[1], round((left + width) * scale_x)),
                ),
                y=int((rows[middle] + 0.5) * scale_y),
                x=int((columns[middle] + 0.5) * scale_x),
                pixels=max(1, round(area * scale_y * scale_x)),
                rows=rows.astype(np.int64),
                columns=columns.astype(np.int64),
            )
        )
    return found


def mean_feature(values: Tensor, region: Region, frame: tuple[int, int]) -> NDArray[np.float32]:
    """Return the mean feature of a region, (C,) float32.

    Args:
        values: (C, h', w') features.
        region: Its pixels, in the frame.
        frame: Size the features would be enlarged to.
    """
    height, width = values.shape[1:]
    cells = (region.rows * height // frame[0]) * width + region.columns * width // frame[1]
    chosen = torch.from_numpy(cells).to(values.device)
    return np.asarray(values.flatten(1)[:, chosen].float().mean(dim=1).cpu().numpy(), np.float32)


def comparable(look: Look) -> Tensor:
    """Return the features (C, h', w') float32 in which strokes and class memory are compared."""
    explanation = look.explanation
    if explanation is None:
        return look.logits
    if explanation.remembered is not None:
        return explanation.remembered[0].float()
    return explanation.features[0].float()


def memory_of(look: Look) -> NDArray[np.float32] | None:
    """Return the class memory (K, M, C) float32, zero where empty; None where the network has none."""
    if look.explanation is None or look.explanation.memory is None:
        return None
    return np.asarray(look.explanation.memory.float().cpu().numpy(), np.float32)
