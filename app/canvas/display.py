"""Shows an image with its layers and moves about in it; knows nothing of hands and tools."""

import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRect, QTimer, Signal
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QWidget

from app.canvas.layers import LayerSettings
from app.canvas.overlay import Overlay, draw_mark
from app.canvas.painting import Painter
from app.canvas.pyramids import LabelPyramid
from app.canvas.surface import Surface
from app.canvas.transition import Transition
from app.canvas.viewport import Viewport
from engine.annotate.classes import ClassTable
from engine.annotate.geometry import Box
from engine.messages import Prediction
from engine.project.pyramid import ImagePyramid

REFINE_AFTER_MS = 60


class Display(QWidget):
    """A widget that shows an image, its prediction and its annotation. GUI thread only.

    Signals:
        zoom_changed: Device pixels per image pixel; 1.0 is 100 %.
        visible_changed: The `Box` of image pixels in sight, after zoom, pan, resize or a new image.
    """

    zoom_changed = Signal(float)
    visible_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        """Starts without an image."""
        super().__init__(parent)
        self._painter = Painter()
        self._surface = Surface(self._painter)
        self._size: tuple[int, int] | None = None
        self._fitted = True
        self._mark: tuple[float, float] | None = None
        self._held: list[Prediction | None] = []
        self._transition = Transition(self._surface, self._update_device, self)
        self._refine_timer = QTimer(self)
        self._refine_timer.setSingleShot(True)
        self._refine_timer.setInterval(REFINE_AFTER_MS)
        self._refine_timer.timeout.connect(self._refine)

    # What is shown

    def set_image(self, pyramid: ImagePyramid | None, size: tuple[int, int] | None = None) -> None:
        """Shows another image, fitted, without annotation and prediction; None shows nothing.

        Args:
            pyramid: Levels of the image; kept, not copied.
            size: (height, width); taken from the pyramid where it is left out.
        """
        self._transition.forget()
        self._held.clear()
        self._mark = None
        if pyramid is not None and size is None:
            height, width = pyramid.levels[0].shape[:2]
            size = (height, width)
        self._size = size if pyramid is not None else None
        self._painter.set_image(pyramid, self._size or (1, 1))
        self.fit()

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) of the image shown, or None."""
        return self._size

    def set_classes(self, table: ClassTable) -> None:
        """Takes names and colours; hidden classes are not drawn."""
        self._painter.classes = table
        self._draw_layers_anew()

    @property
    def classes(self) -> ClassTable:
        """The class table in use."""
        return self._painter.classes

    def set_annotation(self, label_map: NDArray[np.uint8] | None) -> None:
        """Shows an annotation over the prediction.

        Args:
            label_map: (H, W) uint8 view that may change under the canvas (tell it with `annotation_changed`),
                or None while there is none.

        Raises:
            ValueError: The label map has another size than the image.
        """
        if label_map is not None and label_map.shape != self._size:
            raise ValueError(f"label map of {label_map.shape} on an image of {self._size}")
        self._painter.annotation = None if label_map is None else LabelPyramid(label_map)
        self._draw_layers_anew()

    def annotation_changed(self, box: Box) -> None:
        """Draws the annotation anew inside `box` (image pixels); cost follows the box, never the image."""
        if self._painter.annotation is None:
            return
        self._painter.annotation.changed(box)
        self._refine()
        self._transition.stop()
        # Coarse pixels reach beyond the box, and edges belong to the neighbours as well.
        reach = math.ceil(1 / self._surface.viewport.scale) * 2
        area = self._surface.viewport.device_box(box.padded(reach), padding=1)
        self._surface.draw_layers(area)
        self._update_device(area)

    def update_prediction(self, prediction: Prediction) -> bool:
        """Lays a prediction (whole image or a part) under the annotation; it fades in.

        While a gesture is in progress it is kept back until the button is released.

        Returns:
            False when it belongs to an image of another size and was ignored.
        """
        if prediction.size != self._size:
            return False
        self._change_prediction(prediction)
        return True

    def clear_prediction(self) -> None:
        """Takes the prediction away (after the gesture in progress, if there is one)."""
        self._change_prediction(None)

    def set_overlay(self, overlay: Overlay | None, strength: float = 1.0) -> None:
        """Lays what inspection shows over everything, or takes it away; strength in [0, 1]."""
        if (overlay, strength) != (self._painter.overlay, self._painter.overlay_strength):
            self._painter.overlay, self._painter.overlay_strength = overlay, strength
            self._draw_layers_anew()

    def set_mark(self, point: tuple[float, float] | None) -> None:
        """Marks an image point (y, x), or none."""
        self._mark = point
        self.update()

    @property
    def layers(self) -> LayerSettings:
        """Visibility and opacity of the layers; assign a `dataclasses.replace` of them to change."""
        return self._painter.settings

    @layers.setter
    def layers(self, settings: LayerSettings) -> None:
        old = self._painter.settings
        if settings == old:
            return
        self._painter.settings = settings
        if settings.image_visible != old.image_visible:
            self._transition.forget()
            self._surface.draw(self._surface.viewport)
            self.update()
        else:
            self._draw_layers_anew()

    # Where it is shown

    @property
    def zoom(self) -> float:
        """Device pixels per image pixel."""
        return self._surface.viewport.scale

    def fit(self) -> None:
        """Shows the whole image and keeps showing it when the widget is resized."""
        self._show(self._blank_viewport().fitted())
        self._fitted = True

    def actual_size(self) -> None:
        """Shows one image pixel per device pixel, keeping the middle."""
        self.zoom_at(1.0 / self.zoom, QPointF(self.width() / 2, self.height() / 2))

    def zoom_at(self, factor: float, position: QPointF) -> None:
        """Zooms by `factor`; the image point under `position` (logical widget coordinates) stays there."""
        row, column = self._device(position)
        viewport = self._surface.viewport.zoomed(factor, row, column)
        if viewport == self._surface.viewport or self._size is None:
            return
        self._transition.forget()
        self._fitted = False
        self._surface.zoom(viewport)
        self._refine_timer.start()
        self._moved(zoomed=True)

    def pan_by(self, rows: int, columns: int) -> None:
        """Moves the image by whole device pixels, down and to the right."""
        viewport = self._surface.viewport.panned(rows, columns)
        if viewport == self._surface.viewport or self._size is None:
            return
        self._transition.finish()
        self._fitted = False
        self._surface.pan(viewport)
        self._moved(zoomed=False)

    def visible_box(self) -> Box:
        """Returns the image pixels in sight; empty without an image."""
        return self._surface.viewport.visible_box() if self._size is not None else Box(0, 0, 0, 0)

    def image_point(self, position: QPointF) -> tuple[float, float]:
        """Returns the image point (y, x) under a logical widget position, to 1/256 pixel.

        The rounding makes a point the same at every zoom and pixel ratio, whatever arithmetic led to it.
        """
        y, x = self._surface.viewport.to_image(*self._device(position))
        return round(y * 256) / 256, round(x * 256) / 256

    def widget_point(self, y: float, x: float) -> QPointF:
        """Returns the logical widget position of an image point."""
        row, column = self._surface.viewport.to_device(y, x)
        return QPointF(column / self.pixel_ratio, row / self.pixel_ratio)

    @property
    def pixel_ratio(self) -> float:
        """Device pixels per logical pixel of the screen the widget is on."""
        return self.devicePixelRatioF()

    @property
    def is_busy(self) -> bool:
        """Whether a gesture is in progress, so that predictions are kept back."""
        return False

    def settle(self) -> None:
        """Ends fading and refining at once, so that what is seen is final."""
        self._transition.finish()
        self._refine()

    # Inside

    def _device(self, position: QPointF) -> tuple[float, float]:
        return position.y() * self.pixel_ratio, position.x() * self.pixel_ratio

    def _blank_viewport(self) -> Viewport:
        ratio = self.pixel_ratio
        height, width = self._size or (1, 1)
        return Viewport(
            max(1, math.ceil(self.height() * ratio)), max(1, math.ceil(self.width() * ratio)), height, width
        )

    def _show(self, viewport: Viewport) -> None:
        self._transition.forget()
        self._refine_timer.stop()
        zoomed = viewport.scale != self._surface.viewport.scale
        self._painter.pixel_ratio = self.pixel_ratio
        self._surface.draw(viewport)
        self._moved(zoomed=zoomed)

    def _moved(self, *, zoomed: bool) -> None:
        self.update()
        if zoomed:
            self.zoom_changed.emit(self.zoom)
        self.visible_changed.emit(self.visible_box())

    def _refine(self) -> None:
        self._refine_timer.stop()
        if self._surface.refine():
            self.update()

    def _draw_layers_anew(self) -> None:
        self._transition.forget()
        self._refine()
        self._surface.draw_layers(self._surface.viewport.whole)
        self.update()

    def _change_prediction(self, prediction: Prediction | None) -> None:
        if self.is_busy:
            self._held.append(prediction)
        elif self._painter.prediction is not None:
            self._apply_predictions([prediction])

    def _release_predictions(self) -> None:
        """Shows what arrived while a gesture was in progress."""
        held, self._held = self._held, []
        if held and self._painter.prediction is not None:
            self._apply_predictions(held)

    def _apply_predictions(self, predictions: list[Prediction | None]) -> None:
        layer = self._painter.prediction
        if layer is None:
            return
        self._refine()
        viewport = self._surface.viewport
        areas = []
        for prediction in predictions:
            if prediction is None:
                layer.clear()
            else:
                layer.update(prediction)
            areas.append(viewport.whole if prediction is None else viewport.device_box(prediction.box))
            if areas[-1] == viewport.image_area or prediction is None:
                areas = areas[-1:]  # covers what came before
        self._transition.begin(areas)

    def _update_device(self, area: Box) -> None:
        """Asks for a repaint of device pixels."""
        if area.is_empty:
            return
        ratio = self.pixel_ratio
        top, left = math.floor(area.top / ratio), math.floor(area.left / ratio)
        bottom, right = math.ceil(area.bottom / ratio), math.ceil(area.right / ratio)
        self.update(QRect(left, top, right - left, bottom - top))

    # Events

    def paintEvent(self, event: QPaintEvent) -> None:
        """Copies the exposed rectangles."""
        del event  # Qt has made it the clip
        ratio = self.pixel_ratio
        painter = QPainter(self)
        painter.scale(1 / ratio, 1 / ratio)
        painter.drawImage(QPointF(0, 0), self._surface.image)
        self._transition.paint(painter)
        painter.scale(ratio, ratio)
        self.paint_over(painter)
        painter.end()

    def paint_over(self, painter: QPainter) -> None:
        """Draws what lies over the pixels, in logical coordinates: the marked point."""
        if self._mark is not None:
            draw_mark(painter, *self._mark, self.widget_point)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keeps the fitted view fitted, and else the middle in the middle."""
        self._adapt()
        super().resizeEvent(event)

    def event(self, event: QEvent) -> bool:
        """Draws anew when the widget comes to a screen of another pixel ratio."""
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._adapt()
        return super().event(event)

    def hideEvent(self, event: QHideEvent) -> None:
        """Ends what moves; nobody would see it."""
        self.settle()
        super().hideEvent(event)

    def _adapt(self) -> None:
        blank = self._blank_viewport()
        if self._fitted:
            self._show(blank.fitted())
        else:
            self._show(self._surface.viewport.resized(blank.height, blank.width))
