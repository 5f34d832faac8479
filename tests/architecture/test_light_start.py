"""The window opens without waiting for torch, and the verbs work where Qt cannot be loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import checkout

LIGHT = [
    "app.main",
    "engine.messages",
    "engine.config",
    "engine.catalog",
    "engine.annotate",
    "engine.project.project",
    "engine.exchange.base",
    "engine.writer",
    "engine.loader",
    "engine.worker",
    "engine.session.session",
    "models.described",
    "models.configs",
    "models.presets",
    "models.catalog",
    "models.inspection",
]
HEADLESS_VERBS = ["demo", "train", "predict", "evaluate", "export", "import", "inspect", "check"]
_WITHOUT_QT = """
import sys
for name in ("PySide6", "shiboken6", "qdarkstyle"):
    sys.modules[name] = None  # any import of it fails
from app.main import main
sys.exit(main(sys.argv[1:]))
"""


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that finds the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_light_side_imports_no_torch() -> None:
    code = "import importlib, sys\n" + "".join(
        f"importlib.import_module({name!r})\nassert 'torch' not in sys.modules, {name!r}\n" for name in LIGHT
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_the_window_itself_imports_no_torch() -> None:
    done = run_python("import app.window, sys; assert 'torch' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_starting_imports_neither_qt_nor_the_engine_s_heavy_parts() -> None:
    code = "import app.main, sys; print([n for n in ('PySide6', 'torch', 'cv2') if n in sys.modules])"
    done = run_python(code)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("verb", HEADLESS_VERBS)
def test_every_headless_verb_explains_itself_without_qt(verb: str) -> None:
    done = run_python(_WITHOUT_QT, verb, "--help")
    assert done.returncode == 0, done.stderr
    assert "maskloop " + verb in done.stdout


def test_a_verb_does_its_work_without_qt(tmp_path: Path) -> None:
    done = run_python(_WITHOUT_QT, "check", str(tmp_path / "nothing here"))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
