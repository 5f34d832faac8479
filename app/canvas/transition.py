"""From the pixels shown to newer ones: drawn in slices between two events, then faded in."""

from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter

from PySide6.QtCore import QObject, QPointF, QTimer
from PySide6.QtGui import QPainter

from app.canvas.painting import Pixels, as_image
from app.canvas.surface import Fade, Surface
from engine.annotate.geometry import Box

FADE_MS = 200
FRAME_MS = 16
SLICE_PIXELS = 2**16
"""Device pixels drawn without a look at the events: some milliseconds."""


class Transition(QObject):
    """Exchanges pixels without holding up the hand. GUI thread only.

    While slices are drawn, the old pixels stay on screen; then they fade away. A gesture may come at any
    time: `stop` shows the new pixels at once, as far as they are drawn, and the rest follows.

    Args:
        surface: Holds the pixels.
        repaint: Asks for a repaint of device pixels.
        parent: The widget.
    """

    def __init__(self, surface: Surface, repaint: Callable[[Box], None], parent: QObject) -> None:
        super().__init__(parent)
        self._surface = surface
        self._repaint = repaint
        self._old: Pixels | None = None
        self._slices: deque[Box] = deque()
        self._fade: Fade | None = None
        self._fade_start = 0.0
        self._slice_timer = QTimer(self)
        self._slice_timer.setInterval(0)
        self._slice_timer.timeout.connect(self._draw_next)
        self._frame_timer = QTimer(self)
        self._frame_timer.setInterval(FRAME_MS)
        self._frame_timer.timeout.connect(self._fade_on)

    @property
    def is_drawing(self) -> bool:
        """Whether slices are still to be drawn."""
        return bool(self._slices)

    @property
    def is_fading(self) -> bool:
        """Whether old pixels are still to be seen."""
        return self._fade is not None

    def begin(self, areas: Iterable[Box]) -> None:
        """Draw areas (device pixels) anew, and fade from what is on screen now."""
        old = self._shown_pixels()
        self._end_fade()
        self._old = old
        for area in areas:
            self._slices.extend(_sliced(area))
        self._slice_timer.start()

    def stop(self) -> None:
        """Show the new pixels, without fading; what is not drawn yet follows."""
        if self._old is not None:
            self._old = None
            self._repaint(self._surface.viewport.whole)
        self._end_fade()

    def finish(self) -> None:
        """Draw everything and end fading, so that what is seen is final."""
        while self._slices:
            area = self._slices.popleft()
            self._surface.draw_layers(area)
            self._repaint(area)
        self._slice_timer.stop()
        self.stop()

    def forget(self) -> None:
        """Draw nothing more: everything is drawn anew by somebody else."""
        self._slices.clear()
        self._slice_timer.stop()
        self.stop()

    def paint(self, painter: QPainter) -> None:
        """Draw what is left of the old pixels, in device pixels."""
        if self._old is not None:
            painter.drawImage(QPointF(0, 0), as_image(self._old))
        elif self._fade is not None:
            painter.setOpacity(self._opacity())
            painter.drawImage(QPointF(self._fade.area.left, self._fade.area.top), self._fade.image)
            painter.setOpacity(1.0)

    def _shown_pixels(self) -> Pixels:
        """Return a copy of the pixels on screen, a fade in progress included."""
        pixels = self._surface.snapshot()
        canvas = as_image(pixels)  # held by name: a painter does not keep its image alive
        painter = QPainter(canvas)
        self.paint(painter)
        painter.end()
        return pixels

    def _draw_next(self) -> None:
        if self._slices:
            area = self._slices.popleft()
            self._surface.draw_layers(area)
            if self._old is None:
                self._repaint(area)
        if not self._slices:
            self._slice_timer.stop()
            self._begin_fade()

    def _begin_fade(self) -> None:
        old, self._old = self._old, None
        if old is None:
            return
        self._fade = self._surface.fade_from(old)
        if self._fade is not None:
            self._fade_start = perf_counter()
            self._frame_timer.start()
            self._repaint(self._fade.area)

    def _end_fade(self) -> None:
        if self._fade is not None:
            area, self._fade = self._fade.area, None
            self._frame_timer.stop()
            self._repaint(area)

    def _fade_on(self) -> None:
        if self._fade is None or self._opacity() <= 0.0:
            self._end_fade()
        else:
            self._repaint(self._fade.area)

    def _opacity(self) -> float:
        """Return how much of the old pixels is left, 1 … 0."""
        return max(0.0, 1.0 - (perf_counter() - self._fade_start) * 1000 / FADE_MS)


def _sliced(area: Box) -> Iterable[Box]:
    """Yield an area in bands of few pixels, from top to bottom."""
    if area.is_empty:
        return
    rows = max(1, SLICE_PIXELS // area.width)
    for top in range(area.top, area.bottom, rows):
        yield Box(top, area.left, min(top + rows, area.bottom), area.right)
