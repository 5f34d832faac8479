"""Import of a published checkpoint: what the file is, which of its tensors fit, and whose classes to use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtWidgets import QCheckBox, QPlainTextEdit, QProgressBar, QWidget

from app.dialogs.checkpoint_settings import CheckpointSettings
from app.dialogs.frame import PlainDialog
from app.dialogs.question import Question
from app.widgets.marks import label
from engine.annotate.classes import ClassTable
from engine.errors import AnnotationError
from engine.files import storage_errors

if TYPE_CHECKING:
    from engine.learn.released import Imported, ImportReport


class ImportCheckpointDialog(PlainDialog):
    """Reads the file on a thread of its own, shows the report, and writes our checkpoint when accepted.

    Attributes:
        imported: What was read; None until then, or if the file cannot be used.
        written: Our checkpoint, once the dialog was accepted.

    Args:
        file: Published checkpoint.
        folder: Folder that gets our checkpoint; made if needed.
        classes: Class table of the project.
        parent: The window.
    """

    def __init__(self, file: Path, folder: Path, classes: ClassTable, parent: QWidget | None = None) -> None:
        super().__init__("Import a published checkpoint", "Import", parent)
        self.imported: Imported | None = None
        self.written: Path | None = None
        self._file, self._folder, self._classes = file, folder, classes
        self.summary = label(f"Reading “{file.name}”…")
        self.summary.setWordWrap(True)
        self.waiting = QProgressBar()
        self.waiting.setRange(0, 0)
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setAccessibleName("Tensors of the file")
        self.take_classes = QCheckBox("Add the classes of the checkpoint to this project")
        self.take_classes.setToolTip("Classes of the same name are one. What you painted stays as it is.")
        self.take_classes.setEnabled(False)
        safe = label(
            "The project goes over to this network. Your labels and older checkpoints stay.", kind="muted"
        )
        self.settings = CheckpointSettings(file)
        self.settings.asked.connect(self.read_again)
        self.settings.changed.connect(self._outdate)
        self.settings.hide()
        self.show_settings = QCheckBox("Say what the file does not tell: published name, classes, settings")
        self.show_settings.toggled.connect(self.settings.setVisible)
        for widget in (self.summary, self.waiting, self.details, self.show_settings, self.settings):
            self.body.addWidget(widget)
        for widget in (self.take_classes, safe):
            self.body.addWidget(widget)
        self.accept_button.setEnabled(False)
        self.resize(680, 560)
        # Accepting takes a while: the file is written first, on a thread.
        self.buttons.accepted.disconnect(self.accept)
        self.buttons.accepted.connect(self._save)
        self._question = Question("checkpoint-import", lambda: _read(file), self._show)

    def table(self) -> ClassTable:
        """Return the project's classes, with those of the checkpoint added if the person wants them.

        Raises:
            AnnotationError: there is no room for so many classes.
        """
        if self.imported is None or not self.take_classes.isChecked():
            return self._classes
        return _joined(self._classes, self.imported.report.classes)

    def read_again(self) -> None:
        """Read the file once more, with what the person said about it."""
        self.imported = None
        self.accept_button.setEnabled(False)
        self.settings.again.setEnabled(False)
        self.waiting.show()
        self.summary.setText(f"Reading “{self._file.name}”…")
        file, said = self._file, self.settings
        name, classes, network = said.published_name(), said.classes, said.network()
        self._question = Question(
            "checkpoint-import", lambda: _read(file, name, classes, network), self._show
        )

    def _outdate(self) -> None:
        """What was read does not hold any more: it waits for the next reading."""
        self.imported = None
        self.accept_button.setEnabled(False)
        self.summary.setText("“Read again” takes over what you changed.")

    def _save(self) -> None:
        if self.imported is not None:
            self.accept_button.setEnabled(False)
            self.waiting.show()
            imported, folder, name = self.imported, self._folder, self._file.stem
            self._question = Question(
                "checkpoint-import", lambda: _write(imported, folder, name), self._finish
            )

    def _show(self, answer: object, problem: str) -> None:
        self._question.join()
        self.waiting.hide()
        self.settings.again.setEnabled(True)
        self.imported = imported = cast("Imported | None", answer)
        self.details.setVisible(imported is not None)
        if imported is None:
            self.summary.setText(problem)
            return
        report = imported.report
        self.settings.show_network(report.network)
        self.summary.setText(report.summary())
        self.details.setPlainText("\n".join(_lines(report)))
        self.take_classes.setText(f"Add the {len(report.classes)} classes of the checkpoint to this project")
        self.take_classes.setChecked(not len(self._classes))
        # Without any class there is nothing a network could tell apart.
        self.take_classes.setEnabled(bool(len(self._classes)))
        self.accept_button.setEnabled(report.complete)

    def _finish(self, written: object, problem: str) -> None:
        self._question.join()
        self.waiting.hide()
        if not isinstance(written, Path):
            self.summary.setText(problem)
            self.accept_button.setEnabled(True)
            return
        try:
            self.table()
        except AnnotationError as error:
            self.summary.setText(f"{error.message} {error.hint}")
            self.accept_button.setEnabled(True)
            return
        self.written = written
        self.accept()


def _read(file: Path, name: str = "", classes: ClassTable | None = None, network: Any = None) -> Imported:
    """Read the file; on a thread of its own, because torch and the file take their time.

    Args:
        file: Published checkpoint.
        name: What its authors called it; "" for its own name.
        classes: Its classes, or None for those of the data set in its name.
        network: Its configuration, or None for what tensors and name tell.
    """
    from engine.learn.released import read_released

    return read_released(
        file, classes=classes, published_name=name, change=lambda told: told if network is None else network
    )


def _write(imported: Imported, folder: Path, name: str) -> Path:
    """Write our checkpoint; on a thread of its own."""
    from engine.learn.released import save_released

    with storage_errors(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)
    return save_released(imported, folder, name=name)


def _joined(own: ClassTable, more: ClassTable) -> ClassTable:
    """Return a table with the classes of both; names that are in both stand once."""
    for spec in more:
        if own.by_name(spec.name) is None:
            own = own.add(spec.name)
    return own


def _lines(report: ImportReport) -> list[str]:
    """Return the report line by line: notes, then tensors by name."""
    parts = (
        ("Missing", report.missing),
        ("Left over", report.left_over),
        ("Computed here instead", report.computed),
        ("Used", report.used),
    )
    lines = list(report.notes)
    for title, names in parts:
        if names:
            lines += ["", f"{title}: {len(names)}", *(f"    {name}" for name in names)]
    return lines
