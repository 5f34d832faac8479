"""First guess beside final prediction, and every picture the network shows of itself, drawn by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QWidget

from app.canvas.overlay import ChangeOverlay, HeatOverlay, LabelOverlay, Overlay, class_colors
from app.panels.inspect.page import (
    Export,
    Page,
    as_image,
    color_of,
    heat_pixels,
    link,
    percent,
    section,
    value_at,
    wrapped,
)
from app.panels.inspect.probe import Laid, Point, Probe
from app.theme import Look
from app.theme.ramps import ramp_for
from app.widgets.bars import Bar, BarList
from app.widgets.color_bar import ColorBar, short
from app.widgets.legend import ClassLegend
from app.widgets.picture import Picture, stride_for
from engine.annotate.regions import largest_regions
from engine.messages.inspection import InspectedView, InspectionKind, InspectionReady

COLUMNS = 3
FIRST, FINAL, DIFFERENCE = "first guess", "final", "difference"
PICTURED = {
    InspectionKind.HEATMAP,
    InspectionKind.LABEL_MAP,
    InspectionKind.CLASS_HEATMAPS,
    InspectionKind.CHANNEL_HEATMAPS,
}
SEVERAL = {InspectionKind.CLASS_HEATMAPS, InspectionKind.CHANNEL_HEATMAPS}
REGIONS = 12


class StagesPage(Page):
    """Thumbnails that go on the canvas when they are clicked."""

    name: ClassVar[str] = "stages"
    title: ClassVar[str] = "Stages"
    meaning: ClassVar[str] = "How the network came from its first guess to its answer, stage by stage."

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(probe, look, parent)
        self._shown: InspectionReady | None = None
        self._chosen = ""
        self._places: list[tuple[float, float]] = []
        self._place = -1
        self.tiles: dict[str, Picture] = {}
        self.disagreement = wrapped("")
        self.body.addWidget(self.disagreement)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(8)
        self.body.addLayout(self._grid)
        self.walk = QHBoxLayout()
        self.previous = link("Previous", lambda: self._step(-1), "Go to a larger region where they differ.")
        self.next = link("Next difference", lambda: self._step(1), "Go to the next largest difference.")
        self.walk.addWidget(self.previous)
        self.walk.addWidget(self.next)
        self.walk.addStretch(1)
        self.body.addLayout(self.walk)
        self.explanation = wrapped("Click a picture to lay it over the image.", kind="muted")
        self.channel = QComboBox()
        self.channel.setAccessibleName("Which class or channel")
        self.channel.currentIndexChanged.connect(self._channel_changed)
        self.legend = ColorBar(look)
        self.class_legend = ClassLegend()
        self.here = wrapped("")
        for widget in (self.explanation, self.channel, self.legend, self.class_legend, self.here):
            self.body.addWidget(widget)
        section(self.body, "Numbers of the classes")
        self._numbers_title = wrapped("", kind="muted")
        self.numbers = BarList(look)
        self.body.addWidget(self._numbers_title)
        self.body.addWidget(self.numbers)

    # --- what is known ----------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show the pictures of another look; the same one costs nothing."""
        ready = self.probe.ready
        if ready is None or ready is self._shown:
            self.mark_laid(self.probe.lying)
            return
        was_laid = self._shown is not None and self.probe.lies(f"stages {self._chosen}")
        self._shown = ready
        self._draw_tiles(ready)
        self._find_differences(ready)
        self._show_numbers(ready)
        if self._chosen not in self.tiles:
            self._chosen = ""
        if was_laid and self._chosen:
            self._lay(self._chosen)
        self._describe()

    def _draw_tiles(self, ready: InspectionReady) -> None:
        names = self._names(ready)
        if list(self.tiles) != names:
            for tile in self.tiles.values():
                self._grid.removeWidget(tile)
                tile.deleteLater()
            self.tiles = {name: self._tile(name) for name in names}
            for number, tile in enumerate(self.tiles.values()):
                self._grid.addWidget(tile, number // COLUMNS, number % COLUMNS)
        for name, tile in self.tiles.items():
            tile.set_pixels(self._pixels(name, ready), ready.size)
        self.disagreement.setVisible(ready.coarse is not None)
        for button in (self.previous, self.next):
            button.setVisible(ready.coarse is not None)

    def _names(self, ready: InspectionReady) -> list[str]:
        both = [FIRST, FINAL, DIFFERENCE] if ready.coarse is not None else [FINAL]
        pictured = [view for view in ready.views if view.kind in PICTURED]
        return both + [view.name for view in pictured if not is_first_guess(view, ready)]

    def _tile(self, name: str) -> Picture:
        view = self._view(name)
        tile = Picture(self.look, view.title if view is not None else name.capitalize())
        tile.setToolTip(view.explanation if view is not None else EXPLANATIONS[name])
        tile.chosen.connect(lambda: self.choose(name))
        tile.hovered.connect(self._hovered)
        tile.set_cursor(None)
        return tile

    def _view(self, name: str) -> InspectedView | None:
        ready = self.probe.ready
        return next((view for view in ready.views if view.name == name), None) if ready is not None else None

    def _find_differences(self, ready: InspectionReady) -> None:
        self._places, self._place = [], -1
        if ready.coarse is None:
            return
        step = stride_for(ready.size)
        differs = ready.coarse[::step, ::step] != ready.label_map[::step, ::step]
        share = float(differs.mean())
        found = largest_regions(differs, REGIONS)
        self._places = [((y + 0.5) * step, (x + 0.5) * step) for y, x, _pixels in found]
        self.disagreement.setText(
            f"First guess and final prediction differ on {percent(share)} of the image; look there first."
            if share
            else "First guess and final prediction agree everywhere."
        )
        self.next.setEnabled(bool(self._places))
        self.previous.setEnabled(False)

    def _step(self, way: int) -> None:
        """Go to another region where first guess and final prediction differ."""
        ready = self.probe.ready
        if not self._places or ready is None:
            return
        self._place = min(max(self._place + way, 0), len(self._places) - 1)
        self.previous.setEnabled(self._place > 0)
        self.next.setEnabled(self._place + 1 < len(self._places))
        self.probe.jump.emit(ready.image_id, *self._places[self._place])
        if not self.probe.lies(f"stages {DIFFERENCE}"):
            self.choose(DIFFERENCE)
        self.probe.said.emit(f"Difference {self._place + 1} of {len(self._places)}, largest first.")

    def _show_numbers(self, ready: InspectionReady) -> None:
        view = next((view for view in ready.views if view.kind is InspectionKind.CLASS_VALUES), None)
        self._numbers_title.setText(view.explanation if view is not None else "This network keeps none.")
        bars = []
        for index, value in zip(ready.classes, view.values if view is not None else (), strict=False):
            name, color = self.probe.class_name(index), color_of(self.probe, index)
            bars.append(Bar(name, (color,), float(value), short(float(value))))
        self.numbers.set_bars(bars)

    # --- pictures by kind -------------------------------------------------------------------------------

    def _labels(self, name: str, ready: InspectionReady) -> NDArray[np.uint8] | None:
        """Return the (h, w) map of permanent class indices of a picture that shows classes."""
        if name in (FIRST, DIFFERENCE):
            return ready.coarse
        if name == FINAL:
            return ready.label_map
        view = self._view(name)
        if view is None or view.kind is not InspectionKind.LABEL_MAP:
            return None
        lookup = np.array(ready.classes, np.uint8)
        return np.asarray(lookup[np.clip(view.values.astype(np.int64), 0, len(lookup) - 1)])

    def heat(self, name: str) -> NDArray[np.float32] | None:
        """Return the (h, w) numbers of a picture that shows numbers, of the chosen class or channel."""
        view = self._view(name)
        if view is None or view.kind is InspectionKind.LABEL_MAP:
            return None
        values = np.asarray(view.values, dtype=np.float32)
        if view.kind is InspectionKind.HEATMAP:
            return values
        chosen = self.channel.currentData() if name == self._chosen else None
        if chosen is not None:
            return np.asarray(values[chosen])
        # Classes compete, so the largest says most; channels are alike, so their mean does.
        of_classes = view.kind is InspectionKind.CLASS_HEATMAPS
        return np.asarray(values.max(axis=0) if of_classes else values.mean(axis=0), dtype=np.float32)

    def _pixels(self, name: str, ready: InspectionReady) -> NDArray[np.uint32]:
        table = class_colors(self.probe.classes)
        labels = self._labels(name, ready)
        if labels is not None:
            step = stride_for(labels.shape)
            small = labels[::step, ::step]
            if name == DIFFERENCE:
                final = ready.label_map[::step, ::step]
                return np.where(small == final, np.uint32(0), table.take(final))
            return table.take(small)
        values = self.heat(name)
        if values is None:
            return np.zeros((1, 1), np.uint32)
        step = stride_for(values.shape)
        ramp = ramp_for(values)
        return heat_pixels(values[::step, ::step], ramp, *ramp.bounds(values))

    def _overlay(self, name: str, ready: InspectionReady) -> Overlay | None:
        table = class_colors(self.probe.classes)
        if name == DIFFERENCE and ready.coarse is not None:
            return ChangeOverlay(ready.coarse, ready.label_map, table)
        labels = self._labels(name, ready)
        if labels is not None:
            return LabelOverlay(labels, table)
        values = self.heat(name)
        if values is None:
            return None
        ramp = ramp_for(values)
        return HeatOverlay(values, ramp, *ramp.bounds(values))

    # --- the picture that was chosen --------------------------------------------------------------------

    def choose(self, name: str) -> None:
        """Lay a picture over the canvas, or take it off again."""
        if self.probe.lies(f"stages {name}"):
            self.probe.lay(None)
            return
        if name != self._chosen:
            self._chosen = name
            self._fill_channels(name)
        self._lay(name)
        self._describe()

    def _lay(self, name: str) -> None:
        ready = self.probe.ready
        overlay = self._overlay(name, ready) if ready is not None else None
        if overlay is not None:
            view = self._view(name)
            title = view.title if view is not None else name.capitalize()
            self.probe.lay(Laid(f"stages {name}", title, overlay))

    def _fill_channels(self, name: str) -> None:
        view, ready = self._view(name), self.probe.ready
        self.channel.blockSignals(True)
        self.channel.clear()
        if view is not None and ready is not None and view.kind in SEVERAL:
            of_classes = view.kind is InspectionKind.CLASS_HEATMAPS
            self.channel.addItem("largest of all" if of_classes else "mean of all", None)
            for number in range(view.values.shape[0]):
                is_class = of_classes and number < len(ready.classes)
                text = self.probe.class_name(ready.classes[number]) if is_class else f"channel {number}"
                self.channel.addItem(text, number)
        self.channel.blockSignals(False)

    def _channel_changed(self) -> None:
        ready = self.probe.ready
        if ready is not None and self._chosen in self.tiles:
            self.tiles[self._chosen].set_pixels(self._pixels(self._chosen, ready), ready.size)
            self._lay(self._chosen)
            self._describe()

    def _describe(self) -> None:
        view = self._view(self._chosen)
        text = EXPLANATIONS.get(self._chosen, "Click a picture to lay it over the image.")
        self.explanation.setText(text if view is None else view.explanation)
        self.channel.setVisible(view is not None and view.kind in SEVERAL)
        values = self.heat(self._chosen)
        self.legend.setVisible(values is not None)
        if values is not None:
            ramp = ramp_for(values)
            self.legend.set_range(ramp, *ramp.bounds(values))
        self._name_classes()
        self.follow(self.probe.cursor)

    def _name_classes(self) -> None:
        """Say which colours the chosen picture has, most pixels first; of none chosen, the final answer."""
        ready = self.probe.ready
        name = FINAL if self._chosen in ("", DIFFERENCE) else self._chosen
        labels = self._labels(name, ready) if ready is not None else None
        self.class_legend.setVisible(labels is not None)
        if labels is None:
            return
        step = stride_for(labels.shape)
        found, counts = np.unique(labels[::step, ::step], return_counts=True)
        most = found[np.argsort(-counts, kind="stable")].tolist()
        self.class_legend.set_classes(
            [(self.probe.class_name(index), color_of(self.probe, index)) for index in most]
        )

    def mark_laid(self, laid: Laid | None) -> None:
        """Frame the picture that lies on the canvas."""
        for name, tile in self.tiles.items():
            tile.set_on(laid is not None and laid.name == f"stages {name}")

    # --- the cursor -------------------------------------------------------------------------------------

    def _hovered(self, place: tuple[float, float] | None) -> None:
        ready = self.probe.ready
        if ready is not None:
            point = None if place is None else (place[0] * ready.size[0], place[1] * ready.size[1])
            self.probe.hover(point)

    def follow(self, point: Point | None) -> None:
        """Show the cursor on every picture, and what the chosen one says there."""
        ready = self.probe.ready
        if ready is None:
            return
        height, width = ready.size
        place = None if point is None else (point[0] / height, point[1] / width)
        for tile in self.tiles.values():
            tile.set_cursor(place)
        values = self.heat(self._chosen)
        self.legend.set_value(None if values is None else value_at(values, ready.size, point))
        self.here.setText(self._here(ready, point))

    def _here(self, ready: InspectionReady, point: Point | None) -> str:
        if point is None or ready.coarse is None:
            return ""
        first, final = (value_at(m, ready.size, point) for m in (ready.coarse, ready.label_map))
        if first is None or final is None:
            return ""
        names = [self.probe.class_name(int(value)) for value in (first, final)]
        return f"Here: {names[0]}, kept" if first == final else f"Here: first {names[0]}, then {names[1]}"

    def export(self) -> Export | None:
        """Return every picture, and the numbers of the classes."""
        ready = self.probe.ready
        if ready is None:
            return None
        pictures = {name.replace(" ", "-"): as_image(self._pixels(name, ready)) for name in self.tiles}
        rows: list[list[object]] = [["picture", "row", "columns…"]]
        for name in self.tiles:
            values = self.heat(name)
            if values is not None:
                step = stride_for(values.shape, 256)
                rows += [[name, y, *line] for y, line in enumerate(values[::step, ::step].tolist())]
        facts = {
            "image": ready.image_id,
            "step": ready.step,
            "disagreement": self.disagreement.text(),
            "views": {view.name: view.explanation for view in ready.views},
        }
        return Export("stages", pictures, rows, facts)


def is_first_guess(view: InspectedView, ready: InspectionReady) -> bool:
    """Say whether a view is the first guess itself, which has a picture of its own."""
    if view.kind is not InspectionKind.LABEL_MAP or ready.coarse is None:
        return False
    height, width = view.values.shape
    rows, columns = (
        (2 * np.arange(count) + 1) * whole // (2 * count)
        for count, whole in zip((height, width), ready.coarse.shape, strict=True)
    )
    classes = np.array(ready.classes, np.int64)
    shown = classes[np.clip(view.values.astype(np.int64), 0, len(classes) - 1)]
    return bool(np.array_equal(shown, ready.coarse[np.ix_(rows, columns)]))


EXPLANATIONS: Mapping[str, str] = {
    FIRST: "What the network took each pixel for at first (the pseudo-label).",
    FINAL: "What it takes each pixel for in the end.",
    DIFFERENCE: "Where the end differs from the first guess, in the final colour.",
}
