"""The theme in force: four choices, one set of named colours.

Only the chrome is themed. Colours of classes never pass through here: they mean something.
"""

from __future__ import annotations

import importlib
from enum import Enum

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPixmap
from PySide6.QtWidgets import QApplication

from app import assets
from app.theme.sheet import refinement
from app.theme.tokens import DARK, LIGHT, palette_of


class Theme(Enum):
    """Choices of the preferences."""

    DARK_QDARKSTYLE = "dark-qdarkstyle"
    DARK_NATIVE = "dark-native"
    LIGHT = "light"
    SYSTEM = "system"


THEME_TITLES = {
    Theme.DARK_QDARKSTYLE: "Dark",
    Theme.DARK_NATIVE: "Dark, drawn by Qt",
    Theme.LIGHT: "Light",
    Theme.SYSTEM: "As the system",
}


# Colours of qdarkstyle's bluish dark sheet and what they become here: neutral, so that no hue of the chrome
# leans against the colours of the image.
_QDARKSTYLE_TO_TOKEN = {
    "#19232d": DARK.panel,
    "#37414f": DARK.raised,
    "#455364": DARK.line,
    "#54687a": "#454a52",
    "#60798b": "#565d66",
    "#788d9c": DARK.disabled,
    "#9da9b5": DARK.muted,
    "#dfe1e2": DARK.text,
    "#26486b": "#2a4a6b",
    "#346792": DARK.fill,
    "#1a72bb": "#3a83c8",
    "#259ae9": DARK.accent,
}


class Look(QObject):
    """The theme in force; one for the program.

    Attributes:
        changed: Emitted after another theme was applied; who holds icons or colours takes them anew.
        qdarkstyle_missing: qdarkstyle was asked for and could not be loaded, so Qt's own dark look is on.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tokens = DARK
        self.theme = Theme.DARK_QDARKSTYLE
        self.qdarkstyle_missing = False
        self._icons: dict[str, QIcon] = {}

    def apply(self, theme: Theme) -> None:
        """Switch the whole program to a theme. GUI thread; about 0.4 s with qdarkstyle."""
        application = QApplication.instance()
        if not isinstance(application, QApplication):
            raise TypeError("A theme needs a QApplication.")  # a bug of ours: there is no window without one
        base = ""
        self.qdarkstyle_missing = False
        scheme = _SCHEMES[theme]
        QGuiApplication.styleHints().setColorScheme(scheme)
        dark = theme in (Theme.DARK_QDARKSTYLE, Theme.DARK_NATIVE) or (
            theme is Theme.SYSTEM and QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Dark
        )
        if theme is Theme.DARK_QDARKSTYLE:
            base = _qdarkstyle_sheet()
            self.qdarkstyle_missing = not base
        self.tokens = DARK if dark else LIGHT
        self.theme = theme
        application.setStyle("Fusion")
        application.setPalette(palette_of(self.tokens))
        application.setStyleSheet(base + refinement(self.tokens, over_qdarkstyle=bool(base)))
        self._icons.clear()
        self.changed.emit()

    def icon(self, name: str) -> QIcon:
        """Return a drawing in the colours of the theme."""
        if name not in self._icons:
            tokens = self.tokens
            self._icons[name] = assets.icon(
                name, QColor(tokens.text), QColor(tokens.disabled), QColor(tokens.accent)
            )
        return self._icons[name]

    def icon_on_fill(self, name: str) -> QIcon:
        """Return a drawing for a button filled with the main colour."""
        tokens = self.tokens
        return assets.icon(name, QColor(tokens.on_fill), QColor(tokens.disabled))

    def pixmap(self, name: str, token: str, size: int, ratio: float) -> QPixmap:
        """Return a drawing in a named colour; `size` in logical pixels."""
        return assets.pixmap(name, self.color(token), size, ratio)

    def color(self, token: str) -> QColor:
        """Return a named colour of the theme, such as ``accent``."""
        return QColor(str(getattr(self.tokens, token)))


_SCHEMES = {
    Theme.DARK_QDARKSTYLE: Qt.ColorScheme.Dark,
    Theme.DARK_NATIVE: Qt.ColorScheme.Dark,
    Theme.LIGHT: Qt.ColorScheme.Light,
    Theme.SYSTEM: Qt.ColorScheme.Unknown,
}


def _qdarkstyle_sheet() -> str:
    """Return qdarkstyle's dark sheet in our colours, or an empty text where it is not installed."""
    try:
        qdarkstyle = importlib.import_module("qdarkstyle")
    except ImportError:
        return ""
    sheet = str(qdarkstyle.load_stylesheet(qt_api="pyside6"))
    for theirs, ours in _QDARKSTYLE_TO_TOKEN.items():
        sheet = sheet.replace(theirs, ours).replace(theirs.upper(), ours)
    return sheet
