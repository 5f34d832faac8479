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
    assert coverage_rule.gaps(written, ("a.py", "b/c.py")) == ()


def test_gaps_are_named_with_their_lines(tmp_path: Path) -> None:
    files: dict[str, dict[str, object]] = {
        "a.py": {"missing_lines": [3, 9], "missing_branches": [[2, 4]]},
        "b.py": {"missing_lines": [1]},
        "d.py": {"missing_lines": [], "missing_branches": [[5, -1]]},
    }
    assert coverage_rule.gaps(report(tmp_path, files), ("a.py", "b.py", "c.py", "d.py")) == (
        "a.py: no test reaches lines 3, 9 and branches 2→4",
        "b.py: no test reaches lines 1",
        "c.py: no test imports it",
        "d.py: no test reaches branches 5→-1",
    )


def test_every_file_of_the_rule_exists() -> None:
    assert [name for name in coverage_rule.COMPLETE if not (ROOT / name).is_file()] == []
