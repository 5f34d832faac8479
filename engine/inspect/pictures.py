"""What inspection shows, as files for papers: PNG pictures with scales and legends, CSV numbers.

Nothing of a network is needed here. K classes, (h, w) size of a map. Any thread.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engine.annotate.classes import UNLABELLED, UNLABELLED_COLOR, ClassTable
from engine.messages import Contribution, MemoryMapped
from engine.opencv import cv2

_TEXT, _PAPER, _LINE = (30, 30, 34), (255, 255, 255), (170, 170, 176)
_WARM, _COLD = (178, 52, 40), (24, 86, 160)
_MARGIN, _BAR, _EDGE = 12, 18, 720
_CELL, _MOST_NAMED = 44, 64
_BLEND = 0.6

Rgb = NDArray[np.uint8]


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return UTF-8 CSV with a header row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def map_csv(values: NDArray[np.floating] | NDArray[np.integer]) -> bytes:
    """Return a map (h, w) as CSV: a line per row of the map, no header."""
    text = io.StringIO()
    np.savetxt(text, values, fmt="%d" if np.issubdtype(values.dtype, np.integer) else "%.6g", delimiter=",")
    return text.getvalue().encode("utf-8")


def matrix_csv(values: NDArray[np.floating], names: Sequence[str]) -> bytes:
    """Return a matrix (K, K) as CSV: rows act on columns."""
    rows = ([name, *(f"{value:.6g}" for value in row)] for name, row in zip(names, values, strict=True))
    return csv_bytes(["acts on →", *names], rows)


def heat_png(
    values: NDArray[np.floating],
    image: Rgb,
    title: str,
    *,
    low: float | None = None,
    high: float | None = None,
) -> bytes:
    """Return a heat map over its image, with a colour bar.

    Args:
        values: (h, w) floats, stretched over the image.
        image: (H, W, 3) uint8 RGB.
        title: Stands above.
        low: Value of the darkest colour; None takes the smallest.
        high: Value of the brightest; None takes the largest.
    """
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    size = _shown_size(image)
    stretched = cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    shares = np.clip((stretched - low) / max(high - low, 1e-12), 0.0, 1.0)
    colors = _heat_colors((shares * 255).astype(np.uint8))
    under = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    mixed = (_BLEND * colors + (1 - _BLEND) * under).astype(np.uint8)
    bar = _heat_colors(np.linspace(255, 0, size[1]).astype(np.uint8)[:, None].repeat(_BAR, axis=1))
    paper = _paper(size[0] + _BAR + 92, size[1] + 24, title)
    paper.paste(Image.fromarray(mixed), (_MARGIN, 24 + _MARGIN))
    paper.paste(Image.fromarray(bar), (size[0] + 2 * _MARGIN, 24 + _MARGIN))
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(size=12)
    left = size[0] + 2 * _MARGIN + _BAR + 6
    pen.text((left, 24 + _MARGIN), f"{high:.3g}", _TEXT, font, anchor="la")
    pen.text((left, 24 + _MARGIN + size[1]), f"{low:.3g}", _TEXT, font, anchor="ld")
    return _png(paper)


def label_png(label_map: NDArray[np.uint8], image: Rgb, classes: ClassTable, title: str) -> bytes:
    """Return a label map in the colours of its classes over its image, with a legend of those present.

    Args:
        label_map: (h, w) uint8 permanent class indices; 255 shows the image alone.
        image: (H, W, 3) uint8 RGB.
        classes: Class table.
        title: Stands above.
    """
    size = _shown_size(image)
    shown = cv2.resize(label_map, size, interpolation=cv2.INTER_NEAREST)
    table = np.full((256, 3), UNLABELLED_COLOR, np.uint8)
    for spec in classes:
        table[spec.index] = spec.color
    under = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    mixed = (_BLEND * table[shown] + (1 - _BLEND) * under).astype(np.uint8)
    mixed[shown == UNLABELLED] = under[shown == UNLABELLED]
    present = [spec for spec in classes if (shown == spec.index).any()]
    paper = _paper(size[0] + 180, max(size[1], 20 * len(present)) + 24, title)
    paper.paste(Image.fromarray(mixed), (_MARGIN, 24 + _MARGIN))
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(size=12)
    for row, spec in enumerate(present):
        left, top = size[0] + 2 * _MARGIN, 24 + _MARGIN + 20 * row
        pen.rectangle((left, top, left + 14, top + 14), fill=spec.color, outline=_LINE)
        pen.text((left + 20, top + 7), _short(spec.name), _TEXT, font, anchor="lm")
    return _png(paper)


def matrix_png(values: NDArray[np.floating], names: Sequence[str], title: str) -> bytes:
    """Return a matrix (K, K): red above 0, blue below, white 0; rows act on columns.

    Colours span the cells of different classes: what a class does to itself is often ten times as much.
    """
    cell = _CELL if len(names) <= _MOST_NAMED else max(4, 2816 // len(names))
    font = ImageFont.load_default(size=min(13, max(4, cell - 2)))
    left = _MARGIN + max(int(font.getlength(_short(name))) for name in names)
    top = left + 24
    paper = _paper(left + cell * len(names), top + cell * len(names) - _MARGIN, title)
    pen, small = ImageDraw.Draw(paper), ImageFont.load_default(size=10)
    sizes = np.abs(values)
    most = float(sizes[~np.eye(len(names), dtype=np.bool_)].max(initial=0.0)) or float(sizes.max()) or 1.0
    for row, name in enumerate(names):
        middle = top + cell * row + cell // 2
        pen.text((left - 4, middle), _short(name), _TEXT, font, anchor="rm")
        _upright(paper, _short(name), (left + cell * row + cell // 2, top - 4), font)
        for column in range(len(names)):
            value = float(values[row, column])
            box = (
                left + cell * column,
                top + cell * row,
                left + cell * (column + 1) - 2,
                top + cell * (row + 1) - 2,
            )
            pen.rectangle(box, fill=_diverging(value / most))
            if cell >= _CELL:
                place = (left + cell * column + cell // 2, middle)
                ink = _PAPER if abs(value) / most > 0.6 else _TEXT
                pen.text(place, f"{value:.2g}", ink, small, anchor="mm")
    return _png(paper)


def plane_png(mapped: MemoryMapped, classes: ClassTable, title: str) -> bytes:
    """Return class memory (squares) and strokes (dots, ringed where another class is nearer) on a plane."""
    places = [place for vectors in mapped.classes.values() for place in vectors]
    places += [dot.position for dot in mapped.strokes]
    points = np.array(places, np.float64).reshape(-1, 2)
    low = points.min(axis=0, initial=math.inf) if len(points) else np.zeros(2)
    span = max(float((points.max(axis=0) - low).max()) if len(points) else 0.0, 1e-9)

    def at(place: tuple[float, float]) -> tuple[float, float]:
        scale = (_EDGE - 80) / span
        return 40 + (place[0] - low[0]) * scale, 64 + _EDGE - 80 - (place[1] - low[1]) * scale

    paper = _paper(_EDGE + 180, _EDGE + 24, title)
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(size=12)
    colors = {spec.index: spec.color for spec in classes}
    for dot in mapped.strokes:
        x, y = at(dot.position)
        if dot.nearest != dot.class_index:
            pen.ellipse((x - 7, y - 7, x + 7, y + 7), outline=_WARM, width=2)
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colors[dot.class_index])
    for row, (index, vectors) in enumerate(mapped.classes.items()):
        for place in vectors:
            x, y = at(place)
            pen.rectangle((x - 6, y - 6, x + 6, y + 6), fill=colors[index], outline=_TEXT)
        spec = classes.by_index(index)
        top = 24 + _MARGIN + 20 * row
        pen.rectangle(
            (_EDGE + _MARGIN, top, _EDGE + _MARGIN + 14, top + 14), fill=colors[index], outline=_LINE
        )
        pen.text(
            (_EDGE + _MARGIN + 20, top + 7), _short(spec.name if spec else "?"), _TEXT, font, anchor="lm"
        )
    return _png(paper)


def bars_png(contributions: Sequence[Contribution], title: str, most: int = 12) -> bytes:
    """Return the largest contributions as bars: blue speaks for the label, red for the runner-up."""
    shown = contributions[:most]
    paper = _paper(560, 26 * len(shown) + 24, title)
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(size=12)
    largest = max((abs(part.value) for part in shown), default=1.0) or 1.0
    for row, part in enumerate(shown):
        middle = 24 + _MARGIN + 26 * row + 13
        length = 150 * part.value / largest
        pen.text((170, middle), _short(part.name), _TEXT, font, anchor="rm")
        pen.rectangle(
            (min(340, 340 + length), middle - 8, max(340, 340 + length), middle + 8),
            fill=_COLD if part.value >= 0 else _WARM,
        )
        pen.text((500, middle), f"{part.value:+.3f}", _TEXT, font, anchor="lm")
    pen.line((340, 24 + _MARGIN, 340, 24 + _MARGIN + 26 * len(shown)), fill=_LINE)
    return _png(paper)


def counts_rows(changes: Mapping[tuple[int, int], int], classes: ClassTable) -> list[tuple[str, str, int]]:
    """Return (name before, name after, pixels) for counts by pairs of permanent indices."""
    names = {spec.index: spec.name for spec in classes}
    return [(names[old], names[new], count) for (old, new), count in changes.items()]


def _shown_size(image: Rgb) -> tuple[int, int]:
    """Return (width, height) of a picture: the image's, but 1600 pixels at most and 320 at least."""
    height, width = image.shape[:2]
    longest = max(height, width)
    scale = min(max(1.0, 320 / longest), 1600 / longest)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _heat_colors(values: NDArray[np.uint8]) -> Rgb:
    # OpenCV hands out blue first.
    return np.asarray(cv2.applyColorMap(values, cv2.COLORMAP_VIRIDIS)[..., ::-1], np.uint8)


def _diverging(share: float) -> tuple[int, int, int]:
    strong = _WARM if share >= 0 else _COLD
    red, green, blue = (
        round(paper + (ink - paper) * min(1.0, abs(share))) for paper, ink in zip(_PAPER, strong, strict=True)
    )
    return red, green, blue


def _paper(width: int, height: int, title: str) -> Image.Image:
    font = ImageFont.load_default(size=14)
    width = max(width + 2 * _MARGIN, int(font.getlength(title)) + 2 * _MARGIN)
    paper = Image.new("RGB", (width, height + 2 * _MARGIN), _PAPER)
    ImageDraw.Draw(paper).text((_MARGIN, _MARGIN), title, _TEXT, font)
    return paper


def _upright(
    paper: Image.Image, text: str, foot: tuple[int, int], font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    strip = Image.new("RGB", (int(font.getlength(text)) + 4, 18), _PAPER)
    ImageDraw.Draw(strip).text((0, 9), text, _TEXT, font, anchor="lm")
    turned = strip.rotate(90, expand=True)
    paper.paste(turned, (foot[0] - 9, foot[1] - turned.height))


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


def _png(paper: Image.Image) -> bytes:
    buffer = io.BytesIO()
    paper.save(buffer, format="PNG")
    return buffer.getvalue()
