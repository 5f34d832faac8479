import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.canvas.viewport import MAX_SCALE, Viewport
from engine.annotate.geometry import Box

sides = st.integers(1, 20_000)
viewports = st.builds(
    Viewport,
    height=st.integers(1, 3000),
    width=st.integers(1, 4000),
    image_height=sides,
    image_width=sides,
    scale=st.floats(0.01, MAX_SCALE),
    top=st.integers(-50_000, 5_000),
    left=st.integers(-50_000, 5_000),
)


@given(viewports, st.floats(0, 20_000), st.floats(0, 20_000))
def test_points_go_there_and_back(viewport: Viewport, y: float, x: float) -> None:
    back = viewport.to_image(*viewport.to_device(y, x))
    assert back == pytest.approx((y, x), abs=1e-6)


@given(viewports)
def test_fitted_image_is_wholly_visible_unless_it_is_a_line(viewport: Viewport) -> None:
    fitted = viewport.fitted()
    assert fitted.scale * min(fitted.image_height, fitted.image_width) >= 0.999  # never thinner than a pixel
    if fitted.scale == min(fitted.height / fitted.image_height, fitted.width / fitted.image_width):
        assert fitted.visible_box() == Box(0, 0, fitted.image_height, fitted.image_width)


@given(viewports, st.floats(0.2, 5.0), st.floats(0, 1), st.floats(0, 1))
def test_zoom_keeps_the_point_under_the_cursor(
    viewport: Viewport, factor: float, down: float, along: float
) -> None:
    viewport = viewport.fitted()
    row, column = down * viewport.height, along * viewport.width
    y, x = viewport.to_image(row, column)
    zoomed = viewport.zoomed(factor, row, column)
    assert zoomed.scale <= MAX_SCALE
    if zoomed.kept_visible() == zoomed and 0 <= y <= zoomed.image_height and 0 <= x <= zoomed.image_width:
        there = zoomed.to_device(y, x)
        kept = zoomed.top == round(row - y * zoomed.scale), zoomed.left == round(column - x * zoomed.scale)
        if all(kept):  # not pushed back to keep the image in sight
            assert there == pytest.approx((row, column), abs=0.51)


def test_zoom_steps_find_one_hundred_percent() -> None:
    viewport = Viewport(600, 800, 3000, 4000).fitted()
    scales = []
    for _ in range(30):
        viewport = viewport.zoomed(1.25, 300, 400)
        scales.append(viewport.scale)
    assert scales[-1] == MAX_SCALE
    near = Viewport(600, 800, 3000, 4000, scale=0.8).zoomed(1.2525, 300, 400)
    assert near.scale == 1.0


@given(viewports, st.integers(-100_000, 100_000), st.integers(-100_000, 100_000))
def test_panning_never_loses_the_image(viewport: Viewport, rows: int, columns: int) -> None:
    panned = viewport.fitted().panned(rows, columns)
    assert panned.scale == viewport.fitted().scale
    assert not panned.visible_box().is_empty


@given(viewports)
def test_rows_and_columns_lie_under_device_pixel_centres(viewport: Viewport) -> None:
    area = viewport.image_area
    if area.is_empty:
        return
    rows = viewport.image_rows(area.top, area.bottom)
    assert rows.size == area.height
    assert (np.diff(rows) >= 0).all()
    for index in (0, area.height // 2, area.height - 1):
        y, _ = viewport.to_image(area.top + index + 0.5, 0)
        assert rows[index] == min(max(math.floor(y), 0), viewport.image_height - 1)
        assert -1e-6 <= y <= viewport.image_height + 1e-6
    columns = viewport.image_columns(area.left, area.right)
    assert 0 <= columns[0] <= columns[-1] < viewport.image_width


@given(viewports, st.integers(0, 500), st.integers(0, 500), st.integers(1, 300), st.integers(1, 300))
def test_device_box_holds_every_pixel_that_shows_the_box(
    viewport: Viewport, top: int, left: int, height: int, width: int
) -> None:
    box = Box(top, left, top + height, left + width).clip((viewport.image_height, viewport.image_width))
    area = viewport.image_area
    if box.is_empty or area.is_empty:
        return
    rows = viewport.image_rows(area.top, area.bottom)
    columns = viewport.image_columns(area.left, area.right)
    device = viewport.device_box(box)
    for indices, low, high, first, start, stop in (
        (rows, box.top, box.bottom, area.top, device.top, device.bottom),
        (columns, box.left, box.right, area.left, device.left, device.right),
    ):
        showing = np.flatnonzero((indices >= low) & (indices < high)) + first
        assert all(start <= place < stop for place in showing)


def test_resizing_keeps_the_middle() -> None:
    viewport = Viewport(600, 800, 3000, 4000).centred_on(1000, 1500, 0.7)
    resized = viewport.resized(900, 500)
    assert resized.to_image(450, 250) == pytest.approx((1000, 1500), abs=1.0)
    assert resized.scale == 0.7


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
def test_lines_and_points_are_visible(size: tuple[int, int]) -> None:
    viewport = Viewport(600, 800, *size).fitted()
    assert viewport.scale >= 1.0
    assert not viewport.image_area.is_empty


@given(st.integers(-700, 700), st.integers(-900, 900))
def test_strips_cover_exactly_what_scrolling_uncovers(rows: int, columns: int) -> None:
    viewport = Viewport(600, 800, 10_000, 10_000)
    fresh = np.ones((600, 800), dtype=bool)
    fresh[max(0, rows) : max(0, 600 + rows), max(0, columns) : max(0, 800 + columns)] = False
    drawn = np.zeros_like(fresh)
    for strip in viewport.strips_after(rows, columns):
        drawn[strip.slices] = True
    assert (drawn == fresh).all()
