"""The pixel card: what a pixel was taken for, by how much, why, and who said so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, assert_never

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QWidget

from app.canvas.overlay import HeatOverlay
from app.panels.inspect.page import Export, Page, color_of, link, percent, section, value_at, wrapped
from app.panels.inspect.probe import Laid, Point, Probe
from app.theme import Look
from app.theme.ramps import SEQUENTIAL
from app.widgets.bars import Bar, BarList
from app.widgets.color_bar import ColorBar, short
from app.widgets.marks import label
from engine.annotate.classes import UNLABELLED, Provenance
from engine.messages import Contribution, Method, OverlayKind, PixelExplained

INFLUENCE = "influence"
MOST_CLASSES = 5
MOST_REASONS = 8
SHARE_STRIDE = 8
LATE_MS = 150
"""An answer that takes longer leaves the card about another pixel, and the card says so."""

HINT = "Move over the image. Y pins the pixel under the cursor."

METHODS: Mapping[Method, str] = {
    Method.LINEAR: "Exact: these and the rest add up to the margin.",
    Method.DELETION: "By deletion: what each alone takes from the margin when it goes; they need not add up.",
    Method.WEIGHTS: "Weights: how much of each was taken in, not what it did to the margin.",
}


class PixelPage(Page):
    """Follows the cursor."""

    name: ClassVar[str] = "pixel"
    title: ClassVar[str] = "Pixel"
    meaning: ClassVar[str] = "Why the pixel under the cursor got its label, and who has spoken about it."

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(probe, look, parent)
        self.place = wrapped("", kind="value")
        self.release = link("Release", lambda: probe.set_pin(None), "Let the pinned pixel go (Y).")
        top = QHBoxLayout()
        top.addWidget(self.place, 1)
        top.addWidget(self.release)
        self.body.addLayout(top)
        self.hint = wrapped(HINT, kind="muted")
        self._is_late = False
        self._told: PixelExplained | None = None
        self.late = QTimer(self)
        self.late.setSingleShot(True)
        self.late.setInterval(LATE_MS)
        self.late.timeout.connect(self._head)
        self.body.addWidget(self.hint)
        self.probabilities = BarList(look, whole=1.0)
        self.body.addWidget(self.probabilities)
        self.margin = wrapped("")
        self.body.addWidget(self.margin)
        section(self.body, "Why")
        self.sentence = wrapped("", kind="muted")
        self.reasons = BarList(look, signed=True, clickable=True)
        self.reasons.setAccessibleName("What speaks for the label, and against it")
        self.method = wrapped("", kind="muted")
        self.influence = QCheckBox("Show what acted on it")
        self.influence.setToolTip("Brighter places had more to do with the label of this pixel.")
        self.legend = ColorBar(look)
        self.legend.set_range(SEQUENTIAL, 0.0, 1.0, "influence")
        for widget in (self.sentence, self.reasons, self.method, self.influence, self.legend):
            self.body.addWidget(widget)
        section(self.body, "About this pixel")
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(12)
        self._facts.setVerticalSpacing(3)
        self._facts.setColumnStretch(1, 1)
        self.facts: dict[str, QLabel] = {}
        for row, (name, title) in enumerate(
            (
                ("said", "Said by"),
                ("first", "First guess"),
                ("memory", "Nearest memory"),
                ("flicker", "Flicker"),
            )
        ):
            self.facts[name] = wrapped("–")
            self._facts.addWidget(label(title, kind="muted"), row, 0)
            self._facts.addWidget(self.facts[name], row, 1)
        self.body.addLayout(self._facts)
        section(self.body, "Who labelled this image")
        self.shares = BarList(look, whole=1.0)
        self.body.addWidget(self.shares)
        self.reasons.chosen.connect(self._without)
        self.influence.toggled.connect(self._show_influence)
        probe.pinned.connect(lambda _point: self._wait())
        probe.bridge.annotation_changed.connect(lambda _box: self._count_shares())

    # --- what is known ----------------------------------------------------------------------------------

    def ask(self, *, anew: bool = False) -> None:
        """Ask for the flicker of this image, which costs next to nothing."""
        self.probe.want_overlay(OverlayKind.FLICKER, anew=anew)

    def refresh(self) -> None:
        """Show the newest explanation."""
        if self.probe.pixel is not self._told:
            self._told = self.probe.pixel
            self.late.start()
        self._head()
        self._count_shares()
        self._explain(self.probe.pixel if self.probe.cursor is not None else None)
        self._say_facts(self.probe.cursor)

    def follow(self, point: Point | None) -> None:
        """Show at once what is known of a place, before the network answers."""
        self._wait()
        self._say_facts(point)
        if point is None:
            self._explain(None)
        elif self.probe.pixel is not None and not self._older():
            self._explain(self.probe.pixel)  # the pointer has come back

    def mark_laid(self, laid: Laid | None) -> None:
        """Take the tick away when something else lies over the canvas."""
        if laid is None or laid.name != INFLUENCE:
            self.influence.blockSignals(True)
            self.influence.setChecked(False)
            self.influence.blockSignals(False)

    def _wait(self) -> None:
        """Another pixel is asked about: a while later the card says whose answer it still shows."""
        if not self._is_late and not self.late.isActive():
            self.late.start()
        self._head()

    def _head(self) -> None:
        point, pinned, older = self.probe.cursor, self.probe.pin is not None, self._older()
        where = "No pixel" if point is None else f"Row {int(point[0])}, column {int(point[1])}"
        self.place.setText(f"{where} · pinned" if pinned else where)
        self.release.setVisible(pinned)
        if not older:
            self.late.stop()
        self._is_late = bool(older) and not self.late.isActive()
        trouble = self.probe.trouble("pixel_explained")
        late = f"No answer: {trouble} Below: {older}." if trouble else f"Still asking. Below: {older}."
        self.hint.setText(late if self._is_late else HINT)
        self.hint.setVisible(self._is_late or not pinned)

    def _older(self) -> str:
        """Return which pixel the explanation is of, where it is not the one under the cursor."""
        point, pixel = self.probe.cursor, self.probe.pixel
        if point is None or pixel is None or (pixel.y, pixel.x) == (int(point[0]), int(point[1])):
            return ""
        return f"row {pixel.y}, column {pixel.x}"

    def _explain(self, pixel: PixelExplained | None) -> None:
        ready = self.probe.ready
        if pixel is None or ready is None:
            self.probabilities.set_bars(())
            self.reasons.set_bars(())
            for text in (self.margin, self.method):
                text.setText("")
            self.sentence.setText(ready.explains if ready is not None else "")
            self.influence.setEnabled(False)
            self.legend.hide()
            return
        best = sorted(pixel.probabilities.items(), key=lambda item: -item[1])[:MOST_CLASSES]
        self.probabilities.set_bars([self._share_bar(index, share) for index, share in best])
        self.margin.setText(self._margin(pixel))
        self.sentence.setText(pixel.sentence)
        self.reasons.set_signed(pixel.method is not Method.WEIGHTS)
        self.reasons.set_bars(self._reasons(pixel))
        self.method.setText(METHODS[pixel.method] if pixel.contributions else "")
        self.influence.setEnabled(pixel.influence is not None)
        self.legend.setVisible(self.influence.isChecked())
        if self.influence.isChecked():
            self._show_influence(True)

    def _share_bar(self, index: int, share: float) -> Bar:
        return Bar(self.probe.class_name(index), (color_of(self.probe, index),), share, percent(share))

    def _margin(self, pixel: PixelExplained) -> str:
        if pixel.runner_up is None:
            return "Only one class is known, so nothing comes second."
        ahead = self.probe.class_name(pixel.runner_up)
        return f"{self.probe.class_name(pixel.label)} is {short(pixel.margin)} logits ahead of {ahead}."

    def _reasons(self, pixel: PixelExplained) -> list[Bar]:
        bars = [self._reason(each, pixel) for each in pixel.contributions[:MOST_REASONS]]
        rest = pixel.remainder + sum(each.value for each in pixel.contributions[MOST_REASONS:])
        if pixel.method is Method.LINEAR and abs(rest) > 1e-6:
            tip = "What the pixel itself says, and everything not listed."
            bars.append(Bar("the rest", (), rest, f"{rest:+.2f}", tip))
        return bars

    def _reason(self, each: Contribution, pixel: PixelExplained) -> Bar:
        name = each.name if each.class_index is None else self.probe.class_name(each.class_index)
        colors = () if each.class_index is None else (color_of(self.probe, each.class_index),)
        ahead = self.probe.class_name(pixel.label)
        match pixel.method:
            case Method.LINEAR | Method.DELETION:
                way = "for" if each.value >= 0 else "against"
                tip = f"{name} speaks {way} {ahead} with {each.value:+.3f} logits."
            case Method.WEIGHTS:
                tip = f"{name} was taken in with weight {each.value:.3f}."
            case _:
                assert_never(pixel.method)
        ready = self.probe.ready
        if each.class_index is not None and ready is not None and ready.can_delete:
            tip += " Click: what if the network did not know it?"
        text = f"{each.value:.2f}" if pixel.method is Method.WEIGHTS else f"{each.value:+.2f}"
        return Bar(name, colors, each.value, text, tip)

    def _without(self, row: int) -> None:
        """Ask what the image would look like without a class that spoke for or against."""
        pixel, ready = self.probe.pixel, self.probe.ready
        if pixel is None or ready is None or row >= len(pixel.contributions):
            return
        index = pixel.contributions[row].class_index
        if index is not None and ready.can_delete:
            self.probe.delete(frozenset({index}))
            self.probe.said.emit(f"Without {self.probe.class_name(index)}: see Relations.")

    def _show_influence(self, on: bool) -> None:
        pixel = self.probe.pixel
        self.legend.setVisible(on)
        if not on:
            if self.probe.lies(INFLUENCE):
                self.probe.lay(None)
        elif pixel is not None and pixel.influence is not None:
            overlay = HeatOverlay(pixel.influence, SEQUENTIAL, 0.0, 1.0)
            self.probe.lay(Laid(INFLUENCE, "What acted on the pixel", overlay))

    # --- what people and earlier predictions said -------------------------------------------------------

    def _say_facts(self, point: Point | None) -> None:
        ready, pixel = self.probe.ready, self.probe.pixel
        session = self.probe.bridge.session
        if point is None or ready is None or session is None:
            for text in self.facts.values():
                text.setText("–")
            return
        self.facts["said"].setText(self._said_by(point))
        self.facts["first"].setText(self._first_guess(point))
        near = pixel.nearest_memory if pixel is not None else None
        self.facts["memory"].setText("no memory" if near is None else self.probe.class_name(near))
        flicker = self.probe.overlay(OverlayKind.FLICKER)
        value = value_at(flicker.values, ready.size, point) if flicker is not None else None
        self.facts["flicker"].setText(
            "not known yet: train a little"
            if value is None or flicker is None
            else f"{short(value)} {flicker.unit}"
        )

    def _said_by(self, point: Point) -> str:
        session = self.probe.bridge.session
        annotation = session.annotation if session is not None else None
        if annotation is None:
            return "–"
        y, x = int(point[0]), int(point[1])
        if not (0 <= y < annotation.size[0] and 0 <= x < annotation.size[1]):
            return "–"
        who = Provenance(int(annotation.provenance[y, x]))
        index = int(annotation.label_map[y, x])
        words = SAID_BY[who]
        return words if index == UNLABELLED else f"{words}: {self.probe.class_name(index)}"

    def _first_guess(self, point: Point) -> str:
        ready = self.probe.ready
        if ready is None or ready.coarse is None:
            return "this network has one stage only"
        first = value_at(ready.coarse, ready.size, point)
        final = value_at(ready.label_map, ready.size, point)
        if first is None:
            return "–"
        name = self.probe.class_name(int(first))
        return f"{name}, kept" if first == final else f"{name}, changed later"

    def _count_shares(self) -> None:
        session = self.probe.bridge.session
        annotation = session.annotation if session is not None else None
        if annotation is None or not self.is_watched:
            self.shares.set_bars(())
            return
        sampled = annotation.provenance[::SHARE_STRIDE, ::SHARE_STRIDE]
        shares = np.bincount(sampled.ravel(), minlength=len(Provenance)) / max(sampled.size, 1)
        self.shares.set_bars([self._said_bar(who, float(shares[who])) for who in SHARES])

    def _said_bar(self, who: Provenance, share: float) -> Bar:
        return Bar(SHARES[who], (QColor(self.look.color(SHARE_COLORS[who])),), share, percent(share))

    def export(self) -> Export | None:
        """Return the explanation of the pixel."""
        pixel = self.probe.pixel
        if pixel is None:
            return None
        rows: list[list[object]] = [["kind", "name", "value"]]
        rows += [["probability", self.probe.class_name(i), p] for i, p in pixel.probabilities.items()]
        rows += [["contribution", self._reason(each, pixel).name, each.value] for each in pixel.contributions]
        facts = {
            "image": pixel.image_id,
            "y": pixel.y,
            "x": pixel.x,
            "label": self.probe.class_name(pixel.label),
            "runner_up": self.probe.class_name(pixel.runner_up),
            "margin": pixel.margin,
            "remainder": pixel.remainder,
            "method": pixel.method.value,
            "sentence": pixel.sentence,
            "provenance": self._said_by((pixel.y, pixel.x)),
        }
        pictures = {"": self.content.grab().toImage()}
        return Export(f"pixel-{pixel.y}-{pixel.x}", pictures, rows, facts)


SAID_BY: Mapping[Provenance, str] = {
    Provenance.NOBODY: "nobody yet: predicted",
    Provenance.STROKE: "you painted it",
    Provenance.ACCEPTED: "you accepted it",
    Provenance.IMPORTED: "imported",
}
SHARES: Mapping[Provenance, str] = {
    Provenance.STROKE: "painted",
    Provenance.ACCEPTED: "accepted",
    Provenance.IMPORTED: "imported",
    Provenance.NOBODY: "only predicted",
}
SHARE_COLORS: Mapping[Provenance, str] = {
    Provenance.STROKE: "accent",
    Provenance.ACCEPTED: "good",
    Provenance.IMPORTED: "warn",
    Provenance.NOBODY: "disabled",
}
