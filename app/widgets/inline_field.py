"""A small field at the cursor that asks one question; never a dialog."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QCompleter, QFrame, QHBoxLayout, QLineEdit, QWidget

from app.widgets.marks import label


class InlineField(QFrame):
    """Asks for a short text over its parent.

    Enter answers, Escape and a click elsewhere give up; `give_up` is told so.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._over = parent
        self._suggestions: tuple[str, ...] = ()
        self.setObjectName("classField")
        self._question = label(kind="muted")
        self.line = QLineEdit()
        self.line.setMinimumWidth(190)
        self.line.setMaxLength(80)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 8, 8)
        row.setSpacing(10)
        row.addWidget(self._question)
        row.addWidget(self.line)
        self._answer: Callable[[str], object] | None = None
        self._give_up: Callable[[], None] | None = None
        self.line.setCompleter(QCompleter(self.line))
        self.line.returnPressed.connect(self._answered)
        self.line.installEventFilter(self)
        self.hide()

    @property
    def is_asking(self) -> bool:
        """Whether an answer is awaited."""
        return self._answer is not None

    def ask(
        self,
        question: str,
        at: QPoint,
        answer: Callable[[str], object],
        *,
        give_up: Callable[[], None] | None = None,
        suggestions: Sequence[str] = (),
        placeholder: str = "",
        complete_only: bool = False,
    ) -> None:
        """Ask something.

        Args:
            question: A few words.
            at: Place of the cursor in the parent; the field keeps inside the parent.
            answer: Called with the text, which is never empty.
            give_up: Called when there is no answer.
            suggestions: Texts to complete from.
            placeholder: Shown while the field is empty.
            complete_only: Enter takes the first suggestion that fits what was typed.
        """
        self._finish(answered=False)
        self._answer, self._give_up = answer, give_up
        self._suggestions = tuple(suggestions) if complete_only else ()
        self._question.setText(question)
        self.line.clear()
        self.line.setAccessibleName(question)
        self.line.setPlaceholderText(placeholder)
        completer = QCompleter(list(suggestions), self.line)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        self.line.setCompleter(completer)
        self.adjustSize()
        parent = self._over
        left = min(max(at.x() + 14, 8), max(8, parent.width() - self.width() - 8))
        top = min(max(at.y() + 14, 8), max(8, parent.height() - self.height() - 8))
        self.move(left, top)
        self.show()
        self.raise_()
        self.line.setFocus(Qt.FocusReason.PopupFocusReason)

    def _answered(self) -> None:
        text = self.line.text().strip()
        if self._suggestions:
            text = _first_fit(text, self._suggestions)
        if not text:
            self._finish(answered=False)
            return
        answer = self._answer
        self._finish(answered=True)
        if answer is not None:
            answer(text)

    def _finish(self, *, answered: bool) -> None:
        give_up, waiting = self._give_up, self._answer is not None
        self._answer = self._give_up = None
        if self.line.hasFocus():
            # Otherwise Qt passes the focus on to the next field, and that would take the canvas' keys.
            self._over.setFocus(Qt.FocusReason.OtherFocusReason)
        self.hide()
        if waiting and not answered and give_up is not None:
            give_up()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Give up on Escape and when the focus goes elsewhere."""
        if watched is self.line:
            if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
                if event.type() == QEvent.Type.ShortcutOverride:
                    event.accept()
                elif event.type() == QEvent.Type.KeyPress:
                    self._finish(answered=False)
                return True
            if event.type() == QEvent.Type.FocusOut and not self._completing():
                self._finish(answered=False)
        return super().eventFilter(watched, event)

    def _completing(self) -> bool:
        popup = self.line.completer().popup()
        return popup is not None and popup.isVisible()


def _first_fit(text: str, suggestions: Sequence[str]) -> str:
    """Return the suggestion that equals, begins with, or contains the text; "" if none does."""
    wanted = text.casefold()
    for fits in (str.__eq__, str.startswith, str.__contains__):
        for suggestion in suggestions:
            if wanted and fits(suggestion.casefold(), wanted):
                return suggestion
    return ""
