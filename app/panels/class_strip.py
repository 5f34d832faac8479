"""The row of classes that floats over the bottom of the canvas, so that the eye never leaves the image."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QToolButton, QWidget

from app.theme import Look
from app.widgets.marks import label, swatch_icon
from engine.annotate.classes import ClassTable
from engine.annotate.stroke import PaintRule

SHOWN = 10
RULE_TEXT = {
    PaintRule.OVER_PREDICTIONS: "over predictions",
    PaintRule.EVERYTHING: "over everything",
    PaintRule.ONLY_UNLABELLED: "only unlabelled",
}
RULE_HELP = {
    PaintRule.OVER_PREDICTIONS: "What you painted by hand is safe; predictions and accepted regions change.",
    PaintRule.EVERYTHING: "Every pixel changes, also what you painted before. Locked classes stay.",
    PaintRule.ONLY_UNLABELLED: "Only pixels nobody has said anything about change.",
}


class ClassStrip(QFrame):
    """Classes by digit, brush size and paint-over rule.

    Attributes:
        chosen: A class index was clicked.
        rule_clicked: The next rule is wanted.
        resized: Its contents need another width.
    """

    chosen = Signal(int)
    rule_clicked = Signal()
    resized = Signal()

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("classStrip")
        self._look = look
        self._classes = ClassTable()
        self._active: int | None = None
        self._buttons: dict[int, QToolButton] = {}
        self._group = QButtonGroup(self)
        self._row = QHBoxLayout()
        self._row.setSpacing(2)
        self.brush = label(kind="muted")
        self.rule = QToolButton()
        self.rule.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.rule.setIconSize(QSize(16, 16))
        self.rule.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.rule.clicked.connect(self.rule_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(10)
        layout.addLayout(self._row)
        layout.addWidget(self.brush)
        layout.addWidget(self.rule)
        look.changed.connect(self._renew_icons)
        self.set_rule(PaintRule.OVER_PREDICTIONS)
        self._renew_icons()

    def set_classes(self, classes: ClassTable) -> None:
        """Show the first classes of a table."""
        self._classes = classes
        for button in self._buttons.values():
            self._group.removeButton(button)
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons.clear()
        for row, spec in enumerate(list(classes)[:SHOWN]):
            button = QToolButton()
            button.setCheckable(True)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setIcon(swatch_icon(QColor(*spec.color)))
            button.setIconSize(QSize(14, 14))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setToolTip(f"Choose {spec.name} (key {(row + 1) % 10})")
            button.clicked.connect(lambda _on=False, index=spec.index: self.chosen.emit(index))
            self._group.addButton(button)
            self._row.addWidget(button)
            self._buttons[spec.index] = button
            button.show()
            button.ensurePolished()
        self.set_active(self._active)

    def set_active(self, class_index: int | None) -> None:
        """Show which class is active."""
        self._active = class_index
        self._group.setExclusive(False)
        for index, button in self._buttons.items():
            button.setChecked(index == class_index)
        self._group.setExclusive(True)
        self.resized.emit()

    def set_brush(self, radius: float) -> None:
        """Show the brush's diameter in image pixels."""
        self.brush.setText(f"brush {max(1, round(radius * 2))} px")
        self.resized.emit()
        self.brush.setToolTip("Diameter of the brush. Shift+wheel, [ and ] change it.")

    def set_rule(self, rule: PaintRule) -> None:
        """Show the paint-over rule."""
        self.rule.setText(RULE_TEXT[rule])
        self.rule.setToolTip(f"{RULE_HELP[rule]} R goes to the next rule.")
        self.resized.emit()

    def fit_to(self, width: int) -> None:
        """Use names where they fit into a width, digits alone where they do not."""
        self.setMaximumWidth(width)
        for short in (False, True):
            for row, spec in enumerate(list(self._classes)[:SHOWN]):
                digit = str((row + 1) % 10)
                long_name = spec.name if len(spec.name) <= 12 else spec.name[:11] + "…"
                keep = not short or spec.index == self._active
                self._buttons[spec.index].setText(f"{digit} {long_name}" if keep else digit)
            layout = self.layout()
            if layout is not None:
                layout.activate()
            if self.sizeHint().width() <= width:
                break
        self.adjustSize()

    def _renew_icons(self) -> None:
        self.rule.setIcon(self._look.icon("rule"))
