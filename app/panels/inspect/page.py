"""What every tab of INSPECT is made of: its meaning, its views, and words where there is nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.panels.inspect.probe import Laid, Point, Probe
from app.theme import Look
from app.theme.ramps import Ramp, codes
from app.widgets.marks import label, rule
from engine.messages import InspectionReady

if TYPE_CHECKING:
    from engine.session.inspection import InspectionControl

Row = Sequence[object]

NO_IMAGE = "Open a folder of images first: Ctrl+O."
NO_CLASS = "No classes yet. Paint a little of two classes, then train with Ctrl+T."
LOOKING = "Looking into the network…"


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """What a view gives to a file.

    Attributes:
        stem: Proposed file name without ending.
        pictures: Pictures by what is appended to the stem.
        table: Rows of the CSV, headings first.
        facts: What stands in the JSON.
    """

    stem: str
    pictures: Mapping[str, QImage] = field(default_factory=dict)
    table: Sequence[Row] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a tab asks about every labelled image.

    Attributes:
        answer: What is waited for, as `Probe.ask` names it.
        ask: Asks the engine, with the weights of now.
        known: Gives the newest answer, or None.
        working: Said while the answer is on its way.
        unasked: Said where nobody asked yet, with what to do.
    """

    answer: str
    ask: Callable[[InspectionControl], object]
    known: Callable[[InspectionControl], object | None]
    working: str
    unasked: str


class Page(QScrollArea):
    """One tab. Subclasses fill `body` and bring it up to date in `refresh`.

    Attributes:
        name: Stable name.
        title: On its tab.
        meaning: What it shows, in one sentence.
        explains_network: Whether all of it is about the network, whoever predicted what the canvas shows.

    Args:
        probe: The cursor, and what is known.
        look: Gives the colours.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    meaning: ClassVar[str] = ""
    explains_network: ClassVar[bool] = True
    lays: ClassVar[str] = ""
    """Name of what the tab lays over the canvas by itself; it comes off when the tab is left."""

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.probe = probe
        self.look = look
        self._is_watched = False
        self._asked_for: InspectionReady | None = None
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setObjectName("inspectPage")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.empty = wrapped("", kind="muted")
        self.content = QWidget()
        self.body = QVBoxLayout(self.content)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(8)
        inside = QWidget()
        inside.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        column = QVBoxLayout(inside)
        column.setContentsMargins(12, 6, 14, 12)
        column.setSpacing(0)
        column.addWidget(self.empty)
        column.addWidget(self.content)
        column.addStretch(1)
        self.setWidget(inside)
        probe.changed.connect(self._changed)
        probe.moved.connect(self._moved)
        probe.laid.connect(self._laid)
        look.changed.connect(self._changed)

    # --- being looked at --------------------------------------------------------------------------------

    @property
    def is_watched(self) -> bool:
        """Whether a person can see this tab."""
        return self._is_watched

    def set_watched(self, watched: bool) -> None:
        """Say whether a person can see this tab; only then it asks for anything."""
        self._is_watched = watched
        if self.lays and not watched and self.probe.lies(self.lays):
            self.probe.lay(None)
        if watched:
            self._asked_for = self.probe.ready
            self.ask()
            self._changed()
            self._moved(self.probe.cursor)

    def _ask_once(self) -> None:
        """Ask anew where another image was looked at, or the same one with other weights."""
        before, ready = self._asked_for, self.probe.ready
        if ready is before:
            return
        self._asked_for = ready
        if ready is not None:
            same = before is not None and before.image_id == ready.image_id
            self.ask(anew=same and before is not None and before.step != ready.step)

    def _changed(self) -> None:
        if self._is_watched:
            self._ask_once()
            reason = self.nothing()
            self.empty.setText(reason)
            self.empty.setVisible(bool(reason))
            self.content.setVisible(not reason)
            if not reason:
                self.refresh()

    def _moved(self, point: Point | None) -> None:
        if self._is_watched and self.content.isVisibleTo(self):
            self.follow(point)

    def _laid(self, laid: Laid | None) -> None:
        if self._is_watched:
            self.mark_laid(laid)

    # --- what subclasses say ----------------------------------------------------------------------------

    def ask(self, *, anew: bool = False) -> None:
        """Ask for what this tab needs; called when it comes into sight, and for another image.

        Args:
            anew: The weights went on, so that what is known of this image is out of date.
        """

    def nothing(self) -> str:
        """Return why there is nothing to show and what to do about it; empty where there is."""
        if self.probe.bridge.session is None:
            return NO_IMAGE
        if not len(self.probe.classes):
            return NO_CLASS
        if self.probe.ready is None:
            waiting = "inspection_ready" in self.probe.waiting
            trouble = self.probe.trouble("inspection_ready")
            return trouble or (LOOKING if waiting else "No image is on screen. D goes on.")
        return ""

    def refresh(self) -> None:
        """Show what is known now."""

    def follow(self, point: Point | None) -> None:
        """The cursor stands at an image point, or nowhere."""

    def mark_laid(self, laid: Laid | None) -> None:
        """Something else lies over the canvas."""

    def export(self) -> Export | None:
        """Return what can be written to files now, or None."""
        return None


class ProjectPage(Page):
    """A tab about every labelled image: asked for by itself once, later only by its button.

    Attributes:
        question: What it is about.
    """

    question: ClassVar[Question]

    @property
    def is_waiting(self) -> bool:
        """Whether the answer is on its way."""
        return self.question.answer in self.probe.waiting

    def ask(self, *, anew: bool = False) -> None:
        """Ask, where nobody asked yet."""
        del anew  # it looks at every labelled image, so that only a button repeats it
        inspection = self.probe.inspection
        if inspection is not None and self.question.known(inspection) is None and not super().nothing():
            self.ask_again()

    def ask_again(self) -> None:
        """Ask with the weights of now."""
        self.probe.ask(self.question.answer, self.question.ask)

    def nothing(self) -> str:
        """Return why there is no answer; what was answered stays through another image and other weights."""
        inspection = self.probe.inspection
        if inspection is None:
            return NO_IMAGE
        if not len(self.probe.classes):
            return NO_CLASS
        if self.question.known(inspection) is not None:
            return ""
        if self.is_waiting:
            return self.question.working
        return self.probe.trouble(self.question.answer) or self.question.unasked


def wrapped(text: str, *, kind: str = "") -> QLabel:
    """Return a label that breaks its lines."""
    made = label(text, kind=kind)
    made.setWordWrap(True)
    return made


def heading(text: str, *more: QWidget) -> QHBoxLayout:
    """Return a row with a heading, and widgets at its right end."""
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(6)
    row.addWidget(wrapped(text, kind="value"), 1)
    for widget in more:
        row.addWidget(widget)
    return row


def section(layout: QVBoxLayout, text: str, *more: QWidget) -> None:
    """Begin a section of a tab: a thin line and a heading."""
    if layout.count():
        layout.addSpacing(4)
        layout.addWidget(rule())
    layout.addLayout(heading(text, *more))


def link(text: str, do: Callable[[], object], tip: str = "") -> QPushButton:
    """Return a small button with words."""
    button = QPushButton(text)
    button.setProperty("narrow", True)
    button.setToolTip(tip)
    button.clicked.connect(lambda _checked=False: do())
    return button


def color_of(probe: Probe, index: int) -> QColor:
    """Return the colour of a class."""
    spec = probe.classes.by_index(index)
    return QColor(*spec.color) if spec is not None else QColor(128, 128, 128)


def value_at(values: NDArray[Any], size: tuple[int, int], point: Point | None) -> float | None:
    """Return the value of an (h, w) map, stretched over an image of (H, W), at an image point."""
    if point is None:
        return None
    y = int(point[0] * values.shape[0] / size[0])
    x = int(point[1] * values.shape[1] / size[1])
    if 0 <= y < values.shape[0] and 0 <= x < values.shape[1]:
        return float(values[y, x])
    return None


def heat_pixels(values: NDArray[np.float32], ramp: Ramp, low: float, high: float) -> NDArray[np.uint32]:
    """Return (h, w) uint32 0xAARRGGBB colours of numbers."""
    return ramp.table().take(codes(values, low, high))


def as_image(pixels: NDArray[np.uint32]) -> QImage:
    """Return a picture that owns its pixels: (h, w) uint32 0xAARRGGBB, premultiplied."""
    data = np.ascontiguousarray(pixels)
    height, width = data.shape
    return QImage(data.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied).copy()


def percent(share: float) -> str:
    """Return a share in percent, with as many digits as say something."""
    value = 100.0 * share
    return f"{value:.0f} %" if value >= 9.95 or value == 0 else f"{value:.1f} %"
