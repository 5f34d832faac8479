from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.canvas.layers import MOST_PARTS, LayerSettings, color_table
from app.canvas.painting import EDGE, HIDDEN_IMAGE, SURROUND, Painter
from app.canvas.pyramids import LabelPyramid
from app.canvas.surface import Surface
from app.canvas.viewport import Viewport
from engine.annotate.classes import UNLABELLED, VOID
from engine.annotate.geometry import Box
from engine.project.pyramid import build_pyramid
from tests.support.canvas import grey_image, noise_image, predicted, three_classes

SOLID = LayerSettings(prediction_opacity=1.0, annotation_opacity=1.0, edges_visible=False)
RED, GREEN, BLUE = 0xFFFF0000, 0xFF00FF00, 0xFF0000FF


def make_painter(image: np.ndarray, layer_settings: LayerSettings = SOLID) -> Painter:
    painter = Painter()
    painter.set_image(build_pyramid(image), image.shape[:2])
    painter.classes = three_classes()
    painter.settings = layer_settings
    return painter


def shown(painter: Painter, viewport: Viewport) -> np.ndarray:
    surface = Surface(painter)
    surface.draw(viewport)
    return surface.snapshot()


def packed(rgb: np.ndarray) -> np.ndarray:
    red, green, blue = (rgb[..., channel].astype(np.uint32) for channel in range(3))
    return 0xFF000000 | red << 16 | green << 8 | blue


def test_one_to_one_shows_the_image_exactly() -> None:
    image = noise_image((40, 60))
    pixels = shown(make_painter(image), Viewport(40, 60, 40, 60))
    assert (pixels == packed(image)).all()


@pytest.mark.parametrize("scale", [1.7, 2.0, 3.25, 16.0])
def test_above_one_hundred_percent_pixels_are_crisp(scale: float) -> None:
    image = noise_image((40, 60))
    viewport = Viewport(100, 120, 40, 60, scale=scale, top=-13, left=-7)
    pixels = shown(make_painter(image), viewport)
    inside = viewport.image_area
    rows = viewport.image_rows(inside.top, inside.bottom)
    columns = viewport.image_columns(inside.left, inside.right)
    assert (pixels[inside.slices] == packed(image)[rows][:, columns]).all()


def test_zoomed_out_is_smooth() -> None:
    chequered = np.zeros((512, 512, 3), dtype=np.uint8)
    chequered[::2, ::2] = chequered[1::2, 1::2] = 255
    pixels = shown(make_painter(chequered), Viewport(128, 128, 512, 512, scale=0.25))
    grey = pixels & 0xFF
    assert grey.min() > 100
    assert grey.max() < 155


@pytest.mark.parametrize("size", [(513, 700), (1, 900), (900, 1), (257, 511)])
@pytest.mark.parametrize("scale", [0.9, 0.5, 0.3])
def test_every_pixel_of_the_image_area_is_painted(size: tuple[int, int], scale: float) -> None:
    viewport = Viewport(300, 300, *size, scale=scale).centred_on(size[0] / 2, size[1] / 2, scale)
    pixels = shown(make_painter(grey_image(size, 200)), viewport)
    area = viewport.image_area
    assert ((pixels[area.slices] & 0xFF) == 200).all()
    outside = np.ones_like(pixels, dtype=bool)
    outside[area.slices] = False
    assert (pixels[outside] == SURROUND).all()


def test_without_image_there_is_only_the_surround() -> None:
    painter = Painter()
    painter.set_image(None, (1, 1))
    assert (shown(painter, Viewport(5, 5, 1, 1)) == SURROUND).all()


def test_prediction_is_drawn_in_the_class_colours() -> None:
    painter = make_painter(grey_image((20, 20)))
    labels = np.zeros((20, 20), dtype=np.uint8)
    labels[:, 10:] = 1
    painter.prediction.update(predicted((20, 20), labels))
    pixels = shown(painter, Viewport(40, 40, 20, 20, scale=2.0))
    assert (pixels[:, :20] == RED).all()
    assert (pixels[:, 20:] == GREEN).all()


def test_later_parts_cover_earlier_ones() -> None:
    size = (60, 60)
    painter = make_painter(grey_image(size))
    painter.prediction.update(predicted(size, 0))
    painter.prediction.update(predicted(size, 1, box=Box(10, 20, 30, 50)))
    pixels = shown(painter, Viewport(60, 60, *size))
    expected = np.full(size, RED, dtype=np.uint32)
    expected[10:30, 20:50] = GREEN
    assert (pixels == expected).all()
    painter.prediction.update(predicted(size, 2))
    assert (shown(painter, Viewport(60, 60, *size)) == BLUE).all()


def test_many_parts_are_joined_and_look_the_same() -> None:
    size = (MOST_PARTS + 8, 10)
    painter = make_painter(grey_image(size))
    for row in range(size[0]):
        painter.prediction.update(predicted(size, row % 3, box=Box(row, 0, row + 1, 10)))
    pixels = shown(painter, Viewport(*size, *size))
    assert (pixels == np.array([RED, GREEN, BLUE])[np.arange(size[0]) % 3, None]).all()


def test_an_incomplete_prediction_leaves_the_rest_of_the_image_bare() -> None:
    size = (20, 20)
    painter = make_painter(grey_image(size, 90))
    painter.prediction.update(predicted(size, 0, box=Box(0, 0, 20, 5)))
    pixels = shown(painter, Viewport(20, 20, *size))
    assert (pixels[:, :5] == RED).all()
    assert (pixels[:, 5:] == 0xFF5A5A5A).all()


def test_low_confidence_is_hatched_and_high_is_not() -> None:
    size = (40, 40)
    painter = make_painter(grey_image(size))
    painter.prediction.update(predicted(size, 0, confidence=0.3))
    doubtful = shown(painter, Viewport(40, 40, *size))
    assert 0.2 < (doubtful == RED).mean() < 0.6  # stripes, with the image between them
    painter.prediction.update(predicted(size, 0, confidence=0.9))
    assert (shown(painter, Viewport(40, 40, *size)) == RED).all()
    painter.prediction.update(predicted(size, 0, confidence=0.3))
    painter.settings = replace(SOLID, hatch_below=0.0)
    assert (shown(painter, Viewport(40, 40, *size)) == RED).all()


def test_human_pixels_do_not_depend_on_the_prediction() -> None:
    size = (30, 30)
    painter = make_painter(noise_image(size), replace(SOLID, annotation_opacity=0.4, edges_visible=True))
    label_map = np.full(size, UNLABELLED, dtype=np.uint8)
    label_map[5:20, 8:25] = 2
    painter.annotation = LabelPyramid(label_map)
    before = shown(painter, Viewport(60, 60, *size, scale=2.0))
    painter.prediction.update(predicted(size, 1))
    after = shown(painter, Viewport(60, 60, *size, scale=2.0))
    human = (label_map != UNLABELLED).repeat(2, axis=0).repeat(2, axis=1)
    assert (before[human] == after[human]).all()
    assert (after[~human] == GREEN).all()


def test_hidden_classes_and_layers_are_not_drawn() -> None:
    size = (10, 10)
    grey = 0xFF646464
    painter = make_painter(grey_image(size))
    painter.prediction.update(predicted(size, 0))
    painter.classes = three_classes().with_flags(0, hidden=True)
    assert (shown(painter, Viewport(10, 10, *size)) == grey).all()
    painter.classes = three_classes()
    painter.settings = replace(SOLID, prediction_visible=False)
    assert (shown(painter, Viewport(10, 10, *size)) == grey).all()
    painter.annotation = LabelPyramid(np.ones(size, dtype=np.uint8))
    assert (shown(painter, Viewport(10, 10, *size)) == GREEN).all()
    painter.settings = replace(SOLID, annotation_visible=False)
    assert (shown(painter, Viewport(10, 10, *size)) == RED).all()
    painter.settings = replace(SOLID, image_visible=False, prediction_visible=False, annotation_visible=False)
    assert (shown(painter, Viewport(10, 10, *size)) == HIDDEN_IMAGE).all()


def test_void_is_visible_and_unlabelled_is_not() -> None:
    table = color_table(three_classes(), SOLID)
    assert table.shape == (768,)
    assert table[512 + VOID] >> 24 == 255
    assert table[512 + UNLABELLED] == table[UNLABELLED] == table[256 + UNLABELLED] == 0


def test_edges_are_one_pixel_wide_and_inside() -> None:
    size = (20, 20)
    painter = make_painter(grey_image(size), replace(SOLID, edges_visible=True))
    label_map = np.full(size, UNLABELLED, dtype=np.uint8)
    label_map[4:12, 4:16] = 0
    label_map[4:12, 10:16] = 1
    painter.annotation = LabelPyramid(label_map)
    pixels = shown(painter, Viewport(20, 20, *size))
    # 0xE0 of white over grey 100 (premultiplied): brighter than everything else
    white = (pixels & 0xFF) > 0xD0
    expected = np.zeros(size, dtype=bool)
    expected[4:12, 4:16] = True
    expected[5:11, 5:15] = False
    expected[4:12, 10] = True  # the seam of two classes, once
    assert int(EDGE) >> 24 == 0xE0
    assert (white == expected).all()


def test_edges_stop_at_the_border_of_the_image_and_when_zoomed_out() -> None:
    size = (20, 20)
    painter = make_painter(grey_image(size), replace(SOLID, edges_visible=True))
    painter.annotation = LabelPyramid(np.zeros(size, dtype=np.uint8))
    assert (shown(painter, Viewport(20, 20, *size)) == RED).all()
    far = (100, 100)
    painter = make_painter(grey_image(far), replace(SOLID, edges_visible=True))
    label_map = np.zeros(far, dtype=np.uint8)
    label_map[:50] = 1
    painter.annotation = LabelPyramid(label_map)
    assert set(np.unique(shown(painter, Viewport(30, 30, *far, scale=0.3)))) == {RED, GREEN}


@settings(max_examples=40)
@given(
    st.floats(0.3, 6.0),
    st.tuples(st.integers(-200, 60), st.integers(-200, 60)),
    st.tuples(st.integers(-90, 90), st.integers(-90, 90)),
)
def test_panning_draws_what_drawing_anew_would(
    scale: float, origin: tuple[int, int], step: tuple[int, int]
) -> None:
    size = (150, 170)
    painter = make_painter(grey_image(size), LayerSettings())
    labels = np.random.default_rng(1).integers(0, 3, size).astype(np.uint8)
    painter.prediction.update(predicted(size, labels, confidence=0.4))
    label_map = np.full(size, UNLABELLED, dtype=np.uint8)
    label_map[30:90, 40:60] = 1
    painter.annotation = LabelPyramid(label_map)
    start = Viewport(80, 100, *size, scale=scale, top=origin[0], left=origin[1]).kept_visible()
    end = start.panned(*step)
    panned = Surface(painter)
    panned.draw(start)
    panned.pan(end)
    assert (panned.snapshot() == shown(painter, end)).all()


@settings(max_examples=40)
@given(st.floats(0.3, 6.0), st.tuples(*[st.integers(0, 100)] * 4))
def test_a_changed_box_drawn_alone_fits_seamlessly(scale: float, corners: tuple[int, int, int, int]) -> None:
    size = (100, 100)
    painter = make_painter(noise_image(size), LayerSettings())
    label_map = np.full(size, UNLABELLED, dtype=np.uint8)
    painter.annotation = LabelPyramid(label_map)
    viewport = Viewport(120, 120, *size, scale=scale, top=3, left=-5)
    surface = Surface(painter)
    surface.draw(viewport)
    top, bottom = sorted(corners[:2])
    left, right = sorted(corners[2:])
    box = Box(top, left, bottom, right)
    label_map[box.slices] = 1
    painter.annotation.changed(box)
    reach = int(np.ceil(1 / scale)) * 2
    surface.draw_layers(viewport.device_box(box.padded(reach), padding=1))
    assert (surface.snapshot() == shown(painter, viewport)).all()


def test_a_zoom_is_rough_first_and_true_after_refining() -> None:
    size = (300, 300)
    painter = make_painter(noise_image(size))
    surface = Surface(painter)
    surface.draw(Viewport(200, 200, *size).fitted())
    target = surface.viewport.zoomed(3.0, 50, 60)
    surface.zoom(target)
    assert surface.rough
    assert surface.refine()
    assert not surface.refine()
    assert (surface.snapshot() == shown(painter, target)).all()


def test_zooming_out_shows_the_image_everywhere_at_once() -> None:
    size = (600, 600)
    painter = make_painter(grey_image(size, 200))
    surface = Surface(painter)
    surface.draw(Viewport(200, 200, *size, scale=2.0))
    target = surface.viewport.zoomed(0.2, 100, 100)
    surface.zoom(target)
    inside = surface.snapshot()[target.image_area.slices] & 0xFF
    assert (inside > 150).mean() > 0.99


def test_a_fade_holds_only_what_changed() -> None:
    size = (20, 20)
    painter = make_painter(grey_image(size))
    surface = Surface(painter)
    surface.draw(Viewport(20, 20, *size))
    before = surface.snapshot()
    assert surface.fade_from(before) is None
    painter.prediction.update(predicted(size, 1, box=Box(4, 6, 9, 12)))
    surface.draw_layers(surface.viewport.whole)
    fade = surface.fade_from(before)
    assert fade is not None
    assert fade.area == Box(4, 6, 9, 12)
    assert fade.image.pixel(0, 0) == before[4, 6]
