"""Can the confidence of what is shown be trusted? A curve, whose it is, and when it is fitted anew."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from app.panels.inspect.page import percent, wrapped
from app.panels.inspect.probe import Probe
from app.theme import Look
from app.widgets.trend import ReliabilityChart
from engine.inspect.calibration import WHOLE_IMAGES, Curve
from engine.messages import (
    AnnotationStored,
    CalibrationFitted,
    CommandFailed,
    FitCalibration,
    Prediction,
    PredictionSource,
)

ANSWER = "calibration_fitted"

OTHER_S, OTHER_TIMES = 15.0, 4.0
"""Rest between two fits where somebody else is shown now: seconds, and times as long as the last one took."""
OLDER_S, OLDER_TIMES = 60.0, 10.0
"""The same where only strokes or weights were added."""

Shown = tuple[PredictionSource, float]


def shown_of(prediction: Prediction) -> Shown:
    """Return who predicted, as curves tell them apart, and the network's share of it."""
    source = prediction.source
    if source is PredictionSource.MEMORY:  # it is the network; no curve is fitted on what it just read
        source = PredictionSource.NETWORK
    return source, prediction.share


def name_of(shown: Shown) -> str:
    """Return who that is, within a sentence."""
    source, share = shown
    if source is PredictionSource.JOINT:
        return f"quick model and network together ({percent(share)} network)"
    return "the quick model" if source is PredictionSource.QUICK else "the network alone"


class Trust(QWidget):
    """What a tab says of a curve, which is fitted by itself where what is shown has none.

    It asks while it is watched only, once for a state of things, and rests in between.

    Signals:
        changed: A curve was asked for, came, or has no answer.

    Attributes:
        fit: Button for the heading: fits at once.

    Args:
        probe: What is known.
        look: Gives the colours.
        clock: Monotonic seconds.
    """

    changed = Signal()

    def __init__(
        self,
        probe: Probe,
        look: Look,
        parent: QWidget | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self.probe = probe
        self._clock = clock
        self._is_watched = False
        self._is_asked = False
        self._strokes = 0
        self._state_asked: object = None
        self._strokes_asked = 0
        self._asked_at = self._answered_at = -1e9
        self.fit = QPushButton("Fit")
        self.fit.setToolTip("Compare the confidence of what is shown with every pixel people labelled.")
        self.text = wrapped("", kind="muted")
        self.chart = ReliabilityChart(look)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(8)
        body.addWidget(self.text)
        body.addWidget(self.chart)
        self.rest = QTimer(self)
        self.rest.setSingleShot(True)
        self.rest.timeout.connect(self.want)
        self.fit.clicked.connect(self.fit_again)
        bridge = probe.bridge
        bridge.annotation_stored.connect(self._stroke_stored)
        bridge.calibration_fitted.connect(lambda _event: self._answered())
        bridge.command_failed.connect(self._failed)
        bridge.session_changed.connect(self._forget)
        bridge.network_opened.connect(lambda _event: self._forget())
        bridge.classes_changed.connect(self._forget)

    # --- what is known ----------------------------------------------------------------------------------

    @property
    def known(self) -> CalibrationFitted | None:
        """The newest answer, whoever it is about."""
        inspection = self.probe.inspection
        return inspection.calibration if inspection is not None else None

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is on its way; another image on screen does not end that."""
        return self._is_asked

    def holds(self) -> bool:
        """Say whether the curve is that of who is shown."""
        known, shown = self.known, self.probe.shown
        return known is not None and shown is not None and shown_of(shown) == (known.source, known.share)

    def expected_wrong(self, confidence: NDArray[np.floating]) -> str:
        """Return the share of pixels of this confidence that are expected to be wrong, for people.

        Strokes lie where what is shown was wrong, so that a curve fitted on them can expect far too much.
        Where there is nothing better, the answer is from confidence as it is to the curve.
        """
        known = self.known
        if known is None:
            return ""
        fitted = Curve(known.temperature, known.shift, known.knots).expected_wrong(confidence)
        if known.images:
            return percent(fitted)
        low, high = (percent(share) for share in sorted((fitted, Curve().expected_wrong(confidence))))
        return low if low == high else f"{low.removesuffix(' %')} to {high}"

    def why_none(self) -> str:
        """Return why nothing is known of what is shown."""
        known, shown = self.known, self.probe.shown
        if self.is_waiting:
            soon = "A curve of what is shown is being fitted."
        else:
            soon = "A new one is fitted soon." if self.rest.isActive() else self.probe.trouble(ANSWER)
        if known is None or shown is None:
            return soon or "Fit a curve below."
        told, now = name_of((known.source, known.share)), name_of(shown_of(shown))
        return f"The curve below tells of {told}; shown now: {now}. {soon}".rstrip()

    def _is_older(self) -> bool:
        known, shown = self.known, self.probe.shown
        if known is None or shown is None:
            return False
        painted = known.share < 1 and self._strokes != self._strokes_asked
        return painted or (known.share > 0 and shown.step != known.step)

    # --- asking -----------------------------------------------------------------------------------------

    def set_watched(self, watched: bool) -> None:
        """Say whether a person can see this; only then anything is asked."""
        self._is_watched = watched
        if not watched:
            self.rest.stop()
            if not self.probe.is_active:
                self._forget()  # with the dock closed, what was under way is over

    def want(self) -> None:
        """Fit what is shown where no curve holds for it, unless that was tried or it is time to rest."""
        shown = self.probe.shown
        if not self._is_watched or self.is_waiting or shown is None:
            return
        if self.holds() and not self._is_older():
            return
        state = shown_of(shown), shown.step, self._strokes
        if state == self._state_asked:
            return
        left = self._rest_s() - (self._clock() - self._answered_at)
        if left > 0:
            self.rest.start(round(1000 * left) + 1)
        else:
            self.fit_again()

    def _rest_s(self) -> float:
        least, times = (OLDER_S, OLDER_TIMES) if self.holds() else (OTHER_S, OTHER_TIMES)
        return max(least, times * (self._answered_at - self._asked_at))

    def fit_again(self) -> None:
        """Fit on everything people labelled, whoever is shown."""
        shown = self.probe.shown
        self._state_asked = None if shown is None else (shown_of(shown), shown.step, self._strokes)
        self._strokes_asked = self._strokes
        self._asked_at = self._answered_at = self._clock()
        self._is_asked = True
        self.rest.stop()
        self.probe.ask(ANSWER, lambda inspection: inspection.fit_calibration())
        self._is_asked = ANSWER in self.probe.waiting
        self.changed.emit()

    def _answered(self) -> None:
        self._is_asked, self._answered_at = False, self._clock()
        self.changed.emit()

    def _failed(self, event: CommandFailed) -> None:
        if event.command == FitCalibration.__name__ and self._is_asked:
            self._is_asked, self._answered_at = False, self._clock()
            self.changed.emit()

    def _forget(self) -> None:
        """Begin anew: project, network or classes are others, or nobody watches any more."""
        self._state_asked, self._is_asked = None, False

    def _stroke_stored(self, _event: AnnotationStored) -> None:
        self._strokes += 1

    # --- showing ----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what is known now."""
        known = self.known
        self.fit.setEnabled(not self.is_waiting)
        self.fit.setText("Fitting…" if self.is_waiting else "Fit")
        self.chart.setVisible(known is not None)
        if known is not None:
            self.chart.set_bins(known.bins)
            self.text.setText(calibration_text(known))
            return
        none = self.probe.trouble(ANSWER) or "Not fitted yet: it needs some labelled images."
        self.text.setText("Comparing confidence with your labels…" if self.is_waiting else none)

    def facts(self) -> dict[str, object] | None:
        """Return the calibration for a file, with whose it is; None without one."""
        known = self.known
        if known is None:
            return None
        return {
            "of": known.source.value,
            "share_of_the_network": known.share,
            "step": known.step,
            "is_of_what_is_shown": self.holds(),
            "pixels": known.pixels,
            "temperature": known.temperature,
            "shift": known.shift,
            "knots": [list(each) for each in known.knots],
            "ece_of_chance": known.chance,
            "whole_images": known.images,
            "ece": known.ece,
            "ece_before": known.ece_before,
            "bins": [list(each) for each in known.bins],
        }


def calibration_text(fitted: CalibrationFitted) -> str:
    """Return what a calibration found, for people."""
    who = name_of((fitted.source, fitted.share))
    where = f"{fitted.pixels:,} labelled pixels"
    if fitted.images:
        where = f"the {fitted.pixels:,} pixels of {fitted.images} whole images"
    unseen = " the quick model had not learnt from" if fitted.share < 1 else ""
    parts = [
        f"{who[0].upper()}{who[1:]}: confidence misses the truth by {percent(fitted.ece_before)} on average "
        f"(ECE), {percent(fitted.ece)} after calibration; chance alone gives {percent(fitted.chance)}. "
        f"From {where}{unseen}."
    ]
    if fitted.images and fitted.ece >= fitted.ece_before:
        parts.append(
            "Confidence as it is misses by no more than chance: there is nothing to mend."
            if fitted.ece_before <= fitted.chance
            else "These images do not show that calibration helps: review more of them whole."
        )
    if not fitted.images:
        parts.append(
            "Strokes tell more of errors than of what is right, so the answer is a range, from confidence as "
            f"it is to the curve: review {WHOLE_IMAGES} held-out images whole for one that holds."
        )
    return " ".join(parts)
