"""The command line without a window. Importing this package is cheap: no torch, no Qt, no OpenCV."""

from engine.cli.entry import VERBS, run

__all__ = ["VERBS", "run"]
