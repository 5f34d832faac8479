"""Label maps in foreign image files: found by name, read without losing their values."""

import dataclasses
import struct
import zlib
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import ExchangeError
from engine.project.images import MAX_PIXELS, picture_formats, probe

Rgb = tuple[int, int, int]
MaskValue = int | Rgb
"""What a pixel of a foreign mask holds: an id, or a colour."""

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".webp")
_ENDINGS = ("", "_mask", "-mask", "_label", "_labels", "_labelids", "_gt", "_seg", "_l", "_gtfine_labelids")
_MOST_VALUES = 1024
_COUNTABLE = 1 << 24
"""Values below are found by a table of all of them, much faster than by sorting: ids, and all colours."""
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error, zlib.error)
_GREY_MODES = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L"})


class MaskKind(Enum):
    """How a mask file says what a pixel is."""

    IDS = "ids"
    PALETTE = "palette"
    COLORS = "colors"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskFile:
    """One foreign mask, read.

    Attributes:
        kind: how values are to be understood.
        values: the distinct values, in the order ``codes`` counts them.
        codes: (H, W) uint16 numbers of values.
        palette: colour by id for palette files, otherwise empty.
    """

    kind: MaskKind
    values: tuple[MaskValue, ...]
    codes: NDArray[np.uint16]
    palette: Mapping[int, Rgb]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.codes.shape
        return height, width

    def pixels(self) -> dict[MaskValue, int]:
        """Number of pixels of each value."""
        counts = np.bincount(self.codes.reshape(-1), minlength=len(self.values))
        return {value: int(count) for value, count in zip(self.values, counts, strict=True)}


def read_mask_file(path: Path) -> MaskFile:
    """Read a mask with all its values.

    Ids may be 1, 8 or 16 bits. Transparency is ignored. A colour file whose pixels are all grey holds ids.

    Raises:
        ExchangeError: it holds more values than classes could ever be, as photographs and JPEG files do, or
            more pixels than any image may have.
        ImageError: it cannot be read.
    """
    height, width = probe(path).size
    if height * width > MAX_PIXELS:
        raise ExchangeError(
            f"“{path}” is too large for a mask: {width:,} x {height:,} pixels.",
            hint="Export it at the size of its image.",
        )
    try:
        with Image.open(path, formats=picture_formats()) as image:
            image.load()
            if image.mode == "P":
                ids = np.asarray(image)
                return _from_ids(path, ids, MaskKind.PALETTE, _palette(image))
            if image.mode in _GREY_MODES:
                return _from_ids(path, _grey(image), MaskKind.IDS, {})
            colors = np.asarray(image.convert("RGB"))
    except _DAMAGE as error:
        raise ExchangeError(f"“{path}” is damaged: {error}.", hint="Export this mask again.") from error
    if (colors[:, :, 0] == colors[:, :, 1]).all() and (colors[:, :, 1] == colors[:, :, 2]).all():
        return _from_ids(path, colors[:, :, 0], MaskKind.IDS, {})
    packed = colors.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, codes = _distinct(path, packed)
    values = tuple((int(v) >> 16, (int(v) >> 8) & 255, int(v) & 255) for v in found)
    return MaskFile(kind=MaskKind.COLORS, values=values, codes=codes, palette={})


def _grey(image: Image.Image) -> NDArray[np.integer]:
    if image.mode == "LA":
        return np.asarray(image.getchannel(0))
    grey = np.asarray(image)
    return grey.astype(np.uint8) if grey.dtype == bool else grey


def _palette(image: Image.Image) -> dict[int, Rgb]:
    flat = image.getpalette("RGB") or []
    return {
        index: (flat[3 * index], flat[3 * index + 1], flat[3 * index + 2]) for index in range(len(flat) // 3)
    }


def _from_ids(path: Path, ids: NDArray[np.integer], kind: MaskKind, palette: Mapping[int, Rgb]) -> MaskFile:
    found, codes = _distinct(path, ids)
    values = tuple(int(value) for value in found)
    used = {value: palette[value] for value in values if value in palette}
    return MaskFile(kind=kind, values=values, codes=codes, palette=used)


def _distinct(path: Path, raw: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.uint16]]:
    """Distinct values and, for each pixel, the number of its value."""
    if raw.min() < 0 or raw.max() >= _COUNTABLE:
        found, codes = np.unique(raw, return_inverse=True)
    else:
        number = np.zeros(int(raw.max()) + 1, np.uint32)
        number[raw] = 1
        found = np.flatnonzero(number)
        number[found] = np.arange(found.size)
        codes = number[raw]
    if found.size > _MOST_VALUES:
        raise ExchangeError(
            f"“{path}” holds {found.size:,} different values, more than there can be classes.",
            hint="Masks must be saved without loss (PNG, not JPEG) and without smooth edges.",
        )
    return found, codes.reshape(raw.shape).astype(np.uint16)


def find_masks(folder: Path) -> tuple[Path, ...]:
    """All files below a folder that may be masks, sorted; hidden ones are left out.

    Raises:
        ExchangeError: the folder does not exist or cannot be listed.
    """
    if not folder.is_dir():
        raise ExchangeError(
            f"“{folder}” is not a folder.", hint="Choose the folder that holds the mask files."
        )
    try:
        found = [
            path for path in folder.rglob("*") if path.suffix.lower() in MASK_SUFFIXES and path.is_file()
        ]
    except OSError as error:
        raise ExchangeError(
            f"“{folder}” cannot be read: {error.strerror}.", hint="Check the folder's permissions."
        ) from error
    return tuple(sorted(path for path in found if not _is_hidden(path.relative_to(folder))))


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def match_masks(
    image_ids: Sequence[str], masks: Sequence[Path], folder: Path
) -> tuple[dict[str, Path], tuple[Path, ...]]:
    """Find the mask of each image by its name without suffix.

    The same relative path is best, then the same file name anywhere; endings such as ``_mask`` or
    ``_labelIds`` are tolerated. A name that fits several files fits none.

    Args:
        image_ids: POSIX paths of the images.
        masks: mask files below ``folder``.
        folder: their root.

    Returns:
        The mask of each image that has one, and the files that belong to no image.
    """
    by_path: dict[str, list[Path]] = {}
    by_name: dict[str, list[Path]] = {}
    for mask in masks:
        relative = PurePosixPath(mask.relative_to(folder).as_posix()).with_suffix("")
        by_path.setdefault(str(relative).casefold(), []).append(mask)
        by_path.setdefault((relative.as_posix() + mask.suffix).casefold(), []).append(mask)
        by_name.setdefault(relative.name.casefold(), []).append(mask)
    names = [PurePosixPath(image_id).stem.casefold() for image_id in image_ids]
    matched: dict[str, Path] = {}
    for image_id, name in zip(image_ids, names, strict=True):
        candidates = _candidates(image_id, by_path, by_name, lone_name=names.count(name) == 1)
        if len(candidates) == 1:
            matched[image_id] = candidates[0]
    used = set(matched.values())
    return matched, tuple(mask for mask in masks if mask not in used)


def _candidates(
    image_id: str, by_path: Mapping[str, list[Path]], by_name: Mapping[str, list[Path]], *, lone_name: bool
) -> list[Path]:
    """The mask files that may belong to an image, from the strictest rule that finds any."""
    path = PurePosixPath(image_id)
    full = by_path.get(f"{path}.png".casefold())
    if full:
        return full
    stem = path.with_suffix("")
    for ending in _ENDINGS:
        found = by_path.get(f"{stem}{ending}".casefold())
        if found:
            return found
    if lone_name:
        for ending in _ENDINGS:
            found = by_name.get(f"{stem.name}{ending}".casefold())
            if found:
                return found
    return []
