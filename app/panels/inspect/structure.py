"""Where prediction and labels do not have the same structure: broken poles, ragged borders, shifted masks."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtWidgets import QWidget

from app.canvas.overlay import HeatOverlay
from app.panels.inspect.doubt import overlay_picture, overlay_rows
from app.panels.inspect.page import Export, Page, heat_pixels, section, value_at, wrapped
from app.panels.inspect.probe import Laid, Point, Probe
from app.theme import Look
from app.theme.ramps import SEQUENTIAL
from app.widgets.bars import Bar, BarList
from app.widgets.color_bar import ColorBar, short
from app.widgets.picture import Picture, stride_for
from engine.messages import OverlayKind, OverlayReady

LAID = "structure"
MOST_PLACES = 8
BLOCKS = 14


class StructurePage(Page):
    """One map, and the worst places of it."""

    name: ClassVar[str] = "structure"
    title: ClassVar[str] = "Structure"
    meaning: ClassVar[str] = (
        "Where the shapes of prediction and labels disagree, though pixel by pixel little does."
    )
    lays: ClassVar[str] = LAID

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(probe, look, parent)
        self._shown: OverlayReady | None = None
        self._places: list[tuple[float, float]] = []
        self.explanation = wrapped("", kind="muted")
        self.picture = Picture(look)
        self.picture.setAccessibleName("Structure map")
        self.legend = ColorBar(look)
        for widget in (self.explanation, self.picture, self.legend):
            self.body.addWidget(widget)
        section(self.body, "Worst places")
        self.worst_text = wrapped("", kind="muted")
        self.worst = BarList(look, clickable=True)
        self.worst.setAccessibleName("Worst places, worst first")
        self.body.addWidget(self.worst_text)
        self.body.addWidget(self.worst)
        self.picture.chosen.connect(self._toggle)
        self.picture.hovered.connect(self._hovered)
        self.worst.chosen.connect(self._jump)

    def ask(self, *, anew: bool = False) -> None:
        """Ask for the map."""
        if not super().nothing():
            self.probe.want_overlay(OverlayKind.STRUCTURE, anew=anew)

    def set_watched(self, watched: bool) -> None:
        """Lay the map anew when the tab comes back into sight."""
        self._shown = None
        super().set_watched(watched)

    def nothing(self) -> str:
        """Return why there is no map."""
        reason = super().nothing()
        if reason or self.probe.overlay(OverlayKind.STRUCTURE) is not None:
            return reason
        if OverlayKind.STRUCTURE.value in self.probe.waiting:
            return "Comparing windows of prediction and labels…"
        return (
            self.probe.trouble(OverlayKind.STRUCTURE.value)
            or "Paint or accept something here, then open this tab again."
        )

    def refresh(self) -> None:
        """Show another map; the same one costs nothing."""
        found, ready = self.probe.overlay(OverlayKind.STRUCTURE), self.probe.ready
        self.mark_laid(self.probe.lying)
        if found is None or ready is None or found is self._shown:
            return
        self._shown = found
        step = stride_for(found.values.shape)
        pixels = heat_pixels(found.values[::step, ::step], SEQUENTIAL, found.low, found.high)
        self.picture.set_pixels(pixels, ready.size)
        self.explanation.setText(found.explanation)
        self.legend.set_range(SEQUENTIAL, found.low, found.high, found.unit)
        self._rank(found, ready.size)
        if not self.probe.lies(LAID):
            self._lay(found)

    def _rank(self, found: OverlayReady, size: tuple[int, int]) -> None:
        places = [place for place in worst_places(found.values) if place[2] > found.low]
        height, width = found.values.shape
        self._places = [
            ((y + 0.5) * size[0] / height, (x + 0.5) * size[1] / width) for y, x, _value in places
        ]
        bars = []
        for (y, x), (_, _, value) in zip(self._places, places, strict=True):
            tip = f"Row {int(y)}, column {int(x)}. Click: go there."
            bars.append(Bar(f"{int(y)}, {int(x)}", (), value, short(value), tip))
        self.worst.set_bars(bars)
        self.worst_text.setText("Row, column; click to go there." if bars else "None: shapes agree.")

    def _lay(self, found: OverlayReady) -> None:
        self.probe.lay(Laid(LAID, found.title, HeatOverlay(found.values, SEQUENTIAL, found.low, found.high)))

    def _toggle(self) -> None:
        found = self.probe.overlay(OverlayKind.STRUCTURE)
        if self.probe.lies(LAID):
            self.probe.lay(None)
        elif found is not None:
            self._lay(found)

    def _jump(self, row: int) -> None:
        if self.probe.image_id is not None:
            self.probe.jump.emit(self.probe.image_id, *self._places[row])

    def mark_laid(self, laid: Laid | None) -> None:
        """Frame the picture while it lies on the canvas."""
        self.picture.set_on(laid is not None and laid.name == LAID)

    def _hovered(self, place: tuple[float, float] | None) -> None:
        ready = self.probe.ready
        if ready is not None:
            self.probe.hover(None if place is None else (place[0] * ready.size[0], place[1] * ready.size[1]))

    def follow(self, point: Point | None) -> None:
        """Show the cursor on the map, and its value on the colour bar."""
        found, ready = self.probe.overlay(OverlayKind.STRUCTURE), self.probe.ready
        if found is None or ready is None:
            return
        self.picture.set_cursor(
            None if point is None else (point[0] / ready.size[0], point[1] / ready.size[1])
        )
        self.legend.set_value(value_at(found.values, ready.size, point))

    def export(self) -> Export | None:
        """Return the map and its worst places."""
        found = self.probe.overlay(OverlayKind.STRUCTURE)
        if found is None:
            return None
        facts = {
            "image": found.image_id,
            "explanation": found.explanation,
            "low": found.low,
            "high": found.high,
            "unit": found.unit,
            "worst": [{"y": y, "x": x} for y, x in self._places],
        }
        return Export("structure", {"": overlay_picture(found)}, overlay_rows(found), facts)


def worst_places(values: NDArray[np.float32], count: int = MOST_PLACES) -> list[tuple[int, int, float]]:
    """Return (row, column, value) of the largest value in each of the worst blocks, worst first.

    Args:
        values: (h, w) numbers.
        count: At most so many places; no two of them share a block.
    """
    height, width = values.shape
    size = max(1, -(-max(height, width) // BLOCKS))
    found = []
    for top in range(0, height, size):
        for left in range(0, width, size):
            block = values[top : top + size, left : left + size]
            place = int(np.argmax(block))
            y, x = divmod(place, block.shape[1])
            found.append((top + y, left + x, float(block[y, x])))
    found.sort(key=lambda each: -each[2])
    return found[:count]
