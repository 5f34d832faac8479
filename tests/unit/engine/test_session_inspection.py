"""The session keeps the newest answers about the inside of the network, and no others."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.annotate.classes import ClassTable
from engine.messages import (
    Command,
    DeleteRepresentations,
    EndInspection,
    ExplainPixel,
    Inspect,
    InspectionReady,
    MakeOverlay,
    MapMemory,
    MemoryMapped,
    Method,
    NetworkOpened,
    OverlayKind,
    OverlayReady,
    PixelExplained,
    PoolItem,
    PreviewEffect,
    WhatIfReady,
)
from engine.project.manifest import Manifest, Split
from engine.session.inspection import InspectionControl
from models.configs import FcnConfig

SIZE = (4, 6)


@dataclass
class Worker:
    """Keeps what is asked."""

    asked: list[Command] = field(default_factory=list)

    def ask(self, command: Command) -> None:
        self.asked.append(command)

    def pool_items(self, sizes: Mapping[str, tuple[int, int]]) -> tuple[PoolItem, ...]:
        item = PoolItem(image_id="a.png", image_path="/x/a.png", size=SIZE, split=Split.TRAIN, revision=1)
        return (item,)


class FakeFolder:
    def image_path(self, image_id: str) -> Path:
        return Path("/x") / image_id


@dataclass
class Shown:
    """What the control sees of a session."""

    worker: Worker = field(default_factory=Worker)
    project: Any = field(default_factory=FakeFolder)
    current: str | None = "a.png"
    manifest: Manifest = field(default_factory=lambda: Manifest(classes=ClassTable().add("sky").add("road")))

    @property
    def classes(self) -> ClassTable:
        return self.manifest.classes


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def control(shown: Shown) -> InspectionControl:
    return InspectionControl(shown)


def ready(request_id: int, image_id: str = "a.png", step: int = 1) -> InspectionReady:
    return InspectionReady(
        request_id=request_id,
        image_id=image_id,
        size=SIZE,
        step=step,
        classes=(0, 1),
        views=(),
        label_map=np.zeros(SIZE, np.uint8),
        coarse=None,
        can_delete=True,
        explains="",
    )


def explained(request_id: int) -> PixelExplained:
    return PixelExplained(
        request_id=request_id,
        image_id="a.png",
        y=1,
        x=2,
        label=0,
        runner_up=1,
        margin=1.0,
        probabilities={0: 0.7, 1: 0.3},
        contributions=(),
        remainder=0.0,
        method=Method.LINEAR,
        sentence="",
    )


def mapped(request_id: int, step: int = 1) -> MemoryMapped:
    return MemoryMapped(
        request_id=request_id, step=step, classes={}, strokes=(), within={}, between=0.0, explained=(0.0, 0.0)
    )


def looked(shown: Shown, control: InspectionControl) -> None:
    control.look()
    command = shown.worker.asked[-1]
    assert isinstance(command, Inspect)
    control.handle(ready(command.request_id))


def test_a_look_is_asked_and_kept(shown: Shown, control: InspectionControl) -> None:
    looked(shown, control)
    assert shown.worker.asked == [Inspect(request_id=1, image_id="a.png", image_path=str(Path("/x/a.png")))]
    assert control.ready is not None
    control.handle(ready(1, step=2))
    assert control.ready.step == 2


def test_an_older_answer_is_dropped(shown: Shown, control: InspectionControl) -> None:
    looked(shown, control)
    control.explain(1, 1)
    control.explain(1, 2)
    older, newer = (
        command.request_id for command in shown.worker.asked[-2:] if isinstance(command, ExplainPixel)
    )
    control.handle(explained(older))
    assert control.pixel is None
    control.handle(explained(newer))
    assert control.pixel is not None


def test_answers_of_another_kind_do_not_make_each_other_old(shown: Shown, control: InspectionControl) -> None:
    looked(shown, control)
    control.overlay(OverlayKind.ENTROPY)
    control.overlay(OverlayKind.MARGIN)
    for command in shown.worker.asked[-2:]:
        assert isinstance(command, MakeOverlay)
        control.handle(
            OverlayReady(
                request_id=command.request_id,
                image_id="a.png",
                kind=command.kind,
                title="",
                explanation="",
                values=np.zeros(SIZE, np.float32),
                low=0.0,
                high=1.0,
            )
        )
    assert set(control.overlays) == {OverlayKind.ENTROPY, OverlayKind.MARGIN}


def test_pixels_outside_and_images_not_looked_at_are_not_asked_about(
    shown: Shown, control: InspectionControl
) -> None:
    control.explain(1, 1)
    looked(shown, control)
    control.explain(4, 0)
    control.explain(0, -1)
    assert [type(command) for command in shown.worker.asked] == [Inspect]


def test_another_image_on_screen_drops_what_was_said_about_the_last(
    shown: Shown, control: InspectionControl
) -> None:
    control.map_memory()
    control.handle(mapped(1))
    looked(shown, control)
    shown.current = "b.png"
    assert control.ready is None
    assert control.memory is not None
    control.handle(ready(2))
    assert control.ready is None


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ClassTable().add("sky").add("road").add("tree")},
        {"network": FcnConfig()},
    ],
)
def test_other_classes_and_another_network_drop_everything(
    shown: Shown, control: InspectionControl, change: dict[str, Any]
) -> None:
    control.map_memory()
    control.handle(mapped(1))
    looked(shown, control)
    shown.manifest = replace(shown.manifest, **change)
    assert control.ready is None
    assert control.memory is None
    assert control.memory_history == ()


def test_a_network_opened_anew_drops_everything(shown: Shown, control: InspectionControl) -> None:
    looked(shown, control)
    control.handle(NetworkOpened(title="Tiny", parameters=5, device="processor", checkpoint=None))
    assert control.ready is None


def test_a_what_if_ends_with_no_class_deleted(shown: Shown, control: InspectionControl) -> None:
    looked(shown, control)
    control.delete(frozenset({1, 0}))
    command = shown.worker.asked[-1]
    assert isinstance(command, DeleteRepresentations)
    assert command.deleted == (0, 1)
    answer = WhatIfReady(
        request_id=command.request_id,
        image_id="a.png",
        deleted=(0, 1),
        label_map=np.zeros(SIZE, np.uint8),
        changes={},
    )
    control.handle(answer)
    assert control.what_if is answer
    control.delete(frozenset())
    assert control.what_if is None
    control.handle(answer)
    assert control.what_if is None


def test_maps_of_memory_are_remembered_one_per_step(shown: Shown, control: InspectionControl) -> None:
    for request_id, step in ((1, 10), (2, 10), (3, 20)):
        control.map_memory()
        assert isinstance(shown.worker.asked[-1], MapMemory)
        control.handle(mapped(request_id, step))
    assert [one.step for one in control.memory_history] == [10, 20]


def test_an_effect_is_asked_for_the_annotation_on_screen(shown: Shown, control: InspectionControl) -> None:
    control.preview_effect(["a.png", "b.png"])
    command = shown.worker.asked[-1]
    assert isinstance(command, PreviewEffect)
    assert command.item.image_id == "a.png"
    assert command.pinned == (("b.png", str(Path("/x/b.png"))),)
    shown.current = "nothing painted here.png"
    control.preview_effect()
    assert shown.worker.asked[-1] is command


def test_the_end_gives_memory_back(shown: Shown, control: InspectionControl) -> None:
    looked(shown, control)
    control.end()
    assert control.ready is None
    assert shown.worker.asked[-1] == EndInspection()
