"""What inspection lays over image, prediction and corrections: numbers, classes, or what would change.

An overlay knows its values at their own size, which is stretched over the whole image. It is turned into
colours at paint time, for the device pixels that are painted and no others, so that an image of 8 k costs
what the window shows of it. All arrays are kept, not copied. GUI thread only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from app.canvas.pyramids import sample
from app.canvas.tool import ToWidget
from app.canvas.viewport import Viewport
from app.theme.ramps import Ramp, codes, packed
from engine.annotate.classes import UNLABELLED, ClassTable
from engine.annotate.geometry import Box

Colors = NDArray[np.uint32]
T = TypeVar("T", bound=np.generic)

VEIL = np.uint32(0xA0000000)
"""Over what does not change, so that what changes is seen at once."""


class Overlay(Protocol):
    """Something that can be laid over the image."""

    @property
    def replaces_prediction(self) -> bool:
        """Whether the prediction beneath is left out: two colours over each other mean neither."""

    def colors(self, viewport: Viewport, area: Box) -> Colors:
        """Return premultiplied 0xAARRGGBB colours.

        Args:
            viewport: Where the image lies.
            area: Device pixels inside `viewport.image_area`, not empty.

        Returns:
            (h, w) uint32 of the size of `area`.
        """


@dataclass(frozen=True, slots=True, eq=False)
class HeatOverlay:
    """Numbers as colours, between the places blended where the map is coarser than the screen.

    Attributes:
        values: (h, w) float32, stretched over the image.
        ramp: The colours.
        low: Value of the lowest colour.
        high: Value of the highest colour.
        above: Only values above this are drawn; None draws all.
    """

    values: NDArray[np.float32]
    ramp: Ramp
    low: float
    high: float
    above: float | None = None

    @property
    def replaces_prediction(self) -> bool:
        """Whether all is covered; below a threshold the prediction is what would be accepted."""
        return self.above is None

    def colors(self, viewport: Viewport, area: Box) -> Colors:
        """Return the colours of device pixels; see `Overlay`."""
        found = blended(self.values, viewport, area)
        colors = self.ramp.table(faint_low=self.above is None).take(codes(found, self.low, self.high))
        if self.above is not None:
            colors[found <= self.above] = 0
        return colors


@dataclass(frozen=True, slots=True, eq=False)
class LabelOverlay:
    """One colour for each value of a map.

    Attributes:
        values: (h, w) uint8, stretched over the image.
        table: (256,) uint32 premultiplied colours by value; 0 is not drawn.
    """

    values: NDArray[np.uint8]
    table: Colors

    @property
    def replaces_prediction(self) -> bool:
        """Always: it shows classes itself, or what is to be seen on the plain image."""
        return True

    def colors(self, viewport: Viewport, area: Box) -> Colors:
        """Return the colours of device pixels; see `Overlay`."""
        return self.table.take(nearest(self.values, viewport, area))


@dataclass(frozen=True, slots=True, eq=False)
class ChangeOverlay:
    """Where two label maps differ, in the colour of the second; the rest lies under a veil.

    Attributes:
        before: (H, W) uint8 class indices.
        after: (H, W) uint8 class indices, of the same size.
        table: (256,) uint32 premultiplied colours by class index.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    table: Colors

    @property
    def replaces_prediction(self) -> bool:
        """Never: what stays is seen under the veil."""
        return False

    def colors(self, viewport: Viewport, area: Box) -> Colors:
        """Return the colours of device pixels; see `Overlay`."""
        before = nearest(self.before, viewport, area)
        after = nearest(self.after, viewport, area)
        return np.where(before == after, VEIL, self.table.take(after))


def class_colors(classes: ClassTable, opacity: float = 1.0) -> Colors:
    """Return the (256,) uint32 premultiplied colours of the classes; unlabelled is transparent."""
    alpha = np.full(256, opacity)
    alpha[UNLABELLED] = 0.0
    return packed(classes.colors(), alpha)


def nearest(values: NDArray[np.uint8], viewport: Viewport, area: Box) -> NDArray[np.uint8]:
    """Return the value under the centre of each device pixel of `area`."""
    height, width = values.shape
    rows = viewport.image_rows(area.top, area.bottom) * height // viewport.image_height
    columns = viewport.image_columns(area.left, area.right) * width // viewport.image_width
    return _read(values, rows, columns)


def blended(values: NDArray[np.float32], viewport: Viewport, area: Box) -> NDArray[np.float32]:
    """Return the value at each device pixel of `area`, linear between the centres of the places."""
    height, width = values.shape
    down, down_share = _between(viewport.image_rows(area.top, area.bottom), viewport.image_height, height)
    along, share = _between(viewport.image_columns(area.left, area.right), viewport.image_width, width)
    if height >= viewport.image_height and width >= viewport.image_width:
        return _read(values, down, along)
    # Rows first on the few columns there are, then columns: two small steps instead of one large one.
    first, last = int(down[0]), min(int(down[-1]) + 2, height)
    part = values[first:last]
    below = np.minimum(down + 1, height - 1) - first
    lines = part[down - first] * (1 - down_share[:, None]) + part[below] * down_share[:, None]
    found = lines.take(along, axis=1)
    right = lines.take(np.minimum(along + 1, width - 1), axis=1)
    right -= found
    right *= share
    found += right
    return np.asarray(found, dtype=np.float32)


def _read(values: NDArray[T], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[T]:
    """Return `values[rows][:, columns]`, in strides where few of many are wanted: less memory is read."""
    spread = min(_spread(rows), _spread(columns))
    stride = 1 << max(0, spread.bit_length() - 1)
    return sample(values[::stride, ::stride], rows // stride, columns // stride)


def _spread(places: NDArray[np.int64]) -> int:
    """Return how far apart ascending places are on average, in whole steps, at least 1."""
    return max(1, int(places[-1] - places[0]) // max(1, len(places) - 1))


def _between(
    places: NDArray[np.int64], length: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return for image rows the value before and how far on the way to the next each one is."""
    if count >= length:
        return places * count // length, np.zeros(len(places), np.float32)
    exact = np.clip((places + 0.5) * (count / length) - 0.5, 0.0, count - 1.0)
    before = exact.astype(np.int64)
    return before, (exact - before).astype(np.float32)


def draw_mark(painter: QPainter, y: float, x: float, to_widget: ToWidget) -> None:
    """Draw a ring with a cross around an image point, readable on any picture."""
    centre = to_widget(y, x)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, width in ((QColor(0, 0, 0, 200), 3.6), (QColor(255, 255, 255), 1.6)):
        painter.setPen(QPen(color, width))
        painter.drawEllipse(centre, MARK_RADIUS, MARK_RADIUS)
        for way in (QPointF(1, 0), QPointF(-1, 0), QPointF(0, 1), QPointF(0, -1)):
            painter.drawLine(centre + way * (MARK_RADIUS - 4), centre + way * (MARK_RADIUS + 4))
    painter.restore()


MARK_RADIUS = 9.0
