"""The learning table's arithmetic."""

import json
from pathlib import Path

import pytest

from tests.bench.learning_summary import claims, differences, gains_of_rmi, interval, load, main, table


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
