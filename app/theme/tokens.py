"""Named colours of the chrome, and how readable one is on another."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor, QPalette


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
