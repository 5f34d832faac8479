"""What people labelled, beside what the network makes of it. Worker thread.

(h, w) is the working size of an image, K classes, C channels of features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.annotate.classes import Provenance
from engine.errors import EngineError
from engine.inspect.label_errors import LabelledRegion, labelled_regions
from engine.inspect.look import Look, look_at
from engine.inspect.snapshot import Snapshot
from engine.inspect.what_if import labelled_channels
from engine.messages import PoolItem
from engine.project.images import read_image
from models.base import IGNORE_INDEX

_MOST_REGIONS = 300
"""Regions of one image that are looked at, largest first: a picture of thousands of dots helps nobody."""

_MOST_PIXELS = 2000
"""Pixels of one region whose features are averaged."""

Layers = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Label map of permanent class indices and provenance, both (H, W) uint8."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stroke:
    """A connected region of one class that people painted or imported, and what the network makes of it.

    Attributes:
        region: Where it is, in the whole image.
        channel: Channel of its class.
        painted: Whether a person painted it; otherwise it was imported.
        feature: (C,) float32 mean feature of its pixels, see `comparable`.
        chance: Probability the network gives to its class, mean over its pixels.
    """

    region: LabelledRegion
    channel: int
    painted: bool
    feature: NDArray[np.float32]
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledImage:
    """An annotated image as the network sees it.

    Attributes:
        item: The image.
        look: What the network kept of it.
        channels: (h, w) int64 channels people labelled, 255 where nobody did.
        label_map: (H, W) uint8 permanent class indices of the whole image.
        provenance: (H, W) uint8, see `Provenance`.
    """

    item: PoolItem
    look: Look
    channels: NDArray[np.int64]
    label_map: NDArray[np.uint8]
    provenance: NDArray[np.uint8]


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
    return LabelledImage(item=item, look=look, channels=channels, label_map=label_map, provenance=provenance)


def strokes_of(image: LabelledImage) -> tuple[Stroke, ...]:
    """Return what people painted or imported in an image, region by region, largest first."""
    look = image.look
    channels = {index: channel for channel, index in enumerate(look.classes.indices)}
    found = labelled_regions(image.item.image_id, image.label_map, image.provenance)
    known = [(region, mask) for region, mask in found if region.class_index in channels]
    known.sort(key=lambda pair: -pair[0].pixels)
    features, chances = comparable(look), look.logits.softmax(dim=0)
    strokes = []
    for region, mask in known[:_MOST_REGIONS]:
        rows, columns = _working_pixels(look, region, mask)
        channel = channels[region.class_index]
        strokes.append(
            Stroke(
                region=region,
                channel=channel,
                painted=bool(image.provenance[region.y, region.x] == Provenance.STROKE),
                feature=_mean(features, rows, columns, look.frame),
                chance=float(_mean(chances[channel : channel + 1], rows, columns, look.frame)[0]),
            )
        )
    return tuple(strokes)


def _working_pixels(
    look: Look, region: LabelledRegion, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns (N,) of a region at working size; of a large one some that lie evenly."""
    rows, columns = np.nonzero(mask)
    step = max(1, len(rows) // _MOST_PIXELS)
    height, width = look.image.shape[:2]
    return (
        (rows[::step] + region.box.top) * height // look.size[0],
        (columns[::step] + region.box.left) * width // look.size[1],
    )


def _mean(
    values: Tensor, rows: NDArray[np.int64], columns: NDArray[np.int64], frame: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the mean (C,) float32 of a map (C, h', w') over pixels of the frame it would be enlarged to."""
    height, width = values.shape[1:]
    cells = torch.from_numpy((rows * height // frame[0]) * width + columns * width // frame[1])
    chosen = values.flatten(1)[:, cells.to(values.device)]
    return np.asarray(chosen.float().mean(dim=1).cpu().numpy(), np.float32)


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
