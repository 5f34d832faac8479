"""Where the image lies in the widget: pure arithmetic between image points and device pixels.

All positions here are device pixels of the widget (logical position times the device pixel ratio), so that
zoom and pixel ratio enter in exactly one number, `scale`. The origin is a whole device pixel: panning then
moves pixels without resampling them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.annotate.geometry import Box

MAX_SCALE = 64.0
"""Largest zoom in device pixels per image pixel."""
KEPT_VISIBLE = 48
"""Device pixels of the image that panning never pushes out of sight."""


@dataclass(frozen=True, slots=True)
class Viewport:
    """A window on an image.

    Attributes:
        height: Height of the widget in device pixels.
        width: Width of the widget in device pixels.
        image_height: Rows of the image, at least 1.
        image_width: Columns of the image, at least 1.
        scale: Device pixels per image pixel; 1.0 is shown as 100 %.
        top: Device row of the image's upper edge.
        left: Device column of the image's left edge.
    """

    height: int
    width: int
    image_height: int
    image_width: int
    scale: float = 1.0
    top: int = 0
    left: int = 0

    @property
    def fit_scale(self) -> float:
        """Scale at which the whole image is seen; a side never shrinks below one device pixel."""
        wanted = min(self.height / self.image_height, self.width / self.image_width)
        visible = min(1.0, 1.0 / min(self.image_height, self.image_width))
        return min(max(wanted, visible), MAX_SCALE)

    @property
    def min_scale(self) -> float:
        """Smallest scale the wheel reaches: half of the fitted one, and 25 % in any case."""
        smallest = 1.0 / min(self.image_height, self.image_width)
        return max(min(self.fit_scale / 2, 0.25), smallest)

    def fitted(self) -> "Viewport":
        """Returns the whole image, centred."""
        return self.centred_on(self.image_height / 2, self.image_width / 2, self.fit_scale)

    def centred_on(self, y: float, x: float, scale: float) -> "Viewport":
        """Returns the viewport at `scale` with image point (y, x) in the middle of the widget."""
        moved = replace(
            self,
            scale=scale,
            top=round(self.height / 2 - y * scale),
            left=round(self.width / 2 - x * scale),
        )
        return moved.kept_visible()

    def zoomed(self, factor: float, row: float, column: float) -> "Viewport":
        """Returns the viewport scaled by `factor`; the image point at (row, column) stays where it is."""
        scale = min(max(self.scale * factor, self.min_scale), MAX_SCALE)
        if abs(scale - 1.0) < 0.01:  # so that wheel steps always find the sharp 100 %
            scale = 1.0
        y, x = self.to_image(row, column)
        moved = replace(self, scale=scale, top=round(row - y * scale), left=round(column - x * scale))
        return moved.kept_visible()

    def panned(self, rows: int, columns: int) -> "Viewport":
        """Returns the viewport with the image moved by whole device pixels."""
        return replace(self, top=self.top + rows, left=self.left + columns).kept_visible()

    def resized(self, height: int, width: int) -> "Viewport":
        """Returns the viewport of another widget size with the same image point in the middle."""
        y, x = self.to_image(self.height / 2, self.width / 2)
        return replace(self, height=height, width=width).centred_on(y, x, self.scale)

    def kept_visible(self) -> "Viewport":
        """Returns the viewport moved back as far as needed to keep a piece of the image in sight."""
        rows, columns = self.image_height * self.scale, self.image_width * self.scale
        return replace(
            self,
            top=_kept(self.top, rows, self.height),
            left=_kept(self.left, columns, self.width),
        )

    def to_image(self, row: float, column: float) -> tuple[float, float]:
        """Returns the image point (y, x) under a device position; pixel (0, 0) covers [0, 1) x [0, 1)."""
        return (row - self.top) / self.scale, (column - self.left) / self.scale

    def to_device(self, y: float, x: float) -> tuple[float, float]:
        """Returns the device position (row, column) of an image point."""
        return self.top + y * self.scale, self.left + x * self.scale

    @property
    def whole(self) -> Box:
        """The widget, in device pixels."""
        return Box(0, 0, self.height, self.width)

    @property
    def image_area(self) -> Box:
        """Device pixels whose centre lies on the image, clipped to the widget."""
        return Box(
            max(0, self.top),
            max(0, self.left),
            max(0, min(self.height, _first_centre(self.top + self.image_height * self.scale))),
            max(0, min(self.width, _first_centre(self.left + self.image_width * self.scale))),
        )

    def visible_box(self) -> Box:
        """Returns the image pixels in sight, possibly empty."""
        top, left = self.to_image(0, 0)
        bottom, right = self.to_image(self.height, self.width)
        seen = Box(math.floor(top), math.floor(left), math.ceil(bottom), math.ceil(right))
        return seen.clip((self.image_height, self.image_width))

    def device_box(self, box: Box, *, padding: int = 0) -> Box:
        """Returns the device pixels that pixels of `box` touch, grown by `padding`, within the image."""
        top, left = self.to_device(box.top, box.left)
        bottom, right = self.to_device(box.bottom, box.right)
        area = self.image_area
        return Box(
            max(area.top, math.floor(top) - padding),
            max(area.left, math.floor(left) - padding),
            min(area.bottom, math.ceil(bottom) + padding),
            min(area.right, math.ceil(right) + padding),
        )

    def image_rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Returns the image row under the centre of each device row in [start, stop), clipped."""
        return _under(start, stop, self.top, self.scale, self.image_height)

    def image_columns(self, start: int, stop: int) -> NDArray[np.int64]:
        """Returns the image column under the centre of each device column in [start, stop), clipped."""
        return _under(start, stop, self.left, self.scale, self.image_width)

    def strips_after(self, rows: int, columns: int) -> Iterable[Box]:
        """Yields the device boxes that scrolling by (rows, columns) uncovers."""
        if rows > 0:
            yield Box(0, 0, min(rows, self.height), self.width)
        elif rows < 0:
            yield Box(max(0, self.height + rows), 0, self.height, self.width)
        if columns > 0:
            yield Box(0, 0, self.height, min(columns, self.width))
        elif columns < 0:
            yield Box(0, max(0, self.width + columns), self.height, self.width)


def _kept(origin: int, length: float, available: int) -> int:
    margin = min(KEPT_VISIBLE, length, available)
    low = math.ceil(margin - length)
    high = math.floor(available - margin)
    return min(max(origin, low), max(low, high))


def _first_centre(edge: float) -> int:
    """Returns the first device pixel whose centre lies at or beyond `edge`."""
    return math.ceil(edge - 0.5)


def _under(start: int, stop: int, origin: int, scale: float, length: int) -> NDArray[np.int64]:
    # Adding 0.5 before dividing asks for the pixel under the centre of the device pixel.
    centres = (np.arange(start - origin, stop - origin) + 0.5) / scale
    return np.asarray(np.clip(np.floor(centres), 0, length - 1), dtype=np.int64)
