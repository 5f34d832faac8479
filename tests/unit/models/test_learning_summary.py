"""The learning table's arithmetic."""

import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from engine.annotate.classes import ClassTable
from engine.learn.evaluator import EvaluationSample
from engine.predict.predictor import Predictor
from tests.bench.learning_summary import (
    claims,
    differences,
    gains_of_rmi,
    interval,
    load,
    main,
    over_first_stage,
    table,
)
from tests.bench.learning_table import first_stage


def write(folder: Path, row: str, loss: str, seed: int, miou: float) -> None:
    content = {
        "row": row,
        "loss": loss,
        "seed": seed,
        "steps": 9,
        "miou": miou,
        "iou": {"sky": miou, "car": None},
        "statistics": {"finite": 1.0} if row == "mcibi" else {},
    }
    (folder / f"{row}_{loss}_{seed}.json").write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, base, better in ((0, 0.20, 0.25), (1, 0.30, 0.36), (2, 0.40, 0.47)):
        write(tmp_path, "fcn", "ce", seed, base)
        write(tmp_path, "mcibi", "ce", seed, better)
    write(tmp_path, "mcibi", "rmi", 0, 0.20)
    return tmp_path


def test_pairs_share_their_seed(folder: Path) -> None:
    runs = load(folder)
    assert differences(runs, [("mcibi", "fcn")]) == pytest.approx([0.05, 0.06, 0.07])
    assert gains_of_rmi(runs) == pytest.approx([-0.05])


def test_interval_is_that_of_student() -> None:
    found = interval([0.05, 0.06, 0.07])
    assert found.mean == pytest.approx(0.06)
    assert found.half == pytest.approx(4.303 * 0.01 / 3**0.5)
    assert found.verdict == "holds"
    assert interval([-0.05, 0.06, 0.07]).verdict == "open"
    assert interval([-0.05, -0.06, -0.07]).verdict == "fails"
    assert interval([0.5]).verdict == "one pair, no interval"


def test_tables_say_what_there_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = load(folder)
    assert "| MCIBI over its base | +6.0 ± 2.5 (n = 3) | holds |" in claims(runs)
    assert "| FCN | 30.0 ± 10.0 (n = 3) |  |  |  |  |" in table(runs)
    main([str(folder)])
    printed = capsys.readouterr().out
    assert "7 runs of [9] steps" in printed
    assert "| FCN + MCIBI, CE | 36 | 0 |" in printed


class TwoStages:
    """Its first stage sees 2 x 2 cells, its last every pixel."""

    def __init__(self, first: np.ndarray | None) -> None:
        self._first = first

    def predict_stages(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        return image[..., 0], np.ones(image.shape[:2], np.float32), self._first


def test_stages_are_compared_at_the_cells() -> None:
    classes = ClassTable().add("a").add("b")
    labels = np.zeros((8, 6), np.uint8)
    labels[:, 3:] = 1
    labels[:4, :3] = 255  # the first cell: nobody knows
    image = np.repeat(labels[..., None], 3, axis=2)
    sample = EvaluationSample(image=image, label_map=labels)
    first = np.array([[0, 1], [0, 0]], np.uint8)
    found = first_stage(cast("Predictor", TwoStages(first)), [sample], classes)
    assert found["last"] == 1.0
    # Of three cells one is wrong: class 0 has one of two, class 1 one of two.
    assert found["first"] == pytest.approx(0.5)
    assert first_stage(cast("Predictor", TwoStages(None)), [sample], classes) == {}


def test_a_network_is_compared_with_its_own_first_stage(folder: Path) -> None:
    runs = {key: dict(run) for key, run in load(folder).items()}
    assert over_first_stage(runs) == []
    for seed, gain in ((0, 0.01), (1, 0.02), (2, 0.03)):
        runs["mcibi", "ce", seed]["first_stage"] = {"first": 0.3, "last": 0.3 + gain}
    runs["fcn", "ce", 0]["first_stage"] = {}
    (line,) = over_first_stage(runs)[2:]
    assert line == "| FCN + MCIBI | +2.0 ± 2.5 (n = 3) | open |"
