"""The one import of OpenCV leaves Qt's environment alone."""

import os
import subprocess
import sys
from pathlib import Path

import engine.opencv

_FAKE = """
import os
os.environ["QT_QPA_PLATFORM_PLUGIN_PATH"] = "changed"
os.environ["QT_QPA_FONTDIR"] = "added"
os.environ["OTHER"] = "kept"
def setNumThreads(number): pass
"""


def test_what_a_full_opencv_sets_for_qt_is_put_back(tmp_path):
    (tmp_path / "cv2.py").write_text(_FAKE)
    root = Path(engine.opencv.__file__).parents[1]
    code = (
        "import os, engine.opencv as module\n"
        "get = os.environ.get\n"
        "print(get('QT_QPA_PLATFORM_PLUGIN_PATH'), get('QT_QPA_FONTDIR'), get('OTHER'))"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(root)]),
        "QT_QPA_PLATFORM_PLUGIN_PATH": "before",
    }
    environment.pop("QT_QPA_FONTDIR", None)
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["before", "None", "kept"]


def test_opencv_starts_no_threads_of_its_own():
    assert engine.opencv.cv2.getNumThreads() == 1
