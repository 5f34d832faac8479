"""The one import of OpenCV.

A machine may have the full `opencv-python` package, whose import points Qt's plugin path at a Qt of its own;
the environment is put back as it was, so that a window can still open. OpenCV's own thread pool is switched
off: our calls are small, and the cores belong to the network.
"""

from __future__ import annotations

import os

_BEFORE = dict(os.environ)

import cv2  # noqa: E402 - the environment must be read first

for _name in [name for name in os.environ if name.startswith("QT_") and name not in _BEFORE]:
    del os.environ[_name]
os.environ.update({name: value for name, value in _BEFORE.items() if name.startswith("QT_")})

cv2.setNumThreads(1)

__all__ = ["cv2"]
