"""How the window looks: four themes, one set of named colours, and the sheet that refines the widgets.

Only the chrome is themed. Colours of classes never pass through here: they mean something.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from enum import Enum

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QIcon, QPalette, QPixmap
from PySide6.QtWidgets import QApplication

from app import assets


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


@dataclass(frozen=True, slots=True)
class Tokens:
    """Named colours of the chrome, as #rrggbb.

    Attributes:
        window: Behind everything.
        panel: Docks, lists and dialogs.
        raised: Buttons, fields and hovered rows.
        line: Borders.
        text: Words and numbers.
        muted: Words that matter less; still readable (4.5:1 on `panel`).
        disabled: What cannot be used now.
        accent: Links, focus, the line of a chart; readable on `panel`.
        fill: Background of what is chosen; `on_fill` is readable on it.
        on_fill: Words on `fill`.
        good: Saved, finished.
        warn: Needs a look.
        bad: Needs an action.
    """

    window: str
    panel: str
    raised: str
    line: str
    text: str
    muted: str
    disabled: str
    accent: str
    fill: str
    on_fill: str
    good: str
    warn: str
    bad: str


DARK = Tokens(
    window="#1a1c1f",
    panel="#212327",
    raised="#2c2f34",
    line="#373b41",
    text="#e4e6e9",
    muted="#a4abb4",
    disabled="#6b727b",
    accent="#6cb0f5",
    fill="#28639c",
    on_fill="#ffffff",
    good="#67cb8d",
    warn="#e9b954",
    bad="#f28b82",
)
LIGHT = Tokens(
    window="#eef0f2",
    panel="#fbfbfc",
    raised="#e9ecef",
    line="#d3d7dc",
    text="#1c2025",
    muted="#59616b",
    disabled="#9aa1a9",
    accent="#1a62ad",
    fill="#2a6cb0",
    on_fill="#ffffff",
    good="#1c7443",
    warn="#855700",
    bad="#b3261e",
)

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
        qdarkstyle_missing: Whether qdarkstyle was asked for and could not be loaded, so that Qt's own dark look is on.
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
        application.setStyleSheet(base + refinement(self.tokens))
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


def palette_of(tokens: Tokens) -> QPalette:
    """Return the palette native drawing uses, made of the same colours as the sheet."""
    role = QPalette.ColorRole
    palette = QPalette()
    for which, name in (
        (role.Window, tokens.panel),
        (role.WindowText, tokens.text),
        (role.Base, tokens.window),
        (role.AlternateBase, tokens.panel),
        (role.Text, tokens.text),
        (role.Button, tokens.raised),
        (role.ButtonText, tokens.text),
        (role.BrightText, tokens.bad),
        (role.Highlight, tokens.fill),
        (role.HighlightedText, tokens.on_fill),
        (role.Link, tokens.accent),
        (role.ToolTipBase, tokens.raised),
        (role.ToolTipText, tokens.text),
        (role.PlaceholderText, tokens.muted),
        (role.Mid, tokens.line),
    ):
        palette.setColor(which, QColor(name))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(tokens.disabled))
    return palette


def contrast(first: QColor, second: QColor) -> float:
    """Return the contrast ratio of two colours, 1 (none) to 21 (black on white), by the WCAG definition."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: QColor) -> float:
    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)

    return 0.2126 * linear(color.redF()) + 0.7152 * linear(color.greenF()) + 0.0722 * linear(color.blueF())


def text_on(color: QColor) -> QColor:
    """Return black or white, whichever is easier to read on a colour."""
    black, white = QColor("#000000"), QColor("#ffffff")
    return black if contrast(black, color) >= contrast(white, color) else white


def heading_font() -> QFont:
    """Return the font of titles on the start page and in dialogs."""
    font = QFont(QApplication.font())
    font.setPointSizeF(font.pointSizeF() * 1.6)
    font.setWeight(QFont.Weight.DemiBold)
    return font


def refinement(tokens: Tokens) -> str:
    """Return the sheet laid over the base theme: spacing, quiet borders, and the names our own widgets carry."""
    return _SHEET.format(**{name: getattr(tokens, name) for name in Tokens.__slots__})


_SHEET = """
QMainWindow, QMainWindow::separator {{ background: {window}; }}
QMainWindow::separator {{ width: 5px; height: 5px; }}
QMainWindow::separator:hover {{ background: {fill}; }}
QWidget {{ font-size: 10pt; }}
QToolTip {{ background: {raised}; color: {text}; border: 1px solid {line}; padding: 5px 8px; }}

QMenuBar {{ background: {window}; color: {text}; border: 0; padding: 3px 6px; }}
QMenuBar::item {{ background: transparent; padding: 5px 10px; border-radius: 4px; border: 0; }}
QMenuBar::item:selected {{ background: {raised}; }}
QMenuBar::item:pressed {{ background: {fill}; color: {on_fill}; }}
QMenu {{ background: {panel}; color: {text}; border: 1px solid {line}; padding: 5px; }}
QMenu::item {{ padding: 6px 28px 6px 10px; border-radius: 4px; }}
QMenu::item:selected {{ background: {fill}; color: {on_fill}; }}
QMenu::item:disabled {{ color: {disabled}; background: transparent; }}
QMenu::separator {{ height: 1px; background: {line}; margin: 5px 8px; }}
QMenu::icon {{ padding-left: 6px; }}

QDockWidget {{ color: {muted}; border: 0; font-weight: 600; }}
QDockWidget::title {{ background: {panel}; text-align: left; padding: 9px 12px 5px 12px; border: 0; }}
QDockWidget > QWidget {{ background: {panel}; border: 0; font-weight: 400; }}

QToolBar {{ background: {panel}; border: 0; spacing: 3px; padding: 6px 4px; }}
QToolBar::separator {{ background: {line}; border: 0; height: 1px; width: 1px; margin: 7px 6px; image: none; }}
QToolButton {{ background: transparent; color: {text}; border: 1px solid transparent; border-radius: 5px;
    padding: 5px; }}
QToolButton:hover {{ background: {raised}; border-color: {line}; }}
QToolButton:pressed {{ background: {line}; }}
QToolButton:checked {{ background: {raised}; border-color: {fill}; color: {accent}; }}
QToolButton:disabled {{ color: {disabled}; }}
QToolButton[flat="true"] {{ padding: 2px; border: 0; }}

QPushButton {{ background: {raised}; color: {text}; border: 1px solid {line}; border-radius: 5px;
    padding: 6px 14px; min-height: 1.2em; }}
QPushButton:hover {{ border-color: {accent}; background: {raised}; }}
QPushButton:pressed {{ background: {line}; }}
QPushButton:focus {{ border-color: {accent}; }}
QPushButton:disabled {{ color: {disabled}; background: {panel}; border-color: {line}; }}
QPushButton[primary="true"] {{ background: {fill}; color: {on_fill}; border-color: {fill}; }}
QPushButton[primary="true"]:hover {{ border-color: {on_fill}; }}
QPushButton[primary="true"]:disabled {{ background: {raised}; color: {disabled}; border-color: {line}; }}
QPushButton[quiet="true"] {{ background: transparent; border-color: transparent; text-align: left; color: {text}; }}
QPushButton[quiet="true"]:hover {{ background: {raised}; }}

QLineEdit, QAbstractSpinBox, QComboBox, QPlainTextEdit, QTextEdit {{ background: {window}; color: {text};
    border: 1px solid {line}; border-radius: 5px; padding: 4px 8px; min-height: 1.2em;
    selection-background-color: {fill}; selection-color: {on_fill}; }}
QLineEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {{ border-color: {accent}; }}
QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled {{ color: {disabled}; }}
QComboBox QAbstractItemView {{ background: {panel}; color: {text}; border: 1px solid {line}; padding: 4px;
    selection-background-color: {fill}; selection-color: {on_fill}; }}

QListView, QTreeView, QTableView, QTableWidget, QListWidget {{ background: {panel}; color: {text}; border: 0;
    outline: 0; gridline-color: {line}; }}
QTableView, QTableWidget {{ border: 1px solid {line}; border-radius: 5px; }}
QListView::item, QTreeView::item {{ border: 0; padding: 3px; border-radius: 4px; }}
QListView::item:hover, QTreeView::item:hover {{ background: {raised}; }}
QListView::item:selected, QTreeView::item:selected, QTableView::item:selected {{ background: {fill};
    color: {on_fill}; }}
QHeaderView::section {{ background: {panel}; color: {muted}; border: 0; border-bottom: 1px solid {line};
    padding: 6px 8px; font-weight: 600; }}
QHeaderView {{ background: {panel}; border: 0; }}
QTableCornerButton::section {{ background: {panel}; border: 0; }}

QScrollBar:vertical {{ background: transparent; width: 11px; margin: 0; border: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 11px; margin: 0; border: 0; }}
QScrollBar::handle {{ background: {line}; border-radius: 3px; margin: 2px 3px; border: 0; }}
QScrollBar::handle:vertical {{ min-height: 36px; }}
QScrollBar::handle:horizontal {{ min-width: 36px; }}
QScrollBar::handle:hover {{ background: {disabled}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; border: 0; image: none; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QScrollArea {{ border: 0; background: {panel}; }}

QSlider {{ background: transparent; min-height: 22px; }}
QSlider::groove:horizontal {{ height: 4px; background: {line}; border-radius: 2px; border: 0; margin: 0 2px; }}
QSlider::sub-page:horizontal {{ background: {fill}; border-radius: 2px; border: 0; margin: 0 2px; }}
QSlider::add-page:horizontal {{ background: {line}; border-radius: 2px; border: 0; margin: 0 2px; }}
QSlider::handle:horizontal {{ background: {text}; border: 0; width: 14px; height: 14px; margin: -5px 0;
    border-radius: 7px; }}
QSlider::handle:horizontal:hover {{ background: {accent}; }}
QSlider::handle:horizontal:disabled {{ background: {disabled}; }}

QProgressBar {{ background: {line}; color: {text}; border: 0; border-radius: 3px; max-height: 6px; min-height: 6px;
    text-align: center; }}
QProgressBar::chunk {{ background: {accent}; border-radius: 3px; }}

QTabWidget::pane {{ border: 0; border-top: 1px solid {line}; }}
QTabBar::tab {{ background: transparent; color: {muted}; border: 0; border-bottom: 2px solid transparent;
    padding: 7px 12px; margin: 0; min-width: 0; border-radius: 0; }}
QTabBar::tab:selected {{ color: {text}; border-bottom: 2px solid {accent}; background: transparent; }}
QTabBar::tab:hover {{ color: {text}; }}

QStatusBar {{ background: {window}; color: {text}; border: 0; min-height: 28px; }}
QStatusBar::item {{ border: 0; }}
QStatusBar QLabel {{ background: transparent; padding: 0 4px; }}
QGroupBox {{ border: 1px solid {line}; border-radius: 6px; margin-top: 12px; padding: 10px; }}
QGroupBox::title {{ subcontrol-origin: margin; left: 10px; padding: 0 5px; color: {muted}; }}
QDialog, QMessageBox {{ background: {panel}; }}
QLabel, QCheckBox, QRadioButton {{ background: transparent; color: {text}; border: 0; padding: 0; }}
QLabel:disabled, QCheckBox:disabled, QRadioButton:disabled {{ color: {disabled}; }}
QLabel[muted="true"] {{ color: {muted}; }}
QLabel[heading="true"] {{ font-size: 16pt; font-weight: 600; }}
QLabel[subheading="true"] {{ font-size: 11pt; font-weight: 600; }}
QLabel[level="good"] {{ color: {good}; }}
QLabel[level="warn"] {{ color: {warn}; }}
QLabel[level="bad"] {{ color: {bad}; }}
QLabel[value="true"] {{ font-weight: 600; }}

QFrame#card, QFrame#notice, QFrame#classStrip, QFrame#classField, QFrame#sideNote {{ background: {panel};
    border: 1px solid {line}; border-radius: 8px; }}
QFrame#notice[level="warn"], QFrame#banner {{ border: 1px solid {warn}; }}
QFrame#notice[level="bad"] {{ border: 1px solid {bad}; }}
QFrame#banner {{ background: {panel}; border-width: 0 0 1px 0; border-radius: 0; }}
QFrame#dropTarget {{ background: {panel}; border: 2px dashed {line}; border-radius: 14px; }}
QFrame#dropTarget[hot="true"] {{ border-color: {accent}; }}
QFrame#trainingStrip {{ background: {panel}; border: 0; }}
QFrame#rule {{ background: {line}; border: 0; max-height: 1px; min-height: 1px; }}
QWidget#startPage {{ background: {window}; }}
"""
