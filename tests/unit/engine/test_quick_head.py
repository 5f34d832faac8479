"""The quick model without a worker: features, samples, sums, pictures."""

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED, VOID, Provenance
from engine.annotate.geometry import Box
from engine.quick.features import FEATURES, LIGHTNESS, feature_grid, grid_size, working_size
from engine.quick.model import QuickModel
from engine.quick.picture import parts
from engine.quick.samples import Cells, cell_middles, chosen, labelled_cells
from tests.support.learning import BOX, GROUND, SKY, picture

CLASSES = (SKY, GROUND, BOX)


def painted(labels: np.ndarray, every: int = 5) -> Cells:
    annotation = np.full_like(labels, UNLABELLED)
    annotation[::every] = labels[::every]
    return labelled_cells(annotation, np.full_like(labels, Provenance.STROKE))


def taught(*numbers: int) -> QuickModel:
    model = QuickModel()
    for number in numbers:
        image, labels = picture(number)
        model.learn(str(number), feature_grid(image), painted(labels))
    return model


def same(one: QuickModel, other: QuickModel) -> bool:
    a, b = one.readout(CLASSES), other.readout(CLASSES)
    assert a is not None
    assert b is not None
    return np.array_equal(a.classes, b.classes) and np.array_equal(a.matrix, b.matrix)


# --- features


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (37, 50), (64, 80)])
def test_features_are_small_numbers_of_any_image(size: tuple[int, int]) -> None:
    grid = feature_grid(np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8))
    assert grid.values.shape == (*grid_size(size), FEATURES)
    assert grid.values.dtype == np.float16
    assert not grid.values.flags.writeable
    values = grid.values.astype(np.float64) * 64
    assert np.array_equal(values, np.rint(values))
    assert np.abs(values).max() <= 16 * 64


def test_a_large_image_costs_no_more_than_a_middling_one() -> None:
    height, width = working_size((3000, 4000))
    assert height * width <= 1.01 * 2**19
    assert abs(width / height - 4 / 3) < 0.01
    assert grid_size((3000, 4000)) == (-(-height // 2), -(-width // 2))
    assert working_size((360, 480)) == (360, 480)


def test_one_of_them_is_the_lightness() -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, 32:] = 255
    light = feature_grid(image).values[..., LIGHTNESS]
    assert light[:, :14].max() == -2
    assert light[:, 18:].min() == 2


# --- samples


def test_a_painted_pixel_outvotes_accepted_ones_of_its_cell_and_void_says_nothing() -> None:
    labels = np.full((8, 8), UNLABELLED, np.uint8)
    origin = np.zeros((8, 8), np.uint8)
    labels[0:2, 0:2], origin[0:2, 0:2] = GROUND, Provenance.ACCEPTED
    labels[0, 0], origin[0, 0] = SKY, Provenance.STROKE
    labels[4:6, 4:6], origin[4:6, 4:6] = VOID, Provenance.STROKE
    labels[6:8, 2:4], origin[6:8, 2:4] = BOX, Provenance.ACCEPTED
    cells = labelled_cells(labels, origin)
    assert cells.places.tolist() == [0, 13]
    assert cells.labels.tolist() == [SKY, BOX]
    assert cells.weights.tolist() == [1.0, 0.125]
    assert cells.pixels.tolist() == [1, 4]
    assert cells.painted().places.tolist() == [0]
    y, x = cell_middles(cells, (8, 8))
    assert (y.tolist(), x.tolist()) == ([1, 7], [1, 3])


def test_few_are_chosen_the_same_way_however_they_came_about() -> None:
    labels = picture(0)[1]
    all_cells = painted(labels, every=1)
    some = chosen(all_cells, per_class=30)
    assert np.unique(some.labels, return_counts=True)[1].tolist() == [30, 30, 30]
    fewer = all_cells.where(all_cells.places % 3 > 0)
    kept = np.isin(chosen(fewer, per_class=30).keys(), some.keys()).mean()
    assert kept > 0.5  # a changed annotation keeps most of the choice
    assert np.array_equal(chosen(painted(labels, every=1), per_class=30).keys(), some.keys())
    assert len(chosen(Cells.none())) == 0


# --- sums


def test_learning_piece_by_piece_is_learning_at_once_to_the_last_bit() -> None:
    at_once, piecewise = taught(0, 1, 2), taught(2)
    for number in (1, 0):
        image, labels = picture(number)
        grid = feature_grid(image)
        for every in (9, 3, 5):  # strokes come, are painted over and taken back
            piecewise.learn(str(number), grid, painted(labels, every))
    assert same(at_once, piecewise)


def test_what_was_taken_out_was_never_there() -> None:
    model = taught(0, 1, 2)
    assert model.forget("1")
    assert not model.forget("1")
    assert same(model, taught(0, 2))
    without = taught(0, 1, 2).readout(CLASSES, without=["1", "no such image"])
    expected = taught(0, 2).readout(CLASSES)
    assert without is not None
    assert expected is not None
    assert np.array_equal(without.matrix, expected.matrix)


def test_the_same_annotation_again_changes_nothing() -> None:
    model = taught(0)
    image, labels = picture(0)
    assert not model.learn("0", feature_grid(image), painted(labels))
    assert model.learn("0", feature_grid(image), painted(labels, every=4))


def test_classes_come_and_go_without_learning_anew() -> None:
    model = taught(0, 1)
    two = model.readout((BOX, SKY))
    assert two is not None
    assert two.classes.tolist() == [SKY, BOX]
    back = model.readout((BOX, GROUND, SKY, 77))
    everything = model.readout(CLASSES)
    assert back is not None
    assert everything is not None
    assert back.classes.tolist() == [SKY, GROUND, BOX]
    assert np.array_equal(back.matrix, everything.matrix)
    assert model.readout((SKY,)) is None
    assert QuickModel().readout(CLASSES) is None


def test_it_tells_apart_what_it_was_shown() -> None:
    model = taught(0, 1, 2)
    image, labels = picture(9)
    readout = model.readout(CLASSES)
    assert readout is not None
    whole = [*parts(feature_grid(image), readout, None)]
    assert [part.complete for part in whole] == [True]
    assert (whole[0].label_map == labels).mean() > 0.85
    assert whole[0].confidence.dtype == np.float32
    assert 0 <= whole[0].confidence.min() <= whole[0].confidence.max() <= 1


def test_features_of_few_images_are_kept() -> None:
    image = picture(0)[0]
    budget = 2 * feature_grid(image).nbytes
    model, reads = QuickModel(budget), []
    for name in ("a", "b", "a", "c", "a", "b"):
        model.grid(name, lambda name=name: (reads.append(name), image)[1])
    assert reads == ["a", "b", "c", "b"]


# --- pictures


def test_bands_fit_together_and_those_on_screen_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.concatenate([picture(0)[0], picture(1)[0]] * 2)
    readout = taught(0, 1).readout(CLASSES)
    assert readout is not None
    grid = feature_grid(image)
    (whole,) = parts(grid, readout, None)
    monkeypatch.setattr("engine.quick.picture._STRIP_CELLS", 20 * grid.cells[1])
    bands = [*parts(grid, readout, Box(200, 0, 250, 80))]
    assert len(bands) > 4
    assert bands[0].box.top <= 225 < bands[0].box.bottom
    assert [band.complete for band in bands] == [False] * (len(bands) - 1) + [True]
    covered = np.zeros(image.shape[:2], int)
    for band in bands:
        covered[band.box.slices] += 1
        assert np.array_equal(band.label_map, whole.label_map[band.box.slices])
        assert np.allclose(band.confidence, whole.confidence[band.box.slices], atol=1e-4)
    assert (covered == 1).all()


def test_a_reduced_image_is_answered_in_its_own_size() -> None:
    image, labels = picture(3, (1000, 900))
    model = QuickModel()
    grid = feature_grid(image)
    assert grid.cells[0] * grid.cells[1] < 500 * 450
    model.learn("3", grid, painted(labels, every=40))
    readout = model.readout(CLASSES)
    assert readout is not None
    found = np.full(labels.shape, UNLABELLED, np.uint8)
    for part in parts(grid, readout, None):
        assert part.label_map.shape == part.box.size
        found[part.box.slices] = part.label_map
    assert (found == labels).mean() > 0.9


def test_what_was_painted_on_one_side_is_known_on_the_other() -> None:
    image = np.random.default_rng(5).integers(90, 160, (64, 120, 3)).astype(np.uint8)
    said = np.full((64, 120), UNLABELLED, np.uint8)
    said[::3, :24], said[::3, 48:72] = SKY, GROUND  # it all looks alike: only the place tells
    model = QuickModel()
    grid = feature_grid(image)
    model.learn("0", grid, labelled_cells(said, np.full_like(said, Provenance.STROKE)))
    right = (np.arange(32)[:, None] * 60 + np.arange(50, 60)).reshape(-1)
    sky = []
    for mirrors in (True, False):
        readout = model.readout(CLASSES, mirrors=mirrors)
        assert readout is not None
        sky.append(float(readout.probabilities(grid.at(right))[:, readout.classes == SKY].mean()))
    assert sky[0] > 0.8
    assert sky[1] < 0.2


def test_a_network_that_learns_here_expects_classes_as_often_as_they_are_labelled() -> None:
    image, labels = picture(0)
    cells, model = painted(labels), QuickModel()
    model.learn("0", feature_grid(image), cells)
    found = model.readout(CLASSES)
    assert found is not None
    shares = [cells.pixels[cells.labels == index].sum() / cells.pixels.sum() for index in found.classes]
    assert np.exp(found.expected) / np.exp(found.expected).sum() == pytest.approx(np.array(shares), abs=5e-3)
