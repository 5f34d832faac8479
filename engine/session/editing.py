"""Patch makers: what the hand did on the image on screen, as exact changes of its annotation.

All functions are pure: they read the annotation and the prediction and return a `Patch`, or the reason why
nothing would change. Nothing here touches the disk, and only the region functions look at more than the box
they change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.annotate.annotation import Annotation
from engine.annotate.classes import UNLABELLED, VOID, ClassTable, Provenance
from engine.annotate.compose import final_label_map, make_patch, make_values_patch
from engine.annotate.geometry import Box
from engine.annotate.patch import Patch
from engine.annotate.raster import rasterise_polygon, rasterise_stroke
from engine.annotate.regions import region_at
from engine.annotate.stroke import PaintRule, Stroke


@dataclass(frozen=True, slots=True)
class Nothing:
    """No pixel would change.

    Attributes:
        reason: One plain sentence for the status line.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a patch maker looks at: the image on screen.

    Attributes:
        annotation: What the person said so far.
        predicted: (H, W) uint8 predicted class indices, `UNLABELLED` where nothing was predicted yet, or
            None.
        classes: Class table; locked classes never change.
    """

    annotation: Annotation
    predicted: NDArray[np.uint8] | None
    classes: ClassTable

    def shown(self) -> NDArray[np.uint8]:
        """Return the (H, W) label map a person sees: annotation over prediction. A full-image pass."""
        return final_label_map(self.annotation.label_map, self.predicted)

    def contains(self, y: float, x: float) -> bool:
        """Say whether the point lies on the image."""
        height, width = self.annotation.size
        return 0 <= y < height and 0 <= x < width

    def class_at(self, y: float, x: float) -> int | None:
        """Return the class index shown at a point, or None where nothing is shown."""
        if not self.contains(y, x):
            return None
        value = int(self.annotation.label_map[int(y), int(x)])
        if value == UNLABELLED and self.predicted is not None:
            value = int(self.predicted[int(y), int(x)])
        return None if value in (UNLABELLED, VOID) else value


_OUTSIDE = Nothing("The pointer is not on the image.")


def _name(canvas: Canvas, class_index: int) -> str:
    spec = canvas.classes.by_index(class_index)
    return spec.name if spec else "unlabelled"


def _is_locked(canvas: Canvas, class_index: int) -> bool:
    spec = canvas.classes.by_index(class_index)
    return spec is not None and spec.locked


def _masked(
    canvas: Canvas, box: Box, mask: NDArray[np.bool_], class_index: int, rule: PaintRule
) -> Patch | Nothing:
    """Paint `class_index` into a mask; say why if that changes nothing."""
    if box.is_empty or not mask.any():
        return _OUTSIDE
    erase = class_index == UNLABELLED
    if not erase and _is_locked(canvas, class_index):
        return Nothing(
            f"{_name(canvas, class_index)} is locked. Unlock it in the class list (K) to paint it."
        )
    patch = make_patch(
        canvas.annotation,
        box,
        mask,
        class_index,
        Provenance.NOBODY if erase else Provenance.STROKE,
        rule=PaintRule.EVERYTHING if erase else rule,
        locked=canvas.classes.locked_lookup(),
    )
    if patch is None:
        return Nothing(_why_unchanged(canvas, box, mask, class_index, rule))
    return patch


def _why_unchanged(
    canvas: Canvas, box: Box, mask: NDArray[np.bool_], class_index: int, rule: PaintRule
) -> str:
    present = canvas.annotation.label_map[box.slices][mask]
    if class_index == UNLABELLED:
        if (present == UNLABELLED).all():
            return "Nothing to erase here."
        return "These pixels belong to a locked class. Unlock it in the class list (K)."
    if (present == class_index).all():
        return f"Already {_name(canvas, class_index)}."
    if canvas.classes.locked_lookup()[present].any():
        return "These pixels belong to a locked class. Unlock it in the class list (K)."
    if rule is PaintRule.EVERYTHING:
        return "Nothing would change here."
    return "Painted by hand before: protected by the paint-over rule. Press R to change the rule."


def stroke_patch(canvas: Canvas, stroke: Stroke, rule: PaintRule) -> Patch | Nothing:
    """Return the change a brush or eraser stroke makes. Cost follows the stroke's box."""
    box, mask = rasterise_stroke(stroke.points, stroke.radius, canvas.annotation.size)
    return _masked(canvas, box, mask, stroke.class_index, rule)


def polygon_patch(
    canvas: Canvas, points: Sequence[tuple[float, float]], class_index: int, rule: PaintRule
) -> Patch | Nothing:
    """Return the change of a closed polygon filled with a class. Points are (y, x) in image coordinates."""
    box, mask = rasterise_polygon(points, canvas.annotation.size)
    return _masked(canvas, box, mask, class_index, rule)


def relabel_patch(canvas: Canvas, y: float, x: float, class_index: int, rule: PaintRule) -> Patch | Nothing:
    """Return the change that gives the shown connected region under the point another class."""
    if not canvas.contains(y, x):
        return _OUTSIDE
    shown = canvas.shown()
    box, mask = region_at(shown, int(y), int(x))
    if int(shown[int(y), int(x)]) == class_index and class_index != UNLABELLED:
        # The region already shows this class: saying it again makes the predicted part the person's own word.
        return accept_region_patch(canvas, y, x)
    return _masked(canvas, box, mask, class_index, rule)


def accept_region_patch(canvas: Canvas, y: float, x: float) -> Patch | Nothing:
    """Return the change that makes the predicted region under the point the person's own word."""
    if not canvas.contains(y, x):
        return _OUTSIDE
    box, mask = region_at(canvas.shown(), int(y), int(x))
    return _accept(canvas, box, mask)


def accept_image_patch(canvas: Canvas) -> Patch | Nothing:
    """Return the change that accepts the prediction wherever nobody said anything yet."""
    height, width = canvas.annotation.size
    return _accept(canvas, Box(0, 0, height, width), np.ones((height, width), bool))


def _accept(canvas: Canvas, box: Box, mask: NDArray[np.bool_]) -> Patch | Nothing:
    if canvas.predicted is None:
        return Nothing("No prediction yet, so there is nothing to accept.")
    values = canvas.predicted[box.slices]
    known = canvas.classes.channel_of()[values] != UNLABELLED
    open_pixels = canvas.annotation.label_map[box.slices] == UNLABELLED
    chosen = mask & known & open_pixels
    if not chosen.any():
        return Nothing("Already yours: nothing left to accept here.")
    patch = make_values_patch(
        canvas.annotation,
        box,
        chosen,
        values,
        Provenance.ACCEPTED,
        rule=PaintRule.ONLY_UNLABELLED,
        locked=canvas.classes.locked_lookup(),
    )
    return patch if patch is not None else Nothing("Already yours: nothing left to accept here.")


def reject_region_patch(canvas: Canvas, y: float, x: float) -> Patch | Nothing:
    """Return the change that takes the annotated region under the point back to unlabelled."""
    if not canvas.contains(y, x):
        return _OUTSIDE
    if int(canvas.annotation.label_map[int(y), int(x)]) == UNLABELLED:
        return Nothing(
            "Unlabelled already: what you see is a prediction. Paint over it, or Shift+Backspace for void."
        )
    box, mask = region_at(canvas.annotation.label_map, int(y), int(x))
    return _masked(canvas, box, mask, UNLABELLED, PaintRule.EVERYTHING)


def relabel_labelled_patch(canvas: Canvas, y: float, x: float, class_index: int) -> Patch | Nothing:
    """Return the change that gives the annotated region under the point another class (255: none)."""
    if not canvas.contains(y, x) or int(canvas.annotation.label_map[int(y), int(x)]) == UNLABELLED:
        return Nothing("Nothing is labelled here any more.")
    box, mask = region_at(canvas.annotation.label_map, int(y), int(x))
    return _masked(canvas, box, mask, class_index, PaintRule.EVERYTHING)


def void_region_patch(canvas: Canvas, y: float, x: float) -> Patch | Nothing:
    """Return the change that marks the shown region under the point as void: a person says no class fits."""
    if not canvas.contains(y, x):
        return _OUTSIDE
    box, mask = region_at(canvas.shown(), int(y), int(x))
    return _masked(canvas, box, mask, VOID, PaintRule.OVER_PREDICTIONS)


def clear_patch(canvas: Canvas) -> Patch | Nothing:
    """Return the change that takes the whole image back to unlabelled (locked classes stay)."""
    height, width = canvas.annotation.size
    return _masked(
        canvas, Box(0, 0, height, width), np.ones((height, width), bool), UNLABELLED, PaintRule.EVERYTHING
    )
