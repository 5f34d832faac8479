"""Ramps, overlays and the arithmetic of INSPECT's views, without a window."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from app.canvas.overlay import ChangeOverlay, HeatOverlay, LabelOverlay, blended, class_colors
from app.canvas.viewport import Viewport
from app.panels.inspect.memory import turned
from app.panels.inspect.page import Export, as_image, percent, value_at
from app.panels.inspect.structure import worst_places
from app.theme.ramps import DIVERGING, SEQUENTIAL, codes, ramp_for
from app.widgets.color_bar import short
from app.window.inspecting import write_export
from engine.annotate.geometry import Box
from engine.annotate.regions import largest_regions
from engine.messages import MemoryMapped
from tests.support.fake_session import CLASSES

SCREEN = Viewport(60, 80, 30, 40, scale=2.0)
WHOLE = Box(0, 0, 60, 80)


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Brightness as the eye weighs it, also of people who do not see colours."""
    return rgb.astype(float) @ np.array([0.2126, 0.7152, 0.0722])


def test_the_plain_ramp_gets_brighter_and_the_centred_one_is_brightest_in_the_middle() -> None:
    assert (np.diff(luminance(SEQUENTIAL.rgb())) > -0.6).all()
    middle = int(np.argmax(luminance(DIVERGING.rgb())))
    assert 110 < middle < 146


def test_values_on_both_sides_of_zero_take_the_centred_ramp() -> None:
    signed = np.array([-0.5, 0.2, np.nan], np.float32)
    assert ramp_for(signed) is DIVERGING
    assert DIVERGING.bounds(signed) == (-0.5, 0.5)
    assert ramp_for(np.array([0.0, 3.0])) is SEQUENTIAL
    assert SEQUENTIAL.bounds(np.array([2.0, 2.0])) == (2.0, 3.0)
    assert codes(np.array([np.nan, -9.0, 9.0]), 0.0, 1.0).tolist() == [0, 0, 255]


@given(st.integers(1, 9), st.integers(1, 9), st.floats(0.3, 8.0), st.integers(-20, 20), st.integers(-20, 20))
def test_blending_stays_between_the_values_and_fills_the_area(
    height: int, width: int, scale: float, top: int, left: int
) -> None:
    viewport = Viewport(40, 50, 30, 40, scale=scale, top=top, left=left)
    area = viewport.image_area
    if area.is_empty:
        return
    values = np.arange(height * width, dtype=np.float32).reshape(height, width)
    found = blended(values, viewport, area)
    assert found.shape == area.size
    assert found.min() >= values.min()
    assert found.max() <= values.max()


def test_a_map_of_the_image_s_size_is_not_blurred() -> None:
    values = np.zeros((30, 40), np.float32)
    values[10, 20] = 1.0
    found = blended(values, SCREEN, WHOLE)
    assert found.sum() == 4.0
    assert found[20:22, 40:42].all()


def test_what_is_surer_than_the_threshold_is_left_to_the_prediction() -> None:
    values = np.array([[0.0, 1.0]], np.float32)
    plain = HeatOverlay(values, SEQUENTIAL, 0.0, 1.0)
    cut = HeatOverlay(values, SEQUENTIAL, 0.0, 1.0, above=0.5)
    assert plain.replaces_prediction
    assert not cut.replaces_prediction
    colors = cut.colors(SCREEN, WHOLE)
    assert not colors[:, :30].any()
    assert colors[:, 50:].all()


def test_only_what_changes_is_coloured() -> None:
    before = np.zeros((30, 40), np.uint8)
    after = before.copy()
    after[:, 20:] = 2
    table = class_colors(CLASSES)
    colors = ChangeOverlay(before, after, table).colors(SCREEN, WHOLE)
    assert set(np.unique(colors[:, 40:])) == {int(table[2])}
    assert (colors[:, :40] >> 24 < 255).all()
    labels = LabelOverlay(np.full((3, 4), 255, np.uint8), table).colors(SCREEN, WHOLE)
    assert not labels.any()


def test_the_worst_places_lie_in_different_blocks() -> None:
    values = np.zeros((100, 140), np.float32)
    values[50:53, 60:63] = 5.0
    values[90, 130] = 3.0
    places = worst_places(values, 3)
    assert places[0][2] == 5.0
    assert (90, 130, 3.0) in places


def test_the_largest_regions_are_told_by_a_pixel_of_their_own() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[2:5, 2:5] = True
    mask[10:18, 10:28] = True
    mask[12:16, 14:24] = False  # a ring, whose centre of gravity is no pixel of it
    found = largest_regions(mask, 5)
    assert [pixels for _, _, pixels in found] == [104, 9]
    assert all(mask[y, x] for y, x, _ in found)
    assert largest_regions(np.zeros((4, 4), np.bool_), 5) == []


def mapped(places: dict[int, tuple[float, float]]) -> MemoryMapped:
    return MemoryMapped(
        request_id=1,
        step=1,
        classes={index: (place,) for index, place in places.items()},
        strokes=(),
        within={},
        between=1.0,
        explained=(0.5, 0.5),
    )


def test_an_older_map_that_is_only_mirrored_and_turned_lies_on_the_newer_one() -> None:
    places = {0: (0.0, 0.0), 1: (2.0, 0.0), 2: (2.0, 1.0)}
    flipped = {index: (-y + 3.0, -x - 1.0) for index, (x, y) in places.items()}
    turn = turned(mapped(flipped), mapped(places))
    for index, place in flipped.items():
        assert turn[place] == pytest.approx(places[index])


def test_an_export_is_picture_table_and_facts(qtbot: QtBot, tmp_path: Path) -> None:
    picture = as_image(np.full((4, 6), 0xFFFF0000, np.uint32))
    export = Export("x", {"": picture}, [["a", "b"], [1, "two, three"]], {"n": 1})
    names = [path.name for path in write_export(export, tmp_path / "out")]
    assert names == ["out.png", "out.csv", "out.json"]
    assert (tmp_path / "out.csv").read_text().splitlines() == ["a,b", '1,"two, three"']
    assert json.loads((tmp_path / "out.json").read_text()) == {"n": 1}
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_numbers_are_short() -> None:
    assert [short(value) for value in (0.0, 0.12345, 12345.0, float("nan"))] == ["0", "0.123", "1.23e4", "–"]
    assert [percent(value) for value in (0.0, 0.0034, 0.5)] == ["0 %", "0.3 %", "50 %"]
    values = np.arange(4.0).reshape(2, 2)
    assert value_at(values, (10, 10), (7.5, 2.5)) == 2.0
    assert value_at(values, (10, 10), (11.0, 2.5)) is None
    assert value_at(values, (10, 10), None) is None
