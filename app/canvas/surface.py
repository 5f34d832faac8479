"""Cached pixels of the viewport, so that painting, panning and zooming cost what changed and not the image.

Two arrays of the widget's size: `picture` (the image alone) and `base` (picture with the layers). A brush
event copies a rectangle of the picture and lays the layers over it; the image is not scaled again, so there
are no seams. Panning moves both arrays and draws the uncovered strips.
"""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from app.canvas.painting import SURROUND, Painter, Pixels, as_image
from app.canvas.viewport import Viewport
from engine.annotate.geometry import Box


class Fade:
    """Old pixels that are still to vanish; transparent where nothing changed, so that nothing flickers there.

    Attributes:
        area: Where they were, in device pixels.
        image: The pixels, of the size of `area`.
    """

    def __init__(self, area: Box, pixels: Pixels) -> None:
        """Takes premultiplied 0xAARRGGBB pixels of the size of `area`."""
        self.area = area
        self.image = as_image(pixels, QImage.Format.Format_ARGB32_Premultiplied)
        self._pixels = pixels  # the image lies on this memory


class Surface:
    """The pixels of a canvas. GUI thread only.

    Attributes:
        painter: Knows what is to be seen.
        viewport: Where it is to be seen.
        rough: Whether `base` shows scaled old pixels after a zoom; `refine` ends that.
    """

    def __init__(self, painter: Painter) -> None:
        """Starts with one grey pixel; `draw` gives it a size."""
        self.painter = painter
        self.viewport = Viewport(1, 1, 1, 1)
        self.rough = False
        self._picture: Pixels = np.full((1, 1), SURROUND, dtype=np.uint32)
        self._base: Pixels = self._picture.copy()
        self.image = as_image(self._base)

    def draw(self, viewport: Viewport) -> None:
        """Draws everything for `viewport`."""
        self._resize(viewport)
        self.viewport = viewport
        self.rough = False
        self.painter.draw_picture(viewport, self._picture, viewport.whole)
        self.draw_layers(viewport.whole)

    def refine(self) -> bool:
        """Replaces scaled old pixels by true ones; returns whether anything was to be done."""
        if not self.rough:
            return False
        self.draw(self.viewport)
        return True

    def draw_layers(self, area: Box) -> None:
        """Draws the layers anew inside `area` (device pixels)."""
        area = area.clip((self.viewport.height, self.viewport.width))
        if area.is_empty:
            return
        self._base[area.slices] = self._picture[area.slices]
        self.painter.draw_layers(self.viewport, self._base, area)

    def pan(self, viewport: Viewport) -> None:
        """Moves to a viewport that differs from the present one by its origin only."""
        rows, columns = viewport.top - self.viewport.top, viewport.left - self.viewport.left
        if self.rough or abs(rows) >= viewport.height or abs(columns) >= viewport.width:
            self.draw(viewport)
            return
        self.viewport = viewport
        for pixels in (self._picture, self._base):
            _scroll(pixels, rows, columns)
        for strip in viewport.strips_after(rows, columns):
            self.painter.draw_picture(viewport, self._picture, strip)
            self.draw_layers(strip)

    def zoom(self, viewport: Viewport) -> None:
        """Shows the old pixels scaled to `viewport` at once; `refine` must follow when the hand rests."""
        old, shown = self.viewport, self._base
        base = np.empty((viewport.height, viewport.width), dtype=np.uint32)
        # The whole image, coarse, fills what the old pixels do not reach when zooming out.
        self.painter.draw_rough(viewport, base)
        ratio = viewport.scale / old.scale
        source = old.image_area
        image = as_image(base)
        canvas = QPainter(image)
        canvas.drawImage(
            QRectF(
                viewport.left + (source.left - old.left) * ratio,
                viewport.top + (source.top - old.top) * ratio,
                source.width * ratio,
                source.height * ratio,
            ),
            as_image(shown),
            QRectF(source.left, source.top, source.width, source.height),
        )
        canvas.end()
        self._base = base
        self.image = image
        self.viewport = viewport
        self.rough = True

    def snapshot(self) -> Pixels:
        """Returns a copy of the pixels shown."""
        return self._base.copy()

    def fade_from(self, old: Pixels) -> Fade | None:
        """Returns what of `old` (an earlier `snapshot` of this viewport) is shown no longer, if anything."""
        changed: NDArray[np.bool_] = old != self._base
        rows = np.flatnonzero(changed.any(axis=1))
        if rows.size == 0:
            return None
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(changed[top:bottom].any(axis=0))
        area = Box(top, int(columns[0]), bottom, int(columns[-1]) + 1)
        return Fade(area, np.where(changed[area.slices], old[area.slices], np.uint32(0)))

    def _resize(self, viewport: Viewport) -> None:
        size = (viewport.height, viewport.width)
        if self._picture.shape != size:
            self._picture = np.empty(size, dtype=np.uint32)
        if self._base.shape != size:
            self._base = np.empty(size, dtype=np.uint32)
            self.image = as_image(self._base)


def _scroll(pixels: Pixels, rows: int, columns: int) -> None:
    height, width = pixels.shape
    to = np.s_[max(0, rows) : height + min(0, rows), max(0, columns) : width + min(0, columns)]
    source = np.s_[max(0, -rows) : height - max(0, rows), max(0, -columns) : width - max(0, columns)]
    pixels[to] = pixels[source]  # numpy copies first where the two overlap
