"""What a person asks about the inside of the network. `engine.messages.inspection` has the answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from engine.messages.values import PoolItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspect:
    """Look into the network at an image and keep what later questions need. Answer: `InspectionReady`.

    The newest request wins. Nothing of it happens, and nothing of it costs anything, unless it is asked.
    """

    request_id: int
    image_id: str
    image_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndInspection:
    """Give back the memory that inspection holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainPixel:
    """Say why the pixel (y, x) of the inspected image got its label. Answer: `PixelExplained`."""

    request_id: int
    image_id: str
    y: int
    x: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRepresentations:
    """What if the network did not know these classes? Answer: `WhatIfReady`. Changes nothing saved."""

    request_id: int
    image_id: str
    deleted: tuple[int, ...]


class OverlayKind(Enum):
    """Pictures of doubt and structure that fit every network."""

    ENTROPY = "entropy"
    MARGIN = "margin"
    AUGMENTATION = "augmentation"
    FLICKER = "flicker"
    STRUCTURE = "structure"
    CANDIDATE_FLIPS = "candidate_flips"


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeOverlay:
    """Compute one overlay of an image. Answer: `OverlayReady`."""

    request_id: int
    image_id: str
    image_path: str
    kind: OverlayKind


class Projection(Enum):
    """How vectors are put on a plane."""

    PRINCIPAL = "pca"
    """By their two principal components: a plane that all of them lie beside."""
    NEIGHBOURHOODS = "umap"
    """By UMAP: what is near stays near. Needs an optional package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapMemory:
    """Draw class memory and the strokes of these images on a plane. Answer: `MemoryMapped`."""

    request_id: int
    items: tuple[PoolItem, ...]
    projection: Projection = Projection.PRINCIPAL


@dataclass(frozen=True, slots=True, kw_only=True)
class FitCalibration:
    """Learn from human-labelled pixels how far confidence can be trusted. Answer: `CalibrationFitted`."""

    request_id: int
    items: tuple[PoolItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindLabelErrors:
    """Rank what people labelled by how likely it is a slip. Answer: `LabelErrorsFound`."""

    request_id: int
    items: tuple[PoolItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewEffect:
    """Which pixels would flip if the network learnt the newest stroke? Answer: `EffectPreviewed`.

    `pinned` are further images, (image id, path), to look at besides the one on screen.
    """

    request_id: int
    item: PoolItem
    pinned: tuple[tuple[str, str], ...] = ()


InspectionCommand = (
    Inspect
    | EndInspection
    | ExplainPixel
    | DeleteRepresentations
    | MakeOverlay
    | MapMemory
    | FitCalibration
    | FindLabelErrors
    | PreviewEffect
)
