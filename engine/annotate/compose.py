"""From a mask and a wish to the patch the rules allow; from annotation and prediction to what is shown."""

from __future__ import annotations

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from engine.annotate.annotation import Annotation
from engine.annotate.classes import UNLABELLED, Provenance
from engine.annotate.geometry import Box
from engine.annotate.patch import Patch
from engine.annotate.stroke import PaintRule


def make_patch(
    annotation: Annotation,
    box: Box,
    mask: NDArray[np.bool_],
    class_index: int,
    provenance: Provenance,
    *,
    rule: PaintRule,
    locked: NDArray[np.bool_],
    force: bool = False,
) -> Patch | None:
    """Return the patch that gives every allowed pixel of a mask one class, or None if none would change.

    Args:
        annotation: What the patch is for; it is not changed.
        box: Box of the mask on the image.
        mask: (h, w) bool.
        class_index: Class to set, 254 void, 255 to erase.
        provenance: Where the labels come from; erased pixels always come from nobody.
        rule: What may be covered.
        locked: (256,) bool lookup of pixel values that must not change.
        force: Cover everything, locked classes too.

    Raises:
        ValueError: the box leaves the image, or the mask has another size.
    """
    values = np.full(mask.shape, class_index, np.uint8)
    return make_values_patch(annotation, box, mask, values, provenance, rule=rule, locked=locked, force=force)


def make_values_patch(
    annotation: Annotation,
    box: Box,
    mask: NDArray[np.bool_],
    values: NDArray[np.uint8],
    provenance: Provenance,
    *,
    rule: PaintRule,
    locked: NDArray[np.bool_],
    force: bool = False,
) -> Patch | None:
    """Return the patch that gives every allowed pixel of a mask its own value, or None if none would change.

    Args:
        annotation: What the patch is for; it is not changed.
        box: Box of the mask on the image.
        mask: (h, w) bool.
        values: (h, w) uint8 class indices; 255 erases.
        provenance: Where the labels come from; erased pixels always come from nobody.
        rule: What may be covered.
        locked: (256,) bool lookup of pixel values that must not change.
        force: Cover everything, locked classes too.

    Raises:
        ValueError: the box leaves the image, or mask or values have another size.
    """
    if mask.shape != box.size or values.shape != box.size:
        raise ValueError(
            f"mask {mask.shape} and values {values.shape} must have the size of the box {box.size}"
        )
    if not Box.of_size(annotation.size).contains(box):
        raise ValueError(f"the box {box} leaves the image of {annotation.size}")
    labels, sources = annotation.label_map[box.slices], annotation.provenance[box.slices]
    new_sources = np.where(values == UNLABELLED, np.uint8(Provenance.NOBODY), np.uint8(provenance))
    chosen = mask & ((labels != values) | (sources != new_sources))
    if not force:
        chosen &= ~locked[labels] & _allowed(labels, sources, rule)
    tight = _bounds(chosen)
    if tight is None:
        return None
    part = tight.slices
    return Patch(
        box.top + tight.top,
        box.left + tight.left,
        chosen[part],
        labels[part],
        values[part],
        sources[part],
        new_sources[part],
    )


def final_label_map(label_map: NDArray[np.uint8], prediction: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Return what a person sees: their own labels, and the prediction where they said nothing. A new array.

    Args:
        label_map: (H, W) uint8 annotation.
        prediction: (H, W) uint8 predicted class indices, or None where there is none.

    Raises:
        ValueError: the two have different sizes.
    """
    if prediction is None:
        return label_map.copy()
    if prediction.shape != label_map.shape:
        raise ValueError(f"the prediction is {prediction.shape}, the annotation {label_map.shape}")
    return np.where(label_map == UNLABELLED, prediction, label_map)


def _allowed(labels: NDArray[np.uint8], sources: NDArray[np.uint8], rule: PaintRule) -> NDArray[np.bool_]:
    """Return which pixels a rule lets paint cover."""
    match rule:
        case PaintRule.OVER_PREDICTIONS:
            return np.not_equal(sources, Provenance.STROKE)
        case PaintRule.ONLY_UNLABELLED:
            return np.equal(labels, UNLABELLED)
        case PaintRule.EVERYTHING:
            return np.ones(labels.shape, np.bool_)
        case _:
            assert_never(rule)


def _bounds(mask: NDArray[np.bool_]) -> Box | None:
    """Return the box around the pixels of a mask, None where there is none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
