"""Pictures and numbers of inspection, as files."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from engine.annotate.classes import ClassTable
from engine.annotate.geometry import Box
from engine.inspect import pictures
from engine.inspect.label_errors import LabelledRegion
from engine.inspect.labelled import Stroke
from engine.inspect.memory_map import map_memory, principal_plane
from engine.messages import Contribution

CLASSES = ClassTable().add("sky").add("a road with a name much too long").add("tree")
IMAGE = np.full((40, 60, 3), 120, np.uint8)


def pixels(data: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


_numbers = itertools.count()


def stroke(channel: int, feature: list[float], image: str = "") -> Stroke:
    """A stroke, in an image of its own where none is named."""
    name = image or f"{next(_numbers)}.png"
    region = LabelledRegion(name, Box(0, 0, 2, 2), 1, 1, CLASSES.indices[channel], 4)
    return Stroke(
        region=region, channel=channel, painted=True, feature=np.array(feature, np.float32), chance=0.5
    )


def test_a_heat_map_shows_its_range_as_colours() -> None:
    values = np.linspace(0, 1, 60, dtype=np.float32)[None].repeat(40, axis=0)
    shown = pixels(pictures.heat_png(values, IMAGE, "Entropy"))
    row = shown[shown.shape[0] // 2, 20:300].astype(int)
    assert np.abs(np.diff(row, axis=0)).sum() > 50
    flat = pixels(pictures.heat_png(np.zeros((4, 6), np.float32), IMAGE, "Nothing"))
    assert flat.shape == shown.shape


def test_a_label_map_shows_its_classes_and_only_them_in_the_legend() -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 2
    shown = pixels(pictures.label_png(labels, IMAGE, CLASSES, "Final")).reshape(-1, 3).tolist()
    colors = [list(spec.color) for spec in CLASSES]
    assert [color in shown for color in colors] == [True, False, True]


def test_a_matrix_is_written_as_picture_and_table() -> None:
    values = np.array([[1.0, -0.5, 0], [0, 0, 0], [0.25, 0, 0]])
    text = pictures.matrix_csv(values, CLASSES.names).decode("utf-8").splitlines()
    assert text[0].split(",")[1:] == list(CLASSES.names)
    assert [float(cell) for cell in text[1].split(",")[1:]] == [1.0, -0.5, 0]
    shown = pixels(pictures.matrix_png(values, CLASSES.names, "Relation")).reshape(-1, 3)
    blue = shown[:, 2].astype(int) - shown[:, 0]
    assert blue.max() > 50  # the -0.5
    assert blue.min() < -50  # the 1 and, half as strong, the 0.25


def test_colours_of_a_matrix_span_the_cells_of_different_classes() -> None:
    def red(own: float) -> int:
        values = np.diag([own, own, own])
        values[0, 1] = 0.1
        shown = pixels(pictures.matrix_png(values, ("a", "b", "c"), "Relation")).astype(int)
        return int(((shown[..., 0] - shown[..., 2]) > 100).sum())

    assert red(1.0) > 3.5 * red(0.0) > 0  # the cell of 0.1 is as red as the three of 1


def test_a_map_is_written_as_numbers() -> None:
    values = np.array([[0.5, 1.25], [2, 3]], np.float32)
    read = np.loadtxt(io.BytesIO(pictures.map_csv(values)), delimiter=",")
    assert np.array_equal(read, values)


def test_bars_speak_for_label_and_runner_up() -> None:
    parts = (
        Contribution(name="sky", class_index=0, value=2.0),
        Contribution(name="tree", class_index=2, value=-1.0),
    )
    shown = pixels(pictures.bars_png(parts, "sky at 1,2")).astype(int)
    assert ((shown[..., 2] - shown[..., 0]) > 100).sum() > ((shown[..., 0] - shown[..., 2]) > 100).sum() > 0
    assert pictures.bars_png((), "nothing")


def test_counts_are_named() -> None:
    rows = pictures.counts_rows({(0, 2): 7}, CLASSES)
    assert rows == [("sky", "tree", 7)]


def test_a_plane_has_a_sign_of_its_own() -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    plane, again = principal_plane(vectors), principal_plane(vectors.copy())
    assert np.array_equal(plane.axes, again.axes)
    assert np.allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-5)
    assert 0 < plane.explained[1] <= plane.explained[0] <= 1
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in plane.axes)


def test_a_stroke_nearer_to_another_memory_is_told() -> None:
    memory = np.array([[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 1]]], np.float32)
    strokes = [stroke(0, [0.9, 0.1, 0]), stroke(0, [0, 2, 0.1]), stroke(1, [0, 1, 0])]
    mapped = map_memory(1, 7, CLASSES.indices, memory, strokes)
    assert [dot.nearest for dot in mapped.strokes] == [0, 1, 1]
    assert mapped.between == pytest.approx(1)
    assert mapped.within[1] == pytest.approx(0, abs=1e-6)
    assert mapped.within[0] > 0.4
    assert pixels(pictures.plane_png(mapped, CLASSES, "Memory")).std() > 0


def test_without_a_memory_a_stroke_is_compared_with_its_nearest_strokes() -> None:
    """A class with two looks has its mean where another class is: no mean tells whose a stroke is."""
    looks = [stroke(0, [9, 1, 0]), stroke(0, [9, 0, 1]), stroke(0, [1, 9, 0]), stroke(0, [0, 9, 1])]
    between = [stroke(2, [5, 5, 1]), stroke(2, [5, 5, 0]), stroke(2, [5, 5, -1])]
    slip = stroke(2, [9, 0.5, 0.5])
    mapped = map_memory(1, 7, CLASSES.indices, None, [*looks, *between, slip])
    odd = [dot.distance_own - dot.distance_nearest for dot in mapped.strokes]
    assert max(odd[:-1]) < odd[-1]
    assert mapped.strokes[-1].nearest == 0
    alone = map_memory(1, 7, CLASSES.indices, None, [*looks, stroke(1, [1, 0, 0])])
    assert alone.strokes[-1].nearest == 1
    assert alone.strokes[-1].distance_own == 0


def test_a_memory_between_two_looks_rings_no_stroke_that_is_like_others_of_its_class() -> None:
    looks = [stroke(0, [9, 1, 0]), stroke(0, [9, 0, 1]), stroke(0, [1, 9, 0]), stroke(0, [0, 9, 1])]
    slip = stroke(0, [0, 0, 9])
    memory = np.array([[[1, 1, 0]], [[0, 0, 1]], [[1, 0.3, 0]]], np.float32)
    alone = map_memory(1, 7, CLASSES.indices, memory, [looks[0], slip])
    assert [dot.nearest for dot in alone.strokes] == [2, 1]
    mapped = map_memory(1, 7, CLASSES.indices, memory, [*looks, slip])
    assert [dot.nearest for dot in mapped.strokes] == [0, 0, 0, 0, 1]


def test_strokes_of_one_slip_do_not_vouch_for_each_other() -> None:
    right = [stroke(0, [1, 0.1 * number, 0]) for number in range(4)]
    others = [stroke(1, [0.1 * number, 1, 0]) for number in range(4)]
    slips = [stroke(0, [0, 1, 0.01 * number], image="slip.png") for number in range(3)]
    for memory in (None, np.array([[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 0]]], np.float32)):
        mapped = map_memory(1, 7, CLASSES.indices, memory, [*right, *others, *slips])
        assert [dot.nearest for dot in mapped.strokes[-3:]] == [1] * 3


def test_in_a_single_image_its_own_strokes_are_all_there_is() -> None:
    right = [stroke(0, [1, 0.1 * number, 0], image="a.png") for number in range(4)]
    others = [stroke(1, [0.1 * number, 1, 0], image="a.png") for number in range(4)]
    mapped = map_memory(1, 7, CLASSES.indices, None, [*right, *others, stroke(0, [0, 1, 0.1], image="a.png")])
    assert mapped.strokes[-1].nearest == 1
    assert all(np.isfinite(dot.distance_nearest) for dot in mapped.strokes)


def test_a_stroke_that_nothing_is_like_lies_at_its_class_and_says_nothing_of_it() -> None:
    memory = np.array([[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 0]]], np.float32)
    mapped = map_memory(1, 7, CLASSES.indices, memory, [stroke(0, [1, 0.5, 0]), stroke(2, [0, 1, 1])])
    assert mapped.strokes[1].distance_own == 0.0
    assert set(mapped.within) == {0}


def test_without_a_memory_a_class_stands_at_the_mean_of_its_strokes() -> None:
    strokes = [stroke(0, [1, 0, 0]), stroke(0, [3, 0, 0]), stroke(2, [0, 1, 1])]
    mapped = map_memory(1, 7, CLASSES.indices, None, strokes)
    assert set(mapped.classes) == {0, 2}
    assert all(dot.distance_own == pytest.approx(0, abs=1e-6) for dot in mapped.strokes)
    empty = map_memory(1, 7, CLASSES.indices, None, [])
    assert empty.strokes == ()
    assert empty.classes == {}
    assert pictures.plane_png(empty, CLASSES, "Nothing yet")
