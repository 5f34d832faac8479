"""The images of the project as a Qt model: made for thousands, thumbnails only for rows that are seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QPixmap, QPixmapCache

from engine.project.manifest import ImageRecord, ImageStatus, Split

RECORD_ROLE = Qt.ItemDataRole.UserRole + 1
PROBLEM_ROLE = Qt.ItemDataRole.UserRole + 2
MARK_ROLE = Qt.ItemDataRole.UserRole + 3

Index = QModelIndex | QPersistentModelIndex


class Shown(Enum):
    """Which images the queue shows; the value is what the combo box says."""

    ALL = "All images"
    UNREVIEWED = "Not reviewed"
    UNSURE = "Unsure"
    CHANGED = "Changed"
    REVIEWED = "Reviewed"
    DISPUTED = "First guess overruled"


DISPUTED_FROM = 0.05
"""Share of an image on which a network changed its mind from which on the image is worth a look."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a small look at an image found.

    Attributes:
        percent: Mean doubt of its pixels, in whole percent.
        level: 1 little doubt beside the other images, 2 middling, 3 unsure.
        is_unsure: Whether the filter for doubtful images shows it.
        is_changed: Whether its prediction has changed since the person last looked.
    """

    percent: int
    level: int
    is_unsure: bool = False
    is_changed: bool = False

    @property
    def words(self) -> str:
        """The same for people."""
        return f"{self.percent} % unsure" + (", changed since you looked" if self.is_changed else "")


STATUS_TEXT = {
    ImageStatus.NEW: "new",
    ImageStatus.STARTED: "started",
    ImageStatus.REVIEWED: "reviewed",
}


def to_pixmap(rgb: NDArray[np.uint8]) -> QPixmap:
    """Return an (h, w, 3) uint8 RGB array as a pixmap."""
    height, width = rgb.shape[:2]
    data = np.ascontiguousarray(rgb)
    image = QImage(data.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image)  # copies, so that the array may go


class QueueModel(QAbstractListModel):
    """Images in queue order, filtered by status.

    Attributes:
        thumbnails_wanted: Image ids whose rows were painted without a thumbnail, newest last.
    """

    thumbnails_wanted = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._records: dict[str, ImageRecord] = {}
        self._order: list[str] = []
        self._rows: list[str] = []
        self._row_of: dict[str, int] = {}
        self._shown = Shown.ALL
        self._disputed: dict[str, float] = {}
        self._asked: set[str] = set()
        self._wanted: dict[str, None] = {}
        self._problems: dict[str, str] = {}
        self._marks: dict[str, Mark] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(30)
        self._timer.timeout.connect(self._ask)

    @property
    def shown(self) -> Shown:
        """The filter in force."""
        return self._shown

    def set_records(self, records: Sequence[ImageRecord]) -> None:
        """Show the images of another folder."""
        self.beginResetModel()
        self._records = {record.image_id: record for record in records}
        self._order = list(self._records)
        self._asked.clear()
        self._wanted.clear()
        self._problems.clear()
        self._disputed.clear()
        self._marks.clear()
        self._filter()
        self.endResetModel()

    def set_shown(self, shown: Shown) -> None:
        """Filter by status."""
        if shown is not self._shown:
            self.beginResetModel()
            self._shown = shown
            self._filter()
            self.endResetModel()

    def set_dispute(self, image_id: str, share: float) -> None:
        """Note on which share of an image the network's first guess and its answer differ."""
        self._disputed[image_id] = share
        if self._shown is Shown.DISPUTED and share >= DISPUTED_FROM and image_id not in self._row_of:
            self.beginResetModel()
            self._filter()
            self.endResetModel()

    def set_order(self, image_ids: Sequence[str]) -> None:
        """Show the rows in another order; ids that are not there are left out."""
        order = [name for name in image_ids if name in self._records]
        if order != self._order:
            self.beginResetModel()
            self._order = order
            self._filter()
            self.endResetModel()

    def set_marks(self, marks: Mapping[str, Mark]) -> None:
        """Take in what small looks found; rows stay until the filter is applied again."""
        before, self._marks = self._marks, dict(marks)
        for name in before.keys() | self._marks.keys():
            if before.get(name) != self._marks.get(name):
                self._row_changed(name)

    def refilter(self) -> None:
        """Apply the filter to what is known now."""
        rows = [name for name in self._order if self._passes(name)]
        if rows != self._rows:
            self.beginResetModel()
            self._filter()
            self.endResetModel()

    def update_record(self, record: ImageRecord) -> None:
        """Take in one changed record; its row stays until the filter is applied again."""
        self._records[record.image_id] = record
        self._row_changed(record.image_id)

    def update_records(self, records: Sequence[ImageRecord]) -> None:
        """Take in every record anew without losing thumbnails."""
        for record in records:
            if self._records.get(record.image_id) != record:
                self.update_record(record)

    def set_problem(self, image_id: str, message: str) -> None:
        """Say why an image cannot be shown; an empty message takes that back."""
        if self._problems.get(image_id, "") == message:
            return
        self._problems[image_id] = message
        if not message:
            del self._problems[image_id]
            self._asked.discard(image_id)
        self._row_changed(image_id)

    def set_thumbnail(self, image_id: str, thumbnail: NDArray[np.uint8]) -> None:
        """Take in an (h, w, 3) uint8 RGB thumbnail."""
        QPixmapCache.insert(self._key(image_id), to_pixmap(thumbnail))
        self._asked.discard(image_id)
        self._row_changed(image_id)

    def row_of(self, image_id: str) -> int:
        """Return the row of an image, -1 where the filter hides it."""
        return self._row_of.get(image_id, -1)

    def image_at(self, row: int) -> str:
        """Return the image of a row."""
        return self._rows[row]

    def counts(self) -> dict[ImageStatus, int]:
        """Return how many images have each status, the hidden ones included."""
        found = dict.fromkeys(ImageStatus, 0)
        for record in self._records.values():
            found[record.status] += 1
        return found

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """Return the number of rows shown."""
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a row shows."""
        if not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        image_id = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return image_id
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnail(image_id)
        if role == RECORD_ROLE:
            return self._records[image_id]
        if role == MARK_ROLE:
            return self._marks.get(image_id)
        if role == PROBLEM_ROLE:
            return self._problems.get(image_id, "")
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._words(image_id)
        return None

    def _words(self, image_id: str) -> str:
        if image_id in self._problems:
            return f"{image_id}: {self._problems[image_id]}"
        record = self._records[image_id]
        held_out = ", held out: measured on, never learned from" if record.split is Split.VAL else ""
        size = f", {record.size[1]} × {record.size[0]}" if record.size else ""
        mark = self._marks.get(image_id)
        doubt = f", {mark.words}" if mark is not None else ""
        return f"{image_id}: {STATUS_TEXT[record.status]}{held_out}{size}{doubt}"

    def _thumbnail(self, image_id: str) -> QPixmap | None:
        found = QPixmap()
        if QPixmapCache.find(self._key(image_id), found):
            return found
        if image_id not in self._asked and image_id not in self._problems:
            self._wanted[image_id] = None
            if not self._timer.isActive():
                self._timer.start()
        return None

    def _ask(self) -> None:
        wanted = tuple(self._wanted)
        self._wanted.clear()
        self._asked.update(wanted)
        if wanted:
            self.thumbnails_wanted.emit(wanted)

    def _key(self, image_id: str) -> str:
        return f"queue/{id(self)}/{image_id}"

    def _filter(self) -> None:
        self._rows = [name for name in self._order if self._passes(name)]
        self._row_of = {name: row for row, name in enumerate(self._rows)}

    def _passes(self, image_id: str) -> bool:
        mark = self._marks.get(image_id)
        is_reviewed = self._records[image_id].status is ImageStatus.REVIEWED
        match self._shown:
            case Shown.ALL:
                return True
            case Shown.UNREVIEWED:
                return not is_reviewed
            case Shown.REVIEWED:
                return is_reviewed
            case Shown.UNSURE:
                return mark is not None and mark.is_unsure
            case Shown.CHANGED:
                return mark is not None and mark.is_changed
            case Shown.DISPUTED:
                return self._disputed.get(image_id, 0.0) >= DISPUTED_FROM

    def surveyed(self) -> int:
        """Return of how many images first guess and answer were compared so far."""
        return len(self._disputed)

    def count_of(self, shown: Shown) -> int:
        """Return how many images a filter would show now."""
        match shown:
            case Shown.ALL:
                return len(self._records)
            case Shown.UNREVIEWED:
                return len(self._records) - self.counts()[ImageStatus.REVIEWED]
            case Shown.REVIEWED:
                return self.counts()[ImageStatus.REVIEWED]
            case Shown.UNSURE:
                return sum(mark.is_unsure for mark in self._marks.values())
            case Shown.CHANGED:
                return sum(mark.is_changed for mark in self._marks.values())
            case Shown.DISPUTED:
                return sum(share >= DISPUTED_FROM for share in self._disputed.values())

    def _row_changed(self, image_id: str) -> None:
        row = self.row_of(image_id)
        if row >= 0:
            index = self.index(row)
            self.dataChanged.emit(index, index)
