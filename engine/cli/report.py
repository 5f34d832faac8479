"""The demo's report: a picture drawn with OpenCV, a page of HTML, a few lines for the console."""

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.cli.outcome import CurvePoint, HeldOutPicture, Outcome
from engine.exchange.png import encode_rgb
from engine.files import atomic_write
from engine.opencv import cv2

Picture = NDArray[np.uint8]
Rgb = tuple[int, int, int]

_PAPER: Rgb = (250, 250, 248)
_INK: Rgb = (40, 44, 52)
_FAINT: Rgb = (214, 216, 218)
_ACCENT: Rgb = (0, 114, 178)
_ROWS = 3
_CELL = (270, 360)
_GAP = 12
_CHART_HEIGHT = 340
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1520px; margin: 2em auto; padding: 0 1em }
img { width: 100%; border: 1px solid #ddd }
table { border-collapse: collapse; margin: 1em 2em 1em 0; float: left }
td, th { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right }
td:first-child { text-align: left }
td span { display: inline-block; width: 1em; height: 1em; margin-right: .6em; vertical-align: -.1em }
"""


def summary(outcome: Outcome) -> str:
    """A few lines for the console."""
    lines = [
        f"held-out mIoU {_percent(outcome.miou_before)} before → {_percent(outcome.miou_after)} after "
        f"{outcome.user_seconds:.0f} s of work: {outcome.strokes} strokes on "
        f"{outcome.images_corrected} images, {outcome.steps} training steps on {outcome.device}",
    ]
    lines += [f"  {name:<16} {_percent(value)}" for name, value in outcome.iou_per_class.items()]
    lines += [
        f"  at {point.seconds:5.0f} s: mIoU {_percent(point.miou)}, "
        f"{point.strokes} strokes, step {point.step}"
        for point in outcome.curve
    ]
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "   –  " if value is None else f"{100 * value:5.1f} %"


def write_report(folder: Path, outcome: Outcome) -> None:
    """Write ``report.png`` and ``report.html`` into a folder.

    Raises:
        StorageError: the disk refuses.
    """
    atomic_write(folder / "report.png", encode_rgb(draw_report(outcome)))
    atomic_write(folder / "report.html", _page(outcome).encode("utf-8"))


def draw_report(outcome: Outcome) -> Picture:
    """The report as one picture: held-out images before and after, learning curve, classes."""
    height, width = _CELL
    whole_width = 4 * width + 5 * _GAP
    chosen = _most_telling(outcome.held_out)
    top = 86
    total = top + len(chosen) * (height + _GAP) + _CHART_HEIGHT + 2 * _GAP
    sheet = np.full((total, whole_width, 3), _PAPER, np.uint8)
    _text(
        sheet, (_GAP, 32), "Held-out images: never shown to the annotator, never trained on", 0.8, bold=True
    )
    for column, title in enumerate(("image", "truth", "untrained network", _after_title(outcome))):
        _text(sheet, (_GAP + column * (width + _GAP), 70), title, 0.6)
    colors = outcome.classes.colors()
    for row, picture in enumerate(chosen):
        y = top + row * (height + _GAP)
        cells = (
            picture.image,
            _overlay(picture.image, picture.truth, colors),
            _overlay(picture.image, picture.before, colors),
            _overlay(picture.image, picture.after, colors),
        )
        for column, cell in enumerate(cells):
            x = _GAP + column * (width + _GAP)
            sheet[y : y + height, x : x + width] = cv2.resize(
                cell, (width, height), interpolation=cv2.INTER_AREA
            )
    chart_top = total - _CHART_HEIGHT - _GAP
    chart_width = 2 * width + _GAP + 40
    _chart(sheet[chart_top : chart_top + _CHART_HEIGHT, _GAP : _GAP + chart_width], outcome.curve)
    _bars(sheet[chart_top : chart_top + _CHART_HEIGHT, 2 * _GAP + chart_width : whole_width - _GAP], outcome)
    return sheet


def _after_title(outcome: Outcome) -> str:
    return f"after {outcome.strokes} strokes, {outcome.user_seconds:.0f} s"


def _most_telling(pictures: Sequence[HeldOutPicture]) -> tuple[HeldOutPicture, ...]:
    """Evenly spread over the held-out images, not the best ones."""
    if len(pictures) <= _ROWS:
        return tuple(pictures)
    return tuple(pictures[round(place)] for place in np.linspace(0, len(pictures) - 1, _ROWS))


def _overlay(image: Picture, label_map: NDArray[np.uint8], colors: Picture) -> Picture:
    """Class colours over a grey picture, strong enough to read and weak enough to recognise things."""
    grey = image.mean(axis=2, keepdims=True)
    mixed = 0.30 * grey + 0.70 * colors[label_map].astype(np.float64)
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def _text(
    sheet: Picture, place: tuple[int, int], text: str, size: float, *, bold: bool = False, color: Rgb = _INK
) -> None:
    """Write ASCII text with its baseline at ``place`` (x, y)."""
    plain = text.encode("ascii", "replace").decode("ascii")
    cv2.putText(sheet, plain, place, cv2.FONT_HERSHEY_SIMPLEX, size, color, 2 if bold else 1, cv2.LINE_AA)


def _chart(area: Picture, curve: Sequence[CurvePoint]) -> None:
    """The learning curve with its axes, drawn into a view of the sheet."""
    left, right, top, bottom = 64, area.shape[1] - 24, 48, area.shape[0] - 46
    _text(area, (0, 22), "Held-out mIoU while working", 0.65, bold=True)
    longest = max(1.0, curve[-1].seconds)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = round(bottom - share * (bottom - top))
        cv2.line(area, (left, y), (right, y), _FAINT, 1)
        _text(area, (8, y + 5), f"{100 * share:.0f} %", 0.45)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = round(left + share * (right - left))
        _text(area, (x - 16, bottom + 20), f"{share * longest:.0f} s", 0.45)
    points = [
        (round(left + point.seconds / longest * (right - left)), round(bottom - point.miou * (bottom - top)))
        for point in curve
    ]
    cv2.polylines(
        area, [np.asarray(points, np.int32)], isClosed=False, color=_ACCENT, thickness=2, lineType=cv2.LINE_AA
    )
    for (x, y), point in zip(points, curve, strict=True):
        cv2.circle(area, (x, y), 4, _ACCENT, -1, cv2.LINE_AA)
        _text(area, (min(x - 12, right - 34), y - 10), f"{100 * point.miou:.0f}", 0.45, color=_ACCENT)
    _text(area, (left, area.shape[0] - 6), "seconds of the session (real time; training runs beside)", 0.45)


def _bars(area: Picture, outcome: Outcome) -> None:
    """Classes with colour, name and IoU as bars, drawn into a view of the sheet."""
    _text(area, (0, 22), "IoU per class at the end", 0.65, bold=True)
    left = 190
    width = area.shape[1] - left - 80
    for row, spec in enumerate(outcome.classes):
        y = 44 + row * 32
        value = outcome.iou_per_class.get(spec.name)
        cv2.rectangle(area, (0, y), (20, y + 20), spec.color, -1)
        _text(area, (30, y + 16), spec.name, 0.5)
        cv2.rectangle(area, (left, y), (left + width, y + 20), _FAINT, -1)
        cv2.rectangle(area, (left, y), (left + round(width * (value or 0.0)), y + 20), _ACCENT, -1)
        _text(area, (left + width + 10, y + 16), "-" if value is None else f"{100 * value:.1f} %", 0.5)


def _page(outcome: Outcome) -> str:
    """The report as HTML; the picture lies beside it."""
    rows = "".join(
        f'<tr><td><span style="background:rgb{spec.color}"></span>{html.escape(spec.name)}</td>'
        f"<td>{_percent(outcome.iou_per_class.get(spec.name))}</td></tr>"
        for spec in outcome.classes
    )
    points = "".join(
        f"<tr><td>{point.seconds:.0f} s</td><td>{point.strokes}</td><td>{point.step}</td>"
        f"<td>{_percent(point.miou)}</td><td>{_percent(point.pixel_accuracy)}</td></tr>"
        for point in outcome.curve
    )
    work = f"{outcome.strokes} strokes and relabelled regions on {outcome.images_corrected} images"
    learning = f"{outcome.steps} steps on {html.escape(outcome.device)}, from scratch"
    story = (
        f"A simulated careful person worked for {outcome.user_seconds:.0f} seconds: {work}, "
        f"{outcome.images_accepted} of them accepted as a whole. Meanwhile the network learned for "
        f"{outcome.compute_seconds:.0f} seconds ({learning}). "
        "Both clocks are the same: an action that takes a person three seconds leaves the network "
        "three seconds to learn. "
        f"The {len(outcome.held_out)} held-out images were never shown, annotated or trained on. "
        f"Seed {outcome.seed}."
    )
    title = f"Held-out mIoU {_percent(outcome.miou_before)} → {_percent(outcome.miou_after)}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Maskloop demo</title><style>{_STYLE}</style></head><body>
<h1>{title}</h1>
<p>{story}</p>
<img src="report.png" alt="Held-out images before and after, and the learning curve">
<table><tr><th>class</th><th>IoU at the end</th></tr>{rows}</table>
<table><tr><th>time</th><th>strokes</th><th>step</th><th>mIoU</th><th>pixel accuracy</th></tr>{points}</table>
<p style="clear:both">Masks of all images lie in <a href="masks/classes.json">masks</a>,
all figures in <a href="report.json">report.json</a>.
The project lies in <code>images/maskloop</code>; open <code>images</code> in the window to go on.</p>
</body></html>
"""
