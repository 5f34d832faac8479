"""Which colour is which class, in a line of words."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel, QWidget

MOST = 12
"""Classes that are named; of more, only how many there are is said."""


class ClassLegend(QLabel):
    """Colour and name of classes, side by side; breaks where the line is full."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setWordWrap(True)
        self.setProperty("muted", True)
        self._classes: tuple[tuple[str, QColor], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all classes it stands for, also of those beyond the first `MOST`."""
        return tuple(name for name, _ in self._classes)

    def set_classes(self, classes: Sequence[tuple[str, QColor]]) -> None:
        """Name other classes.

        Args:
            classes: Name and colour of each, those that matter most first.
        """
        self._classes = tuple(classes)
        shown = [
            f'<span style="color:{color.name()}">\N{BLACK SQUARE}</span>&nbsp;'
            f"{escape(name).replace(' ', '&nbsp;')}"
            for name, color in self._classes[:MOST]
        ]
        if len(self._classes) > MOST:
            shown.append(f"and {len(self._classes) - MOST} more")
        self.setText(" &nbsp;".join(shown))
        self.setAccessibleName(f"Colours of the classes: {', '.join(self.names)}")
