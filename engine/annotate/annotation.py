"""The label map a person made for an image. One owner, one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, Provenance
from engine.annotate.patch import Patch
from engine.errors import AnnotationError


class Annotation:
    """A label map and where each label comes from. It changes by patches only.

    Not thread-safe: it belongs to the thread that made it; others get copies of the arrays.
    """

    __slots__ = ("_label_map", "_label_view", "_provenance", "_provenance_view", "_revision")

    def __init__(self, size: tuple[int, int]) -> None:
        """Start with nothing said.

        Args:
            size: (height, width) of the image, both at least 1.

        Raises:
            ValueError: the size is not positive.
        """
        if min(size) < 1:
            raise ValueError(f"the size {size} is not positive")
        self._label_map = np.full(size, UNLABELLED, np.uint8)
        self._provenance = np.zeros(size, np.uint8)
        self._label_view, self._provenance_view = _read_only(self._label_map), _read_only(self._provenance)
        self._revision = 0

    @classmethod
    def from_arrays(
        cls, label_map: NDArray[np.uint8], provenance: NDArray[np.uint8], revision: int = 0
    ) -> Annotation:
        """Make an annotation of copies of two arrays.

        Args:
            label_map: (H, W) uint8 class indices, 254 void, 255 unlabelled.
            provenance: (H, W) uint8 values of `Provenance`.
            revision: Number of the last change they hold.

        Raises:
            AnnotationError: the arrays do not fit together, or the provenance holds unknown values.
        """
        for array in (label_map, provenance):
            if array.dtype != np.uint8 or array.ndim != 2 or array.size == 0:
                raise AnnotationError(
                    f"An annotation is an 8-bit grey map, not {array.dtype} of shape {array.shape}."
                )
        if label_map.shape != provenance.shape:
            raise AnnotationError(
                f"Labels are {_words(label_map)}, their provenance {_words(provenance)} pixels: no fit.",
                "Restore both files from the same backup.",
            )
        if provenance.max() > max(Provenance):
            raise AnnotationError("The provenance holds unknown values.", "Restore the file from a backup.")
        if revision < 0:
            raise AnnotationError(
                f"The revision {revision} is not possible.", "Restore the file from a backup."
            )
        height, width = label_map.shape
        annotation = cls((height, width))
        annotation._set(label_map, provenance, revision)
        return annotation

    def _set(self, label_map: NDArray[np.uint8], provenance: NDArray[np.uint8], revision: int) -> None:
        self._label_map[:], self._provenance[:], self._revision = label_map, provenance, revision

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self._label_map.shape
        return (height, width)

    @property
    def label_map(self) -> NDArray[np.uint8]:
        """(H, W) uint8 class indices, 254 void, 255 unlabelled: a live read-only view."""
        return self._label_view

    @property
    def provenance(self) -> NDArray[np.uint8]:
        """(H, W) uint8 values of `Provenance`: a live read-only view."""
        return self._provenance_view

    @property
    def revision(self) -> int:
        """Number of changes so far, undo and redo included."""
        return self._revision

    def apply(self, patch: Patch) -> None:
        """Apply a change; the revision grows by one. Cost follows the patch's box.

        Raises:
            PatchMismatchError: the patch was made for something else; nothing is changed.
        """
        patch.apply_to(self._label_map, self._provenance)
        self._revision += 1


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _words(array: NDArray[Any]) -> str:
    return f"{array.shape[0]} by {array.shape[1]}"
