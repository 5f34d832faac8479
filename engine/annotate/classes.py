"""What a pixel can be: the ordered class table of a project.

The index of a class is permanent: it is the pixel value on disk, it never changes and is never used again.
The order of the table is the order of the list in the window and of the network's channels.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.annotate.palettes import DEFAULT_PALETTE, Rgb, default_color, load_palette
from engine.errors import AnnotationError

UNLABELLED: Final = 255
"""Nothing said here: excluded from loss and metrics; the prediction shows through."""

VOID: Final = 254
"""A person said that no class fits: excluded from loss and metrics, never replaced by a prediction."""

MAX_CLASSES: Final = 254
"""Class indices are 0 to 253."""

MAX_NAME_LENGTH: Final = 100
UNLABELLED_COLOR: Final[Rgb] = (0, 0, 0)
VOID_COLOR: Final[Rgb] = (64, 64, 64)


class Provenance(IntEnum):
    """Where the label of a pixel comes from; the values stand in the provenance map."""

    NOBODY = 0
    STROKE = 1
    ACCEPTED = 2
    IMPORTED = 3


def _key(name: str) -> str:
    """Return what two names that look the same have in common."""
    return unicodedata.normalize("NFKC", name).casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSpec:
    """One class.

    Attributes:
        index: Permanent index, 0 to 253; the pixel value.
        name: What the user calls it; not empty, no spaces around it, no control characters.
        color: (red, green, blue), 0 to 255 each.
        hidden: Not drawn on the canvas.
        locked: Its pixels never change.

    Raises:
        AnnotationError: the index, name or colour is not allowed.
    """

    index: int
    name: str
    color: Rgb
    hidden: bool = False
    locked: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_CLASSES:
            raise AnnotationError(
                f"The class index {self.index} is not within 0 to {MAX_CLASSES - 1}.",
                "Pixel values 254 and 255 are kept for void and unlabelled.",
            )
        _check_name(self.name)
        if not all(0 <= part <= 255 for part in self.color):
            raise AnnotationError(
                f"The colour of class “{self.name}” is not red, green, blue within 0 to 255.",
                "Choose another colour.",
            )


def _check_name(name: str) -> None:
    if not name or name != name.strip():
        raise AnnotationError("A class needs a name without spaces around it.", "Type a name.")
    if len(name) > MAX_NAME_LENGTH:
        raise AnnotationError(
            f"The class name is longer than {MAX_NAME_LENGTH} characters.", "Choose a shorter name."
        )
    if not name.isprintable():
        raise AnnotationError("The class name holds characters that cannot be shown.", "Choose a plain name.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTable:
    """The ordered classes of a project; every change returns a new table.

    Attributes:
        classes: Classes in the order of the list, which is the order of the network's channels.
        next_index: Index the next new class gets. Indices below it were given once and are not given again.

    Raises:
        AnnotationError: two classes share an index or a name, or an index is not below `next_index`.
    """

    classes: tuple[ClassSpec, ...] = ()
    next_index: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.next_index <= MAX_CLASSES:
            raise AnnotationError(f"The next class index {self.next_index} is not within 0 to {MAX_CLASSES}.")
        names: dict[str, str] = {}
        indices: set[int] = set()
        for spec in self.classes:
            if spec.index >= self.next_index:
                raise AnnotationError(
                    f"Class “{spec.name}” has an index that was not given out yet: {spec.index}."
                )
            if spec.index in indices:
                raise AnnotationError(f"Two classes have the index {spec.index}.")
            if _key(spec.name) in names:
                raise AnnotationError(
                    f"There is already a class “{names[_key(spec.name)]}”.",
                    "Choose another name, or use that class.",
                )
            names[_key(spec.name)] = spec.name
            indices.add(spec.index)

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[ClassSpec]:
        return iter(self.classes)

    @property
    def indices(self) -> tuple[int, ...]:
        """Permanent indices in the order of the table."""
        return tuple(spec.index for spec in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the table."""
        return tuple(spec.name for spec in self.classes)

    def by_index(self, index: int) -> ClassSpec | None:
        """Return the class with this permanent index, or None."""
        return next((spec for spec in self.classes if spec.index == index), None)

    def by_name(self, name: str) -> ClassSpec | None:
        """Return the class with this name, upper and lower case alike, or None."""
        key = _key(name.strip())
        return next((spec for spec in self.classes if _key(spec.name) == key), None)

    def add(self, name: str, color: Rgb | None = None) -> ClassTable:
        """Return a table with one class more, at the end, with an index that was never used.

        Args:
            name: Name of the class; spaces around it are dropped.
            color: Its colour; left out, the first default colour that is not in use.

        Raises:
            AnnotationError: the name is empty or in use, or all 254 indices were given out.
        """
        if self.next_index >= MAX_CLASSES:
            raise AnnotationError(
                f"A project has room for {MAX_CLASSES} classes over its life, and all are used.",
                "Rename a class you no longer need instead of adding one.",
            )
        chosen = self._free_color() if color is None else color
        spec = ClassSpec(index=self.next_index, name=name.strip(), color=chosen)
        return ClassTable(classes=(*self.classes, spec), next_index=self.next_index + 1)

    def rename(self, index: int, name: str) -> ClassTable:
        """Return a table where the class has another name. Raises `AnnotationError` as `add` does."""
        return self._with(replace(self._existing(index), name=name.strip()))

    def recolor(self, index: int, color: Rgb) -> ClassTable:
        """Return a table where the class has another colour."""
        return self._with(replace(self._existing(index), color=color))

    def with_flags(self, index: int, *, hidden: bool | None = None, locked: bool | None = None) -> ClassTable:
        """Return a table where the class has other flags; None leaves a flag as it is."""
        spec = self._existing(index)
        return self._with(
            replace(
                spec,
                hidden=spec.hidden if hidden is None else hidden,
                locked=spec.locked if locked is None else locked,
            )
        )

    def move(self, index: int, position: int) -> ClassTable:
        """Return a table where the class stands at `position` of the list (clipped to it)."""
        spec = self._existing(index)
        rest = [other for other in self.classes if other.index != index]
        rest.insert(min(max(position, 0), len(rest)), spec)
        return replace(self, classes=tuple(rest))

    def remove(self, index: int) -> ClassTable:
        """Return a table without the class; its index is never given out again."""
        self._existing(index)
        return replace(self, classes=tuple(spec for spec in self.classes if spec.index != index))

    def channel_of(self) -> NDArray[np.uint8]:
        """Return the (256,) uint8 lookup from permanent index to channel; 255 where no class is."""
        lookup = np.full(256, UNLABELLED, np.uint8)
        lookup[list(self.indices)] = np.arange(len(self), dtype=np.uint8)
        return lookup

    def index_of(self) -> NDArray[np.uint8]:
        """Return the (K,) uint8 lookup from channel to permanent index."""
        return np.array(self.indices, np.uint8)

    def colors(self) -> NDArray[np.uint8]:
        """Return (256, 3) uint8 RGB colours by pixel value; black where no class is, dark grey for void."""
        colors = np.zeros((256, 3), np.uint8)
        colors[UNLABELLED] = UNLABELLED_COLOR
        colors[VOID] = VOID_COLOR
        for spec in self.classes:
            colors[spec.index] = spec.color
        return colors

    def locked_lookup(self) -> NDArray[np.bool_]:
        """Return (256,) bool: which pixel values must not change."""
        lookup = np.zeros(256, np.bool_)
        lookup[[spec.index for spec in self.classes if spec.locked]] = True
        return lookup

    def _existing(self, index: int) -> ClassSpec:
        spec = self.by_index(index)
        if spec is None:
            raise AnnotationError(f"There is no class with the index {index}.", "It may have been deleted.")
        return spec

    def _with(self, spec: ClassSpec) -> ClassTable:
        changed = tuple(spec if other.index == spec.index else other for other in self.classes)
        return replace(self, classes=changed)

    def _free_color(self) -> Rgb:
        used = {spec.color for spec in self.classes}
        palette = load_palette(DEFAULT_PALETTE)
        # The colour of its own number first, so that tables made in one go look alike everywhere.
        numbers = range(self.next_index, self.next_index + len(palette))
        free = (default_color(number) for number in numbers if default_color(number) not in used)
        return next(free, default_color(self.next_index))
