"""The files that must be covered completely."""

import json
from pathlib import Path

import coverage_rule

ROOT = Path(__file__).resolve().parents[2]


def report(folder: Path, files: dict[str, dict[str, object]]) -> Path:
    path = folder / "coverage.json"
    path.write_text(json.dumps({"files": files}), encoding="utf-8")
    return path


def test_complete_files_pass(tmp_path: Path) -> None:
    complete = {"missing_lines": [], "missing_branches": []}
    written = report(tmp_path, {"a.py": complete, "b\\c.py": complete})
    assert coverage_rule.gaps(written, ("a", "b")) == ()


def test_gaps_are_named_with_their_lines(tmp_path: Path) -> None:
    files: dict[str, dict[str, object]] = {
        "a.py": {"missing_lines": [3, 9], "missing_branches": [[2, 4]]},
        "b.py": {"missing_lines": [1]},
        "d.py": {"missing_lines": [], "missing_branches": [[5, -1]]},
    }
    assert coverage_rule.gaps(report(tmp_path, files), ("a", "b", "c", "d")) == (
        "a.py: no test reaches lines 3, 9 and branches 2→4",
        "b.py: no test reaches lines 1",
        "c: no test imports it",
        "d.py: no test reaches branches 5→-1",
    )


def test_every_file_of_the_rule_exists() -> None:
    rooms = [ROOT / name for name in coverage_rule.COMPLETE]
    assert [room for room in rooms if not (room.is_dir() or room.with_suffix(".py").is_file())] == []
