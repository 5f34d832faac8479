"""Every theme can be read: words on what they stand on reach 4.5:1, and the sheets hold together."""

import importlib
import re

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.assets import has_icon, icon, pixmap, text
from app.theme import DARK, LIGHT, Look, Theme, Tokens, contrast, refinement, text_on

READABLE = 4.5


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("word", ["text", "muted", "accent", "good", "warn", "bad"])
@pytest.mark.parametrize("ground", ["window", "panel", "raised"])
def test_words_are_readable_on_every_ground(tokens: Tokens, word: str, ground: str) -> None:
    assert contrast(QColor(getattr(tokens, word)), QColor(getattr(tokens, ground))) >= READABLE


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
def test_words_are_readable_on_what_is_chosen(tokens: Tokens) -> None:
    assert contrast(QColor(tokens.on_fill), QColor(tokens.fill)) >= READABLE


def test_contrast_of_black_and_white() -> None:
    assert contrast(QColor("black"), QColor("white")) == pytest.approx(21.0)
    assert contrast(QColor("#777777"), QColor("#777777")) == pytest.approx(1.0)


@pytest.mark.parametrize(("ground", "wanted"), [("#ffff00", "#000000"), ("#0000aa", "#ffffff")])
def test_text_on_a_class_colour(ground: str, wanted: str) -> None:
    assert text_on(QColor(ground)).name() == wanted


def test_the_sheet_has_no_unfilled_place() -> None:
    sheet = refinement(DARK)
    assert not re.search(r"\{\w+\}", sheet)
    assert sheet.count("{") == sheet.count("}")


@pytest.mark.parametrize("theme", list(Theme))
def test_rendered_words_are_readable(theme: Theme, qtbot: QtBot) -> None:
    look = Look()
    look.apply(theme)
    holder = QWidget()
    holder.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    layout = QVBoxLayout(holder)
    muted = QLabel("muted words")
    muted.setProperty("muted", True)
    primary = QPushButton("Primary")
    primary.setProperty("primary", True)
    widgets = [QLabel("plain words"), muted, QPushButton("Button"), primary, QLineEdit("typed words")]
    for widget in widgets:
        layout.addWidget(widget)
    qtbot.addWidget(holder)
    holder.resize(300, 260)
    for widget in widgets:
        widget.ensurePolished()
    image = holder.grab().toImage()
    for widget in widgets:
        colors = _colors(image, widget)
        ground = max(colors, key=lambda color: colors[color])
        best = max(contrast(QColor(color), QColor(ground)) for color in colors)
        assert best >= READABLE, (theme, type(widget).__name__, best)


def _colors(image: object, widget: QWidget) -> dict[int, int]:
    counts: dict[int, int] = {}
    area = widget.geometry()
    for y in range(area.top() + 4, area.bottom() - 3):
        for x in range(area.left() + 4, area.right() - 3):
            color = image.pixel(x, y)
            counts[color] = counts.get(color, 0) + 1
    return counts


def test_the_palette_follows_the_theme(qtbot: QtBot) -> None:
    from PySide6.QtWidgets import QApplication

    look = Look()
    heard: list[bool] = []
    look.changed.connect(lambda: heard.append(True))
    look.apply(Theme.LIGHT)
    assert QApplication.palette().color(QPalette.ColorRole.Window).lightness() > 200
    look.apply(Theme.DARK_NATIVE)
    assert QApplication.palette().color(QPalette.ColorRole.Window).lightness() < 60
    assert len(heard) == 2


def test_without_qdarkstyle_the_native_dark_theme_is_used(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    look = Look()
    look.apply(Theme.DARK_QDARKSTYLE)
    assert look.qdarkstyle_missing
    assert look.tokens is DARK


def test_icons_take_the_colours_of_the_theme(qtbot: QtBot) -> None:
    drawn = pixmap("brush", QColor("#ff0000"), 24).toImage()
    painted = [drawn.pixelColor(x, y) for x in range(24) for y in range(24)]
    solid = [color for color in painted if color.alpha() == 255]
    assert solid
    assert {color.name() for color in solid} == {"#ff0000"}
    assert has_icon("brush")
    assert not has_icon("unicorn")
    assert not icon("brush", QColor("white"), QColor("grey"), QColor("blue")).isNull()


def test_every_icon_is_single_coloured() -> None:
    from importlib.resources import files

    for file in files("resources").joinpath("icons").iterdir():
        drawing = text(f"icons/{file.name}")
        assert "currentColor" in drawing
        assert not re.search(r"#[0-9a-fA-F]{3,6}", drawing), file.name
