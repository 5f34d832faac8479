"""Comparison tables: every row can be built, counts meet the published figures, text, CSV and picture."""

import csv
import io

import numpy as np
import pytest
import torch

from engine.measure.bench import Measured, bench_losses, bench_modules, bench_networks
from engine.measure.bench_rows import LOSSES, MODULES, NETWORKS, Published
from engine.measure.bench_table import as_csv, as_text, draw_table

CPU = torch.device("cpu")

ROWS = (
    Measured(
        title="A × B",
        parameters=1.5,
        operations=20.25,
        milliseconds=3.0,
        published=Published(parameters=1.4, milliseconds=9.0),
    ),
    Measured(title="C", note="out of memory"),
)


def test_modules_cost_what_was_published() -> None:
    rows = {row.title: row for row in bench_modules(CPU, edge=0, runs=1)}
    assert [row.note for row in rows.values()] == [""] * len(MODULES)
    assert all(row.milliseconds is None for row in rows.values())
    exact = {
        "OCR": (15.124, 242.483),
        "PPM": (23.074, 309.450),
        "ASPP": (42.211, 674.470),
        "DNL": (24.123, 395.250),
        "CCNet": (23.924, 397.381),
        "UPerNet": (34.748, 500.802),
        "MCIBI": (14.817, 242.804),
    }
    for title, (parameters, operations) in exact.items():
        assert rows[title].parameters == pytest.approx(parameters, abs=5e-4)
        assert rows[title].operations == pytest.approx(operations, abs=5e-4)
    assert rows["ANN"].parameters == pytest.approx(22.421, abs=5e-4)
    assert rows["IDRNet, pixels (released)"].parameters == pytest.approx(12.40, abs=5e-3)
    assert rows["IDRNet, classes (paper)"].operations == pytest.approx(155.89, rel=2e-3)


@pytest.mark.slow
def test_networks_cost_what_was_published() -> None:
    rows = {row.title: row for row in bench_networks(CPU, size=(0, 0), runs=1)}
    assert [row.note for row in rows.values()] == [""] * len(NETWORKS)
    spgnet = rows["SPGNet, 2 × ResNet-50"]
    assert spgnet.parameters == pytest.approx(59.777, abs=5e-4)
    assert spgnet.operations == pytest.approx(655.06, abs=5e-3)
    danet = rows["DANet, ResNet-101"]
    assert danet.parameters == pytest.approx(66.45, abs=5e-3)
    # The classifiers of both branches count, which work while training only.
    assert danet.operations == pytest.approx(2878.9, abs=0.05)


def test_losses_are_timed() -> None:
    rows = list(bench_losses(CPU, classes=3, edge=64, runs=1))
    assert [row.title for row in rows] == [row.title for row in LOSSES]
    assert all(row.milliseconds and row.memory_mb for row in rows)


def test_a_module_is_timed() -> None:
    row = next(iter(bench_modules(CPU, edge=2, runs=1)))
    assert row.milliseconds is not None
    assert row.memory_mb is not None


def test_text_has_ours_and_the_published_figures_and_the_reasons_for_gaps() -> None:
    lines = as_text(ROWS).splitlines()
    assert lines[0].split() == ["M", "parameters", "G", "operations", "ms"]
    assert lines[1].split() == ["A", "×", "B", "1.500", "[1.4]", "20.250", "3.0", "[9]"]
    assert lines[2].split() == ["C", "–", "–", "–"]
    assert lines[3].startswith("In brackets: published")
    assert lines[4] == "C: out of memory"


def test_csv_has_a_column_for_every_figure() -> None:
    found = list(csv.DictReader(io.StringIO(as_csv(ROWS))))
    assert found[0]["parameters"] == "1.5"
    assert found[0]["published_parameters"] == "1.4"
    assert found[0]["published_memory_mb"] == ""
    assert found[1] == dict.fromkeys(found[0], "") | {"title": "C", "note": "out of memory"}


def test_the_picture_shows_every_row() -> None:
    picture = draw_table(ROWS, "Modules")
    assert picture.dtype == np.uint8
    blue, orange = ((picture == color).all(axis=2) for color in ((0, 114, 178), (230, 159, 0)))
    assert blue.sum() > orange.sum() > 0
    assert draw_table((*ROWS, *ROWS), "Modules").shape[0] > picture.shape[0]
    assert draw_table((), "Nothing").shape[2] == 3


def test_a_picture_of_our_figures_alone_has_no_published_bars_and_one_bar_in_the_middle() -> None:
    picture = draw_table((Measured(title="C", milliseconds=3.0),), "Losses")
    assert not (picture == (230, 159, 0)).all(axis=2).any()
    (rows,) = np.nonzero((picture == (0, 114, 178)).all(axis=2).any(axis=1))
    both = draw_table(ROWS[:1], "Modules")
    (around,) = np.nonzero((both == (230, 159, 0)).all(axis=2)[:, 330:].any(axis=1))
    assert rows.max() < around.max()
    assert rows.max() - rows.min() == around.max() - around.min()
