"""Where the network is unsure, and what it would cost to accept the rest."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QPushButton,
    QSizePolicy,
    QSlider,
    QToolButton,
    QWidget,
)

from app.canvas.overlay import HeatOverlay
from app.panels.inspect.page import Export, Page, as_image, heat_pixels, percent, section, value_at, wrapped
from app.panels.inspect.probe import Laid, Point, Probe
from app.theme import Look
from app.theme.ramps import SEQUENTIAL
from app.widgets.color_bar import ColorBar, short
from app.widgets.picture import stride_for
from app.widgets.trend import ReliabilityChart
from engine.inspect.calibration import WHOLE_IMAGES, Curve
from engine.messages import CalibrationFitted, OverlayKind, OverlayReady, PredictionSource

KINDS = {
    OverlayKind.ENTROPY: "Entropy",
    OverlayKind.MARGIN: "Margin",
    OverlayKind.AUGMENTATION: "Mirrored",
}
"""Flicker is no picture here: it tells errors worse than entropy does. The pixel card has its number."""
STEPS = 200
SAMPLE = 320
"""Places along the longer side from which the share of wrong pixels is estimated."""


class DoubtPage(Page):
    """One overlay of doubt at a time, with a threshold."""

    name: ClassVar[str] = "doubt"
    title: ClassVar[str] = "Doubt"
    meaning: ClassVar[str] = "Where the network is unsure: bright places deserve your strokes first."
    lays: ClassVar[str] = "doubt"

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(probe, look, parent)
        self.kind = OverlayKind.ENTROPY
        self._laid_for: tuple[OverlayReady, float | None] | None = None
        self.kinds = QButtonGroup(self)
        row = QGridLayout()
        row.setSpacing(4)
        for number, (kind, title) in enumerate(KINDS.items()):
            button = QToolButton()
            button.setText(title)
            button.setCheckable(True)
            button.setProperty("segment", True)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            button.setChecked(kind is self.kind)
            self.kinds.addButton(button, number)
            row.addWidget(button, number // 2, number % 2)
        self.body.addLayout(row)
        self.explanation = wrapped("", kind="muted")
        self.legend = ColorBar(look)
        self.body.addWidget(self.explanation)
        self.body.addWidget(self.legend)
        section(self.body, "If you accept what is surer")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, STEPS)
        self.slider.setValue(STEPS)
        self.slider.setAccessibleName("Threshold of doubt")
        self.slider.setToolTip("Only places above it stay covered: those you would look at yourself.")
        self.accepting = wrapped("")
        self.wrong = wrapped("", kind="value")
        for widget in (self.slider, self.accepting, self.wrong):
            self.body.addWidget(widget)
        self.fit = QPushButton("Fit")
        self.fit.setToolTip("Compare confidence with every pixel people labelled.")
        section(self.body, "Can confidence be trusted?", self.fit)
        self.calibration = wrapped("", kind="muted")
        self.chart = ReliabilityChart(look)
        self.body.addWidget(self.calibration)
        self.body.addWidget(self.chart)
        self.kinds.idClicked.connect(self._choose)
        self.slider.valueChanged.connect(lambda _value: self._changed())
        self.fit.clicked.connect(self.fit_again)

    # --- what is known ----------------------------------------------------------------------------------

    def ask(self, *, anew: bool = False) -> None:
        """Ask for the overlay, and for the calibration where there is none yet."""
        if super().nothing():
            return
        self.probe.want_overlay(self.kind, anew=anew)
        inspection = self.probe.inspection
        if inspection is not None and inspection.calibration is None:
            self.fit_again()

    def fit_again(self) -> None:
        """Ask for a calibration on everything people labelled."""
        self.probe.ask("calibration_fitted", lambda inspection: inspection.fit_calibration())

    def _choose(self, number: int) -> None:
        self.kind = list(KINDS)[number]
        self._laid_for = None
        self.slider.setValue(STEPS)
        self.probe.want_overlay(self.kind)
        self._changed()

    def refresh(self) -> None:
        """Show overlay, threshold and calibration."""
        found = self.probe.overlay(self.kind)
        self.slider.setEnabled(found is not None)
        self._show_calibration()
        if found is None:
            waiting = self.kind.value in self.probe.waiting
            self.explanation.setText(
                "Computing…" if waiting else self.probe.trouble(self.kind.value) or "Not known yet."
            )
            self.accepting.setText("")
            self.wrong.setText("")
            if not waiting and not self.probe.trouble(self.kind.value):
                self.probe.want_overlay(self.kind)
            return
        self.explanation.setText(found.explanation)
        self.legend.set_range(SEQUENTIAL, found.low, found.high, found.unit)
        self._lay(found)
        self._estimate(found)

    def threshold(self, found: OverlayReady) -> float | None:
        """Return the doubt above which places stay covered; None where everything is shown."""
        if self.slider.value() == STEPS:
            return None
        return found.low + (found.high - found.low) * self.slider.value() / STEPS

    def _lay(self, found: OverlayReady) -> None:
        bound = self.threshold(found)
        self.legend.set_bound(bound)
        state = (found, bound)
        if self._laid_for is not None and self._laid_for[0] is found and self._laid_for[1] == bound:
            return
        self._laid_for = state
        overlay = HeatOverlay(found.values, SEQUENTIAL, found.low, found.high, above=bound)
        self.probe.lay(Laid(self.lays, found.title, overlay))

    def set_watched(self, watched: bool) -> None:
        """Lay the overlay anew when the tab comes back into sight."""
        self._laid_for = None
        super().set_watched(watched)

    # --- what accepting costs ---------------------------------------------------------------------------

    def _estimate(self, found: OverlayReady) -> None:
        bound = self.threshold(found)
        surer, share = self._confidence_below(found, bound)
        if bound is None:
            self.accepting.setText("Move the slider: what is doubtful stays covered, the rest you accept.")
        else:
            self.accepting.setText(f"{percent(share)} of the image is surer than {short(bound)}.")
        inspection = self.probe.inspection
        fitted = inspection.calibration if inspection is not None else None
        if surer is None:
            self.wrong.setText("No prediction is shown yet.")
        elif surer.size == 0:
            self.wrong.setText("Nothing is surer than that.")
        elif self.probe.shown_by in {PredictionSource.QUICK, PredictionSource.JOINT}:
            self.wrong.setText("How many would be wrong is known of the network alone, not of what is shown.")
        elif fitted is None:
            self.wrong.setText("Fit the calibration below to learn how many would be wrong.")
        else:
            curve = Curve(fitted.temperature, fitted.shift, fitted.knots)
            self.wrong.setText(f"Expected wrong pixels if accepted: {percent(curve.expected_wrong(surer))}")

    def _confidence_below(
        self, found: OverlayReady, bound: float | None
    ) -> tuple[NDArray[np.float32] | None, float]:
        """Return the confidence of sampled pixels that are surer, and their share of the image."""
        session, image_id = self.probe.bridge.session, self.probe.image_id
        known = session.prediction(image_id) if session is not None and image_id is not None else None
        if known is None or known.confidence.shape != known.size:
            return None, 0.0
        step = stride_for(known.size, SAMPLE)
        sampled = known.confidence[::step, ::step]
        rows = np.arange(sampled.shape[0]) * step * found.values.shape[0] // known.size[0]
        columns = np.arange(sampled.shape[1]) * step * found.values.shape[1] // known.size[1]
        doubt = found.values[np.ix_(rows, columns)]
        surer = np.ones(sampled.shape, np.bool_) if bound is None else doubt <= bound
        return sampled[surer], float(surer.mean())

    def _show_calibration(self) -> None:
        inspection = self.probe.inspection
        fitted = inspection.calibration if inspection is not None else None
        waiting = "calibration_fitted" in self.probe.waiting
        self.fit.setEnabled(not waiting)
        self.fit.setText("Fitting…" if waiting else "Fit")
        self.chart.setVisible(fitted is not None)
        if fitted is None:
            none = (
                self.probe.trouble("calibration_fitted") or "Not fitted yet: it needs some labelled images."
            )
            self.calibration.setText("Comparing confidence with your labels…" if waiting else none)
            return
        self.chart.set_bins(fitted.bins)
        self.calibration.setText(calibration_text(fitted))

    # --- the cursor -------------------------------------------------------------------------------------

    def follow(self, point: Point | None) -> None:
        """Mark the doubt under the cursor on the colour bar."""
        found, ready = self.probe.overlay(self.kind), self.probe.ready
        if found is None or ready is None:
            self.legend.set_value(None)
        else:
            self.legend.set_value(value_at(found.values, ready.size, point))

    def export(self) -> Export | None:
        """Return the overlay, and the calibration."""
        found = self.probe.overlay(self.kind)
        if found is None:
            return None
        facts: dict[str, object] = {
            "image": found.image_id,
            "kind": found.kind.value,
            "title": found.title,
            "explanation": found.explanation,
            "low": found.low,
            "high": found.high,
            "unit": found.unit,
            "expected_wrong": self.wrong.text(),
        }
        pictures = {found.kind.value: overlay_picture(found)}
        inspection = self.probe.inspection
        fitted = inspection.calibration if inspection is not None else None
        if fitted is not None:
            pictures["reliability"] = self.chart.grab().toImage()
            facts["calibration"] = {
                "pixels": fitted.pixels,
                "temperature": fitted.temperature,
                "shift": fitted.shift,
                "knots": [list(each) for each in fitted.knots],
                "ece_of_chance": fitted.chance,
                "whole_images": fitted.images,
                "ece": fitted.ece,
                "ece_before": fitted.ece_before,
                "bins": [list(each) for each in fitted.bins],
            }
        return Export(f"doubt-{found.kind.value}", pictures, overlay_rows(found), facts)


def calibration_text(fitted: CalibrationFitted) -> str:
    """Return what a calibration found, for people."""
    where = f"the {fitted.pixels:,} pixels of {fitted.images} whole images"
    if not fitted.images:
        where = f"{fitted.pixels:,} labelled pixels"
    text = (
        f"On {where} confidence misses the truth by {percent(fitted.ece_before)} on average (ECE), "
        f"{percent(fitted.ece)} after calibration; chance alone gives {percent(fitted.chance)}."
    )
    if fitted.images:
        return text
    return (
        f"{text} Strokes tell more of errors than of what is right: review {WHOLE_IMAGES} held-out images "
        "whole for an answer that holds."
    )


def overlay_picture(found: OverlayReady) -> QImage:
    """Return an overlay as a picture of its own."""
    return as_image(heat_pixels(found.values, SEQUENTIAL, found.low, found.high))


def overlay_rows(found: OverlayReady) -> list[list[object]]:
    """Return the numbers of an overlay, at most 512 along a side."""
    step = stride_for(found.values.shape, 512)
    return [list(line) for line in found.values[::step, ::step].tolist()]
