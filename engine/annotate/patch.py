"""An exact change of an annotation, with its inverse. All functions are pure and safe on any thread."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import Provenance
from engine.annotate.geometry import Box, union_all
from engine.errors import AnnotationError

MAX_PATCH_PIXELS: Final = 400_000_000
"""Largest box of a patch that is read back: a damaged length must not fill the memory."""

_MAGIC: Final = b"MLP1"
_HEADER: Final = struct.Struct("<4sIIII")  # magic, top, left, height, width
_PLANES: Final = 4
_COORDINATE_LIMIT: Final = 2**31
# Level 1: a stroke is ready in a tenth of a millisecond, and higher levels gain little on runs of one value.
_LEVEL: Final = 1


class PatchMismatchError(ValueError):
    """A patch was applied to something else than it was made for."""


class PatchDamagedError(AnnotationError, ValueError):
    """The bytes of a stored patch are damaged."""


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _plane(values: NDArray[np.uint8], mask: NDArray[np.bool_], name: str) -> NDArray[np.uint8]:
    """Return a read-only copy of `values` that is 0 outside the mask."""
    if values.dtype != np.uint8 or values.shape != mask.shape:
        raise ValueError(f"{name} must be uint8 of shape {mask.shape}, not {values.dtype} of {values.shape}")
    return _frozen(np.multiply(values, mask, dtype=np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """An exact change of an annotation inside a box.

    All arrays are (h, w), read-only, and own their memory; values outside the mask are 0 (set so when the
    patch is made), so two patches that do the same in the same box are equal.

    Attributes:
        top: First row of the box.
        left: First column of the box.
        mask: bool, the pixels the patch speaks about.
        before: uint8 labels the annotation must have.
        after: uint8 labels it gets.
        provenance_before: uint8 provenance the annotation must have.
        provenance_after: uint8 provenance it gets.

    Raises:
        ValueError: the box is empty or begins before the image, or an array has the wrong type or shape.
    """

    top: int
    left: int
    mask: NDArray[np.bool_]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    provenance_before: NDArray[np.uint8]
    provenance_after: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.top < 0 or self.left < 0:
            raise ValueError(f"the box begins before the image, at ({self.top}, {self.left})")
        if self.mask.dtype != np.bool_ or self.mask.ndim != 2 or self.mask.size == 0:
            raise ValueError(f"the mask must be bool (h, w), not {self.mask.dtype} {self.mask.shape}")
        mask = _frozen(self.mask.copy())
        object.__setattr__(self, "mask", mask)
        for name in ("before", "after", "provenance_before", "provenance_after"):
            object.__setattr__(self, name, _plane(getattr(self, name), mask, name))

    @classmethod
    def owning(cls, box: Box, mask: NDArray[np.bool_], planes: Sequence[NDArray[np.uint8]]) -> Patch:
        """Return a patch that takes fresh arrays over instead of copying them; nobody else may hold them.

        Args:
            box: The box the arrays cover.
            mask: (h, w) bool.
            planes: before, after, provenance before and after, each (h, w) uint8 and 0 outside the mask.
        """
        patch = cls.__new__(cls)
        values = (box.top, box.left, _frozen(mask), *(_frozen(plane) for plane in planes))
        for name, value in zip(cls.__slots__, values, strict=True):
            object.__setattr__(patch, name, value)
        return patch

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Patch):
            return NotImplemented
        return (self.top, self.left) == (other.top, other.left) and all(
            np.array_equal(mine, its) for mine, its in zip(self._arrays(), other._arrays(), strict=True)
        )

    def __hash__(self) -> int:
        return hash((self.top, self.left, self.mask.shape, self.pixel_count))

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return (self.mask, *self._planes())

    def _planes(self) -> tuple[NDArray[np.uint8], ...]:
        return (self.before, self.after, self.provenance_before, self.provenance_after)

    @property
    def box(self) -> Box:
        """The box the arrays cover."""
        height, width = self.mask.shape
        return Box(self.top, self.left, self.top + height, self.left + width)

    @property
    def pixel_count(self) -> int:
        """Number of pixels in the mask."""
        return int(np.count_nonzero(self.mask))

    @property
    def is_empty(self) -> bool:
        """Whether the patch speaks about no pixel."""
        return not self.mask.any()

    def inverse(self) -> Patch:
        """Return the patch that undoes this one."""
        return Patch(
            self.top,
            self.left,
            self.mask,
            self.after,
            self.before,
            self.provenance_after,
            self.provenance_before,
        )

    def then(self, other: Patch) -> Patch:
        """Return the one patch that does this and afterwards `other`.

        Raises:
            PatchMismatchError: `other` was not made for what this patch leaves behind.
        """
        return _joined((self, other), self.box.union(other.box))

    def apply_to(self, label_map: NDArray[np.uint8], provenance: NDArray[np.uint8]) -> None:
        """Change an annotation in place; nothing is changed where an error is raised.

        Args:
            label_map: (H, W) uint8, writable.
            provenance: (H, W) uint8, writable.

        Raises:
            PatchMismatchError: the box leaves the image, or the pixels are not what the patch was made for.
        """
        if not Box.of_size(label_map.shape).contains(self.box):
            raise PatchMismatchError(f"the box {self.box} leaves the image of {label_map.shape}")
        labels, sources = label_map[self.box.slices], provenance[self.box.slices]
        _check_matches(self, labels, sources, self.mask)
        np.copyto(labels, self.after, where=self.mask)
        np.copyto(sources, self.provenance_after, where=self.mask)

    def encode(self) -> bytes:
        """Return the patch as bytes: its box, then the mask's bits and the masked values, compressed."""
        height, width = self.mask.shape
        packer = zlib.compressobj(_LEVEL)
        parts = [
            _HEADER.pack(_MAGIC, self.top, self.left, height, width),
            packer.compress(np.packbits(self.mask).tobytes()),
        ]
        parts += [packer.compress(plane[self.mask].tobytes()) for plane in self._planes()]
        return b"".join((*parts, packer.flush()))

    @classmethod
    def decode(cls, data: bytes, size: tuple[int, int] | None = None) -> Patch:
        """Read a patch back; never takes more memory than the box it names needs.

        Args:
            data: What `encode` returned.
            size: (height, width) of the image the patch must lie on, if known.

        Raises:
            PatchDamagedError: the bytes are damaged, or the box does not fit.
        """
        box = _decode_box(data, size)
        mask_bytes = -(-box.area // 8)
        unpacker = zlib.decompressobj()
        packed = _inflate(unpacker, data[_HEADER.size :], mask_bytes)
        bits = np.unpackbits(np.frombuffer(packed, np.uint8))
        if bits[box.area :].any():
            raise _damaged("bits outside the mask are set")
        mask = bits[: box.area].astype(np.bool_).reshape(box.size)
        count = int(np.count_nonzero(mask))
        values = _inflate(unpacker, unpacker.unconsumed_tail, _PLANES * count)
        # One byte more is asked for: a longer stream would give it.
        if unpacker.decompress(unpacker.unconsumed_tail, 1) or not unpacker.eof or unpacker.unused_data:
            raise _damaged("its length is wrong")
        planes = _spread(np.frombuffer(values, np.uint8).reshape(_PLANES, count), mask)
        if planes[2:].max() > max(Provenance):
            raise _damaged("it holds an unknown provenance")
        return cls(box.top, box.left, mask, *planes)


def _check_matches(
    patch: Patch, labels: NDArray[np.uint8], sources: NDArray[np.uint8], where: NDArray[np.bool_]
) -> None:
    wrong = ((labels != patch.before) | (sources != patch.provenance_before)) & where
    if wrong.any():
        count = int(np.count_nonzero(wrong))
        raise PatchMismatchError(f"{count} pixels in {patch.box} are not what the patch was made for")


def _damaged(why: str) -> PatchDamagedError:
    return PatchDamagedError(
        f"A stored change of an annotation is damaged: {why}.", "Restore it from a backup."
    )


def _decode_box(data: bytes, size: tuple[int, int] | None) -> Box:
    if len(data) < _HEADER.size:
        raise _damaged("it is too short")
    magic, top, left, height, width = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise _damaged("it does not begin as it should")
    box = Box(top, left, top + height, left + width)
    if box.is_empty or box.area > MAX_PATCH_PIXELS or max(box.bottom, box.right) >= _COORDINATE_LIMIT:
        raise _damaged("its box is not possible")
    if size is not None and not Box.of_size(size).contains(box):
        raise _damaged("its box leaves the image")
    return box


def _inflate(unpacker: zlib._Decompress, data: bytes, length: int) -> bytes:
    """Return exactly `length` bytes of the stream."""
    if length == 0:  # zlib takes 0 for "no limit"
        return b""
    try:
        inflated = unpacker.decompress(data, length)
    except zlib.error as error:
        raise _damaged("it cannot be unpacked") from error
    if len(inflated) != length:
        raise _damaged("its length is wrong")
    return inflated


def _spread(values: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return (4, h, w) planes that hold `values` (4, N) at the N pixels of a mask, and 0 elsewhere."""
    if values.shape[1] == mask.size:
        return values.reshape(_PLANES, *mask.shape)
    planes = np.zeros((_PLANES, *mask.shape), np.uint8)
    for plane, row in zip(planes, values, strict=True):
        plane[mask] = row
    return planes


def _joined(patches: Sequence[Patch], box: Box) -> Patch:
    """Return one patch over `box` that does all of them in order."""
    mask = np.zeros(box.size, np.bool_)
    before, after, provenance_before, provenance_after = np.zeros((_PLANES, *box.size), np.uint8)
    for patch in patches:
        part = patch.box.shifted(-box.top, -box.left).slices
        seen = mask[part]
        _check_matches(patch, after[part], provenance_after[part], seen & patch.mask)
        new = patch.mask & ~seen
        np.copyto(before[part], patch.before, where=new)
        np.copyto(provenance_before[part], patch.provenance_before, where=new)
        np.copyto(after[part], patch.after, where=patch.mask)
        np.copyto(provenance_after[part], patch.provenance_after, where=patch.mask)
        seen |= patch.mask
    return Patch.owning(box, mask, (before, after, provenance_before, provenance_after))


def merge(patches: Sequence[Patch]) -> Patch | None:
    """Return the one patch that does all of them in order, or None where there is none.

    Costs the sum of their boxes and the box around all of them, once.

    Raises:
        PatchMismatchError: a patch was not made for what those before it leave behind.
    """
    box = union_all(patch.box for patch in patches)
    return None if box is None else _joined(patches, box)
