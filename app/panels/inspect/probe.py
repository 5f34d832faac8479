"""The one cursor that every view of INSPECT follows, and the one place that asks the engine for answers.

Nothing is asked while the dock is hidden. Of a moving pointer only the newest place is asked about, and the
next question leaves when the last one was answered, so that a slow network is never flooded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.canvas.overlay import Overlay
from engine.annotate.classes import UNLABELLED, VOID, ClassTable
from engine.errors import EngineError
from engine.messages import (
    CommandFailed,
    InspectionReady,
    OverlayKind,
    OverlayReady,
    PixelExplained,
    Prediction,
    PredictionReady,
    PredictionSource,
    WhatIfReady,
)

if TYPE_CHECKING:
    from engine.session.inspection import InspectionControl

PATIENCE_MS = 700
"""An answer that takes longer, or was dropped for a newer question, does not hold back the next question."""

STRIDE = 4
"""Every so many rows and columns are compared where a share is enough."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """What inspection lays over the canvas.

    Attributes:
        name: Stable name, by which the view that laid it knows it.
        title: What it is, for people.
        overlay: The picture.
    """

    name: str
    title: str
    overlay: Overlay


class Probe(QObject):
    """Cursor, pin, and questions to the network. GUI thread only.

    Signals:
        changed: Anything that is known changed: the image, its inner state, an answer.
        moved: The cursor stands elsewhere: (y, x) or None.
        pinned: The pinned point (y, x), or None.
        laid: What lies over the canvas: a `Laid` or None.
        jump: (image id, y, x) Somebody wants to see this place.
        said: A sentence for the status line.
        disputed: (image id, share) On this share of the image first guess and answer differ.
        fix: (image id, y, x, class index or None) A labelled region is to be relabelled, or unlabelled.

    Args:
        bridge: The session.
    """

    changed = Signal()
    moved = Signal(object)
    pinned = Signal(object)
    laid = Signal(object)
    jump = Signal(str, float, float)
    said = Signal(str)
    fix = Signal(str, float, float, object)
    disputed = Signal(str, float)

    def __init__(self, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.bridge = bridge
        self.is_active = False
        self.waiting: dict[str, None] = {}
        self._troubles: dict[str, str] = {}
        self.pin: Point | None = None
        self._hover: Point | None = None
        self._asked: tuple[int, int] | None = None
        self._lying: Laid | None = None
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._ask_next)
        self._wanted: tuple[int, int] | None = None
        bridge.session_changed.connect(self._leave)
        bridge.current_changing.connect(self._leave)
        bridge.image_loaded.connect(lambda _event: self._look_when_loaded())
        bridge.network_opened.connect(lambda _event: self.look())
        bridge.classes_changed.connect(self._classes_changed)
        bridge.prediction_ready.connect(self._predicted)
        bridge.inspection_ready.connect(self._ready)
        bridge.pixel_explained.connect(self._explained)
        bridge.what_if_ready.connect(self._imagined)
        for name in ("memory_mapped", "calibration_fitted", "label_errors_found"):
            getattr(bridge, name).connect(lambda _event, name=name: self._answered(name))
        bridge.overlay_ready.connect(lambda event: self._answered(event.kind.value))
        bridge.effect_previewed.connect(lambda _event: self._answered("effect_previewed"))
        bridge.command_failed.connect(self._failed)

    # --- what is known ----------------------------------------------------------------------------------

    @property
    def shown_by(self) -> PredictionSource | None:
        """Who predicted what the canvas shows, or None while nothing is shown."""
        return None if self.shown is None else self.shown.source

    @property
    def shown(self) -> Prediction | None:
        """What the canvas shows of the image on screen, or None while nothing is shown."""
        session, image_id = self.bridge.session, self.image_id
        return session.prediction(image_id) if session is not None and image_id is not None else None

    @property
    def inspection(self) -> InspectionControl | None:
        """The session's inspection, or None on the start page."""
        session = self.bridge.session
        return session.inspection if session is not None else None

    @property
    def image_id(self) -> str | None:
        """The image on screen."""
        session = self.bridge.session
        return session.current if session is not None else None

    @property
    def classes(self) -> ClassTable:
        """The class table."""
        session = self.bridge.session
        return session.classes if session is not None else ClassTable()

    def class_name(self, index: int | None) -> str:
        """Return the name of a class for people."""
        if index is None or index == UNLABELLED:
            return "unlabelled"
        spec = self.classes.by_index(index)
        if spec is not None:
            return spec.name
        return "void" if index == VOID else f"class {index}"

    @property
    def ready(self) -> InspectionReady | None:
        """The inner state at the image on screen, once it was looked at."""
        found = self.inspection.ready if self.inspection is not None else None
        return found if found is not None and found.image_id == self.image_id else None

    @property
    def pixel(self) -> PixelExplained | None:
        """The newest explanation of a pixel of this image."""
        found = self.inspection.pixel if self.inspection is not None else None
        return found if found is not None and found.image_id == self.image_id else None

    @property
    def what_if(self) -> WhatIfReady | None:
        """The newest prediction without some class representations."""
        found = self.inspection.what_if if self.inspection is not None else None
        return found if found is not None and found.image_id == self.image_id else None

    def overlay(self, kind: OverlayKind) -> OverlayReady | None:
        """Return one overlay of this image, if it was made."""
        found = self.inspection.overlays.get(kind) if self.inspection is not None else None
        return found if found is not None and found.image_id == self.image_id else None

    @property
    def cursor(self) -> Point | None:
        """The pinned point, or else the one under the pointer."""
        return self.pin if self.pin is not None else self._hover

    # --- being looked at --------------------------------------------------------------------------------

    def set_active(self, active: bool) -> None:
        """Say whether the dock can be seen; hidden, nothing is asked and everything held is given back."""
        if active == self.is_active:
            return
        self.is_active = active
        if active:
            self.look()
            return
        self.waiting.clear()
        self.lay(None)
        self.set_pin(None)
        if self.inspection is not None:
            self.inspection.end()
        self.changed.emit()

    def look(self) -> None:
        """Look into the network at the image on screen, if anybody watches."""
        session = self.bridge.session
        if self.is_active and session is not None and session.size is not None and len(session.classes):
            self.ask("inspection_ready", lambda inspection: inspection.look())

    def ask(self, name: str, question: Callable[[InspectionControl], object]) -> None:
        """Ask the engine something.

        Args:
            name: What is waited for: the signal of the answer, or the value of an `OverlayKind`.
            question: Asks it.
        """
        inspection = self.inspection
        if inspection is None or not self.is_active:
            return
        try:
            question(inspection)
        except EngineError as error:
            self._troubles[name] = f"{error.message} {error.hint}".strip()
        else:
            self.waiting[name] = None
            self._troubles.pop(name, None)
        self.changed.emit()

    def trouble(self, name: str) -> str:
        """Return why something that was asked has no answer, and what to do; empty where all is well."""
        return self._troubles.get(name, "")

    def want_overlay(self, kind: OverlayKind, *, anew: bool = False) -> None:
        """Ask for an overlay, unless it is there (and not wanted anew) or on its way."""
        if (anew or self.overlay(kind) is None) and kind.value not in self.waiting:
            self.ask(kind.value, lambda inspection: inspection.overlay(kind))

    def delete(self, classes: frozenset[int]) -> None:
        """Ask what the network would say without some classes; without any this ends the question."""
        self.ask("what_if_ready", lambda inspection: inspection.delete(classes))

    # --- the cursor -------------------------------------------------------------------------------------

    def hover(self, point: Point | None) -> None:
        """The pointer stands over an image point, on the canvas or on a picture of a view, or over none."""
        if not self.is_active or point == self._hover:
            return
        self._hover = point
        if self.pin is None:
            self.moved.emit(point)
            self._want(point)

    def toggle_pin(self, point: Point) -> None:
        """Pin a point, or let go where the pinned pixel is meant."""
        here = (int(point[0]), int(point[1]))
        held = self.pin is not None and (int(self.pin[0]), int(self.pin[1])) == here
        self.set_pin(None if held else (here[0] + 0.5, here[1] + 0.5))

    def set_pin(self, point: Point | None) -> None:
        """Pin a point, or let go."""
        if point == self.pin:
            return
        self.pin = point
        self.pinned.emit(point)
        self.moved.emit(self.cursor)
        self._want(self.cursor)

    def _want(self, point: Point | None) -> None:
        self._wanted = None if point is None else (int(point[0]), int(point[1]))
        if not self._patience.isActive():
            self._ask_next()

    def _ask_next(self) -> None:
        ready, wanted = self.ready, self._wanted
        if wanted is None or wanted == self._asked or ready is None or not self.is_active:
            return
        height, width = ready.size
        if not (0 <= wanted[0] < height and 0 <= wanted[1] < width):
            return
        self._asked = wanted
        self._patience.start()
        self.ask("pixel_explained", lambda inspection: inspection.explain(*wanted))

    # --- what is laid over the canvas -------------------------------------------------------------------

    @property
    def lying(self) -> Laid | None:
        """What lies over the canvas."""
        return self._lying

    def lay(self, laid: Laid | None) -> None:
        """Lay something over the canvas in place of what lies there, or take that away."""
        if laid is not self._lying:
            self._lying = laid
            self.laid.emit(laid)

    def lies(self, name: str) -> bool:
        """Say whether the picture of this name lies over the canvas."""
        return self._lying is not None and self._lying.name == name

    # --- events -----------------------------------------------------------------------------------------

    def _leave(self) -> None:
        self.waiting.clear()
        self._asked = self._wanted = self._hover = None
        self._patience.stop()
        self.lay(None)
        self.set_pin(None)
        self._troubles.clear()
        self.changed.emit()

    def _classes_changed(self) -> None:
        self.lay(None)
        self.look()
        self.changed.emit()

    def _look_when_loaded(self) -> None:
        if self.ready is None and "inspection_ready" not in self.waiting:
            self.look()
        self.changed.emit()

    def _predicted(self, event: PredictionReady) -> None:
        """Look anew where the weights went on: what is shown and what is explained belong together."""
        ready = self.ready
        stale = ready is not None and ready.step != event.prediction.step
        if stale and event.complete and event.prediction.image_id == self.image_id:
            self.look()

    def _ready(self, event: InspectionReady) -> None:
        if event.image_id == self.image_id:
            self.waiting.pop("inspection_ready", None)
            self._asked = None
            self._compare(event)
            self.changed.emit()
            self._want(self.cursor)

    def _compare(self, event: InspectionReady) -> None:
        if event.coarse is not None:
            differs = event.coarse[::STRIDE, ::STRIDE] != event.label_map[::STRIDE, ::STRIDE]
            self.disputed.emit(event.image_id, float(differs.mean()))

    def _explained(self, _event: PixelExplained) -> None:
        self._answered("pixel_explained")
        self._patience.stop()
        self._ask_next()

    def _imagined(self, event: WhatIfReady) -> None:
        """Take in a what-if; a rough one is shown, and the exact one still waited for."""
        if event.exact:
            self._answered("what_if_ready")
        else:
            self.changed.emit()

    def _answered(self, name: str) -> None:
        self.waiting.pop(name, None)
        self.changed.emit()

    def _failed(self, event: CommandFailed) -> None:
        """Note which question has no answer; several overlays are answered in the order they were asked."""
        names = FAILURES.get(event.command, frozenset())
        name = next((each for each in self.waiting if each in names), None)
        if name is not None:
            self.waiting.pop(name)
            self._troubles[name] = f"{event.problem.message} {event.problem.hint}".strip()
            self._patience.stop()
            self.changed.emit()


FAILURES: dict[str, frozenset[str]] = {
    "Inspect": frozenset({"inspection_ready"}),
    "ExplainPixel": frozenset({"pixel_explained"}),
    "DeleteRepresentations": frozenset({"what_if_ready"}),
    "MakeOverlay": frozenset(kind.value for kind in OverlayKind),
    "MapMemory": frozenset({"memory_mapped"}),
    "FitCalibration": frozenset({"calibration_fitted"}),
    "FindLabelErrors": frozenset({"label_errors_found"}),
    "PreviewEffect": frozenset({"effect_previewed"}),
}
"""What may have been waited for when a command failed."""
