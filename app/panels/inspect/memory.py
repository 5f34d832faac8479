"""Class memory as a map: what the network remembers of each class, and where people's strokes lie on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from PySide6.QtCore import QEasingCurve, Qt, QVariantAnimation
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QWidget

from app.panels.inspect.page import (
    Export,
    ProjectPage,
    Question,
    color_of,
    link,
    section,
    value_at,
    wrapped,
)
from app.panels.inspect.probe import Point, Probe
from app.theme import Look
from app.widgets.bars import Bar, BarList
from app.widgets.color_bar import short
from app.widgets.legend import ClassLegend
from app.widgets.scatter import Dot, Place, ScatterView
from app.widgets.trend import Line, TrendChart
from engine.messages import MemoryMapped, Projection, StrokeDot

MOVE_MS = 900
MOST_ODD = 8


class MemoryPage(ProjectPage):
    """A map that is drawn when somebody asks for it."""

    name: ClassVar[str] = "memory"
    title: ClassVar[str] = "Memory"
    meaning: ClassVar[str] = (
        "Classes as the network remembers them (squares) and your strokes (dots). "
        "Ringed: looks more like another class. Framed: nearest to the cursor."
    )
    question: ClassVar[Question] = Question(
        answer="memory_mapped",
        ask=lambda inspection: inspection.map_memory(),
        known=lambda inspection: inspection.memory,
        working="Looking at every labelled image…",
        unasked="No map yet. Close and open this tab to draw it.",
    )

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(probe, look, parent)
        self._shown: tuple[MemoryMapped, ...] = ()
        self._dots: list[StrokeDot | None] = []
        self._homes: dict[int, frozenset[int]] = {}
        self._odd: list[StrokeDot] = []
        self.map_button = QPushButton("Map it again")
        self.map_button.setToolTip("Look at every labelled image with the weights of now.")
        self.play = link("Before and after", self._play, "Show how the map moved since the last one.")
        self.projection = QComboBox()
        self.projection.setAccessibleName("How the map is laid out")
        # Its longest entry must not make the tab wider than the dock.
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.projection.setSizeAdjustPolicy(policy)
        for projection, (title, tip) in PROJECTIONS.items():
            self.projection.addItem(title, projection)
            self.projection.setItemData(self.projection.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.projection.setToolTip("Where squares and dots are put; which dots are ringed does not change.")
        self.trouble = wrapped("", kind="muted")
        top = QHBoxLayout()
        top.addWidget(self.map_button)
        top.addWidget(self.play)
        top.addStretch(1)
        self.scatter = ScatterView(look)
        self.about = wrapped("", kind="muted")
        self.legend = ClassLegend()
        self.body.addWidget(self.scatter)
        self.body.addWidget(self.legend)
        self.body.addWidget(self.about)
        self.body.addWidget(self.projection)
        self.body.addLayout(top)
        self.body.addWidget(self.trouble)
        section(self.body, "Strokes that look like another class")
        self.odd_text = wrapped("", kind="muted")
        self.odd = BarList(look, clickable=True)
        self.odd.setAccessibleName("Ringed strokes, strangest first")
        self.body.addWidget(self.odd_text)
        self.body.addWidget(self.odd)
        section(self.body, "How far apart the classes are")
        self.trend = TrendChart(look)
        self.body.addWidget(self.trend)
        self.body.addWidget(
            wrapped("Cosine distances: within a class low and between classes high is good.", kind="muted")
        )
        self._motion = QVariantAnimation(self)
        self._motion.setDuration(MOVE_MS)
        self._motion.setStartValue(0.0)
        self._motion.setEndValue(1.0)
        self._motion.setEasingCurve(QEasingCurve.Type.InOutCubic)
        self._motion.valueChanged.connect(lambda time: self.scatter.set_time(float(time)))
        self.map_button.clicked.connect(self.ask_again)
        self.projection.currentIndexChanged.connect(lambda _place: self.ask_again())
        self.scatter.chosen.connect(self._jump)
        self.odd.chosen.connect(lambda row: self._go(self._odd[row]))

    # --- what is known ----------------------------------------------------------------------------------

    def ask_again(self) -> None:
        """Ask with the weights of now, laid out as chosen."""
        chosen = list(PROJECTIONS)[self.projection.currentIndex()]
        self.trouble.hide()
        self.probe.ask(self.question.answer, lambda inspection: inspection.map_memory(chosen))

    def _changed(self) -> None:
        if self.is_watched:
            self._show_trouble()
        super()._changed()

    def _show_trouble(self) -> None:
        """Say why a layout cannot be had; it gives way to the plain one, and the old map stays."""
        trouble = "" if self.is_waiting else self.probe.trouble(self.question.answer)
        if trouble and self.projection.currentIndex() > 0:
            self.projection.blockSignals(True)
            self.projection.setCurrentIndex(0)
            self.projection.blockSignals(False)
        if trouble:
            self.trouble.setText(trouble)
        self.trouble.setVisible(bool(trouble))

    def refresh(self) -> None:
        """Show another map; the same one costs nothing."""
        inspection = self.probe.inspection
        if inspection is None or inspection.memory is None:
            return
        self.map_button.setEnabled(not self.is_waiting)
        self.map_button.setText("Mapping…" if self.is_waiting else "Map it again")
        self._show((*inspection.memory_history[:-1], inspection.memory))
        self.follow(self.probe.cursor)

    def _show(self, maps: tuple[MemoryMapped, ...]) -> None:
        if maps == self._shown:
            return
        moved = len(self._shown) > 0 and len(maps) > len(self._shown)
        self._shown = maps
        before = maps[-2] if len(maps) > 1 else None
        self.play.setVisible(before is not None)
        self._draw(maps[-1], before)
        self._list_odd(maps[-1])
        self._draw_trend(maps)
        if moved:
            self._play()
        else:
            self.scatter.set_time(1.0)

    def _draw(self, now: MemoryMapped, before: MemoryMapped | None) -> None:
        turn = turned(before, now) if before is not None else {}
        old = {_key(stroke): turn[stroke.position] for stroke in before.strokes} if before is not None else {}
        self._dots, self._homes, dots = [], {}, []
        for stroke in now.strokes:
            self._dots.append(stroke)
            color, tip = color_of(self.probe, stroke.class_index), self._tip(stroke)
            odd = stroke.nearest != stroke.class_index
            dots.append(Dot(color, stroke.position, old.get(_key(stroke)), is_odd=odd, tip=tip))
        for index, places in now.classes.items():
            were = before.classes.get(index, ()) if before is not None else ()
            self._homes[index] = frozenset(range(len(dots), len(dots) + len(places)))
            for number, place in enumerate(places):
                self._dots.append(None)
                was = turn[were[number]] if number < len(were) else None
                name = self.probe.class_name(index)
                tip = f"{name}: as the network remembers it"
                dots.append(Dot(color_of(self.probe, index), place, was, is_home=True, tip=tip))
        self.scatter.set_dots(dots)
        present = sorted({*now.classes, *(stroke.class_index for stroke in now.strokes)})
        self.legend.set_classes(
            [(self.probe.class_name(index), color_of(self.probe, index)) for index in present]
        )
        odd_count = sum(dot.is_odd for dot in dots)
        self.about.setText(
            f"{len(now.strokes)} strokes, {odd_count} ringed · {_about(now)} · step {now.step:,}"
        )

    def _tip(self, stroke: StrokeDot) -> str:
        name, near = self.probe.class_name(stroke.class_index), self.probe.class_name(stroke.nearest)
        where = f"“{stroke.image_id}”, row {stroke.y}, column {stroke.x}"
        if stroke.nearest == stroke.class_index:
            return f"{name} in {where}. Click: go there."
        distances = f"{short(stroke.distance_nearest)} against {short(stroke.distance_own)}"
        return f"Painted {name}, looks more like {near} ({distances}) in {where}. Click: go there."

    def _list_odd(self, now: MemoryMapped) -> None:
        odd = [stroke for stroke in now.strokes if stroke.nearest != stroke.class_index]
        odd.sort(key=lambda stroke: stroke.distance_nearest - stroke.distance_own)
        self._odd = odd[:MOST_ODD]
        self.odd_text.setText(
            "None: every stroke looks like the class you painted."
            if not odd
            else f"{len(odd)} of {len(now.strokes)}; click to go there."
        )
        self.odd.set_bars([self._odd_bar(stroke) for stroke in self._odd])

    def _odd_bar(self, stroke: StrokeDot) -> Bar:
        colors = (color_of(self.probe, stroke.class_index), color_of(self.probe, stroke.nearest))
        names = [self.probe.class_name(index) for index in (stroke.class_index, stroke.nearest)]
        ahead = stroke.distance_own - stroke.distance_nearest
        return Bar(f"{names[0]} → {names[1]}?", colors, ahead, short(ahead), self._tip(stroke))

    def _draw_trend(self, maps: tuple[MemoryMapped, ...]) -> None:
        within = tuple(
            (float(each.step), float(np.mean(list(each.within.values())))) for each in maps if each.within
        )
        between = tuple((float(each.step), each.between) for each in maps)
        self.trend.set_lines([Line("between", "accent", between), Line("within", "warn", within)])

    # --- the cursor -------------------------------------------------------------------------------------

    def follow(self, point: Point | None) -> None:
        """Frame this image's stroke nearest to the cursor, or else the class predicted there."""
        self.scatter.set_pointed(self._at(point) if point is not None else frozenset())

    def _at(self, point: Point) -> frozenset[int]:
        here = self.probe.image_id
        near = [
            ((stroke.y + 0.5 - point[0]) ** 2 + (stroke.x + 0.5 - point[1]) ** 2, number)
            for number, stroke in enumerate(self._dots)
            if stroke is not None and stroke.image_id == here
        ]
        if near:
            return frozenset({min(near)[1]})
        ready = self.probe.ready
        label = value_at(ready.label_map, ready.size, point) if ready is not None else None
        return self._homes.get(int(label), frozenset()) if label is not None else frozenset()

    # --- hands ------------------------------------------------------------------------------------------

    def _play(self) -> None:
        self._motion.stop()
        self._motion.start()

    def _jump(self, number: int) -> None:
        stroke = self._dots[number]
        if stroke is not None:
            self._go(stroke)

    def _go(self, stroke: StrokeDot) -> None:
        self.probe.jump.emit(stroke.image_id, stroke.y + 0.5, stroke.x + 0.5)

    def export(self) -> Export | None:
        """Return the map and its points."""
        inspection = self.probe.inspection
        found = inspection.memory if inspection is not None else None
        if found is None:
            return None
        head = [
            "kind",
            "class",
            "x",
            "y",
            "image",
            "row",
            "column",
            "nearest",
            "own distance",
            "nearest distance",
        ]
        rows: list[list[object]] = [list(head)]
        for index, places in found.classes.items():
            rows += [
                ["memory", self.probe.class_name(index), *place, "", "", "", "", "", ""] for place in places
            ]
        rows += [
            [
                "stroke",
                self.probe.class_name(each.class_index),
                *each.position,
                each.image_id,
                each.y,
                each.x,
                self.probe.class_name(each.nearest),
                each.distance_own,
                each.distance_nearest,
            ]
            for each in found.strokes
        ]
        within = {self.probe.class_name(index): value for index, value in found.within.items()}
        facts = {
            "step": found.step,
            "within": within,
            "between": found.between,
            "explained": list(found.explained),
            "projection": found.projection.value,
        }
        pictures = {"map": self.scatter.grab().toImage(), "distances": self.trend.grab().toImage()}
        return Export("memory", pictures, rows, facts)


PROJECTIONS: Mapping[Projection, tuple[str, str]] = {
    Projection.PRINCIPAL: (
        "Principal components",
        "The plane beside which all memory vectors lie; distances on it mean something.",
    ),
    Projection.NEIGHBOURHOODS: (
        "Neighbourhoods (UMAP)",
        "What is alike lies together; how far groups are apart means nothing.",
    ),
}


def _about(now: MemoryMapped) -> str:
    if now.projection is Projection.NEIGHBOURHOODS:
        return "near dots are alike, far distances mean nothing"
    return f"this plane shows {sum(now.explained):.0%} of the differences".replace("%", "\N{NO-BREAK SPACE}%")


def _key(stroke: StrokeDot) -> tuple[str, int, int, int]:
    return stroke.image_id, stroke.y, stroke.x, stroke.class_index


def turned(before: MemoryMapped, now: MemoryMapped) -> Mapping[Place, Place]:
    """Return where each place of an older map lies when it is turned to fit the newer one best.

    Principal axes may swap or flip from one map to the next without anything having moved, so the older map
    is moved, turned and mirrored (not stretched) onto the newer one by the classes both know.
    """
    shared = [
        (old, new)
        for index, places in before.classes.items()
        for old, new in zip(places, now.classes.get(index, ()), strict=False)
    ]
    places = [place for group in before.classes.values() for place in group]
    places += [stroke.position for stroke in before.strokes]
    if len(shared) < 2:
        return {place: place for place in places}
    old, new = (np.array([pair[side] for pair in shared], dtype=np.float64) for side in (0, 1))
    left, _, right = np.linalg.svd((old - old.mean(axis=0)).T @ (new - new.mean(axis=0)))
    rotation = left @ right
    moved = (np.array(places, dtype=np.float64) - old.mean(axis=0)) @ rotation + new.mean(axis=0)
    return {place: (float(x), float(y)) for place, (x, y) in zip(places, moved, strict=True)}
