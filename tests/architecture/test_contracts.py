"""The import contracts of pyproject.toml hold, and they would notice a drawer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import checkout

_LINT = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports(cache_dir=None))"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run every contract on the packages in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "110"}
    command = [sys.executable, "-c", _LINT]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_every_contract_is_kept() -> None:
    done = lint(checkout.ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_without_a_room_is_noticed(tmp_path: Path) -> None:
    for name in checkout.PACKAGES:
        shutil.copytree(checkout.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(checkout.ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "engine" / "drawer.py").write_text('"""Odds and ends."""\n', encoding="utf-8")
    done = lint(tmp_path)
    assert done.returncode != 0
    assert "drawer" in done.stdout
