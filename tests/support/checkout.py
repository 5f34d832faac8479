"""The checkout itself as a thing to test: its files and its pyproject.toml."""

import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "engine", "models")
_NOT_OURS = {".git", ".venv", ".bootstrap", "__pycache__", "build", "dist"}


@cache
def files() -> tuple[Path, ...]:
    """Files that belong to the project: what git tracks, or all of them where there is no git."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8")
    except (OSError, subprocess.CalledProcessError):
        found = (path for path in ROOT.rglob("*") if not _NOT_OURS & set(path.relative_to(ROOT).parts))
    else:
        found = (ROOT / name for name in listed.split("\0") if name)
    return tuple(sorted(path for path in found if path.is_file()))


def python_files() -> tuple[Path, ...]:
    """The project's Python files, tests and scripts too."""
    return tuple(path for path in files() if path.suffix == ".py")


def relative(path: Path) -> str:
    """Path of a file from the top of the checkout, with `/`."""
    return path.relative_to(ROOT).as_posix()


@cache
def pyproject() -> dict[str, Any]:
    """The contents of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
