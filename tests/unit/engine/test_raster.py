"""Masks of strokes and polygons against the slow and obvious definition: a pixel is in when its centre is."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.annotate.geometry import Box
from engine.annotate.raster import PENCIL_RADIUS, rasterise_polygon, rasterise_stroke

SIZE = (24, 31)
_Y, _X = np.indices(SIZE) + 0.5

# Quarters of a pixel: centres on the very edge occur, rounding does not.
_coordinate = st.integers(-40, 160).map(lambda quarter: quarter / 4)
_points = st.lists(st.tuples(_coordinate, _coordinate), min_size=1, max_size=6)
_radius = st.integers(3, 60).map(lambda quarter: quarter / 4)


def whole(result, size=SIZE):
    """Put a mask back into an image; checks that box and mask belong together."""
    box, mask = result
    assert mask.shape == box.size
    assert mask.dtype == np.bool_
    assert box.is_empty or Box.of_size(size).contains(box)
    image = np.zeros(size, bool)
    image[box.slices] = mask
    return image


def distance_to_segment(start, end):
    dy, dx = end[0] - start[0], end[1] - start[1]
    square = dy * dy + dx * dx
    share = 0 if square == 0 else np.clip(((_Y - start[0]) * dy + (_X - start[1]) * dx) / square, 0, 1)
    return np.hypot(_Y - start[0] - share * dy, _X - start[1] - share * dx)


@given(_points, _radius)
def test_a_stroke_is_all_pixels_within_its_radius(points, radius):
    distances = [distance_to_segment(a, b) for a, b in zip(points, points[1:] or points, strict=False)]
    nearest = np.min(distances, axis=0)
    mask = whole(rasterise_stroke(points, radius, SIZE))
    assert mask[nearest <= radius - 1e-7].all()
    assert not mask[nearest > radius + 1e-7].any()


@given(_points, _radius)
def test_the_way_back_paints_the_same(points, radius):
    there = whole(rasterise_stroke(points, radius, SIZE))
    assert np.array_equal(there, whole(rasterise_stroke(points[::-1], radius, SIZE)))


@given(_points, _radius, st.integers(0, 5))
def test_a_stroke_in_parts_is_the_whole_stroke(points, radius, cut):
    cut = min(cut, len(points) - 1)
    parts = whole(rasterise_stroke(points[: cut + 1], radius, SIZE)) | whole(
        rasterise_stroke(points[cut:], radius, SIZE)
    )
    assert np.array_equal(whole(rasterise_stroke(points, radius, SIZE)), parts)


@given(_points, st.integers(1, 60).map(lambda quarter: quarter / 4), st.integers(0, 7), st.integers(0, 9))
def test_a_stroke_does_not_depend_on_where_the_image_ends(points, radius, rows, columns):
    assume(radius >= PENCIL_RADIUS)
    moved = [(y + rows, x + columns) for y, x in points]
    large = (SIZE[0] + rows, SIZE[1] + columns)
    part = whole(rasterise_stroke(moved, radius, large), large)[rows:, columns:]
    assert np.array_equal(part, whole(rasterise_stroke(points, radius, SIZE)))


@pytest.mark.parametrize("centre", [(12.5, 12.5), (12.0, 12.0)])
@pytest.mark.parametrize("radius", [0.8, 1, 1.5, 2, 2.5, 3, 4.3, 7, 10.25])
def test_discs_are_round(centre, radius):
    size = (25, 25) if centre[0] % 1 else (24, 24)
    disc = whole(rasterise_stroke([centre], radius, size), size)
    for same in (disc[::-1], disc[:, ::-1], disc.T):
        assert np.array_equal(disc, same)
    assert abs(disc.sum() - math.pi * radius**2) <= 2 * math.pi * radius * 0.5 + 1


@given(st.floats(0, 23.99), st.floats(0, 30.99), st.floats(0.01, 0.5))
def test_a_click_with_the_smallest_brush_is_the_pixel_under_it(y, x, radius):
    box, mask = rasterise_stroke([(y, x)], radius, SIZE)
    assert box == Box(int(y), int(x), int(y) + 1, int(x) + 1)
    assert mask.tolist() == [[True]]


@given(st.floats(0, 23.99), st.floats(0, 30.99), st.floats(0.5, 3))
def test_a_click_always_paints_something(y, x, radius):
    assert whole(rasterise_stroke([(y, x)], radius, SIZE)).any()


def test_the_smallest_brush_draws_a_connected_line():
    mask = whole(rasterise_stroke([(2.2, 3.7), (20.9, 9.1), (20.9, 28.0)], 0.5, SIZE))
    assert mask[2, 3]
    assert mask[20, 9]
    assert mask[20, 28]
    assert mask.sum() == 19 + 19
    assert (mask[2:20].sum(axis=1) == 1).all()


@pytest.mark.parametrize("radius", [0.5, 3.0, 1e300])
def test_strokes_beside_the_image(radius):
    box, mask = rasterise_stroke([(-1e12, -1e12), (-1e11, -2e12)], radius if radius < 10 else 3.0, SIZE)
    assert box.is_empty
    assert mask.shape == (0, 0)
    assert whole(rasterise_stroke([(-5.0, -5.0), (400.0, 400.0)], radius, SIZE)).any()


def test_a_brush_larger_than_the_image_paints_all_of_it():
    assert whole(rasterise_stroke([(5.0, 5.0)], 1e300, SIZE)).all()


@pytest.mark.parametrize(
    "shape", [rasterise_polygon, lambda points, size: rasterise_stroke(points, 2.0, size)]
)
@pytest.mark.parametrize("points", [[], [(math.nan, 1.0)], [(1.0, 2.0), (math.inf, 1.0)]])
def test_points_that_are_none(shape, points):
    with pytest.raises(ValueError, match="point"):
        shape(points, SIZE)


@pytest.mark.parametrize("radius", [0.0, -1.0, math.nan, math.inf])
def test_radii_that_are_none(radius):
    with pytest.raises(ValueError, match="radius"):
        rasterise_stroke([(1.0, 1.0)], radius, SIZE)


# --- polygons ------------------------------------------------------------------------------------


def inside_by_ray(points, y, x):
    """Even-odd rule for one point, the textbook way."""
    inside = False
    for (y0, x0), (y1, x1) in zip(points, points[1:] + points[:1], strict=True):
        if (y0 <= y) != (y1 <= y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            inside = not inside
    return inside


@given(st.lists(st.tuples(st.floats(-6, 30), st.floats(-6, 38)), min_size=1, max_size=7))
def test_a_polygon_is_all_pixels_whose_centre_is_inside(points):
    near_edge = np.min(
        [distance_to_segment(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)], axis=0
    )
    mask = whole(rasterise_polygon(points, SIZE))
    for y, x in np.argwhere(near_edge > 1e-6):
        assert mask[y, x] == inside_by_ray(points, y + 0.5, x + 0.5)


@given(_points, _coordinate, _coordinate)
def test_polygons_that_share_edges_share_no_pixel_and_leave_none_out(points, y, x):
    corners = [(0.0, 0.0), (0.0, 31.0), (24.0, 31.0), (24.0, 0.0)]
    middle = (min(max(y, 0.0), 24.0), min(max(x, 0.0), 31.0))
    triangles = [[a, b, middle] for a, b in zip(corners, corners[1:] + corners[:1], strict=True)]
    counts = sum(whole(rasterise_polygon(triangle, SIZE)).astype(int) for triangle in triangles)
    assert (counts == 1).all()


def test_a_square_on_pixel_edges_is_exactly_its_pixels():
    box, mask = rasterise_polygon([(3.0, 4.0), (3.0, 9.0), (8.0, 9.0), (8.0, 4.0)], SIZE)
    assert whole((box, mask)).sum() == 25
    assert whole((box, mask))[3:8, 4:9].all()


def test_many_crossings_do_not_overflow():
    """A row crossed 1,000 times: parity counts, not the number."""
    comb = [(y, x) for x in range(500) for y in ((0.0, 2.0) if x % 2 else (2.0, 0.0))]
    again = [(float(y), x * 0.01) for y, x in comb]
    mask = whole(rasterise_polygon([*again, (-1.0, 4.99), (-1.0, 0.0)], (4, 6)), (4, 6))
    for x in range(6):
        assert mask[0, x] == inside_by_ray([*again, (-1.0, 4.99), (-1.0, 0.0)], 0.5, x + 0.5)


def test_a_polygon_beside_the_image():
    box, mask = rasterise_polygon([(-9.0, -9.0), (-9.0, -5.0), (-3.0, -5.0)], SIZE)
    assert box.is_empty
    assert mask.size == 0
