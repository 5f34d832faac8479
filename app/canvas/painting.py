"""Draws rectangles of the viewport from numpy memory: first the image, then the layers over it."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRect, QRectF
from PySide6.QtGui import QImage, QPainter

from app.canvas.layers import (
    ANNOTATED,
    STRIPE,
    Codes,
    Colors,
    LayerSettings,
    PredictionLayer,
    color_table,
)
from app.canvas.overlay import Overlay
from app.canvas.pyramids import LabelPyramid, level_for, sample
from app.canvas.viewport import Viewport
from engine.annotate.classes import UNLABELLED, ClassTable
from engine.annotate.geometry import Box
from engine.project.pyramid import ImagePyramid

Pixels = NDArray[np.uint32]

SURROUND = 0xFF2B2B2B
"""Neutral grey around the image: colour beside it would change how colours in it look."""
HIDDEN_IMAGE = 0xFF808080
EDGE = np.uint32(0xE0E0E0E0)
"""Premultiplied white of the edges."""
BAND_PIXELS = 1 << 17
EDGES_FROM_SCALE = 0.5
"""Below this zoom white edges would cover what they surround."""


def as_image(pixels: Pixels, form: QImage.Format = QImage.Format.Format_RGB32) -> QImage:
    """Returns a QImage on the memory of a contiguous (h, w) uint32 array; the array must outlive it."""
    height, width = pixels.shape
    return QImage(pixels.data, width, height, width * 4, form)


class Painter:
    """What is to be seen, and how a rectangle of it is drawn. GUI thread only.

    Attributes:
        annotation: Levels of the annotation, or None while there is none.
        prediction: The prediction laid under it, or None without an image.
        overlay: What inspection lays over both, or None.
        overlay_strength: Its opacity, 0 to 1.
        pixel_ratio: Device pixels per logical pixel, for what has a width of its own.
    """

    def __init__(self) -> None:
        """Starts without image and classes."""
        self.annotation: LabelPyramid | None = None
        self.prediction: PredictionLayer | None = None
        self.overlay: Overlay | None = None
        self.overlay_strength = 1.0
        self.pixel_ratio = 1.0
        self._levels: tuple[tuple[Pixels, QImage], ...] = ()
        self._size = (1, 1)
        self._classes = ClassTable()
        self._settings = LayerSettings()
        self._table: Colors = color_table(self._classes, self._settings)

    @property
    def settings(self) -> LayerSettings:
        """Visibility and opacity of the layers."""
        return self._settings

    @settings.setter
    def settings(self, settings: LayerSettings) -> None:
        self._settings = settings
        self._table = color_table(self._classes, settings)

    @property
    def classes(self) -> ClassTable:
        """Classes and their colours."""
        return self._classes

    @classes.setter
    def classes(self, classes: ClassTable) -> None:
        self._classes = classes
        self._table = color_table(classes, self._settings)

    def set_image(self, pyramid: ImagePyramid | None, size: tuple[int, int]) -> None:
        """Takes another image (or none) and drops annotation and prediction of the old one."""
        levels = pyramid.levels if pyramid is not None else ()
        arrays = [np.ascontiguousarray(level).view(np.uint32)[..., 0] for level in levels]
        self._levels = tuple((array, as_image(array)) for array in arrays)
        self._size = size
        self.annotation = None
        self.overlay = None
        self.prediction = PredictionLayer(size) if self._levels else None

    def draw_picture(self, viewport: Viewport, target: Pixels, area: Box) -> None:
        """Draws the image alone.

        Args:
            viewport: Where the image lies.
            target: (h, w) uint32 0xFFRRGGBB pixels of the whole viewport, written inside `area`.
            area: Device pixels to draw.
        """
        target[area.slices] = SURROUND
        inside = area.intersect(viewport.image_area)
        if inside.is_empty or not self._levels:
            return
        if not self._settings.image_visible:
            target[inside.slices] = HIDDEN_IMAGE
        elif viewport.scale >= 1.0:
            rows = viewport.image_rows(inside.top, inside.bottom)
            columns = viewport.image_columns(inside.left, inside.right)
            target[inside.slices] = sample(self._levels[0][0], rows, columns)
        else:
            self._draw_smooth(viewport, target, inside)

    def _draw_smooth(self, viewport: Viewport, target: Pixels, area: Box) -> None:
        level = level_for(viewport.scale, len(self._levels))
        pixels, image = self._levels[level]
        # Only the neighbourhood is handed over: Qt's fixed-point texture coordinates end at 32767.
        top, left = viewport.to_image(area.top, area.left)
        bottom, right = viewport.to_image(area.bottom, area.right)
        source = Box(
            (int(top) >> level) - 2,
            (int(left) >> level) - 2,
            (int(bottom) >> level) + 3,
            (int(right) >> level) + 3,
        ).clip((pixels.shape[0], pixels.shape[1]))
        y0, x0 = viewport.to_device(source.top << level, source.left << level)
        y1, x1 = viewport.to_device(source.bottom << level, source.right << level)
        canvas = as_image(target)  # held by name: a painter does not keep its image alive
        painter = QPainter(canvas)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setClipRect(qrect(area))
        painter.drawImage(
            QRectF(x0, y0, x1 - x0, y1 - y0),
            image,
            QRectF(source.left, source.top, source.width, source.height),
        )
        painter.end()

    def draw_rough(self, viewport: Viewport, target: Pixels) -> None:
        """Fills `target` with surround and the smallest copy of the image, for the moment after a zoom."""
        target[...] = SURROUND
        area = viewport.image_area
        if area.is_empty or not self._levels:
            return
        pixels, image = self._levels[-1]
        factor = 2 ** (len(self._levels) - 1) * viewport.scale
        canvas = as_image(target)  # held by name: a painter does not keep its image alive
        painter = QPainter(canvas)
        painter.setClipRect(qrect(area))
        size = (pixels.shape[1] * factor, pixels.shape[0] * factor)
        painter.drawImage(QRectF(viewport.left, viewport.top, *size), image)
        painter.end()

    def draw_layers(self, viewport: Viewport, target: Pixels, area: Box) -> None:
        """Lays prediction, annotation and overlay over what `draw_picture` left in `target`.

        The prediction is not drawn under annotated pixels at all, so that a refresh cannot change them.
        """
        inside = area.intersect(viewport.image_area)
        if inside.is_empty or not self._levels:
            return
        # In bands, so that what is computed in between stays in the processor's cache.
        rows = max(1, BAND_PIXELS // inside.width)
        for top in range(inside.top, inside.bottom, rows):
            band = Box(top, inside.left, min(top + rows, inside.bottom), inside.right)
            self._draw_band(viewport, target, band)

    def _draw_band(self, viewport: Viewport, target: Pixels, inside: Box) -> None:
        codes = self._prediction_codes(viewport, inside)
        edges = self._add_annotation(viewport, inside, codes)
        overlay = self._table.take(codes)
        if edges is not None:
            overlay[edges & (overlay != 0)] = EDGE
        canvas = as_image(target)  # held by name: a painter does not keep its image alive
        painter = QPainter(canvas)
        painter.drawImage(
            QPointF(inside.left, inside.top),
            as_image(overlay, QImage.Format.Format_ARGB32_Premultiplied),
        )
        if self.overlay is not None:
            laid = np.ascontiguousarray(self.overlay.colors(viewport, inside))
            painter.setOpacity(self.overlay_strength)
            painter.drawImage(
                QPointF(inside.left, inside.top), as_image(laid, QImage.Format.Format_ARGB32_Premultiplied)
            )
        painter.end()

    def _prediction_codes(self, viewport: Viewport, area: Box) -> Codes:
        layer = self.prediction
        replaced = self.overlay is not None and self.overlay.replaces_prediction
        if layer is None or layer.is_empty or replaced or not self._settings.prediction_visible:
            return np.full((area.height, area.width), UNLABELLED, dtype=np.uint16)
        stride = 2 ** level_for(viewport.scale, 32)
        stripe = max(1, round(STRIPE * self.pixel_ratio))
        return layer.codes(viewport, area, stride, self._settings, stripe=stripe)

    def _add_annotation(self, viewport: Viewport, area: Box, codes: Codes) -> NDArray[np.bool_] | None:
        """Writes annotated codes over `codes`; returns where the white edges go, or None for nowhere."""
        if self.annotation is None or not self._settings.annotation_visible:
            return None
        level = level_for(viewport.scale, len(self.annotation))
        # One pixel more on each side: whether a pixel is an edge depends on its neighbours.
        rows = viewport.image_rows(area.top - 1, area.bottom + 1) >> level
        columns = viewport.image_columns(area.left - 1, area.right + 1) >> level
        around = sample(self.annotation.level(level), rows, columns)
        labels = around[1:-1, 1:-1]
        labelled = labels != UNLABELLED
        if not labelled.any():
            return None
        np.copyto(codes, labels.astype(np.uint16) + np.uint16(ANNOTATED), where=labelled)
        if not self._settings.edges_visible or viewport.scale < EDGES_FROM_SCALE:
            return None
        # Between two classes one of the neighbours carries the edge, towards unlabelled the labelled one.
        edges: NDArray[np.bool_] = (labels != around[:-2, 1:-1]) | (labels != around[1:-1, :-2])
        edges |= (around[2:, 1:-1] == UNLABELLED) | (around[1:-1, 2:] == UNLABELLED)
        edges &= labelled
        return edges


def qrect(box: Box) -> QRect:
    """Returns a box of device pixels as Qt's rectangle."""
    return QRect(box.left, box.top, box.width, box.height)
