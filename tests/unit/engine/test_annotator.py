"""The simulated person: deterministic, stays inside, stops in time, costs what its actions cost."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.annotate.compose import final_label_map
from engine.annotate.raster import rasterise_stroke
from engine.annotate.regions import region_at
from engine.measure.actions import (
    AcceptImage,
    AcceptRegion,
    Action,
    AnnotatorRules,
    Hand,
    Leave,
    Paint,
    Relabel,
    User,
    Visit,
    moved,
    rules_of,
)
from engine.measure.annotator import Sight, error_regions, know, next_action, still_meant
from engine.measure.costs import T_KEY, CostModel, constants
from engine.measure.medial import medial_path, path_length

PERFECT = dataclasses.replace(rules_of(User.PERFECT), strokes_per_image=None, seconds_per_image=1e9)


def blobs(seed: int, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = np.zeros(size, np.uint8)
    ys, xs = np.mgrid[0 : size[0], 0 : size[1]]
    for index in range(1, 4):
        y, x, r = rng.uniform(0, size[0]), rng.uniform(0, size[1]), rng.uniform(12, 30)
        truth[(ys - y) ** 2 + (xs - x) ** 2 < r * r] = index
    return truth


def session(
    truth_map: np.ndarray, prediction: np.ndarray | None, rules: AnnotatorRules, seed: int = 0
) -> tuple[np.ndarray, list[Action]]:
    """Work on one image until the person goes on."""
    truth = know(truth_map)
    annotation = np.full(truth_map.shape, 255, np.uint8)
    rng = np.random.default_rng(seed)
    hand, visit, actions = Hand(position=(0.0, 0.0)), Visit(), []
    while True:
        sight = Sight(annotation=annotation, prediction=prediction)
        action = next_action(truth, sight, hand=hand, visit=visit, rules=rules, rng=rng)
        actions.append(action)
        settled = visit.settled
        if isinstance(action, Paint) and not action.undo:
            box, mask = rasterise_stroke(action.stroke.points, action.stroke.radius, truth_map.shape)
            mask &= (annotation[box.slices] == 255) & action.within[box.slices]
            annotation[box.slices][mask] = action.stroke.class_index
        elif isinstance(action, Relabel | AcceptRegion):
            y, x = (int(part) for part in action.point)
            shown = final_label_map(annotation, prediction)
            box, mask = region_at(shown, y, x)
            mask &= (annotation[box.slices] == 255) & action.within[box.slices]
            values = shown[box.slices] if isinstance(action, AcceptRegion) else np.uint8(action.class_index)
            annotation[box.slices][mask] = np.broadcast_to(values, mask.shape)[mask]
            settled = (*settled, (y, x)) if isinstance(action, AcceptRegion) else settled
        elif isinstance(action, AcceptImage | Leave):
            return annotation, actions
        hand = moved(hand, action)
        visit = Visit(strokes=visit.strokes + 1, seconds=visit.seconds + action.seconds, settled=settled)


@settings(max_examples=4)
@given(st.integers(0, 1000))
def test_perfect_hand_never_writes_a_wrong_pixel_and_covers_every_error(seed: int) -> None:
    truth_map = blobs(seed)
    annotation, _ = session(truth_map, None, PERFECT)
    said = annotation != 255
    assert said.any()
    assert (annotation[said] == truth_map[said]).all()
    assert error_regions(know(truth_map), annotation, annotation, PERFECT) == []


def test_without_limits_everything_away_from_borders_gets_painted() -> None:
    truth_map = blobs(1)[20:70, 30:100]
    rules = dataclasses.replace(PERFECT, smallest_area=0.0, smallest_radius=0.0, border=15.0)
    annotation, actions = session(truth_map, None, rules)
    truth = know(truth_map)
    wanted = truth.depth >= rules.border * truth.scale
    assert np.unique(truth_map[wanted]).size > 1
    assert 0.5 < wanted.mean() < 1.0
    assert (annotation[wanted] == truth_map[wanted]).all()
    assert len(actions) > 12


def test_same_seed_same_actions() -> None:
    truth_map = blobs(3)
    rules = AnnotatorRules()
    first, second = session(truth_map, None, rules, 5)[1], session(truth_map, None, rules, 5)[1]
    assert first == second
    assert session(truth_map, None, rules, 6)[1] != first


def test_perfect_prediction_costs_one_key() -> None:
    truth_map = blobs(1)
    _, actions = session(truth_map, truth_map.copy(), AnnotatorRules())
    assert actions == [AcceptImage(seconds=T_KEY)]


def test_wholly_wrong_region_is_relabelled_with_one_click() -> None:
    truth_map = blobs(2)
    prediction = truth_map.copy()
    prediction[truth_map == 3] = 1 if not (truth_map == 1).any() else 7
    _, actions = session(truth_map, prediction, PERFECT)
    assert isinstance(actions[0], Relabel)
    assert actions[0].class_index == 3


def test_nobody_relabels_what_has_become_another_region_meanwhile() -> None:
    truth_map = np.zeros((120, 160), np.uint8)
    truth_map[:, 80:] = 3
    shown = truth_map.copy()
    shown[20:60, 100:140] = 1
    click = Relabel(point=(40.5, 120.5), class_index=3, seconds=2.0)
    assert still_meant(know(truth_map), shown, click, PERFECT)
    # Renewed, the picture has one region there that is half right, or nothing wrong any more, or nothing.
    assert not still_meant(know(truth_map), np.ones_like(shown), click, PERFECT)
    assert not still_meant(know(truth_map), truth_map, click, PERFECT)
    assert not still_meant(know(truth_map), np.full_like(shown, 255), click, PERFECT)


def test_nobody_accepts_what_has_become_another_region_meanwhile() -> None:
    truth_map = np.zeros((120, 160), np.uint8)
    truth_map[:, 80:] = 3
    key = AcceptRegion(point=(40.5, 120.5), seconds=0.3)
    assert still_meant(know(truth_map), truth_map, key, PERFECT)
    nearly = truth_map.copy()
    nearly[:, 78:] = 3
    assert still_meant(know(truth_map), nearly, key, PERFECT)
    assert not still_meant(know(truth_map), nearly, key, dataclasses.replace(PERFECT, accept_purity=0.99))
    # Renewed, the picture has a region there that is half right, or a wrong one, or nothing.
    assert not still_meant(know(truth_map), np.full_like(truth_map, 3), key, PERFECT)
    assert not still_meant(know(truth_map), np.ones_like(truth_map), key, PERFECT)
    assert not still_meant(know(truth_map), np.full_like(truth_map, 255), key, PERFECT)


def test_strokes_and_seconds_are_limited() -> None:
    truth_map = blobs(4)
    _, actions = session(truth_map, None, dataclasses.replace(PERFECT, strokes_per_image=2))
    assert [type(action) for action in actions] == [Paint, Paint, Leave]
    _, actions = session(truth_map, None, dataclasses.replace(PERFECT, seconds_per_image=0.1))
    assert [type(action) for action in actions] == [Paint, Leave]


def test_void_is_never_labelled() -> None:
    truth_map = blobs(5)
    truth_map[:, :40] = 255
    annotation, _ = session(truth_map, None, PERFECT)
    assert (annotation[:, :40] == 255).all()


def test_right_regions_are_accepted_where_the_image_is_not() -> None:
    truth_map = np.zeros((120, 160), np.uint8)
    truth_map[:, 80:] = 1
    prediction = truth_map.copy()
    prediction[::3, 80:] = 0
    rules = dataclasses.replace(PERFECT, smallest_area=1e9)
    truth = know(truth_map)
    accept = dataclasses.replace(rules, smallest_area=10.0, smallest_radius=1e9, accepts_regions=True)
    action = next_action(
        truth,
        Sight(annotation=np.full(truth_map.shape, 255, np.uint8), prediction=prediction),
        hand=Hand(position=(0, 0)),
        visit=Visit(),
        rules=dataclasses.replace(accept, accept_purity=0.6),
        rng=np.random.default_rng(0),
    )
    assert isinstance(action, AcceptRegion)
    y, x = (int(part) for part in action.point)
    assert prediction[y, x] == truth_map[y, x]


def test_a_careless_hand_marks_with_a_wrong_class() -> None:
    truth_map = blobs(6)
    rules = dataclasses.replace(rules_of(User.CAREFUL), wrong_class=1.0, overlook_area=0.0)
    annotation, actions = session(truth_map, None, rules)
    said = annotation != 255
    assert any(isinstance(action, Paint) for action in actions)
    assert (annotation[said] != truth_map[said]).mean() > 0.5


def test_a_careful_hand_takes_back_what_spilt_and_a_hasty_one_does_not() -> None:
    truth_map = np.full((120, 160), 255, np.uint8)
    truth_map[:, 70:90] = 1
    shaky = {"jitter": 60.0, "overlook_area": 0.0, "wrong_class": 0.0}
    for user, expected in ((User.CAREFUL, True), (User.HASTY, False)):
        rules = dataclasses.replace(rules_of(user), **shaky)
        undone = [
            action.undo
            for seed in range(4)
            for action in session(truth_map, None, rules, seed)[1]
            if isinstance(action, Paint)
        ]
        assert undone
        assert any(undone) is expected


def test_rare_classes_come_first_when_asked() -> None:
    truth_map = np.zeros((120, 160), np.uint8)
    truth_map[40:60, 40:60] = 1
    truth, empty = know(truth_map), np.full(truth_map.shape, 255, np.uint8)
    largest = error_regions(truth, empty, empty, PERFECT)
    assert [error.class_index for error in largest] == [0, 1]
    nearly = empty.copy()
    nearly[:, 80:] = 0
    rare = error_regions(truth, nearly, nearly, dataclasses.replace(PERFECT, rarity=1.0))
    assert rare[0].class_index == 1


@settings(max_examples=30)
@given(st.integers(0, 500))
def test_medial_path_stays_inside_and_is_cut(seed: int) -> None:
    truth = know(blobs(seed))
    inside = (truth.label_map == 0) & (truth.depth > 3)
    if not inside.any():
        return
    path = medial_path(inside, truth.depth, longest=40.0)
    assert all(inside[int(y), int(x)] for y, x in path)
    assert path_length(path) <= 40.0


def test_costs_follow_the_table() -> None:
    costs = CostModel.for_size((360, 480))
    assert costs.zoom == pytest.approx(1000 / 360)
    short = costs.stroke(travel=0.0, length=1.0, class_changed=False, brush_ratio=1.0)
    assert short == pytest.approx(1.5 + 0.75)
    long = costs.stroke(travel=288.0, length=288.0, class_changed=True, brush_ratio=0.4)
    assert long == pytest.approx(1.5 + 1.0 + 2.0 + 0.28 + 0.5)
    assert costs.relabel(travel=0.0) == pytest.approx(1.98)
    assert costs.look() == 2.0
    assert costs.undo() == 0.6
    assert CostModel.for_size((360, 480), gap=0.75).relabel(travel=0.0) == pytest.approx(1.23)
    assert constants()["t_gap"] == 1.5


def test_what_was_overlooked_may_be_seen_at_the_next_look() -> None:
    truth_map = np.zeros((120, 160), np.uint8)
    prediction = truth_map.copy()
    truth_map[40:46, 40:46] = 1
    rules = dataclasses.replace(rules_of(User.CAREFUL), wrong_class=0.0)
    truth, rng = know(truth_map), np.random.default_rng(0)
    sight = Sight(annotation=np.full(truth_map.shape, 255, np.uint8), prediction=prediction)
    looks = [
        next_action(truth, sight, hand=Hand(position=(0, 0)), visit=Visit(), rules=rules, rng=rng)
        for _ in range(40)
    ]
    assert {type(action) for action in looks} == {Paint, AcceptImage}
