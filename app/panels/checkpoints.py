"""The list of checkpoints: what was shown, what was only kept, and what a person can do with each."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from PySide6.QtCore import QItemSelectionModel, QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.bridge import Bridge
from app.widgets.marks import label
from engine.learn.checkpoint_files import CheckpointInfo
from engine.messages import CandidateJudged, WorkerState

_COLUMNS = ("Checkpoint", "Step", "mIoU", "Labels", "Saved")
_COLUMNS_SAY = (
    "Its name, and what was found about it.",
    "Updates of the weights by then.",
    "On the held-out images, when it was saved.",
    "Changes of annotations by then.",
    "When it was saved.",
)
NOT_BETTER = "◍ not better"
_SELECT_ROW = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows


def guard_sentence(judged: CandidateJudged | None) -> str:
    """Return the line about the newest candidate: what it would flip, and whether it is shown."""
    if judged is None:
        return "No candidate was judged yet. New weights are shown only if nothing you said is lost by them."
    mark = "✓ shown" if judged.promoted else "✗ kept, not shown"
    if judged.flipped is None:
        return f"Step {judged.step:,}: {judged.reason} {mark}"
    flips = f"flips of accepted pixels {100 * judged.flipped:.1f} % (limit {100 * judged.limit:.0f} %)"
    why = "" if judged.promoted else f" {judged.reason}"
    return f"Step {judged.step:,}: {flips} {mark}.{why}"


class CheckpointPanel(QWidget):
    """Table, guard line and buttons.

    Attributes:
        save_wanted: A checkpoint with a name is wanted.
        compare_wanted: Pictures of the difference are wanted: the file before, or None for what is shown, and
            the file after, or None for the candidate.

    Args:
        bridge: Where the checkpoints live.
    """

    save_wanted = Signal()
    compare_wanted = Signal(object, object)

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._infos: tuple[CheckpointInfo, ...] = ()
        self._sure = False
        self.guard = label(kind="muted")
        self.guard.setWordWrap(True)
        self.table = _table()
        self.load_button = QPushButton("Go back to it")
        self.load_button.setToolTip("Use the selected checkpoint from now on. Labels are not touched.")
        self.save_button = QPushButton("Save now…")
        self.save_button.setToolTip("Keep what the network knows now, with a name.")
        self.promote_button = QPushButton("Show it anyway")
        self.compare_button = QPushButton("Look at the difference")
        self.name_button = QPushButton("Name…")
        self.name_button.setToolTip("Named checkpoints are never deleted by themselves.")
        self.delete_button = QPushButton("Delete others")
        self.name = QLineEdit()
        self.name.setPlaceholderText("Name of the checkpoint; Return to keep, empty for none")
        self.name.setAccessibleName("Name of the checkpoint")
        self.name.hide()
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        buttons = QGridLayout()
        buttons.setSpacing(6)
        rows = (
            (self.promote_button, self.compare_button, self.load_button),
            (self.name_button, self.delete_button, self.save_button),
        )
        for row, line in enumerate(rows):
            for column, button in enumerate(line):
                buttons.addWidget(button, row, column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.guard)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.name)
        layout.addLayout(buttons)

    def _connect(self) -> None:
        self.load_button.clicked.connect(self._load)
        self.save_button.clicked.connect(self.save_wanted)
        self.promote_button.clicked.connect(self._promote)
        self.compare_button.clicked.connect(lambda: self.compare_wanted.emit(*self._compared()))
        self.name_button.clicked.connect(self._ask_name)
        self.name.returnPressed.connect(self._give_name)
        self.delete_button.clicked.connect(self._delete_others)
        self.table.itemSelectionChanged.connect(self._selected)
        bridge = self._bridge
        bridge.session_changed.connect(self.refresh)
        bridge.checkpoint_saved.connect(lambda _event: self.refresh())
        bridge.checkpoints_changed.connect(lambda _event: self.refresh())
        bridge.candidate_judged.connect(lambda _event: self._judged())
        bridge.state_changed.connect(lambda _event: self.enable())

    # --- showing ----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the list of checkpoints anew; the selection stays where it was."""
        session, before = self._bridge.session, self._paths()
        self._sure = False  # the question was about the files of then
        self._infos = session.checkpoints() if session is not None else ()
        self.table.setRowCount(len(self._infos))
        for row, info in enumerate(self._infos):
            self._fill(row, info)
        self._select(before)
        self._judged()

    def _select(self, paths: tuple[Path, ...]) -> None:
        """Select the rows of these files, and no others; who is typing a name is not disturbed."""
        if self._paths() != paths:
            with QSignalBlocker(self.table):
                self.table.clearSelection()
                for row, info in enumerate(self._infos):
                    if info.path in paths:
                        index = self.table.model().index(row, 0)
                        self.table.selectionModel().select(index, _SELECT_ROW)
        if self._paths() != paths:
            self._selected()

    def _fill(self, row: int, info: CheckpointInfo) -> None:
        when = dt.datetime.fromtimestamp(info.saved_at).astimezone()
        today = dt.datetime.now().astimezone().date()
        mark = " ★ best" if info.is_best else "" if info.better else f" {NOT_BETTER}"
        texts = (
            f"{info.name or 'automatic'}{mark}",
            f"{info.step:,}",
            "–" if info.miou is None else f"{info.miou:.3f}",
            "–" if info.labels_version is None else str(info.labels_version),
            f"{when:%H:%M:%S}" if when.date() == today else f"{when:%d %b}",
        )
        shown = "" if info.better else "\nKept, but not shown: it was no better than what was shown."
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setData(Qt.ItemDataRole.UserRole, info.path)
            item.setToolTip(f"{info.path.name}\n{when:%Y-%m-%d %H:%M:%S}{shown}")
            self.table.setItem(row, column, item)

    def _judged(self) -> None:
        session = self._bridge.session
        self.guard.setText(guard_sentence(None if session is None else session.candidates.verdict))
        self.enable()

    def enable(self) -> None:
        """Switch the buttons on and off by what is selected, pinned and going on, and say why."""
        session, chosen = self._bridge.session, self._path()
        is_pair = len(self._paths()) == 2
        can_work = self._bridge.worker_state in (WorkerState.IDLE, WorkerState.TRAINING)
        can_write = session is not None and not session.read_only and can_work
        verdict = None if session is None else session.candidates.verdict
        waits = verdict is not None and not verdict.promoted and not self._paths()
        self.load_button.setEnabled(session is not None and chosen is not None)
        self.save_button.setEnabled(can_write)
        self.promote_button.setEnabled(can_work and (chosen is not None or waits))
        self.promote_button.setToolTip(
            "Show the selected checkpoint from now on; training goes on."
            if chosen is not None
            else "Show the newest weights although they were not found better."
            if waits
            else "Select one checkpoint. What is shown now is the newest that was found no worse."
        )
        pinned = session is not None and bool(session.candidates.pinned)
        self.compare_button.setEnabled(can_work and pinned and (chosen is not None or is_pair or waits))
        self.compare_button.setToolTip(
            "Pin an image first, beside the curve."
            if not pinned
            else "Predict the pinned images with the older and the newer of the two."
            if is_pair
            else "Predict the pinned images with what is shown now and with this. Select two with Ctrl to "
            "compare them with each other."
        )
        self.name_button.setEnabled(can_write and chosen is not None)
        count = len(self._others())
        self.delete_button.setEnabled(can_write and count > 0)
        files = "1 file" if count == 1 else f"{count} files"
        self.delete_button.setText(f"Delete {files}: sure?" if self._sure else "Delete others")
        self.delete_button.setToolTip(
            f"Delete {files}: automatic ones that are neither selected, best nor in use."
            if count
            else "There is nothing to delete: only automatic checkpoints that are not in use go."
        )

    # --- intentions -------------------------------------------------------------------------------------

    def _paths(self) -> tuple[Path, ...]:
        """Return the selected files, the newest first."""
        rows = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        items = (self.table.item(row, 0) for row in rows)
        return tuple(Path(item.data(Qt.ItemDataRole.UserRole)) for item in items if item is not None)

    def _path(self) -> Path | None:
        """Return the selected file where it is the only one."""
        paths = self._paths()
        return paths[0] if len(paths) == 1 else None

    def _compared(self) -> tuple[Path | None, Path | None]:
        """Return what to compare: two selected files, or what is shown with the file or the candidate."""
        paths = self._paths()
        return (paths[1], paths[0]) if len(paths) == 2 else (None, self._path())

    def _others(self) -> tuple[Path, ...]:
        """Return automatic checkpoints that are neither selected, best nor in use."""
        session = self._bridge.session
        if session is None:
            return ()
        spared = {path.name for path in self._paths()} | {Path(session.manifest.checkpoint or "").name}
        return tuple(
            info.path
            for info in self._infos
            if not info.name and not info.is_best and info.path.name not in spared
        )

    def _selected(self) -> None:
        self._sure = False
        self.name.hide()
        self.enable()

    def _load(self) -> None:
        bridge, path = self._bridge, self._path()
        if path is not None:
            bridge.attempt("The checkpoint could not be loaded", lambda: bridge.load_checkpoint(path))

    def _promote(self) -> None:
        session = self._bridge.session
        if session is not None:
            session.candidates.promote(self._path())

    def _ask_name(self) -> None:
        info = next((info for info in self._infos if info.path == self._path()), None)
        if info is not None:
            self.name.setText(info.name)
            self.name.show()
            self.name.setFocus()

    def _give_name(self) -> None:
        session, path = self._bridge.session, self._path()
        self.name.hide()
        if session is not None and path is not None:
            session.candidates.name(path, self.name.text())

    def _delete_others(self) -> None:
        """Ask by the button's own text; the second click deletes."""
        session = self._bridge.session
        self._sure = not self._sure
        if session is not None and not self._sure:
            session.candidates.delete(self._others())
        self.enable()


def _table() -> QTableWidget:
    table = QTableWidget(0, len(_COLUMNS))
    table.setHorizontalHeaderLabels(list(_COLUMNS))
    for column, words in enumerate(_COLUMNS_SAY):
        item = table.horizontalHeaderItem(column)
        if item is not None:
            item.setToolTip(words)
    table.verticalHeader().hide()
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    table.setShowGrid(False)
    table.setAccessibleName("Checkpoints")
    header = table.horizontalHeader()
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    return table
