"""Answers about the inside of a network, as the worker would give them to a fake session."""

from typing import Any

import numpy as np

from engine.annotate.geometry import Box
from engine.messages import (
    CalibrationFitted,
    Contribution,
    DeleteRepresentations,
    Effect,
    EffectPreviewed,
    ExplainPixel,
    FindLabelErrors,
    FitCalibration,
    Inspect,
    InspectedView,
    InspectionReady,
    LabelError,
    LabelErrorsFound,
    MakeOverlay,
    MapMemory,
    MemoryMapped,
    Method,
    OverlayKind,
    OverlayReady,
    PixelExplained,
    PreviewEffect,
    StrokeDot,
    WhatIfReady,
)
from engine.messages.inspection import InspectionKind
from tests.support.fake_session import FakeSession
from tests.support.window import Desk

RELATION = np.array(
    [[0.0, 0.4, -0.1, 0.0], [0.2, 0.0, 0.0, 0.9], [0.0, 0.0, 0.0, 0.1], [0.3, 0.0, 0.0, 0.0]], np.float32
)


def view(name: str, kind: InspectionKind, values: Any, title: str = "") -> InspectedView:
    return InspectedView(
        name=name, kind=kind, title=title or name, explanation=f"What {name} means.", values=values
    )


def views(size: tuple[int, int] = (15, 20)) -> tuple[InspectedView, ...]:
    """One view of every kind."""
    height, width = size
    heat = np.linspace(0, 1, height * width, dtype=np.float32).reshape(size)
    return (
        view("gate", InspectionKind.HEATMAP, heat),
        view("guess", InspectionKind.LABEL_MAP, np.full(size, 1, np.int64)),
        view("shares", InspectionKind.CLASS_HEATMAPS, np.stack([heat] * 4)),
        view("channels", InspectionKind.CHANNEL_HEATMAPS, np.stack([heat, 1 - heat])),
        view("relation", InspectionKind.CLASS_MATRIX, RELATION, "Relation"),
        view("seen", InspectionKind.CLASS_VALUES, np.arange(4, dtype=np.float32)),
        view("vectors", InspectionKind.CLASS_VECTORS, np.ones((4, 6), np.float32)),
        view("memory", InspectionKind.CLASS_MEMORY, np.ones((4, 2, 6), np.float32)),
    )


class Answers:
    """Answers the newest question of each kind by hand."""

    def __init__(self, session: FakeSession) -> None:
        self.session = session

    def _newest(self, kind: type) -> Any:
        return self.session.worker.of(kind)[-1]

    def look(self, **changes: Any) -> InspectionReady:
        asked = self._newest(Inspect)
        height, width = self.session.pictures[asked.image_id].shape[:2]
        label_map = np.zeros((height, width), np.uint8)
        label_map[height // 2 :] = 2
        coarse = label_map.copy()
        coarse[: height // 4, : width // 4] = 3
        told = {
            "size": (height, width),
            "step": 10,
            "classes": self.session.classes.indices,
            "views": views(),
            "label_map": label_map,
            "coarse": coarse,
            "can_delete": True,
            "explains": "Each class is deleted in turn.",
            **changes,
        }
        ready = InspectionReady(request_id=asked.request_id, image_id=asked.image_id, **told)
        self.session.emit(ready)
        return ready

    def explain(self, **changes: Any) -> PixelExplained:
        asked = self._newest(ExplainPixel)
        told = {
            "label": 2,
            "runner_up": 3,
            "margin": 0.75,
            "probabilities": {2: 0.6, 3: 0.3, 0: 0.08, 1: 0.02},
            "contributions": (
                Contribution(name="building", class_index=1, value=0.5),
                Contribution(name="tree", class_index=3, value=-0.25),
            ),
            "remainder": 0.5,
            "method": Method.LINEAR,
            "sentence": "Mostly what building tells it.",
            "nearest_memory": 3,
            "influence": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4),
            **changes,
        }
        answer = PixelExplained(
            request_id=asked.request_id, image_id=asked.image_id, y=asked.y, x=asked.x, **told
        )
        self.session.emit(answer)
        return answer

    def what_if(self, *, exact: bool = True) -> None:
        asked = self._newest(DeleteRepresentations)
        height, width = self.session.pictures[asked.image_id].shape[:2]
        label_map = np.zeros((height, width), np.uint8)
        label_map[height // 2 :] = 3
        changes = {(0, 0): height // 2 * width, (2, 3): height // 2 * width}
        self.session.emit(
            WhatIfReady(
                request_id=asked.request_id,
                image_id=asked.image_id,
                deleted=asked.deleted,
                label_map=label_map,
                changes=changes,
                exact=exact,
            )
        )

    def overlay(self, kind: OverlayKind, **changes: Any) -> OverlayReady:
        asked = [command for command in self.session.worker.of(MakeOverlay) if command.kind is kind][-1]
        values = np.zeros((30, 40), np.float32)
        values[:15] = 0.9
        told = {"explanation": "Bright is doubtful.", "values": values, **changes}
        answer = OverlayReady(
            request_id=asked.request_id,
            image_id=asked.image_id,
            kind=kind,
            title=kind.value.capitalize(),
            low=0.0,
            high=1.0,
            **told,
        )
        self.session.emit(answer)
        return answer

    def calibrate(self, **changes: Any) -> None:
        asked = self._newest(FitCalibration)
        told = {"step": 10, "ece": 0.02, **changes}
        self.session.emit(
            CalibrationFitted(
                request_id=asked.request_id,
                pixels=1234,
                temperature=1.0,
                ece_before=0.11,
                bins=((0.5, 0.45, 0.2), (0.9, 0.91, 0.8)),
                **told,
            )
        )

    def memory(self, step: int = 10, shift: float = 0.0) -> None:
        asked = self._newest(MapMemory)
        strokes = (
            _dot("image_00.png", 10, 12, 1, (0.1 + shift, 0.0), nearest=1),
            _dot("image_01.png", 30, 40, 2, (1.0, 1.0 + shift), nearest=3),
        )
        self.session.emit(
            MemoryMapped(
                request_id=asked.request_id,
                step=step,
                classes={1: ((0.0, 0.0),), 2: ((1.0, 0.0),), 3: ((0.9, 1.0),)},
                strokes=strokes,
                within={1: 0.1, 2: 0.3},
                between=0.8,
                explained=(0.6, 0.2),
            )
        )

    def errors(self) -> None:
        asked = self._newest(FindLabelErrors)
        errors = (_error("image_00.png", 20, 20, 2, 3, 0.9), _error("image_01.png", 10, 10, 1, 0, 0.5))
        self.session.emit(LabelErrorsFound(request_id=asked.request_id, errors=errors, regions=7))

    def effect(self) -> None:
        asked = self._newest(PreviewEffect)
        better = np.zeros((30, 40), np.bool_)
        better[:3] = True
        worse = np.zeros((30, 40), np.bool_)
        worse[-1] = True
        effects = tuple(
            Effect(image_id=name, better=better, worse=worse, label_map=np.zeros((30, 40), np.uint8))
            for name in (asked.item.image_id, *(name for name, _ in asked.pinned))
        )
        self.session.emit(EffectPreviewed(request_id=asked.request_id, effects=effects))


def _dot(
    image_id: str, y: int, x: int, index: int, position: tuple[float, float], *, nearest: int
) -> StrokeDot:
    return StrokeDot(
        image_id=image_id,
        y=y,
        x=x,
        class_index=index,
        position=position,
        nearest=nearest,
        distance_own=0.5,
        distance_nearest=0.5 if nearest == index else 0.2,
    )


def _error(image_id: str, y: int, x: int, index: int, suggested: int, score: float) -> LabelError:
    return LabelError(
        image_id=image_id,
        box=Box(y - 5, x - 5, y + 5, x + 5),
        y=y,
        x=x,
        class_index=index,
        suggested=suggested,
        pixels=80,
        score=score,
        loss=2.5,
        distance=0.4,
        contradiction=0.7,
    )


def opened(desk: Desk, page: str = "pixel") -> Answers:
    """Open INSPECT at a tab, and let the network show its inside."""
    desk.window.inspecting.open(page)
    desk.settle()
    answers = Answers(desk.session)
    answers.look()
    desk.settle()
    return answers
