"""Where the prediction is unsure, and what it would cost to accept the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QSizePolicy,
    QSlider,
    QToolButton,
    QWidget,
)

from app.canvas.overlay import HeatOverlay
from app.panels.inspect.page import Export, Page, as_image, heat_pixels, percent, section, value_at, wrapped
from app.panels.inspect.probe import Laid, Point, Probe
from app.panels.inspect.trust import Trust
from app.theme import Look
from app.theme.ramps import SEQUENTIAL
from app.widgets.color_bar import ColorBar, short
from app.widgets.picture import stride_for
from engine.annotate.classes import UNLABELLED
from engine.messages import OverlayKind, OverlayReady, Prediction, PredictionReady

KINDS: dict[OverlayKind | None, str] = {
    OverlayKind.ENTROPY: "Entropy",
    OverlayKind.MARGIN: "Margin",
    OverlayKind.AUGMENTATION: "Mirrored",
    None: "As shown",
}
"""None is the picture on the canvas, whoever predicted it; the others are the network's own.

Flicker is no picture here: it tells errors worse than entropy does. The pixel card has its number.
"""
STEPS = 200
EDGE = 768
"""Longer side of the doubt of what is shown, at most."""
SAMPLE = 320
"""Places along the longer side from which the share of wrong pixels is estimated."""


@dataclass(frozen=True, slots=True, eq=False)
class ShownDoubt:
    """Doubt of the picture on the canvas, with what every overlay of doubt has."""

    image_id: str
    values: NDArray[np.float32]
    title: str = "Doubt of what is shown"
    explanation: str = "How far what the canvas shows is from being sure; what you labelled is certain."
    low: float = 0.0
    high: float = 1.0
    unit: str = ""


Doubt = OverlayReady | ShownDoubt


class DoubtPage(Page):
    """One overlay of doubt at a time, with a threshold."""

    name: ClassVar[str] = "doubt"
    title: ClassVar[str] = "Doubt"
    meaning: ClassVar[str] = "Where the prediction is unsure: bright places deserve your strokes first."
    explains_network: ClassVar[bool] = False
    lays: ClassVar[str] = "doubt"

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(probe, look, parent)
        self.kind: OverlayKind | None = OverlayKind.ENTROPY
        self._laid_for: tuple[Doubt, float | None] | None = None
        self._shown_doubt: tuple[Prediction, ShownDoubt] | None = None
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
        self.why = wrapped("", kind="muted")
        for widget in (self.slider, self.accepting, self.wrong, self.why):
            self.body.addWidget(widget)
        self.trust = Trust(probe, look)
        section(self.body, "Can confidence be trusted?", self.trust.fit)
        self.body.addWidget(self.trust)
        self.trust.changed.connect(self._changed)
        self.kinds.idClicked.connect(self._choose)
        self.slider.valueChanged.connect(lambda _value: self._changed())
        probe.bridge.prediction_ready.connect(self._predicted)

    # --- what is known ----------------------------------------------------------------------------------

    def nothing(self) -> str:
        """Return why there is nothing to show; what is on the canvas is enough, even without a network."""
        reason = super().nothing()
        looking = "inspection_ready" in self.probe.waiting
        return "" if reason and not looking and self.probe.shown is not None else reason

    def ask(self, *, anew: bool = False) -> None:
        """Ask for the overlay; `refresh` wants a calibration of what is shown."""
        if self.nothing():
            return
        kind = self._kind()
        if kind is not None:
            self.probe.want_overlay(kind, anew=anew)

    def _kind(self) -> OverlayKind | None:
        """Return the kind that was chosen, or the only one there is while no network can be asked."""
        return None if super().nothing() else self.kind

    def _choose(self, number: int) -> None:
        self.kind = list(KINDS)[number]
        self._laid_for = None
        self.slider.setValue(STEPS)
        if self.kind is not None:
            self.probe.want_overlay(self.kind)
        self._changed()

    def _predicted(self, event: PredictionReady) -> None:
        """Follow the picture on the canvas: a stroke may have changed it, or somebody else predicts now."""
        if self.is_watched and event.complete and event.prediction.image_id == self.probe.image_id:
            self._changed()

    def _found(self) -> Doubt | None:
        kind = self._kind()
        return self._as_shown() if kind is None else self.probe.overlay(kind)

    def _as_shown(self) -> ShownDoubt | None:
        """Return the doubt of the picture on the canvas; the same picture gives the same object."""
        known = self.probe.shown
        if known is None or known.confidence.shape != known.size:
            return None
        if self._shown_doubt is None or self._shown_doubt[0] is not known:
            step = stride_for(known.size, EDGE)
            values = (1.0 - known.confidence[::step, ::step]).astype(np.float32)
            self._shown_doubt = known, ShownDoubt(known.image_id, values)
        return self._shown_doubt[1]

    def _show_kinds(self) -> None:
        """Mark the kind that is shown, and say which ones there are not."""
        reason, shown = super().nothing(), self._kind()
        for kind, button in zip(KINDS, self.kinds.buttons(), strict=True):
            button.setEnabled(kind is None or not reason)
            button.setToolTip(reason if kind is not None else "")
            if kind is shown:
                button.setChecked(True)

    def refresh(self) -> None:
        """Show overlay, threshold and calibration."""
        self._show_kinds()
        kind, found = self._kind(), self._found()
        self.slider.setEnabled(found is not None)
        self.trust.refresh()
        self.trust.want()
        if found is None:
            self._say_none(kind)
            return
        self.explanation.setText(found.explanation)
        self.legend.set_range(SEQUENTIAL, found.low, found.high, found.unit)
        self._lay(found)
        self._estimate(found)

    def _say_none(self, kind: OverlayKind | None) -> None:
        self._laid_for = None
        for words in (self.accepting, self.wrong, self.why):
            words.setText("")
        if kind is None:
            self.explanation.setText("No prediction is shown yet.")
            return
        waiting = kind.value in self.probe.waiting
        trouble = self.probe.trouble(kind.value)
        self.explanation.setText("Computing…" if waiting else trouble or "Not known yet.")
        if not waiting and not trouble:
            self.probe.want_overlay(kind)

    def threshold(self, found: Doubt) -> float | None:
        """Return the doubt above which places stay covered; None where everything is shown."""
        if self.slider.value() == STEPS:
            return None
        return found.low + (found.high - found.low) * self.slider.value() / STEPS

    def _lay(self, found: Doubt) -> None:
        bound = self.threshold(found)
        self.legend.set_bound(bound)
        before, self._laid_for = self._laid_for, (found, bound)
        same = before is not None and before[0].image_id == found.image_id and before[1] == bound
        # What somebody took off the image stays off, whatever is known anew of this image.
        if same and before is not None and (before[0] is found or not self.probe.lies(self.lays)):
            return
        overlay = HeatOverlay(found.values, SEQUENTIAL, found.low, found.high, above=bound)
        self.probe.lay(Laid(self.lays, found.title, overlay))

    def set_watched(self, watched: bool) -> None:
        """Lay the overlay anew when the tab comes back into sight."""
        self._laid_for = None
        self.trust.set_watched(watched)
        super().set_watched(watched)

    # --- what accepting costs ---------------------------------------------------------------------------

    def _estimate(self, found: Doubt) -> None:
        self.why.setText("")
        self._foretell(found)
        self.why.setVisible(bool(self.why.text()))

    def _foretell(self, found: Doubt) -> None:
        bound = self.threshold(found)
        left = self._left(found, bound)
        if left is None:
            self.accepting.setText("")
            self.wrong.setText("No prediction is shown yet.")
            return
        surer, share, of = left
        if bound is None:
            self.accepting.setText("Move the slider: what is doubtful stays covered, the rest you accept.")
        else:
            self.accepting.setText(f"{percent(share)} of {of} is surer than {short(bound)}.")
        if not of:
            self.accepting.setText("")
            self.wrong.setText("All of it is labelled: nothing is left to accept.")
        elif surer.size == 0:
            self.wrong.setText("Nothing is surer than that.")
        elif not self.trust.holds():
            self.wrong.setText("Expected wrong pixels: not known yet")
            self.why.setText(self.trust.why_none())
        else:
            self.wrong.setText(f"Expected wrong pixels if accepted: {self.trust.expected_wrong(surer)}")

    def _left(self, found: Doubt, bound: float | None) -> tuple[NDArray[np.float32], float, str] | None:
        """Return the confidence of sampled pixels that are surer, their share, and of what.

        What people labelled is not sampled: it stands as it is, and accepting concerns the rest.
        """
        session, known = self.probe.bridge.session, self.probe.shown
        if session is None or known is None or known.confidence.shape != known.size:
            return None
        step = stride_for(known.size, SAMPLE)
        sampled = known.confidence[::step, ::step]
        rows = np.arange(sampled.shape[0]) * step * found.values.shape[0] // known.size[0]
        columns = np.arange(sampled.shape[1]) * step * found.values.shape[1] // known.size[1]
        doubt = found.values[np.ix_(rows, columns)]
        open_to = np.ones(sampled.shape, np.bool_)
        annotation = session.annotation
        if annotation is not None and annotation.label_map.shape == known.size:
            open_to = annotation.label_map[::step, ::step] == UNLABELLED
        surer = open_to if bound is None else open_to & (doubt <= bound)
        of = "the image" if open_to.all() else "what nobody labelled" if open_to.any() else ""
        return sampled[surer], float(surer.sum() / max(1, open_to.sum())), of

    # --- the cursor -------------------------------------------------------------------------------------

    def follow(self, point: Point | None) -> None:
        """Mark the doubt under the cursor on the colour bar."""
        found, known = self._found(), self.probe.shown
        ready = self.probe.ready
        size = ready.size if ready is not None else None if known is None else known.size
        if found is None or size is None:
            self.legend.set_value(None)
        else:
            self.legend.set_value(value_at(found.values, size, point))

    def export(self) -> Export | None:
        """Return the overlay, and the calibration."""
        found, known = self._found(), self.probe.shown
        if found is None:
            return None
        name = found.kind.value if isinstance(found, OverlayReady) else "shown"
        facts: dict[str, object] = {
            "image": found.image_id,
            "kind": name,
            "title": found.title,
            "explanation": found.explanation,
            "low": found.low,
            "high": found.high,
            "unit": found.unit,
            "shown": None if known is None else known.source.value,
            "share_of_the_network": None if known is None else known.share,
            "expected_wrong": self.wrong.text(),
        }
        pictures = {name: overlay_picture(found)}
        calibration = self.trust.facts()
        if calibration is not None:
            pictures["reliability"] = self.trust.chart.grab().toImage()
            facts["calibration"] = calibration
        return Export(f"doubt-{name}", pictures, overlay_rows(found), facts)


def overlay_picture(found: Doubt) -> QImage:
    """Return an overlay as a picture of its own."""
    return as_image(heat_pixels(found.values, SEQUENTIAL, found.low, found.high))


def overlay_rows(found: Doubt) -> list[list[object]]:
    """Return the numbers of an overlay, at most 512 along a side."""
    step = stride_for(found.values.shape, 512)
    return [list(line) for line in found.values[::step, ::step].tolist()]
