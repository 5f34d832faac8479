"""From a stroke to the quick model's answer: printed seconds, and that strokes do not pile up.

pytest -m bench -s tests/bench/test_bench_quick.py
"""

import time

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.quick.features import feature_grid
from engine.quick.model import QuickModel
from engine.quick.picture import parts
from engine.quick.samples import labelled_cells
from tests.support.learning import BOX, GROUND, SKY, picture

pytestmark = pytest.mark.bench

CLASSES = (SKY, GROUND, BOX)
STROKES = 12


@pytest.mark.parametrize(
    ("size", "visible"),
    [
        ((360, 480), None),
        ((720, 960), None),
        ((3000, 4000), Box(1000, 1200, 2000, 2800)),
    ],
    ids=["480x360", "960x720", "4000x3000"],
)
def test_seconds_from_stroke_to_answer(size: tuple[int, int], visible: Box | None) -> None:
    image, labels = picture(1, size)
    rng = np.random.default_rng(0)
    model = QuickModel()
    began = time.perf_counter()
    grid = feature_grid(image)
    features_s = time.perf_counter() - began
    annotation = np.full(size, UNLABELLED, np.uint8)
    for row in (size[0] // 20, -size[0] // 20):
        annotation[row] = labels[row]
    taken, first_band = [], []
    for _ in range(STROKES):
        top, left = (int(rng.integers(0, extent - extent // 10)) for extent in size)
        window = np.s_[top : top + size[0] // 40, left : left + size[1] // 10]
        annotation[window] = labels[window]
        began = time.perf_counter()
        origin = (annotation != UNLABELLED).astype(np.uint8)
        model.learn("0", grid, labelled_cells(annotation, origin))
        readout = model.readout(CLASSES)
        assert readout is not None
        answers = parts(grid, readout, visible)
        next(answers)
        first_band.append(time.perf_counter() - began)
        for _ in answers:
            pass
        taken.append(time.perf_counter() - began)
    print(
        f"\n{size[1]}x{size[0]}: features once {features_s:.2f} s; stroke to first band "
        f"{np.median(first_band):.2f} s, to the whole image {np.median(taken):.2f} s "
        f"(worst {max(taken):.2f} s)"
    )
    early, late = np.median(taken[1:5]), np.median(taken[-4:])
    assert late < 3 * early
