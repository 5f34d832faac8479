"""Looks up the program's own data files, also from inside a frozen program."""

from __future__ import annotations

import functools
from importlib.resources import files

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QImage, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

ICON_SIZES = (16, 22, 44)
"""Menus, tool bar, and the tool bar on a screen with two physical pixels for each logical one."""


@functools.lru_cache(maxsize=256)
def text(name: str) -> str:
    """Return the text of a data file, as UTF-8.

    Args:
        name: Path below the resources folder, with forward slashes, such as ``about/licences.txt``.

    Raises:
        FileNotFoundError: The program was installed without this file.
    """
    return files("resources").joinpath(name).read_text(encoding="utf-8")


def has_icon(name: str) -> bool:
    """Say whether a drawing of this name exists."""
    return files("resources").joinpath(f"icons/{name}.svg").is_file()


def pixmap(name: str, color: QColor, size: int, ratio: float = 1.0) -> QPixmap:
    """Draw an icon in one colour.

    Args:
        name: File name of the drawing without its ending.
        color: The one colour of the drawing.
        size: Edge in logical pixels.
        ratio: Physical pixels for each logical pixel.
    """
    drawing = text(f"icons/{name}.svg").replace("currentColor", color.name())
    renderer = QSvgRenderer(QByteArray(drawing.encode()))
    edge = max(1, round(size * ratio))
    image = QImage(QSize(edge, edge), QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setOpacity(color.alphaF())
    renderer.render(painter, QRectF(0, 0, edge, edge))
    painter.end()
    drawn = QPixmap.fromImage(image)
    drawn.setDevicePixelRatio(ratio)
    return drawn


def icon(name: str, color: QColor, disabled: QColor, active: QColor | None = None) -> QIcon:
    """Return a drawing as an icon in the colours of the theme.

    Args:
        name: File name of the drawing without its ending.
        color: Ordinary colour.
        disabled: Colour while the action cannot be used.
        active: Colour while the action is switched on; the ordinary one by default.
    """
    result = QIcon()
    for size in ICON_SIZES:
        result.addPixmap(pixmap(name, color, size), QIcon.Mode.Normal, QIcon.State.Off)
        result.addPixmap(pixmap(name, disabled, size), QIcon.Mode.Disabled, QIcon.State.Off)
        if active is not None:
            result.addPixmap(pixmap(name, active, size), QIcon.Mode.Normal, QIcon.State.On)
    return result
