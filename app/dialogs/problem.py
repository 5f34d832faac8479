"""Everything known about a problem, ready to be copied."""

from __future__ import annotations

from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from app.dialogs.frame import PlainDialog
from app.widgets.marks import label


class ProblemDialog(PlainDialog):
    """Message, advice, and the report for whoever mends it.

    Args:
        message: What happened and why.
        hint: What to do; may be empty.
        report: Traceback or other details; may be empty.
        parent: The window, or None.
        title: Heading.
    """

    def __init__(
        self, message: str, hint: str, report: str, parent: QWidget | None = None, title: str = "Details"
    ) -> None:
        super().__init__(title, "", parent)
        for text, kind in ((message, ""), (hint, "muted")):
            if text:
                words = label(text, kind=kind)
                words.setWordWrap(True)
                self.body.addWidget(words)
        self.report = QPlainTextEdit(report)
        self.report.setReadOnly(True)
        self.report.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.report.setVisible(bool(report))
        self.report.setMinimumHeight(220)
        self.body.addWidget(self.report, 1)
        if report:
            self.add_button("Copy report").clicked.connect(self._copy)
        self.resize(720, 460 if report else 200)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.report.toPlainText())


def crash_dialog(summary: str, report: str, path: str, parent: QWidget | None = None) -> ProblemDialog:
    """Return the dialog shown after an error nobody expected."""
    where = f" A report is in {path}." if path else ""
    return ProblemDialog(
        f"Something in the program went wrong: {summary}",
        f"Everything you painted so far is saved. You can go on; restart if something looks odd.{where}",
        report,
        parent,
        "An unexpected error",
    )
