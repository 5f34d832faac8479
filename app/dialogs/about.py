"""Version and licences."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from PySide6.QtCore import qVersion
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from app import assets
from app.dialogs.frame import PlainDialog
from app.widgets.marks import label


def program_version() -> str:
    """Return the version of the installed program, or what is said when it runs from its source."""
    try:
        return version("maskloop")
    except PackageNotFoundError:
        return "from source"


class AboutDialog(PlainDialog):
    """What this is, and what it stands on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Maskloop", "", parent)
        claim = label("Correct what a network predicts, and it learns while you work. MIT licence.")
        claim.setWordWrap(True)
        self.body.addWidget(claim)
        words = f"Version {program_version()} · Python {platform.python_version()} · Qt {qVersion()}"
        self.body.addWidget(label(words, kind="muted"))
        self.body.addWidget(label("It stands on", kind="subheading"))
        licences = QPlainTextEdit(assets.text("about/licences.txt"))
        licences.setReadOnly(True)
        self.body.addWidget(licences, 1)
        self.resize(640, 520)
