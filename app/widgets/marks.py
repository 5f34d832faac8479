"""Small marks: coloured squares, dots, labels with a meaning, thin lines."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QFrame, QLabel, QWidget


def swatch(color: QColor, size: int = 16, ratio: float = 2.0) -> QPixmap:
    """Return a rounded square in a class colour, with a thin edge that shows on any background."""
    pixmap = QPixmap(QSize(round(size * ratio), round(size * ratio)))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(128, 128, 128, 150), 1))
    painter.setBrush(color)
    painter.drawRoundedRect(QRectF(0.5, 0.5, size - 1, size - 1), 3.5, 3.5)
    painter.end()
    return pixmap


def swatch_icon(color: QColor, size: int = 16) -> QIcon:
    """Return a swatch as an icon."""
    return QIcon(swatch(color, size))


def label(text: str = "", *, kind: str = "", parent: QWidget | None = None) -> QLabel:
    """Return a label.

    Args:
        text: What it says; plain text.
        kind: Name of a property the sheet styles: "muted", "heading", "subheading", "value", or "".
        parent: Its parent.
    """
    made = QLabel(text, parent)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if kind:
        made.setProperty(kind, True)
    return made


def rule(parent: QWidget | None = None) -> QFrame:
    """Return a thin horizontal line."""
    line = QFrame(parent)
    line.setObjectName("rule")
    return line


def restyle(widget: QWidget) -> None:
    """Apply the sheet again after a property that it selects by has changed."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()


class Dot(QWidget):
    """A coloured dot that says more than a word would."""

    def __init__(self, diameter: int = 9, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self._color = QColor(128, 128, 128)
        self._diameter = diameter
        self.setFixedSize(diameter + 3, diameter + 3)

    @property
    def color(self) -> QColor:
        """The colour shown."""
        return self._color

    def set_color(self, color: QColor) -> None:
        """Show another colour."""
        self._color = color
        self.update()

    def paintEvent(self, _event: object) -> None:
        """Draw the dot."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._color)
        painter.drawEllipse(QRectF(1.5, 1.5, self._diameter, self._diameter))
        painter.end()
