"""Comparison tables as text, as CSV and as a picture."""

import csv
import dataclasses
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.measure.bench import Measured
from engine.measure.bench_rows import Published
from engine.opencv import cv2

_COLUMNS = (
    ("parameters", "M parameters", "{:.3f}"),
    ("operations", "G operations", "{:.3f}"),
    ("milliseconds", "ms", "{:.1f}"),
    ("memory_mb", "MB", "{:.1f}"),
    ("ratio", "times as fast", "{:.2f}"),
)
_PAPER, _INK, _FAINT = (250, 250, 248), (40, 44, 52), (214, 216, 218)
_BARS = ((0, 114, 178), (230, 159, 0))
_BAND = (242, 243, 243)
_ROW, _BAR, _LEFT, _WIDTH, _TOP = 44, 18, 330, 400, 88
_NARROWEST = 900


def as_text(rows: Sequence[Measured]) -> str:
    """Returns an aligned table; published figures stand in brackets beside ours, gaps are dashes."""
    shown = _shown_columns(rows)
    lines = [["", *(title for _, title, _ in shown)]]
    lines += [[row.title, *(_cell(row, name, form) for name, _, form in shown)] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(shown) + 1)]
    text = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    ]
    if any(row.published != Published() for row in rows):
        text.append("In brackets: published; time and memory there were those of the authors' graphics card.")
    text += [f"{row.title}: {row.note}" for row in rows if row.note]
    return "\n".join(text)


def as_csv(rows: Sequence[Measured]) -> str:
    """Returns a line per row, ours and the published figures in columns of their own, gaps empty."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    names = [name for name, _, _ in _COLUMNS]
    told = [field.name for field in dataclasses.fields(Published)]
    writer.writerow(["title", *names, *(f"published_{name}" for name in told), "note"])
    for row in rows:
        ours = [_number(getattr(row, name)) for name in names]
        theirs = [_number(getattr(row.published, name)) for name in told]
        writer.writerow([row.title, *ours, *theirs, row.note])
    return output.getvalue()


def draw_table(rows: Sequence[Measured], title: str) -> NDArray[np.uint8]:
    """Returns (H, W, 3) uint8 RGB: a group of bars per column, ours blue, published orange.

    Published times and memory come from other machines and are left out of the bars.
    """
    shown = _shown_columns(rows)
    height = _TOP + _ROW * max(1, len(rows)) + 24
    sheet = np.full((height, max(_LEFT + _WIDTH * len(shown), _NARROWEST), 3), _PAPER, np.uint8)
    _write(sheet, (16, 34), title, 0.8)
    if any(_pair(row, name)[1] is not None for row in rows for name, _, _ in shown):
        _legend(sheet)
    for place, row in enumerate(rows):
        top = _TOP + place * _ROW
        if place % 2:
            cv2.rectangle(sheet, (0, top), (sheet.shape[1], top + _ROW - 1), _BAND, -1)
        _write(sheet, (16, top + 27), row.title, 0.55)
    for column, (name, heading, form) in enumerate(shown):
        left = _LEFT + column * _WIDTH
        _write(sheet, (left, 74), heading, 0.6)
        _bars(sheet, rows, left, name, form)
    cv2.line(sheet, (16, _TOP - 2), (sheet.shape[1] - 17, _TOP - 2), _FAINT, 1)
    return sheet


def _legend(sheet: NDArray[np.uint8]) -> None:
    """Says above the titles which bars are whose."""
    for place, words in enumerate(("ours", "published")):
        left = 16 + 90 * place
        cv2.rectangle(sheet, (left, 63), (left + 12, 75), _BARS[place], -1)
        _write(sheet, (left + 19, 74), words, 0.5)


def _pair(row: Measured, name: str) -> tuple[float | None, float | None]:
    """Returns our figure and the published one where both can be compared."""
    comparable = name in ("parameters", "operations")
    return getattr(row, name), getattr(row.published, name) if comparable else None


def _bars(sheet: NDArray[np.uint8], rows: Sequence[Measured], left: int, name: str, form: str) -> None:
    pairs = [_pair(row, name) for row in rows]
    most = max((value for pair in pairs for value in pair if value is not None), default=1.0) or 1.0
    for place, pair in enumerate(pairs):
        values = [(line, value) for line, value in enumerate(pair) if value is not None]
        # One bar stands in the middle of its row, two stand around it.
        first = _TOP + place * _ROW + (_ROW - _BAR * len(values)) // 2
        for number, (line, value) in enumerate(values):
            y, length = first + _BAR * number, max(1, round((_WIDTH - 130) * value / most))
            cv2.rectangle(sheet, (left, y + 2), (left + length, y + _BAR - 3), _BARS[line], -1)
            text = form.format(value) if line == 0 else f"{value:g}"
            _write(sheet, (left + length + 8, y + 13), text, 0.45)


def _write(sheet: NDArray[np.uint8], place: tuple[int, int], text: str, size: float) -> None:
    # OpenCV's letters are ASCII only.
    plain = text.replace("×", "x").encode("ascii", "replace").decode()
    cv2.putText(sheet, plain, place, cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA)


def _shown_columns(rows: Sequence[Measured]) -> tuple[tuple[str, str, str], ...]:
    """Returns the columns in which some row has a figure of ours."""
    return tuple(item for item in _COLUMNS if any(getattr(row, item[0]) is not None for row in rows))


def _cell(row: Measured, name: str, form: str) -> str:
    ours, theirs = getattr(row, name), getattr(row.published, name, None)
    own = "–" if ours is None else form.format(ours)
    return own if theirs is None else f"{own} [{theirs:g}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
