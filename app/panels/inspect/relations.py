"""Which class needs which: matrices over classes, and what the image would be without some of them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QFrame, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.canvas.overlay import ChangeOverlay, class_colors
from app.panels.inspect.page import Export, Page, color_of, percent, section, value_at, wrapped
from app.panels.inspect.probe import Laid, Point, Probe
from app.theme import Look
from app.theme.ramps import ramp_for
from app.widgets.bars import Bar, BarList
from app.widgets.color_bar import ColorBar
from app.widgets.matrix import MatrixView
from engine.messages.inspection import InspectedView, InspectionKind, InspectionReady, WhatIfReady

WHAT_IF = "what if"
MOST_CHANGES = 8
IN_ORDER, STRONGEST, BY_COLUMN = range(3)
SHARE_STRIDE = 8


class RelationsPage(Page):
    """A matrix, and the what-if of its rows."""

    name: ClassVar[str] = "relations"
    title: ClassVar[str] = "Relations"
    meaning: ClassVar[str] = (
        "How much the class of a row acts on the class of a column; "
        "the class predicted under the cursor is framed."
    )

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(probe, look, parent)
        self.deleted: frozenset[int] = frozenset()
        self._shown: tuple[InspectionReady | None, str, int, int] | None = None
        self._by_column = 0
        self.which = QComboBox()
        self.which.setAccessibleName("Which matrix")
        self.order = QComboBox()
        self.order.setAccessibleName("Order of rows and columns")
        self.order.addItems(["Class order", "Strongest first", "By a column"])
        for box in (self.which, self.order):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        choices = QVBoxLayout()
        choices.setSpacing(6)
        choices.addWidget(self.which)
        choices.addWidget(self.order)
        self._choices = QWidget()
        self._choices.setLayout(choices)
        choices.setContentsMargins(0, 0, 0, 0)
        self.explanation = wrapped("", kind="muted")
        self.matrix = MatrixView(look)
        self._frame = QScrollArea()
        self._frame.setWidgetResizable(True)
        self._frame.setFrameShape(QFrame.Shape.NoFrame)
        self._frame.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._frame.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._frame.setWidget(self.matrix)
        self.words = wrapped("")
        self.legend = ColorBar(look)
        for widget in (self._choices, self.explanation, self._frame, self.words, self.legend):
            self.body.addWidget(widget)
        self.reset = QPushButton("Reset")
        self.reset.setToolTip("All classes are known again.")
        section(self.body, "What if a class were not known?", self.reset)
        self.without = wrapped("")
        self.picker = BarList(look, clickable=True)
        self.picker.setAccessibleName("Classes that can be deleted")
        self.changes = BarList(look)
        self.changes.setAccessibleName("What changes")
        for widget in (self.without, self.picker, self.changes):
            self.body.addWidget(widget)
        self.which.currentIndexChanged.connect(lambda _place: self._changed())
        self.order.currentIndexChanged.connect(lambda _place: self._changed())
        self.matrix.hovered.connect(self._say)
        self.matrix.row_chosen.connect(self._toggle_channel)
        self.matrix.column_chosen.connect(self._sort_by)
        self.picker.chosen.connect(self._toggle_channel)
        self.reset.clicked.connect(lambda: self._delete(frozenset()))
        probe.bridge.what_if_ready.connect(lambda _event: self._lay_answer())
        probe.bridge.inspection_ready.connect(lambda _event: self._ask_anew())
        probe.bridge.current_changing.connect(self._forget)
        probe.bridge.session_changed.connect(self._forget)
        probe.bridge.classes_changed.connect(self._forget)

    def _forget(self) -> None:
        self.deleted = frozenset()
        self._shown = None

    def _ask_anew(self) -> None:
        """Ask the same what-if of a new look: the answer of the old weights went with them."""
        ready = self.probe.ready
        if self.deleted and ready is not None and ready.can_delete and self.probe.what_if is None:
            self.probe.delete(self.deleted)

    # --- what is known ----------------------------------------------------------------------------------

    def views(self) -> list[InspectedView]:
        """Return the matrices this network shows."""
        ready = self.probe.ready
        views = ready.views if ready is not None else ()
        return [view for view in views if view.kind is InspectionKind.CLASS_MATRIX]

    def nothing(self) -> str:
        """Return why there is no matrix and no what-if."""
        reason = super().nothing()
        ready = self.probe.ready
        if reason or ready is None or self.views() or ready.can_delete:
            return reason
        return (
            "This network has no class relations. IDRNet shows them: "
            "choose it in the menu Train, Network and checkpoints."
        )

    def refresh(self) -> None:
        """Show matrix and what-if."""
        ready = self.probe.ready
        if ready is None:
            return
        views = self.views()
        self._fill_choices(views)
        for widget in (self._choices, self.explanation, self._frame, self.words, self.legend):
            widget.setVisible(bool(views))
        if views:
            self._show_matrix(ready, views[max(self.which.currentIndex(), 0)])
        self._show_what_if(ready)
        self.follow(self.probe.cursor)

    def follow(self, point: Point | None) -> None:
        """Frame the row of the class predicted under the cursor; what is chosen stays."""
        ready = self.probe.ready
        if ready is None:
            return
        label = value_at(ready.label_map, ready.size, point)
        places = {float(index): place for place, index in enumerate(ready.classes)}
        self.matrix.set_pointed(places.get(label) if label is not None else None)

    def _fill_choices(self, views: list[InspectedView]) -> None:
        titles = [view.title for view in views]
        if [self.which.itemText(place) for place in range(self.which.count())] != titles:
            self.which.blockSignals(True)
            chosen = self.which.currentText()
            self.which.clear()
            self.which.addItems(titles)
            self.which.setCurrentIndex(max(self.which.findText(chosen), 0))
            self.which.blockSignals(False)

    def _show_matrix(self, ready: InspectionReady, view: InspectedView) -> None:
        state = (ready, view.name, self.order.currentIndex(), self._by_column)
        self.matrix.set_marked(self._marked(ready))
        if state == self._shown:
            return
        self._shown = state
        values = np.asarray(view.values, dtype=np.float32)
        is_empty = not bool(np.any(values))
        self.explanation.setText(
            f"{view.explanation} Not measured yet: it fills while the network trains."
            if is_empty
            else view.explanation
        )
        names = [self.probe.class_name(index) for index in ready.classes]
        colors = [color_of(self.probe, index) for index in ready.classes]
        between = between_classes(values)
        ramp = ramp_for(between)
        bounds = ramp.bounds(between)
        self.matrix.set_matrix(values, names, colors, ramp, bounds)
        self.matrix.set_order(*self._ordered(values))
        self._frame.setFixedHeight(self.matrix.heightForWidth(max(self._frame.width(), 1)) + 2)
        self.legend.set_range(ramp, *bounds)
        self._say(self.matrix.cell)

    def _ordered(
        self, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    ) -> tuple[list[int], list[int]]:
        count = values.shape[0]
        order = self.order.currentIndex()
        strength = np.abs(values)
        if order == STRONGEST:
            rows = np.argsort(-strength.sum(axis=1), kind="stable")
            columns = np.argsort(-strength.sum(axis=0), kind="stable")
            return rows.tolist(), columns.tolist()
        if order == BY_COLUMN and self._by_column < count:
            rows = np.argsort(-values[:, self._by_column], kind="stable")
            rest = [column for column in range(count) if column != self._by_column]
            return rows.tolist(), [self._by_column, *rest]
        return list(range(count)), list(range(count))

    def _sort_by(self, column: int) -> None:
        again = self.order.currentIndex() == BY_COLUMN and self._by_column == column
        self._by_column = column
        self.order.setCurrentIndex(IN_ORDER if again else BY_COLUMN)
        self._changed()

    def _say(self, cell: tuple[int, int] | None) -> None:
        if cell is None:
            can = self.probe.ready is not None and self.probe.ready.can_delete
            click = "Click a row: what if it were not known? " if can else ""
            self.words.setText(f"{click}Click a column's head to sort by it.")
            self.legend.set_value(None)
            return
        self.words.setText(self.matrix.words(cell))
        views = self.views()
        if views:
            values = views[max(self.which.currentIndex(), 0)].values
            self.legend.set_value(float(values[cell[0], cell[1]]))

    # --- what if ----------------------------------------------------------------------------------------

    def _marked(self, ready: InspectionReady) -> frozenset[int]:
        return frozenset(place for place, index in enumerate(ready.classes) if index in self.deleted)

    def _toggle_channel(self, channel: int) -> None:
        ready = self.probe.ready
        if ready is None:
            return
        if not ready.can_delete:
            self.probe.said.emit("This network cannot leave a class out. IDRNet, MCIBI and SPGNet can.")
            return
        self._delete(self.deleted ^ {ready.classes[channel]})

    def _delete(self, classes: frozenset[int]) -> None:
        self.deleted = classes
        self.probe.delete(classes)
        if not classes and self.probe.lies(WHAT_IF):
            self.probe.lay(None)
        self._changed()

    def _show_what_if(self, ready: InspectionReady) -> None:
        answer = self.probe.what_if
        if answer is not None and not self.deleted:
            self.deleted = frozenset(answer.deleted)  # somebody asked from the pixel card
        self.matrix.set_marked(self._marked(ready))
        self.reset.setEnabled(bool(self.deleted))
        self.picker.setVisible(ready.can_delete and not self.views())
        if self.picker.isVisibleTo(self.content):
            self._fill_picker(ready)
        if not ready.can_delete:
            self.without.setText("This network cannot leave a class out. IDRNet, MCIBI and SPGNet can.")
            self.changes.set_bars(())
            return
        fits = answer is not None and frozenset(answer.deleted) == self.deleted and bool(self.deleted)
        if answer is None or not fits:
            names = ", ".join(self.probe.class_name(index) for index in sorted(self.deleted))
            state = self.probe.trouble("what_if_ready") or "computing…"
            self.without.setText(f"Without {names}: {state}" if self.deleted else NOTHING_DELETED)
            self.changes.set_bars(())
            return
        self._show_changes(ready, answer)

    def _fill_picker(self, ready: InspectionReady) -> None:
        sampled = ready.label_map[::SHARE_STRIDE, ::SHARE_STRIDE]
        shares = np.bincount(sampled.ravel(), minlength=256) / max(sampled.size, 1)
        bars = []
        for index in ready.classes:
            gone = index in self.deleted
            name = f"{self.probe.class_name(index)}{' (deleted)' if gone else ''}"
            share = float(shares[index])
            bars.append(Bar(name, (color_of(self.probe, index),), share, percent(share)))
        self.picker.set_bars(bars)

    def _show_changes(self, ready: InspectionReady, answer: WhatIfReady) -> None:
        total = ready.size[0] * ready.size[1]
        moved = {pair: count for pair, count in answer.changes.items() if pair[0] != pair[1] and count}
        changed = sum(moved.values())
        names = ", ".join(self.probe.class_name(index) for index in answer.deleted)
        if not answer.exact:
            state = self.probe.trouble("what_if_ready") or "A rough answer; the exact one is being computed."
            self.without.setText(f"Without {names}, about {percent(changed / total)} would change. {state}")
        else:
            self.without.setText(
                f"Without {names}, {changed:,} pixels ({percent(changed / total)}) would change:"
                if changed
                else f"Without {names}, nothing would change in this image."
            )
        most = sorted(moved.items(), key=lambda item: -item[1])[:MOST_CHANGES]
        self.changes.set_bars([self._change(pair, count, total) for pair, count in most])

    def _lay_answer(self) -> None:
        """Show on the canvas what would change, whichever tab asked."""
        ready, answer = self.probe.ready, self.probe.what_if
        changes = (
            any(a != b and count for (a, b), count in answer.changes.items()) if answer is not None else 0
        )
        if self.probe.lies(WHAT_IF) and not changes:
            self.probe.lay(None)
        if ready is not None and answer is not None and changes and self.probe.is_active:
            names = ", ".join(self.probe.class_name(index) for index in answer.deleted)
            share = percent(float((ready.label_map != answer.label_map).mean()))
            overlay = ChangeOverlay(ready.label_map, answer.label_map, class_colors(self.probe.classes))
            without = "Without" if answer.exact else "Roughly, without"
            self.probe.lay(Laid(WHAT_IF, f"{without} {names}: {share} changes", overlay))

    def _change(self, pair: tuple[int, int], count: int, total: int) -> Bar:
        before, after = (self.probe.class_name(index) for index in pair)
        colors = (color_of(self.probe, pair[0]), color_of(self.probe, pair[1]))
        tip = f"{count:,} pixels ({percent(count / total)}) of {before} would become {after}."
        return Bar(f"{before} → {after}", colors, count, f"{count:,}", tip)

    def export(self) -> Export | None:
        """Return the matrix on show, and what would change."""
        ready, views = self.probe.ready, self.views()
        if ready is None or not (views or self.probe.what_if):
            return None
        names = [self.probe.class_name(index) for index in ready.classes]
        rows: list[list[object]] = []
        facts: dict[str, object] = {"image": ready.image_id, "step": ready.step, "classes": names}
        pictures = {}
        if views:
            view = views[max(self.which.currentIndex(), 0)]
            rows = [["row acts on column", *names]]
            rows += [[name, *line] for name, line in zip(names, view.values.tolist(), strict=True)]
            facts |= {"view": view.name, "title": view.title, "explanation": view.explanation}
            pictures["matrix"] = self.matrix.grab().toImage()
        answer = self.probe.what_if
        if answer is not None:
            facts["deleted"] = [self.probe.class_name(index) for index in answer.deleted]
            facts["exact"] = answer.exact
            facts["changes"] = [
                {"before": self.probe.class_name(a), "after": self.probe.class_name(b), "pixels": count}
                for (a, b), count in answer.changes.items()
            ]
        return Export("relations", pictures, rows, facts)


def between_classes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cells of different classes, (K * K - K,), which colours span; all where those are 0.

    What a class does to itself is often ten times what it does to others, and less of a surprise.
    """
    others = values[~np.eye(len(values), dtype=np.bool_)]
    return others if others.any() else values.ravel()


NOTHING_DELETED = (
    "Click a row to leave its class out; several can be left out together. Nothing saved changes."
)
