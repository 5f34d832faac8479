"""The confusion matrix for people: a table for spreadsheets and a picture."""

import csv
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engine.measure.metrics import ConfusionMatrix

_CELL = 44
_MARGIN = 12
_TEXT, _PAPER, _STRONG = (30, 30, 34), (255, 255, 255), (24, 86, 160)
_MOST_NAMED = 64
_MISSED = "no class"


def confusion_csv(matrix: ConfusionMatrix, names: Sequence[str]) -> bytes:
    """UTF-8 CSV of pixel counts: a row per target class, a column per predicted class and one for none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["target \\ predicted", *names, _MISSED])
    for name, row, missed in zip(names, matrix.counts, matrix.missed, strict=True):
        writer.writerow([name, *(int(value) for value in row), int(missed)])
    return text.getvalue().encode("utf-8")


def confusion_png(matrix: ConfusionMatrix, names: Sequence[str]) -> bytes:
    """PNG of the matrix: each row sums to 100 %, so that rare classes show as well as frequent ones.

    Cells carry their percentage as long as there are few enough classes to read them.
    """
    shares = _shares(matrix)
    cell = _CELL if len(names) <= _MOST_NAMED else max(4, 2816 // len(names))
    picture = _Picture(names, cell)
    picture.draw(shares)
    buffer = io.BytesIO()
    picture.image.save(buffer, format="PNG")
    return buffer.getvalue()


def _shares(matrix: ConfusionMatrix) -> NDArray[np.float64]:
    """(K, K) share of each target class predicted as each class, 0 … 1; rows without pixels are 0."""
    counts = matrix.counts
    totals = counts.sum(axis=1) + matrix.missed
    return np.asarray(counts / np.maximum(1, totals)[:, None], np.float64)


class _Picture:
    """Cells with names above and to the left of them."""

    def __init__(self, names: Sequence[str], cell: int) -> None:
        self._names = [name if len(name) <= 24 else f"{name[:23]}…" for name in names]
        self._cell = cell
        self._font = ImageFont.load_default(size=min(13, max(4, cell - 2)))
        self._small = ImageFont.load_default(size=11)
        # The longest name, and the title of the axis beside it.
        self._left = _MARGIN + 20 + max(int(self._font.getlength(name)) for name in self._names)
        edge = self._left + cell * len(names) + _MARGIN
        self.image = Image.new("RGB", (edge, edge), _PAPER)
        self._pen = ImageDraw.Draw(self.image)

    def draw(self, shares: NDArray[np.float64]) -> None:
        for row, name in enumerate(self._names):
            middle = self._left + self._cell * row + self._cell // 2
            self._pen.text((self._left - 6, middle), name, _TEXT, self._font, anchor="rm")
            self._upright(name, middle)
            for column in range(len(self._names)):
                self._cell_at(row, column, float(shares[row, column]))
        self._pen.text((_MARGIN, _MARGIN), "rows: target, columns: predicted", _TEXT, self._small)

    def _upright(self, name: str, middle: int) -> None:
        length, height = int(self._font.getlength(name)) + 4, 18
        strip = Image.new("RGB", (length, height), _PAPER)
        ImageDraw.Draw(strip).text((0, height // 2), name, _TEXT, self._font, anchor="lm")
        turned = strip.rotate(90, expand=True)
        self.image.paste(turned, (middle - height // 2, self._left - 6 - turned.height))

    def _cell_at(self, row: int, column: int, share: float) -> None:
        left, top = self._left + self._cell * column, self._left + self._cell * row
        color = tuple(round(p + (s - p) * share) for p, s in zip(_PAPER, _STRONG, strict=True))
        self._pen.rectangle((left, top, left + self._cell - 2, top + self._cell - 2), fill=color)
        if self._cell >= _CELL and share >= 0.005:
            ink = _PAPER if share > 0.55 else _TEXT
            middle = (left + self._cell // 2 - 1, top + self._cell // 2 - 1)
            self._pen.text(middle, f"{100 * share:.0f}", ink, self._small, anchor="mm")
