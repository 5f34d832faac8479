import csv
import io

import numpy as np
import pytest
from PIL import Image

from engine.measure.agreement import Agreement
from engine.measure.confusion_report import confusion_csv, confusion_png

RNG = np.random.default_rng(0)


def _image() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    prediction, target = RNG.integers(0, 3, (2, 12, 15)).astype(np.uint8)
    target[0] = 255
    return prediction, RNG.random((12, 15)).astype(np.float32), target


@pytest.mark.parametrize("detailed", [True, False])
def test_processes_that_measure_different_images_come_to_the_joint_figures(detailed: bool) -> None:
    joint, parts = Agreement(3, detailed=detailed), [Agreement(3, detailed=detailed) for _ in range(2)]
    for part in (*parts, parts[0]):
        image = _image()
        part.add(*image)
        joint.add(*image)
    total = parts[0].sums() + parts[1].sums()
    for part in parts:
        part.take_sums(total)
        np.testing.assert_allclose(part.sums(), joint.sums())
        assert part.images == 3
        assert part.matrix.miou() == joint.matrix.miou()
    assert (parts[0].boundary is not None) is detailed


def test_only_known_pixels_count_for_the_calibration() -> None:
    agreement = Agreement(3, detailed=True)
    prediction, confidence, target = _image()
    agreement.add(prediction, confidence, target)
    assert agreement.calibration is not None
    assert sum(part.pixels for part in agreement.calibration.bins()) == 11 * 15


def test_the_matrix_as_a_table() -> None:
    agreement = Agreement(2, detailed=False)
    row = np.array([[0, 0, 1, 255]], np.uint8)
    agreement.add(row, np.ones(row.shape, np.float32), np.array([[0, 1, 1, 1]], np.uint8))
    table = list(csv.reader(io.StringIO(confusion_csv(agreement.matrix, ["a, b", "c"]).decode())))
    assert table == [
        ["target \\ predicted", "a, b", "c", "no class"],
        ["a, b", "1", "0", "0"],
        ["c", "1", "1", "1"],
    ]


@pytest.mark.parametrize("classes", [2, 150])
def test_the_matrix_as_a_picture(classes: int) -> None:
    agreement = Agreement(classes, detailed=False)
    channels = np.arange(classes, dtype=np.uint8)[None]
    agreement.add(channels, np.ones(channels.shape, np.float32), channels)
    names = [f"class with a rather long name {number}" for number in range(classes)]
    pixels = np.array(Image.open(io.BytesIO(confusion_png(agreement.matrix, names))))
    assert pixels.shape[0] == pixels.shape[1] < 4000
    strong = (pixels == (24, 86, 160)).all(axis=2)
    rows, columns = np.nonzero(strong)
    # Only the diagonal is dark: right places, row by row, lie as far from the left as from the top.
    assert rows.size > 4 * classes
    assert np.corrcoef(rows, columns)[0, 1] > 0.7
