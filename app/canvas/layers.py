"""What can be laid over the image: settings of the layers, their colours, and the prediction.

One table turns a code per pixel into a premultiplied colour at paint time, for the painted rectangle only:

    0 … 255     predicted class, sure enough
    256 … 511   predicted class where confidence is low, between the stripes of the hatching
    512 … 767   class a person gave
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from app.canvas.pyramids import sample
from app.canvas.viewport import Viewport
from engine.annotate.classes import UNLABELLED, VOID, ClassTable
from engine.annotate.geometry import Box
from engine.messages import Prediction

Codes = NDArray[np.uint16]
Colors = NDArray[np.uint32]

DOUBTFUL = 256
ANNOTATED = 512
TABLE_SIZE = 768
STRIPE = 4
"""Width of a stripe of the hatching along a row, in logical pixels; the gap is twice as wide."""
MOST_PARTS = 64
"""Parts of a prediction kept side by side before they are joined."""


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """How the layers are shown; opacities and confidence in [0, 1].

    Attributes:
        image_visible: Draw the image; neutral grey otherwise.
        prediction_visible: Draw the prediction.
        prediction_opacity: Its opacity.
        annotation_visible: Draw what a person said.
        annotation_opacity: Its opacity.
        edges_visible: Draw a thin white edge around annotated regions.
        hatch_below: Predictions of a confidence below this are hatched; 0 never.
    """

    image_visible: bool = True
    prediction_visible: bool = True
    prediction_opacity: float = 0.5
    annotation_visible: bool = True
    annotation_opacity: float = 0.8
    edges_visible: bool = True
    hatch_below: float = 0.6


def color_table(classes: ClassTable, settings: LayerSettings) -> Colors:
    """Returns the (768,) uint32 table of premultiplied 0xAARRGGBB colours; hidden classes are transparent."""
    rgb = classes.colors().astype(np.float64)
    shown = np.zeros(256, dtype=bool)
    shown[[spec.index for spec in classes if not spec.hidden]] = True
    shown[VOID] = True
    table = np.zeros(TABLE_SIZE, dtype=np.uint32)
    if settings.prediction_visible:
        opacity = settings.prediction_opacity
        table[:DOUBTFUL] = _premultiplied(rgb, shown * opacity)
        table[DOUBTFUL:ANNOTATED] = _premultiplied(rgb, shown * opacity * 0.25)
    if settings.annotation_visible:
        table[ANNOTATED:] = _premultiplied(rgb, shown * settings.annotation_opacity)
    return table


def _premultiplied(rgb: NDArray[np.float64], alpha: NDArray[np.float64]) -> Colors:
    channels = np.rint(rgb * alpha[:, None]).astype(np.uint32)
    opacity = np.rint(255 * alpha).astype(np.uint32)
    parts = np.stack([channels[:, 2], channels[:, 1], channels[:, 0], opacity], axis=1)
    return np.asarray((parts << np.arange(0, 32, 8, dtype=np.uint32)).sum(axis=1, dtype=np.uint32))


class PredictionLayer:
    """The newest prediction of the image on screen, as the parts it arrived in. GUI thread only.

    Nothing of image size is computed or copied when a part arrives; zoomed-out views read it in strides.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        """Starts empty for an image of `size` (height, width)."""
        self._size = size
        self._parts: list[tuple[Box, NDArray[np.uint8], NDArray[np.float32]]] = []

    @property
    def is_empty(self) -> bool:
        """Whether no prediction is known."""
        return not self._parts

    def clear(self) -> None:
        """Forgets every part."""
        self._parts.clear()

    def update(self, prediction: Prediction) -> None:
        """Lays a part over the earlier ones; parts it covers completely are dropped.

        Args:
            prediction: A part or the whole; its arrays are kept, not copied.
        """
        box = prediction.box
        self._parts = [part for part in self._parts if not box.contains(part[0])]
        self._parts.append((box, prediction.label_map, prediction.confidence))
        if len(self._parts) > MOST_PARTS:
            self._join()

    def _join(self) -> None:
        labels = np.full(self._size, UNLABELLED, dtype=np.uint8)
        confidence = np.ones(self._size, dtype=np.float32)
        for box, part, sure in self._parts:
            labels[box.slices] = part
            confidence[box.slices] = sure
        self._parts = [(Box(0, 0, *self._size), labels, confidence)]

    def codes(
        self, viewport: Viewport, area: Box, stride: int, settings: LayerSettings, *, stripe: int = STRIPE
    ) -> Codes:
        """Returns the table codes of the prediction for device pixels.

        Args:
            viewport: Where the image lies.
            area: Device pixels, inside `viewport.image_area`, not empty.
            stride: Image pixels skipped from one read to the next, a power of two.
            settings: Threshold of the hatching.
            stripe: Width of its stripes in device pixels.

        Returns:
            Array of the height and width of `area`; 255 where nothing is predicted.
        """
        codes = np.full((area.height, area.width), UNLABELLED, dtype=np.uint16)
        between = _between_stripes(viewport, area, stripe)
        rows = viewport.image_rows(area.top, area.bottom)
        columns = viewport.image_columns(area.left, area.right)
        reach = Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
        for box, labels, confidence in self._parts:
            if box.intersect(reach).is_empty:
                continue
            first, last = np.searchsorted(rows, (box.top, box.bottom))
            left, right = np.searchsorted(columns, (box.left, box.right))
            if first == last or left == right:
                continue
            inside = np.s_[first:last, left:right]
            down = (rows[first:last] - box.top) // stride
            along = (columns[left:right] - box.left) // stride
            found = sample(labels[::stride, ::stride], down, along).astype(np.uint16)
            doubtful = sample(confidence[::stride, ::stride], down, along) < settings.hatch_below
            if doubtful.any():
                found += (doubtful & between[inside]).astype(np.uint16) * np.uint16(DOUBTFUL)
            codes[inside] = found
        return codes


def _between_stripes(viewport: Viewport, area: Box, stripe: int) -> NDArray[np.bool_]:
    """Returns True between the diagonal stripes; tied to the image's corner, they pan with it."""
    start = area.top - viewport.top + area.left - viewport.left
    diagonal = np.arange(start, start + area.height + area.width - 1) % (3 * stripe) >= stripe
    # Pixel (row, column) lies on diagonal row + column: each row is a view of the same run, one further.
    return sliding_window_view(diagonal, area.width)
