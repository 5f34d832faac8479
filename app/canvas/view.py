"""The canvas widget: shows an image with its layers (`Display`) and hands what the user does to a `ToolHost`.

`CanvasView` knows no session. Whoever edits (the window's edit controller) implements `ToolHost`, calls
`set_host`, applies patches and answers with `annotation_changed`.

Showing (all image points are (y, x) floats, pixel 0 covers [0, 1); boxes are half-open, in image pixels):

    set_image(pyramid | None, size=None)        fitted; drops annotation, prediction and gestures in progress
    image_size -> (H, W) | None
    set_classes(table), classes
    set_annotation(label_map | None)            a view that changes under the canvas
    annotation_changed(box)                     after every change of it
    update_prediction(prediction) -> bool       part or whole; fades in; kept back while a button is down
    clear_prediction()
    layers = dataclasses.replace(view.layers, prediction_visible=False, prediction_opacity=…, …)
    fit(), actual_size(), zoom_at(factor, QPointF), zoom_in(), zoom_out(), pan_by(rows, columns), zoom
    visible_box() -> Box, image_point(QPointF) -> (y, x), widget_point(y, x) -> QPointF
    settle()                                    ends fading and refining at once

Working:

    set_host(host | None)
    set_tool(ToolKind), tool_kind               a polygon in progress is given up
    set_active_class(index | None)              None: the host is asked at `begin`
    set_brush_radius(radius), brush_radius      image pixels, 0.5 … 2000
    pressure_sizes: bool                        True: a pen pressed lightly paints thinly
    wheel_zooms: bool                           False: the wheel scrolls and Ctrl+wheel zooms
    what_next() -> str                          what the next click does
    is_busy -> bool                             a gesture is in progress
    finish_gesture(), cancel_gesture()          finish before the host turns to another image
    pointer_point() -> (y, x) | None            for keys that act "under the cursor"

Signals:

    zoom_changed(float), visible_changed(Box), cursor_moved((y, x) | None)
    what_next_changed(str), brush_radius_changed(float)
    accept_region_requested(float y, float x)   Space was tapped over the image
    context_menu_requested(QPoint global, (y, x) | None)
    busy_changed(bool)                          a gesture began or ended

Keys the canvas takes while it has the focus, before the window's shortcuts: Space (tap accepts, hold pans),
[ ] (brush size), Escape during a stroke, and Enter, Backspace, Escape while a polygon is in progress.
"""

from time import perf_counter

from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import (
    QEnterEvent,
    QFocusEvent,
    QGuiApplication,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPointingDevice,
    QTabletEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from app.canvas.drags import TAP_DISTANCE
from app.canvas.tool import ToolHost, ToolKind
from app.canvas.workbench import ZOOM_STEP, Workbench

__all__ = ["CanvasView", "ToolHost", "ToolKind"]

SIZE_STEP = 1.15
"""One notch of Shift+wheel, one press of a bracket."""
SCROLL_STEP = 80
"""Logical pixels scrolled by one notch."""
BRACKETS = {Qt.Key.Key_BracketLeft: -1, Qt.Key.Key_BracketRight: 1}


class CanvasView(Workbench):
    """The canvas; see the top of this file for the whole interface. GUI thread only.

    Signals:
        cursor_moved: The image point (y, x) under the pointer, or None.
        accept_region_requested: Space was tapped over the image point y, x.
    """

    cursor_moved = Signal(object)
    accept_region_requested = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        """Starts without image and host, the brush in the hand."""
        super().__init__(parent)
        self.wheel_zooms = True
        self.pressure_sizes = False
        self._space_from: QPointF | None = None  # where the pointer was when Space went down
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begins what the button means."""
        self._begin_drag(event, double=False)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Begins what the second click of two means."""
        self._begin_drag(event, double=True)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Goes on with the drag, or hovers."""
        self._look_at(event)
        if self._space_from is not None:
            way = event.position() - self._space_from
            if way.manhattanLength() > TAP_DISTANCE:
                self._space.use()
        if self._drag is not None and not event.buttons() & self._drag.button:
            self._end_drag(None)  # the release went to someone else
        if self._drag is not None:
            self._drag.move(event.position())
        self._hover()
        self.cursor_moved.emit(self.pointer_point())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Ends the drag of this button."""
        if self._drag is not None and event.button() == self._drag.button:
            self._look_at(event)
            self._end_drag(event.position())

    def tabletEvent(self, event: QTabletEvent) -> None:
        """Notes the pressure of a pen; ignored on purpose, so that Qt sends the mouse event as well."""
        # A release has no pressure; the last bit of the stroke keeps what there was until the drag ends.
        if self.pressure_sizes and event.type() != QEvent.Type.TabletRelease and event.pressure() > 0:
            self._hand.pressure = event.pressure()
        event.ignore()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zooms about the pointer; with Shift changes the brush size; a touchpad pans."""
        notches = (event.angleDelta().y() or event.angleDelta().x()) / 120
        pixels = event.pixelDelta()
        touchpad = event.pointingDevice().type() == QPointingDevice.DeviceType.TouchPad
        ratio = self.pixel_ratio
        event.accept()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom_at(ZOOM_STEP**notches, event.position())
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            if self._tool.has_radius:
                self.set_brush_radius(self._hand.radius * SIZE_STEP**notches)
            else:
                self.pan_by(0, round(notches * SCROLL_STEP * ratio))
        elif touchpad and not pixels.isNull():
            self.pan_by(round(pixels.y() * ratio), round(pixels.x() * ratio))
        elif self.wheel_zooms:
            self.zoom_at(ZOOM_STEP**notches, event.position())
        else:
            self.pan_by(round(notches * SCROLL_STEP * ratio), 0)

    def enterEvent(self, event: QEnterEvent) -> None:
        """Shows the outline of the brush."""
        self._position = event.position()
        self._hover()

    def leaveEvent(self, event: QEvent) -> None:
        """Hides the outline; a stroke whose button is already up is finished."""
        super().leaveEvent(event)
        self._position = None
        if self._drag is not None and not QGuiApplication.mouseButtons() & self._drag.button:
            self.finish_gesture()
        self._hover()
        self.cursor_moved.emit(None)

    # Keyboard

    def event(self, event: QEvent) -> bool:
        """Keeps the canvas' own keys from the window's shortcuts, and zooms by pinching."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and self._takes(event)
        ):
            event.accept()
            return True
        if isinstance(event, QNativeGestureEvent):
            if event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture:
                self.zoom_at(max(0.1, 1 + event.value()), event.position())
            return True
        if event.type() == QEvent.Type.UngrabMouse:
            self.finish_gesture()
        return super().event(event)

    def _takes(self, event: QKeyEvent) -> bool:
        key = Qt.Key(event.key())
        if event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier):
            return False
        if key == Qt.Key.Key_Escape and self._drag is not None:
            return True
        return key in (Qt.Key.Key_Space, *BRACKETS) or self._tool.takes_key(key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space, brush size, and the keys of the tool."""
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Alt:
            self._set_erase(True)
        if not self._takes(event):
            super().keyPressEvent(event)
            return
        if key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._press_space()
        elif key in BRACKETS:
            self.set_brush_radius(self._hand.radius * SIZE_STEP ** BRACKETS[key])
        elif self._drag is not None:
            if key == Qt.Key.Key_Escape:
                self.cancel_gesture()
        else:
            self._tool.press_key(key, erase=self._erase)
        self._show_state()

    def _press_space(self) -> None:
        self._space.press(perf_counter())
        self._space_from = self._position
        if self._drag is not None:
            self._space.use()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Tells a tap of Space from a hold."""
        if event.key() == Qt.Key.Key_Alt:
            self._set_erase(False)
        if event.key() != Qt.Key.Key_Space:
            super().keyReleaseEvent(event)
        elif not event.isAutoRepeat():
            point = self.pointer_point()
            if self._space.release(perf_counter()) and point is not None:
                self.accept_region_requested.emit(*point)
            self._show_state()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Finishes what is in progress: its end may never arrive."""
        super().focusOutEvent(event)
        self._space.forget()
        self._erase = False
        self.finish_gesture()
        self._show_state()
