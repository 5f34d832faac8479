"""A small picture of the whole image, on which the cursor of the canvas is seen and can be moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import Look
from app.widgets.own_keys import claims

LARGEST = 360
"""Pixels along the longer side that are kept of a picture."""
MOST_LINES = 3
"""Lines of a title; more are cut."""
_TITLE = 4.0


def stride_for(shape: tuple[int, ...], largest: int = LARGEST) -> int:
    """Return how many values to skip so that the longer side has at most about `largest`."""
    return max(1, -(-max(shape[:2]) // largest))


class Picture(QWidget):
    """A picture with a title, which can be chosen.

    Attributes:
        chosen: It was clicked, or Return was pressed on it.
        hovered: The pointer stands over a place: (y, x) in [0, 1), or None.

    Args:
        look: Gives the colours.
        title: A few words below the picture.
    """

    chosen = Signal()
    hovered = Signal(object)

    def __init__(self, look: Look, title: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._title = title
        self._pixels: NDArray[np.uint32] | None = None
        self._image = QImage()
        self._aspect = 0.75
        self._cursor: tuple[float, float] | None = None
        self._is_on = False
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setAccessibleName(title)
        look.changed.connect(self.update)

    @property
    def image(self) -> QImage:
        """The picture itself; empty where none was set."""
        return self._image

    @property
    def is_on(self) -> bool:
        """Whether it is marked as the one on the canvas."""
        return self._is_on

    def set_pixels(self, pixels: NDArray[np.uint32], size: tuple[int, int]) -> None:
        """Show a picture.

        Args:
            pixels: (h, w) uint32 0xAARRGGBB, premultiplied; kept, not copied.
            size: (H, W) of the image it is stretched over.
        """
        self._pixels = np.ascontiguousarray(pixels)
        height, width = self._pixels.shape
        form = QImage.Format.Format_ARGB32_Premultiplied
        self._image = QImage(self._pixels.data, width, height, width * 4, form)
        if self._aspect != size[0] / max(size[1], 1):
            self._aspect = size[0] / max(size[1], 1)
            self.updateGeometry()
        self.update()

    def set_title(self, title: str) -> None:
        """Show other words below the picture."""
        self._title = title
        self.setAccessibleName(title)
        self.update()

    def set_on(self, is_on: bool) -> None:
        """Mark it as the one on the canvas, or not."""
        if is_on != self._is_on:
            self._is_on = is_on
            self.setAccessibleName(f"{self._title}{', on the canvas' if is_on else ''}")
            self.update()

    @property
    def cursor_place(self) -> tuple[float, float] | None:
        """Where the cursor is shown: (y, x) in [0, 1), or None."""
        return self._cursor

    def set_cursor(self, place: tuple[float, float] | None) -> None:
        """Show the cursor at (y, x) in [0, 1), or not at all."""
        if place != self._cursor:
            self._cursor = place
            self.update()

    def hasHeightForWidth(self) -> bool:
        """Say that the height follows the width."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height at which the picture fills a width."""
        return round(min(width * self._aspect, width * 1.5) + self._title_height(width))

    def _title_height(self, width: float) -> float:
        """Return the height of the words: as many lines as they take, at most `MOST_LINES`."""
        if not self._title:
            return 0.0
        metrics = QFontMetricsF(self.font())
        room = QRectF(0, 0, width, MOST_LINES * metrics.height())
        words = metrics.boundingRect(room, int(Qt.TextFlag.TextWordWrap), self._title)
        lines = round(words.height() / metrics.height())
        return min(max(lines, 1), MOST_LINES) * metrics.height() + _TITLE

    def sizeHint(self) -> QSize:
        """Return a thumbnail's size."""
        return QSize(120, self.heightForWidth(120))

    def minimumSizeHint(self) -> QSize:
        """Return the least that can be recognised."""
        return QSize(56, 40)

    def _place(self) -> QRectF:
        title = self._title_height(self.width())
        room = QRectF(1.5, 1.5, self.width() - 3, self.height() - title - 3)
        height = min(room.height(), room.width() * self._aspect)
        width = height / self._aspect if self._aspect else room.width()
        return QRectF(room.center().x() - width / 2, room.top(), width, height)

    # --- hands ------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell which place of the image the pointer is over."""
        place = self._place()
        inside = place.contains(event.position())
        y = (event.position().y() - place.top()) / max(place.height(), 1.0)
        x = (event.position().x() - place.left()) / max(place.width(), 1.0)
        self.hovered.emit((min(y, 0.9999), min(x, 0.9999)) if inside else None)

    def leaveEvent(self, _event: QEvent) -> None:
        """The pointer is elsewhere."""
        self.hovered.emit(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose it."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit()

    def event(self, event: QEvent) -> bool:
        """Take the keys of this view."""
        return True if claims(event) else super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose it with Return."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit()
        else:
            super().keyPressEvent(event)

    # --- drawing ----------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw picture, frame, cursor and title."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        place = self._place()
        painter.fillRect(place, self._look.color("window"))
        if not self._image.isNull():
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(place, self._image)
        focused = self.hasFocus()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(self._look.color("accent" if self._is_on or focused else "line"), 2))
        painter.drawRoundedRect(place, 2, 2)
        if self._cursor is not None:
            y = place.top() + self._cursor[0] * place.height()
            x = place.left() + self._cursor[1] * place.width()
            for color, width in ((QColor(0, 0, 0), 3.0), (QColor(255, 255, 255), 1.4)):
                painter.setPen(QPen(color, width))
                painter.drawEllipse(QPointF(x, y), 4.5, 4.5)
        if self._title:
            painter.setPen(self._look.color("text" if self._is_on else "muted"))
            room = QRectF(0, place.bottom() + _TITLE, self.width(), self._title_height(self.width()))
            top = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
            painter.drawText(room, int(top), self._title)
        painter.end()
