"""The hand and its tools on a display: which one is held, what a button does, what is drawn over it."""

from PySide6.QtCore import QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QHideEvent, QMouseEvent, QPainter, QPointingDevice
from PySide6.QtWidgets import QWidget

from app.canvas.brush import LARGEST_RADIUS, SMALLEST_RADIUS, BrushTool, EraserTool
from app.canvas.display import Display
from app.canvas.drags import Drag, MenuTap, PanDrag, SizeDrag, ToolDrag
from app.canvas.polygon import PolygonTool
from app.canvas.region import FillTool, MoveTool, PickTool, ProbeTool
from app.canvas.space import SpaceKey
from app.canvas.tool import Hand, Pointer, Tool, ToolHost, ToolKind
from engine.annotate.classes import ClassTable
from engine.project.pyramid import ImagePyramid

ZOOM_STEP = 1.25
"""One notch of the wheel."""


class Workbench(Display):
    """A display with a hand and tools; whoever subclasses it brings the events. GUI thread only.

    Signals:
        what_next_changed: The sentence of `what_next`.
        brush_radius_changed: Image pixels.
        context_menu_requested: Global position, and the image point (y, x) or None.
        busy_changed: A gesture began or ended.
        probed: The image point y, x was clicked to look inside.
    """

    what_next_changed = Signal(str)
    brush_radius_changed = Signal(float)
    context_menu_requested = Signal(QPoint, object)
    busy_changed = Signal(bool)
    probed = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        """Starts without image and host, the brush in the hand."""
        self._hand = Hand()
        held = (BrushTool, EraserTool, PolygonTool, FillTool, PickTool, MoveTool)
        self._tools: dict[ToolKind, Tool] = {tool.kind: tool(self._hand) for tool in held}
        self._tools[ToolKind.PROBE] = ProbeTool(self._hand, self._probe)
        self._tool = self._tools[ToolKind.BRUSH]
        self._drag: Drag | None = None
        self._space = SpaceKey()
        self._erase = False
        self._position: QPointF | None = None  # of the pointer, while it is over the canvas
        self._reach = QRectF()
        self._said = ""
        super().__init__(parent)
        self.setCursor(self._tool.cursor)

    # Working

    def set_host(self, host: ToolHost | None) -> None:
        """Takes whoever changes the annotation; None makes the tools do nothing."""
        self.finish_gesture()
        self._hand.host = host

    def set_tool(self, kind: ToolKind) -> None:
        """Takes another tool in the hand; a gesture is finished first, an open polygon given up."""
        self.finish_gesture()
        if kind != self._tool.kind:
            self._tool.hover(None)
            self._tool.cancel()
        self._tool = self._tools[kind]
        self._show_state()

    @property
    def tool_kind(self) -> ToolKind:
        """The tool in the hand."""
        return self._tool.kind

    def set_active_class(self, index: int | None) -> None:
        """Makes a class of the table the one that is painted."""
        self._hand.class_index = index
        self._name_class()

    def set_brush_radius(self, radius: float) -> None:
        """Sets the radius of brush and eraser in image pixels, within 0.5 … 2000."""
        radius = min(max(radius, SMALLEST_RADIUS), LARGEST_RADIUS)
        if radius != self._hand.radius:
            self._hand.radius = radius
            self.brush_radius_changed.emit(radius)
            self._show_state()

    @property
    def brush_radius(self) -> float:
        """Radius of brush and eraser in image pixels."""
        return self._hand.radius

    def what_next(self) -> str:
        """Returns what the next click does, in one line."""
        if self.image_size is None:
            return "open a folder of images to begin"
        if self._space.held:
            return "drag moves the image"
        return self._tool.what_next(erase=self._erase)

    def pointer_point(self) -> tuple[float, float] | None:
        """Returns the image point under the mouse, None while it is not over the image."""
        if self._position is None or self.image_size is None:
            return None
        y, x = self.image_point(self._position)
        height, width = self.image_size
        return (y, x) if 0 <= y < height and 0 <= x < width else None

    def zoom_in(self) -> None:
        """Zooms in by one notch, about the pointer or the middle."""
        self.zoom_at(ZOOM_STEP, self._position or QRectF(self.rect()).center())

    def zoom_out(self) -> None:
        """Zooms out by one notch, about the pointer or the middle."""
        self.zoom_at(1 / ZOOM_STEP, self._position or QRectF(self.rect()).center())

    @property
    def is_busy(self) -> bool:
        """Whether a mouse button is at work on the canvas."""
        return self._drag is not None

    def finish_gesture(self) -> None:
        """Ends the gesture in progress where it is; what was painted stays."""
        self._end_drag(None)

    def cancel_gesture(self) -> None:
        """Takes the gesture in progress back."""
        drag, self._drag = self._drag, None
        if drag is not None:
            drag.cancel()
            self._after_drag()

    def set_image(self, pyramid: ImagePyramid | None, size: tuple[int, int] | None = None) -> None:
        """Shows another image; what is in progress is finished on the old one first."""
        self.finish_gesture()
        self._tool.cancel()
        super().set_image(pyramid, size)
        self._show_state()

    def set_classes(self, table: ClassTable) -> None:
        """Takes names and colours."""
        super().set_classes(table)
        self._name_class()

    def _name_class(self) -> None:
        index = self._hand.class_index
        spec = None if index is None else self.classes.by_index(index)
        self._hand.class_name = "" if spec is None else spec.name
        self._hand.color = QColor(255, 255, 255) if spec is None else QColor(*spec.color)
        self._show_state()

    # Drags

    def _drag_for(self, event: QMouseEvent) -> Drag | None:
        button, position, ratio = event.button(), event.position(), self.pixel_ratio
        alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        left = button == Qt.MouseButton.LeftButton
        pans = left and (self._space.held or self._tool.kind is ToolKind.MOVE)
        if button == Qt.MouseButton.MiddleButton or pans:
            return PanDrag(button, position, ratio, self.pan_by)
        if left:
            return ToolDrag(button, self._tool_for(event), self._pointer)
        if button == Qt.MouseButton.RightButton and alt:
            return SizeDrag(button, position, self._hand.radius, self.set_brush_radius)
        if button == Qt.MouseButton.RightButton:
            return MenuTap(button, position, self._open_menu)
        return None

    def _tool_for(self, event: QMouseEvent) -> Tool:
        picks = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        return self._tools[ToolKind.PICK] if picks else self._tool

    def _begin_drag(self, event: QMouseEvent, *, double: bool) -> None:
        if self._drag is not None or self.image_size is None:
            return
        self._look_at(event)
        self._drag = self._drag_for(event)
        if self._drag is None:
            return
        self.settle()  # nothing under the pressed button may still be fading
        self._space.use()
        self.busy_changed.emit(True)
        if isinstance(self._drag, ToolDrag):
            tool = self._tool_for(event)
            (tool.double_click if double else tool.press)(self._pointer(event.position()))
        self._show_state()

    def _end_drag(self, position: QPointF | None) -> None:
        drag, self._drag = self._drag, None
        if drag is not None:
            drag.finish(position)
            self._after_drag()

    def _after_drag(self) -> None:
        self._hand.pressure = 1.0
        self._release_predictions()
        self.busy_changed.emit(False)
        self._show_state()

    def _open_menu(self, position: QPointF) -> None:
        self.context_menu_requested.emit(self.mapToGlobal(position.toPoint()), self.pointer_point())

    def _probe(self, y: float, x: float) -> None:
        self.probed.emit(y, x)

    # Pointer and overlay

    def _pointer(self, position: QPointF) -> Pointer:
        y, x = self.image_point(position)
        return Pointer(y=y, x=x, erase=self._erase, step=self.pixel_ratio / self.zoom)

    def _look_at(self, event: QMouseEvent) -> None:
        """Notes where the pointer is and whether it erases (Alt, or the other end of a pen)."""
        self._position = event.position()
        pen = event.pointingDevice().pointerType() == QPointingDevice.PointerType.Eraser
        self._set_erase(pen or bool(event.modifiers() & Qt.KeyboardModifier.AltModifier))

    def _set_erase(self, erase: bool) -> None:
        if erase != self._erase:
            self._erase = erase
            self._show_state()

    def _hover(self) -> None:
        if self._drag is None:
            self._tool.hover(None if self._position is None else self._pointer(self._position))
        self._update_overlay()

    def _update_overlay(self) -> None:
        """Asks for a repaint of where the tool's lines were and are."""
        reach = self._tool.reach(self.widget_point) if self.image_size is not None else QRectF()
        for area in (self._reach, reach):
            if not area.isEmpty():
                self.update(area.toAlignedRect())
        self._reach = reach

    def _show_state(self) -> None:
        """Brings outline, mouse cursor and status text up to date."""
        self._hover()
        self.setCursor(self._cursor_shape())
        said = self.what_next()
        if said != self._said:
            self._said = said
            self.what_next_changed.emit(said)

    def _cursor_shape(self) -> Qt.CursorShape:
        if isinstance(self._drag, PanDrag):
            return Qt.CursorShape.ClosedHandCursor
        return Qt.CursorShape.OpenHandCursor if self._space.held else self._tool.cursor

    def _moved(self, *, zoomed: bool) -> None:
        super()._moved(zoomed=zoomed)
        self._hover()  # another image point is under the pointer now

    def paint_over(self, painter: QPainter) -> None:
        """Draws the marked point and the tool's lines."""
        super().paint_over(painter)
        if self.image_size is not None and not self._space.held:
            self._tool.paint(painter, self.widget_point)

    def hideEvent(self, event: QHideEvent) -> None:
        """Finishes what is in progress."""
        self.finish_gesture()
        super().hideEvent(event)
