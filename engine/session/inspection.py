"""The session's side of looking inside the network: asking, and keeping the newest answers.

Owner thread only. Answers are of the image on screen, the network and the classes they were given for; once
one of these is another, they are gone, and an answer that comes late is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from engine.annotate.classes import ClassTable
from engine.messages import (
    CalibrationFitted,
    ClassDeleted,
    Command,
    DeleteRepresentations,
    Effect,
    EffectPreviewed,
    EndInspection,
    Event,
    ExplainPixel,
    FindLabelErrors,
    FitCalibration,
    Inspect,
    InspectionCommand,
    InspectionEvent,
    InspectionReady,
    LabelErrorsFound,
    MakeOverlay,
    MapMemory,
    MemoryMapped,
    NetworkOpened,
    OverlayKind,
    OverlayReady,
    PixelExplained,
    PoolItem,
    PreviewEffect,
    Projection,
    WhatIfReady,
)
from engine.project.manifest import Manifest
from engine.project.project import Project

_HISTORY = 200
"""Maps of the class memory kept to show how distances change over time."""


class Asked(Protocol):
    """What the control needs of the session's side of the worker."""

    def ask(self, command: Command) -> None:
        """Pass a command on to the worker, starting it where it does not run yet."""

    def pool_items(self, sizes: Mapping[str, tuple[int, int]]) -> tuple[PoolItem, ...]:
        """Return every annotated image that takes part in training or evaluation."""


class Shown(Protocol):
    """What the control needs of the session."""

    project: Project
    current: str | None

    @property
    def manifest(self) -> Manifest:
        """The project's manifest."""

    @property
    def classes(self) -> ClassTable:
        """The class table."""

    @property
    def worker(self) -> Asked:
        """The session's side of the worker."""


class InspectionControl:
    """Asks questions about the inside of the network and remembers the newest answer to each.

    Args:
        session: Names the image on screen and passes questions on.
    """

    def __init__(self, session: Shown) -> None:
        self._session = session
        self._request_id = 0
        self._newest: dict[object, int] = {}
        self._subject: tuple[object, ...] = ()
        self._memory_history: list[MemoryMapped] = []
        self._forget()

    def _forget(self) -> None:
        self._newest.clear()
        self._ready: InspectionReady | None = None
        self._pixel: PixelExplained | None = None
        self._what_if: WhatIfReady | None = None
        self._overlays: dict[OverlayKind, OverlayReady] = {}
        self._memory: MemoryMapped | None = None
        self._calibration: CalibrationFitted | None = None
        self._label_errors: LabelErrorsFound | None = None
        self._effects: tuple[Effect, ...] = ()

    # --- asking -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look into the network at the image on screen; `InspectionReady` or `CommandFailed` follows."""
        image_id = self._on_screen()
        if image_id is not None:
            self._pixel = self._what_if = None
            path = str(self._session.project.image_path(image_id))
            self._ask(Inspect(request_id=self._next(Inspect), image_id=image_id, image_path=path))

    def explain(self, y: int, x: int) -> None:
        """Ask why the pixel (y, x) of the image on screen got its label; `PixelExplained` follows.

        Cheap to call at every move of the pointer: only the newest question waits.
        """
        ready = self.ready
        if ready is not None and 0 <= y < ready.size[0] and 0 <= x < ready.size[1]:
            self._ask(ExplainPixel(request_id=self._next(ExplainPixel), image_id=ready.image_id, y=y, x=x))

    def delete(self, classes: frozenset[int]) -> None:
        """Ask what the image would look like to a network without these classes; `WhatIfReady` follows.

        Args:
            classes: Permanent class indices. With none, the present answer is dropped and nothing is asked.
        """
        ready = self.ready
        if ready is None or not classes:
            self._newest.pop(DeleteRepresentations, None)
            self._what_if = None
            return
        deleted = tuple(sorted(classes))
        self._ask(
            DeleteRepresentations(
                request_id=self._next(DeleteRepresentations), image_id=ready.image_id, deleted=deleted
            )
        )

    def overlay(self, kind: OverlayKind) -> None:
        """Ask for an overlay of the image on screen; `OverlayReady` follows."""
        image_id = self._on_screen()
        if image_id is not None:
            path = str(self._session.project.image_path(image_id))
            self._ask(MakeOverlay(request_id=self._next(kind), image_id=image_id, image_path=path, kind=kind))

    def map_memory(self, projection: Projection = Projection.PRINCIPAL) -> None:
        """Ask for class memory and strokes on a plane; `MemoryMapped` follows."""
        number = self._next(MapMemory)
        self._ask(MapMemory(request_id=number, items=self._items(), projection=projection))

    def fit_calibration(self) -> None:
        """Ask how far confidence can be trusted; `CalibrationFitted` follows."""
        self._ask(FitCalibration(request_id=self._next(FitCalibration), items=self._items()))

    def find_label_errors(self) -> None:
        """Ask for suspicious labels; `LabelErrorsFound` follows."""
        self._ask(FindLabelErrors(request_id=self._next(FindLabelErrors), items=self._items()))

    def preview_effect(self, pinned: Sequence[str] = ()) -> None:
        """Ask what learning the annotation on screen would flip; `EffectPreviewed` follows.

        Args:
            pinned: Ids of further images to look at.
        """
        image_id = self._on_screen()
        items = {item.image_id: item for item in self._items()}
        if image_id is not None and image_id in items:
            project = self._session.project
            others = tuple((name, str(project.image_path(name))) for name in pinned if name != image_id)
            self._ask(
                PreviewEffect(request_id=self._next(PreviewEffect), item=items[image_id], pinned=others)
            )

    def end(self) -> None:
        """Give back the memory that inspection holds; all answers are dropped."""
        self._forget()
        self._session.worker.ask(EndInspection())

    def _ask(self, command: InspectionCommand) -> None:
        self._session.worker.ask(command)

    def _next(self, kind: object) -> int:
        self._request_id += 1
        self._newest[kind] = self._request_id
        return self._request_id

    def _items(self) -> tuple[PoolItem, ...]:
        # Only images opened or painted before have a size; the manifest remembers it.
        return self._session.worker.pool_items({})

    def _on_screen(self) -> str | None:
        self._follow()
        return self._session.current

    # --- answers ------------------------------------------------------------------------------------------

    @property
    def ready(self) -> InspectionReady | None:
        """The network's inner state at the image on screen, once it is known."""
        self._follow()
        return self._ready

    @property
    def pixel(self) -> PixelExplained | None:
        """Why the pixel asked for last got its label."""
        self._follow()
        return self._pixel

    @property
    def what_if(self) -> WhatIfReady | None:
        """The prediction without the classes deleted last."""
        self._follow()
        return self._what_if

    @property
    def overlays(self) -> Mapping[OverlayKind, OverlayReady]:
        """Overlays of the image on screen."""
        self._follow()
        return self._overlays

    @property
    def memory(self) -> MemoryMapped | None:
        """Class memory on a plane."""
        self._follow()
        return self._memory

    @property
    def memory_history(self) -> tuple[MemoryMapped, ...]:
        """Every map of this network's memory since the session began, oldest first."""
        self._follow()
        return tuple(self._memory_history)

    @property
    def calibration(self) -> CalibrationFitted | None:
        """How far confidence can be trusted."""
        self._follow()
        return self._calibration

    @property
    def label_errors(self) -> LabelErrorsFound | None:
        """Suspicious labels."""
        self._follow()
        return self._label_errors

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What learning the newest stroke would flip, image on screen first."""
        self._follow()
        return self._effects

    def handle(self, event: Event) -> None:
        """Take in one event; the session calls this for each."""
        if isinstance(event, NetworkOpened | ClassDeleted):
            self._forget()
            self._memory_history.clear()
        elif isinstance(event, InspectionEvent):
            self._follow()
            self._answered(event)

    def _answered(self, event: InspectionEvent) -> None:
        if not self._awaited(event):
            return
        match event:
            case InspectionReady():
                self._ready = event
            case PixelExplained():
                self._pixel = event
            case WhatIfReady():
                self._what_if = event
            case OverlayReady():
                self._overlays = {**self._overlays, event.kind: event}
            case _:
                self._answered_about_all(event)

    def _answered_about_all(
        self, event: MemoryMapped | CalibrationFitted | LabelErrorsFound | EffectPreviewed
    ) -> None:
        match event:
            case MemoryMapped():
                self._memory = event
                # Places of one projection cannot be compared with those of another.
                alike = [old for old in self._memory_history if old.projection is event.projection]
                kept = [old for old in alike if old.step != event.step]
                self._memory_history = [*kept, event][-_HISTORY:]
            case CalibrationFitted():
                self._calibration = event
            case LabelErrorsFound():
                self._label_errors = event
            case EffectPreviewed():
                self._effects = event.effects

    def _awaited(self, event: InspectionEvent) -> bool:
        """Whether this answers the newest question of its kind."""
        kind = event.kind if isinstance(event, OverlayReady) else _QUESTIONS[type(event)]
        return self._newest.get(kind) == event.request_id

    def _follow(self) -> None:
        """Drop what was said about another image or other classes."""
        classes = tuple(spec.index for spec in self._session.classes)
        if self._subject and self._subject[1:] != (classes, self._session.manifest.network):
            self._forget()
            self._memory_history.clear()
        elif self._subject and self._subject[0] != self._session.current:
            self._leave_image()
        self._subject = (self._session.current, classes, self._session.manifest.network)

    def _leave_image(self) -> None:
        memory, calibration, errors = self._memory, self._calibration, self._label_errors
        awaited = {kind: self._newest[kind] for kind in _OF_ALL_IMAGES if kind in self._newest}
        self._forget()
        self._memory, self._calibration, self._label_errors = memory, calibration, errors
        self._newest.update(awaited)


_QUESTIONS: dict[type, type] = {
    InspectionReady: Inspect,
    PixelExplained: ExplainPixel,
    WhatIfReady: DeleteRepresentations,
    MemoryMapped: MapMemory,
    CalibrationFitted: FitCalibration,
    LabelErrorsFound: FindLabelErrors,
    EffectPreviewed: PreviewEffect,
}
"""Which question an answer belongs to; overlays go by their kind."""

_OF_ALL_IMAGES: tuple[object, ...] = (MapMemory, FitCalibration, FindLabelErrors)
"""Questions whose answers stay when another image comes on screen."""
