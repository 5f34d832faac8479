"""The start page: drop a folder, open one, open the example, or go on where you stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.theme import Look
from app.widgets.marks import label, restyle

STEPS = (
    "1   Choose a class, or type a new one.",
    "2   Paint a little of each class.",
    "3   Press Ctrl+T: the network learns.",
    "4   Fix what is wrong, Enter for the next image.",
)
_WIDTH = 640


class StartPage(QWidget):
    """Shown while no folder is open.

    Attributes:
        open_wanted: "Open folder…" was pressed.
        example_wanted: "Open example" was pressed.
        recent_chosen: The path of a recent folder.
    """

    open_wanted = Signal()
    example_wanted = Signal()
    recent_chosen = Signal(str)

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("startPage")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._look = look
        self._mark, self._arrow = label(), label()
        self.target = QFrame()
        self.open_button = QPushButton("Open folder…")
        self.open_button.setProperty("primary", True)
        self.example_button = QPushButton("Open example")
        self.example_button.setToolTip("Makes a small set of images with known masks, and opens it.")
        self._recent_title = label("Recent", kind="subheading")
        self._recent = QVBoxLayout()
        self._recent.setSpacing(2)
        self.recent_buttons: list[QPushButton] = []
        self._fill_target()
        across = QHBoxLayout()
        across.addStretch(1)
        across.addWidget(self._box(), 6)
        across.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addStretch(2)
        layout.addLayout(across)
        layout.addStretch(3)
        self.open_button.clicked.connect(self.open_wanted)
        self.example_button.clicked.connect(self.example_wanted)
        look.changed.connect(self._renew)
        self._renew()

    def _fill_target(self) -> None:
        """Put arrow, words and buttons where folders are dropped."""
        self.target.setObjectName("dropTarget")
        self._arrow.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        words = label("Drop a folder of images here", kind="subheading")
        words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        buttons = QHBoxLayout()
        buttons.setSpacing(10)
        buttons.addStretch(1)
        buttons.addWidget(self.open_button)
        buttons.addWidget(self.example_button)
        buttons.addStretch(1)
        inside = QVBoxLayout(self.target)
        inside.setContentsMargins(24, 34, 24, 34)
        inside.setSpacing(14)
        inside.addWidget(self._arrow)
        inside.addWidget(words)
        inside.addLayout(buttons)

    def _head(self) -> QHBoxLayout:
        """Return the mark with name and claim."""
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(label("Maskloop", kind="heading"))
        words.addWidget(label("Correct what a network predicts, and it learns while you work.", kind="muted"))
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self._mark)
        head.addLayout(words)
        head.addStretch(1)
        return head

    def _box(self) -> QWidget:
        """Return all of it in one column of limited width."""
        hint = label(
            "Have masks already? Put them in a sub-folder “masks”, or import them later. "
            "A class list (.txt or .json) can be dropped too.",
            kind="muted",
        )
        hint.setWordWrap(True)
        column = QVBoxLayout()
        column.setSpacing(10)
        column.addLayout(self._head())
        column.addSpacing(10)
        column.addWidget(self.target)
        column.addWidget(hint)
        column.addSpacing(10)
        column.addWidget(self._recent_title)
        column.addLayout(self._recent)
        box = QWidget()
        box.setObjectName("startBox")
        box.setLayout(column)
        box.setMaximumWidth(_WIDTH)
        box.setMinimumWidth(min(_WIDTH, 420))
        return box

    def set_recent(self, folders: Sequence[str]) -> None:
        """Show recent folders, newest first."""
        for button in self.recent_buttons:
            self._recent.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.recent_buttons = []
        for folder in folders:
            path = Path(folder)
            button = QPushButton(f"{path.name}    {_short(path.parent)}")
            button.setProperty("quiet", True)
            button.setIcon(self._look.icon("folder"))
            button.setIconSize(QSize(18, 18))
            button.setToolTip(folder)
            button.clicked.connect(lambda _on=False, folder=folder: self.recent_chosen.emit(folder))
            self._recent.addWidget(button)
            self.recent_buttons.append(button)
        self._recent_title.setVisible(bool(folders))

    def set_hot(self, hot: bool) -> None:
        """Show that what is dragged over the window can be dropped."""
        self.target.setProperty("hot", hot)
        restyle(self.target)

    def _renew(self) -> None:
        ratio = self.devicePixelRatioF()
        self._mark.setPixmap(self._look.pixmap("maskloop", "accent", 52, ratio))
        self._arrow.setPixmap(self._look.pixmap("folder", "muted", 44, ratio))


class SideNote(QFrame):
    """Four lines beside the image that say how to begin; closed for good by its button.

    Attributes:
        closed: It was closed by hand.
    """

    closed = Signal()

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sideNote")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(6)
        layout.addWidget(label("How it works", kind="subheading"))
        for step in STEPS:
            layout.addWidget(label(step))
        button = QPushButton("Got it")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(self._close)
        layout.addWidget(button, 0, Qt.AlignmentFlag.AlignRight)
        look.changed.connect(self.adjustSize)
        self.adjustSize()

    def _close(self) -> None:
        self.hide()
        self.closed.emit()


def _short(path: Path) -> str:
    """Return a folder with the user's own folder as ~."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)
