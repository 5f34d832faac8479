"""The worker answers questions about the inside of every network, and nothing it owns changes by it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.inspect.explain import said_by_deletion
from engine.inspect.what_if import what_if
from engine.messages import (
    CalibrationFitted,
    Command,
    CommandFailed,
    DeleteRepresentations,
    EffectPreviewed,
    EndInspection,
    ExplainPixel,
    FindLabelErrors,
    FitCalibration,
    Inspect,
    InspectionReady,
    LabelErrorsFound,
    MakeOverlay,
    MapMemory,
    MemoryMapped,
    Method,
    OverlayKind,
    OverlayReady,
    PixelExplained,
    PreviewEffect,
    WhatIfReady,
)
from models.catalog import MODELS, ModelSpec
from tests.support.learning import CLASSES, SIZE, make_project
from tests.support.worker_desk import QUIET, Desk

pytestmark = pytest.mark.usefixtures("one_thread")

IDRNET, MCIBI, MCIBIPP, SPGNET = (
    next(spec for spec in MODELS if spec.name == name) for name in ("idrnet", "mcibi", "mcibi++", "spgnet")
)


def desk_of(tmp_path: Path, spec: ModelSpec, steps: int = 2) -> Desk:
    """A desk whose network has learnt a little."""
    desk = Desk(make_project(tmp_path))
    desk.open(network=spec.tiny())
    desk.start(replace(QUIET, max_steps=steps))
    for _ in range(200):
        if not desk.loop._work.is_busy:
            break
        desk.work()
    desk.heard.clear()
    return desk


def ask(desk: Desk, command: Command) -> None:
    """Ask a question and let it be answered to its end."""
    desk.give(command)
    for _ in range(100):
        if not desk.loop._work.is_busy:
            return
        desk.work()
    raise AssertionError("the desk never ends")


def look(desk: Desk, request_id: int = 1) -> InspectionReady:
    item = desk.project.items[0]
    ask(desk, Inspect(request_id=request_id, image_id=item.image_id, image_path=item.image_path))
    assert desk.heard.of(CommandFailed) == []
    return desk.heard.of(InspectionReady)[-1]


def explain(desk: Desk, y: int, x: int) -> PixelExplained:
    ask(desk, ExplainPixel(request_id=2, image_id=desk.project.items[0].image_id, y=y, x=x))
    return desk.heard.of(PixelExplained)[-1]


def overlay(desk: Desk, kind: OverlayKind) -> OverlayReady:
    item = desk.project.items[0]
    ask(desk, MakeOverlay(request_id=3, image_id=item.image_id, image_path=item.image_path, kind=kind))
    assert desk.heard.of(CommandFailed) == []
    return desk.heard.of(OverlayReady)[-1]


def weights(desk: Desk) -> dict[str, torch.Tensor]:
    network: Any = desk.loop._work._network
    return {name: values.clone() for name, values in network.model.state_dict().items()}


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_every_network_of_the_catalog_answers(tmp_path: Path, spec: ModelSpec) -> None:
    desk = desk_of(tmp_path, spec)
    before = weights(desk)
    ready = look(desk)
    assert ready.size == SIZE
    assert ready.label_map.shape == SIZE
    assert set(np.unique(ready.label_map)) <= set(CLASSES.indices)
    assert ready.views
    assert ready.explains
    assert all(not view.values.flags.writeable for view in ready.views)
    pixel = explain(desk, 20, 30)
    assert pixel.label == ready.label_map[20, 30]
    assert sum(pixel.probabilities.values()) == pytest.approx(1)
    assert pixel.contributions
    if pixel.method is Method.LINEAR:
        total = sum(part.value for part in pixel.contributions) + pixel.remainder
        assert total == pytest.approx(pixel.margin, abs=1e-4)
    after = weights(desk)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("spec", [IDRNET, MCIBI, MCIBIPP, SPGNET], ids=lambda spec: spec.name)
def test_what_if_changes_the_answer_and_nothing_else(tmp_path: Path, spec: ModelSpec) -> None:
    desk = desk_of(tmp_path, spec, steps=4)
    before = weights(desk)
    ready = look(desk)
    assert ready.can_delete
    image_id = desk.project.items[0].image_id
    ask(desk, DeleteRepresentations(request_id=4, image_id=image_id, deleted=tuple(CLASSES.indices)))
    every = desk.heard.of(WhatIfReady)[-1]
    changed = ready.label_map != every.label_map
    assert sum(every.changes.values()) == np.count_nonzero(changed)
    for (old, new), count in every.changes.items():
        assert np.count_nonzero((ready.label_map == old) & (every.label_map == new)) == count
    ask(desk, DeleteRepresentations(request_id=5, image_id=image_id, deleted=()))
    none = desk.heard.of(WhatIfReady)[-1]
    assert np.array_equal(none.label_map, ready.label_map)
    assert none.changes == {}
    assert all(torch.equal(values, before[name]) for name, values in weights(desk).items())
    assert np.array_equal(look(desk).label_map, ready.label_map)


def test_relations_of_this_image_follow_the_look(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, IDRNET)
    look(desk)
    first, second = desk.heard.of(InspectionReady)
    assert first.request_id == second.request_id
    more = {view.name for view in second.views} - {view.name for view in first.views}
    assert more == {
        "relation_mean_image",
        "relation_variance_image",
        "relation_mean_difference",
        "relation_variance_difference",
    }


def test_contributions_by_deletion_are_changes_of_the_margin(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, IDRNET)
    look(desk)
    pixel = explain(desk, 10, 10)
    assert pixel.method is Method.DELETION
    assert pixel.remainder == 0
    assert pixel.influence is not None
    assert 0 <= pixel.influence.min() <= pixel.influence.max() == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "anything here"),
        ({0: 0.05, 2: -0.02}, "“car” leads by 5% more or less"),
        ({0: 0.5, 2: -0.2}, "“sky” tells the others, the lead of “car” would shrink most, by 50%"),
        ({0: 0.5, 2: -0.75}, "“road” tells the others, the lead of “car” would grow most, by 75%"),
        ({0: 0.5, 2: 1.5}, "“road” would overtake “car”"),
    ],
)
def test_a_card_says_what_a_deletion_is_worth_beside_the_margin(values: dict[int, float], said: str) -> None:
    assert said in said_by_deletion(("sky", "car", "road"), values, 1.0, (1, 2), gated=False)
    if values:
        assert "left neutral" in said_by_deletion(("sky", "car", "road"), values, 1.0, (1, 2), gated=True)


def test_gates_are_explained_by_deletion_once_that_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.worker.inspecting._PATIENCE_S", float("inf"))
    desk = desk_of(tmp_path, SPGNET)
    look(desk)
    first, last = desk.heard.of(InspectionReady)
    assert first.request_id == last.request_id
    assert first.explains.startswith("By gates")
    assert last.explains.startswith("By deletion")
    pixel = explain(desk, 10, 10)
    assert pixel.method is Method.DELETION
    assert "left neutral" in pixel.sentence


def test_nobody_waits_for_slow_deletions_that_nobody_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.worker.inspecting._PATIENCE_S", -1.0)
    desk = desk_of(tmp_path, SPGNET)
    assert look(desk).can_delete
    assert len(desk.heard.of(InspectionReady)) == 1
    assert explain(desk, 10, 10).method is Method.WEIGHTS


@pytest.mark.parametrize(("patience", "answers"), [(float("inf"), [True]), (-1.0, [False, True])])
def test_a_slow_what_if_is_answered_roughly_first_and_exactly_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float, answers: list[bool]
) -> None:
    monkeypatch.setattr("engine.worker.inspecting._PATIENCE_S", patience)
    desk = desk_of(tmp_path, SPGNET)
    look(desk)
    image_id, (one, other, *_) = desk.project.items[0].image_id, CLASSES.indices
    ask(desk, DeleteRepresentations(request_id=7, image_id=image_id, deleted=(one,)))
    assert [answer.exact for answer in desk.heard.of(WhatIfReady)] == answers  # at hand where made ahead
    desk.heard.clear()
    ask(desk, DeleteRepresentations(request_id=8, image_id=image_id, deleted=(one, other)))
    rough, exact = desk.heard.of(WhatIfReady)
    assert (rough.request_id, rough.exact, exact.request_id, exact.exact) == (8, False, 8, True)
    seen = desk.loop._work._inspection._look
    assert np.array_equal(exact.label_map, what_if(seen, 9, (one, other)).label_map)


def test_who_clicks_waits_for_nothing_that_nobody_asked_for(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, SPGNET)
    item = desk.project.items[0]
    desk.give(Inspect(request_id=1, image_id=item.image_id, image_path=item.image_path))
    desk.work()
    deleted = tuple(CLASSES.indices[:2])
    desk.give(DeleteRepresentations(request_id=2, image_id=item.image_id, deleted=deleted))
    for _ in range(40):
        if any(answer.exact for answer in desk.heard.of(WhatIfReady)):
            break
        desk.work()
    assert [answer.exact for answer in desk.heard.of(WhatIfReady)] == [False, True]
    assert len(desk.heard.of(InspectionReady)) == 1  # deletions made ahead go on afterwards
    assert desk.loop._work.is_busy


@pytest.mark.parametrize("kind", [OverlayKind.ENTROPY, OverlayKind.MARGIN, OverlayKind.AUGMENTATION])
def test_doubt_is_a_map_between_its_bounds(tmp_path: Path, kind: OverlayKind) -> None:
    desk = desk_of(tmp_path, MODELS[0])
    made = overlay(desk, kind)
    assert made.kind is kind
    assert made.values.ndim == 2
    assert made.low <= made.values.min() <= made.values.max() <= made.high


def test_structure_is_compared_with_what_people_labelled(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, MODELS[0])
    made = overlay(desk, OverlayKind.STRUCTURE)
    assert made.values.shape == SIZE
    assert made.unit
    assert "The labels " not in made.explanation  # a few strokes do not tell whether they are shifted


def test_structure_says_whether_a_whole_mask_is_shifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(tmp_path, MODELS[0])
    classes = np.array(CLASSES.indices[:2], np.uint8)
    whole = np.broadcast_to(classes[(np.arange(SIZE[1]) > 34).astype(int)], SIZE)
    monkeypatch.setattr("engine.worker.surveying.annotation_of", lambda *_: whole)
    assert "The labels " in overlay(desk, OverlayKind.STRUCTURE).explanation


def test_flicker_needs_two_predictions(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, MODELS[0])
    item = desk.project.items[0]
    ask(
        desk,
        MakeOverlay(
            request_id=1, image_id=item.image_id, image_path=item.image_path, kind=OverlayKind.FLICKER
        ),
    )
    assert "once" in desk.failed.problem.message


def test_candidate_flips_need_a_candidate(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, MODELS[0])
    item = desk.project.items[0]
    kind = OverlayKind.CANDIDATE_FLIPS
    ask(desk, MakeOverlay(request_id=1, image_id=item.image_id, image_path=item.image_path, kind=kind))
    assert "trained" in desk.failed.problem.message


@pytest.mark.parametrize("spec", [MODELS[0], IDRNET, MCIBI, MCIBIPP], ids=lambda spec: spec.name)
def test_the_memory_map_shows_every_class_and_every_stroke(tmp_path: Path, spec: ModelSpec) -> None:
    desk = desk_of(tmp_path, spec)
    for request_id in (1, 2):
        ask(desk, MapMemory(request_id=request_id, items=desk.project.items))
    first, second = desk.heard.of(MemoryMapped)
    assert set(first.classes) == set(CLASSES.indices)
    assert {dot.image_id for dot in first.strokes} == {item.image_id for item in desk.project.items}
    assert all(dot.distance_nearest <= dot.distance_own for dot in first.strokes)
    assert first.strokes == second.strokes
    assert first.classes == second.classes


def test_calibration_is_fitted_on_labelled_pixels(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, MODELS[0])
    ask(desk, FitCalibration(request_id=1, items=desk.project.items))
    fitted = desk.heard.of(CalibrationFitted)[-1]
    assert fitted.pixels >= 200
    assert 0 <= fitted.ece <= 1
    assert sum(share for _, _, share in fitted.bins) == pytest.approx(1)


@pytest.mark.parametrize("spec", [MODELS[0], MCIBI], ids=lambda spec: spec.name)
def test_an_effect_moves_pixels_towards_the_labels(tmp_path: Path, spec: ModelSpec) -> None:
    desk = desk_of(tmp_path, spec)
    before = weights(desk)
    first, second = desk.project.items[:2]
    ask(desk, PreviewEffect(request_id=1, item=first, pinned=((second.image_id, second.image_path),)))
    shown = desk.heard.of(EffectPreviewed)[-1].effects
    assert [one.image_id for one in shown] == [first.image_id, second.image_id]
    assert np.count_nonzero(shown[0].better) >= np.count_nonzero(shown[0].worse)
    assert not (shown[0].better & shown[0].worse).any()
    assert all(torch.equal(values, before[name]) for name, values in weights(desk).items())


def test_a_network_that_learnt_nothing_says_so(tmp_path: Path) -> None:
    desk = Desk(make_project(tmp_path))
    desk.open()
    item = desk.project.items[0]
    ask(desk, Inspect(request_id=1, image_id=item.image_id, image_path=item.image_path))
    assert "learnt nothing" in desk.failed.problem.message


def test_a_pixel_is_explained_only_where_the_network_looked(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, MODELS[0])
    look(desk)
    ask(desk, EndInspection())
    ask(desk, ExplainPixel(request_id=2, image_id=desk.project.items[0].image_id, y=1, x=1))
    assert desk.failed.command == "ExplainPixel"


def test_labelled_regions_are_ranked_by_suspicion(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, MODELS[0])
    ask(desk, FindLabelErrors(request_id=1, items=desk.project.items))
    found = desk.heard.of(LabelErrorsFound)[-1]
    scores = [error.score for error in found.errors]
    assert found.regions >= len(scores) > 0
    assert scores == sorted(scores, reverse=True)
    for error in found.errors:
        assert error.class_index != error.suggested
        assert error.box.top <= error.y < error.box.bottom
        assert error.box.left <= error.x < error.box.right


def test_a_question_that_fails_is_named(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, MODELS[0])
    ask(desk, FitCalibration(request_id=1, items=()))
    assert desk.failed.command == "FitCalibration"
    item = desk.project.items[0]
    command = MakeOverlay(
        request_id=2, image_id=item.image_id, image_path=item.image_path, kind=OverlayKind.FLICKER
    )
    ask(desk, command)
    assert desk.failed.command == "MakeOverlay"
