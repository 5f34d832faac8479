"""Labels that are perhaps slips, most suspicious first, with keys to keep, fix or delete them."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QKeyEvent, QPainter, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QWidget,
)

from app.panels.inspect.page import Export, ProjectPage, Question, color_of, percent, value_at, wrapped
from app.panels.inspect.probe import Point, Probe
from app.theme import Look
from app.widgets.bars import Bar, BarList
from app.widgets.color_bar import short
from app.widgets.marks import swatch
from app.widgets.own_keys import MOVING, claims
from engine.messages import LabelError, LabelErrorsFound

KEEP, FIX, DELETE = "keep", "fix", "delete"
KEYS = {
    Qt.Key.Key_K: KEEP,
    Qt.Key.Key_F: FIX,
    Qt.Key.Key_Delete: DELETE,
    Qt.Key.Key_Backspace: DELETE,
}
LIST_HEIGHT = 300


class SuspectList(QListWidget):
    """The list; its keys come before those of the window while it has the focus.

    Attributes:
        decided: "keep", "fix" or "delete" was pressed.
        opened: Return was pressed: show the place.
    """

    decided = Signal(str)
    opened = Signal()

    def event(self, event: QEvent) -> bool:
        """Keep the window's shortcuts from the keys of this list."""
        return True if claims(event, MOVING | KEYS.keys()) else super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Decide about the current row, or show its place."""
        key = Qt.Key(event.key())
        if key in KEYS and not event.modifiers():
            self.decided.emit(KEYS[key])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit()
        else:
            super().keyPressEvent(event)


class ErrorsPage(ProjectPage):
    """A review of what people labelled."""

    name: ClassVar[str] = "errors"
    title: ClassVar[str] = "Errors"
    meaning: ClassVar[str] = (
        "Your strokes and imported labels, those that are most likely slips first; "
        "bold: the one under the cursor."
    )
    question: ClassVar[Question] = Question(
        answer="label_errors_found",
        ask=lambda inspection: inspection.find_label_errors(),
        known=lambda inspection: inspection.label_errors,
        working="Comparing every label with the network and its neighbours…",
        unasked="Nothing searched yet. Label a little, train, then open this tab again.",
    )

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(probe, look, parent)
        self._found: LabelErrorsFound | None = None
        self._left: list[LabelError] = []
        self._kept: set[tuple[str, int, int, int]] = set()
        self.summary = wrapped("", kind="muted")
        self.search = QPushButton("Search")
        self.search.setToolTip("Look at every labelled image with the weights of now.")
        top = QHBoxLayout()
        top.addWidget(self.summary, 1)
        top.addWidget(self.search, 0, Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(top)
        self.list = SuspectList()
        self.list.setAccessibleName("Suspicious labels")
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setIconSize(QSize(34, 16))
        self.list.setMinimumHeight(LIST_HEIGHT)
        self.list.setWordWrap(False)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.body.addWidget(self.list)
        self.buttons = {
            KEEP: QPushButton("Keep (K)"),
            FIX: QPushButton("Fix (F)"),
            DELETE: QPushButton("Delete (Del)"),
        }
        self.buttons[KEEP].setToolTip("It is right. It leaves the list.")
        self.buttons[FIX].setToolTip("Give the region the suggested class. Ctrl+Z takes it back.")
        self.buttons[DELETE].setToolTip("Make the region unlabelled. Ctrl+Z takes it back.")
        row = QHBoxLayout()
        row.setSpacing(4)
        for decision, button in self.buttons.items():
            button.setProperty("narrow", True)
            button.clicked.connect(lambda _checked=False, decision=decision: self.decide(decision))
            row.addWidget(button)
        self.body.addLayout(row)
        self.about = wrapped("")
        self.evidence = BarList(look)
        self.evidence.setAccessibleName("Why this label is suspicious")
        self.body.addWidget(self.about)
        self.body.addWidget(self.evidence)
        self.search.clicked.connect(self.ask_again)
        self.list.decided.connect(self.decide)
        self.list.opened.connect(self._show_place)
        self.list.itemClicked.connect(lambda _item: self._show_place())
        self.list.currentRowChanged.connect(lambda _row: self._describe())

    # --- what is known ----------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show another list; the same one keeps its place."""
        inspection = self.probe.inspection
        found = inspection.label_errors if inspection is not None else None
        self.search.setEnabled(not self.is_waiting)
        self.search.setText("Searching…" if self.is_waiting else "Search again")
        if found is not None and found is not self._found:
            self._found = found
            self._left = [error for error in found.errors if _key(error) not in self._kept]
            self._fill()
        self.follow(self.probe.cursor)

    def _fill(self) -> None:
        self.list.clear()
        for error in self._left:
            item = QListWidgetItem(self._icon(error), self.words(error))
            item.setToolTip(f"{self.words(error)}\n“{error.image_id}”, row {error.y}, column {error.x}")
            self.list.addItem(item)
        if self._left:
            self.list.setCurrentRow(0)
        self._count()
        self._describe()

    def _count(self) -> None:
        found = self._found
        regions = found.regions if found is not None else 0
        self.summary.setText(
            f"{len(self._left):,} of {regions:,} labelled regions left to look at."
            if self._left
            else f"None of {regions:,} labelled regions left to look at."
        )

    def words(self, error: LabelError) -> str:
        """Return one line about a suspicious label."""
        names = [self.probe.class_name(index) for index in (error.class_index, error.suggested)]
        return f"{percent(error.score)}  {names[0]} → {names[1]}?"

    def _icon(self, error: LabelError) -> QIcon:
        ratio = self.devicePixelRatioF()
        pair = QPixmap(QSize(round(34 * ratio), round(16 * ratio)))
        pair.setDevicePixelRatio(ratio)
        pair.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pair)
        painter.drawPixmap(0, 1, swatch(color_of(self.probe, error.class_index), 14, ratio))
        painter.drawPixmap(18, 1, swatch(color_of(self.probe, error.suggested), 14, ratio))
        painter.end()
        return QIcon(pair)

    # --- the cursor -------------------------------------------------------------------------------------

    def follow(self, point: Point | None) -> None:
        """Write the entry in bold whose region holds the pixel under the cursor; the chosen one stays."""
        here = self._at(point) if point is not None else None
        for row, error in enumerate(self._left):
            item = self.list.item(row)
            if item.font().bold() != (error is here):
                font = item.font()
                font.setBold(error is here)
                item.setFont(font)

    def _at(self, point: Point) -> LabelError | None:
        """Return the smallest region at a point whose label is still there, or None."""
        session = self.probe.bridge.session
        annotation = session.annotation if session is not None else None
        if annotation is None:
            return None
        label, y, x = value_at(annotation.label_map, annotation.label_map.shape, point), *point
        held = [
            error
            for error in self._left
            if error.image_id == self.probe.image_id
            and error.class_index == label
            and error.box.top <= y < error.box.bottom
            and error.box.left <= x < error.box.right
        ]
        return min(held, key=lambda error: error.pixels, default=None)

    # --- one of them ------------------------------------------------------------------------------------

    @property
    def current(self) -> LabelError | None:
        """The label in question."""
        row = self.list.currentRow()
        return self._left[row] if 0 <= row < len(self._left) else None

    def _describe(self) -> None:
        error = self.current
        for decision, button in self.buttons.items():
            button.setEnabled(error is not None and (decision == KEEP or self._may_change()))
        if error is None:
            self.about.setText("")
            self.evidence.set_bars(())
            return
        own, other = (self.probe.class_name(index) for index in (error.class_index, error.suggested))
        name = error.image_id.rsplit("/", 1)[-1]
        self.about.setText(f"{name}: labelled {own}, {error.pixels:,} pixels; the network suggests {other}.")
        self.evidence.set_bars(
            [
                Bar(
                    "Surprise", (), error.loss, short(error.loss), "Loss of a network that did not learn it."
                ),
                Bar("Far from its class", (), error.distance, short(error.distance), "Distance in memory."),
                Bar(
                    "Neighbours object",
                    (),
                    error.contradiction,
                    short(error.contradiction),
                    "What lies around.",
                ),
            ]
        )

    def _may_change(self) -> bool:
        session = self.probe.bridge.session
        return session is not None and not session.read_only

    def _show_place(self) -> None:
        error = self.current
        if error is not None:
            self.probe.jump.emit(error.image_id, error.y + 0.5, error.x + 0.5)

    def decide(self, decision: str) -> None:
        """Keep, fix or delete the label in question, and go on to the next."""
        error = self.current
        if error is None or (decision != KEEP and not self._may_change()):
            return
        self._kept.add(_key(error))
        if decision != KEEP:
            target = error.suggested if decision == FIX else None
            self.probe.fix.emit(error.image_id, error.y + 0.5, error.x + 0.5, target)
        row = self.list.currentRow()
        del self._left[row]
        self.list.takeItem(row)
        self.list.setCurrentRow(min(row, len(self._left) - 1))
        self._count()
        self._describe()

    def export(self) -> Export | None:
        """Return the list."""
        found = self._found
        if found is None:
            return None
        head = ["image", "row", "column", "label", "suggested", "pixels", "score"]
        rows: list[list[object]] = [[*head, "loss", "distance", "contradiction"]]
        rows += [
            [
                error.image_id,
                error.y,
                error.x,
                self.probe.class_name(error.class_index),
                self.probe.class_name(error.suggested),
                error.pixels,
                error.score,
                error.loss,
                error.distance,
                error.contradiction,
            ]
            for error in found.errors
        ]
        return Export("label-errors", {"": self.content.grab().toImage()}, rows, {"regions": found.regions})


def _key(error: LabelError) -> tuple[str, int, int, int]:
    return error.image_id, error.y, error.x, error.class_index
