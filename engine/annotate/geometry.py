"""Boxes of pixels. Rows come first; sizes are (height, width); points are (y, x)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open box of pixels: rows `top <= y < bottom`, columns `left <= x < right`.

    Any four integers are allowed; a box without pixels is empty.
    """

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def of_size(cls, size: tuple[int, int]) -> Box:
        """Return the box of a whole image of (height, width)."""
        return cls(0, 0, size[0], size[1])

    @property
    def height(self) -> int:
        """Rows, 0 for an empty box of negative extent."""
        return max(0, self.bottom - self.top)

    @property
    def width(self) -> int:
        """Columns, 0 for an empty box of negative extent."""
        return max(0, self.right - self.left)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return (self.height, self.width)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def is_empty(self) -> bool:
        """Whether the box holds no pixel."""
        return self.bottom <= self.top or self.right <= self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an (H, W) array; the box must not begin before the array does."""
        return (slice(self.top, max(self.top, self.bottom)), slice(self.left, max(self.left, self.right)))

    def union(self, other: Box) -> Box:
        """Return the smallest box that holds both; an empty box adds nothing."""
        if self.is_empty:
            return other
        if other.is_empty:
            return self
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def intersect(self, other: Box) -> Box:
        """Return the pixels both boxes hold; possibly an empty box, never one of negative extent."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Box(top, left, max(top, bottom), max(left, right))

    def clip(self, size: tuple[int, int]) -> Box:
        """Return the part of the box on an image of (height, width), within its edges even when empty."""
        height, width = size
        top, left = min(max(self.top, 0), height), min(max(self.left, 0), width)
        bottom, right = min(max(self.bottom, top), height), min(max(self.right, left), width)
        return Box(top, left, bottom, right)

    def padded(self, pixels: int) -> Box:
        """Return the box grown by `pixels` on every side (shrunk where negative)."""
        return Box(self.top - pixels, self.left - pixels, self.bottom + pixels, self.right + pixels)

    def shifted(self, rows: int, columns: int) -> Box:
        """Return the box moved by `rows` down and `columns` to the right."""
        return Box(self.top + rows, self.left + columns, self.bottom + rows, self.right + columns)

    def contains(self, other: Box) -> bool:
        """Whether every pixel of `other` is in this box."""
        return other.is_empty or self.intersect(other) == other

    def holds(self, y: float, x: float) -> bool:
        """Whether the point lies in a pixel of this box."""
        return self.top <= y < self.bottom and self.left <= x < self.right


def union_all(boxes: Iterable[Box]) -> Box | None:
    """Return the smallest box that holds all, or None where no box holds a pixel."""
    joined: Box | None = None
    for box in boxes:
        if not box.is_empty:
            joined = box if joined is None else joined.union(box)
    return joined
