"""The dock INSPECT: tabs, the sentence of the tab, its views, and what lies over the canvas."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QSlider,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.panels.inspect.doubt import DoubtPage
from app.panels.inspect.effect import EffectPage
from app.panels.inspect.errors import ErrorsPage
from app.panels.inspect.memory import MemoryPage
from app.panels.inspect.page import Page, wrapped
from app.panels.inspect.pixel import PixelPage
from app.panels.inspect.probe import Laid, Probe
from app.panels.inspect.relations import RelationsPage
from app.panels.inspect.stages import StagesPage
from app.panels.inspect.structure import StructurePage
from app.theme import Look
from app.widgets.marks import label, restyle
from engine.messages import PredictionSource

COLUMNS = 4
PAGES: tuple[type[Page], ...] = (
    PixelPage,
    StagesPage,
    RelationsPage,
    MemoryPage,
    DoubtPage,
    StructurePage,
    ErrorsPage,
    EffectPage,
)
NOT_ALONE = {
    PredictionSource.QUICK: "The canvas shows the quick model; these views explain the network.",
    PredictionSource.JOINT: "The canvas shows the quick model and the network together; these views explain "
    "the network.",
}
DEFAULT_STRENGTH = 70
NARROWEST = 270


class InspectPanel(QWidget):
    """Right dock, beside the classes.

    Attributes:
        export_wanted: The `Export` of a tab is to be written to files.
        strength_changed: How strongly the overlay covers the image, 0 to 1.

    Args:
        probe: The cursor, and what is known.
        look: Gives the colours.
    """

    export_wanted = Signal(object)
    strength_changed = Signal(float)

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.probe = probe
        self._look = look
        self.setMinimumWidth(NARROWEST)
        self.pages: tuple[Page, ...] = tuple(page(probe, look) for page in PAGES)
        self.stack = QStackedWidget()
        for page in self.pages:
            self.stack.addWidget(page)
        self.tabs = self._tab_buttons(self.pages)
        self.meaning = wrapped("", kind="muted")
        self.export_button = QToolButton()
        self.export_button.setAccessibleName("Export picture and numbers")
        self.export_button.setToolTip("Export picture and numbers of this tab: PNG, CSV and JSON.")
        self.export_button.clicked.connect(self.export)
        head = QHBoxLayout()
        head.setContentsMargins(12, 6, 8, 2)
        head.setSpacing(6)
        head.addWidget(self.meaning, 1)
        head.addWidget(self.export_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self._tab_grid())
        layout.addLayout(head)
        self.who = wrapped("", kind="muted")
        self.who.setContentsMargins(12, 0, 12, 2)
        self.who.hide()
        layout.addWidget(self.who)
        layout.addWidget(self.stack, 1)
        self.strip = self._laid_strip()
        layout.addWidget(self.strip)
        probe.laid.connect(self._show_laid)
        probe.changed.connect(self._show_who)
        probe.bridge.prediction_ready.connect(lambda _event: self._show_who())
        look.changed.connect(self._recolor)
        self._recolor()
        self.show_page(self.pages[0].name)

    # --- building ---------------------------------------------------------------------------------------

    def _tab_buttons(self, pages: Sequence[Page]) -> QButtonGroup:
        group = QButtonGroup(self)
        group.setExclusive(True)
        for number, page in enumerate(pages):
            button = QToolButton()
            button.setText(page.title)
            button.setCheckable(True)
            button.setToolTip(page.meaning)
            button.setProperty("tab", True)
            button.setSizePolicy(button.sizePolicy().Policy.Expanding, button.sizePolicy().Policy.Fixed)
            group.addButton(button, number)
        group.idToggled.connect(self._tab_toggled)
        return group

    def _tab_grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setContentsMargins(8, 4, 8, 0)
        grid.setSpacing(2)
        for number, button in enumerate(self.tabs.buttons()):
            grid.addWidget(button, number // COLUMNS, number % COLUMNS)
        return grid

    def _laid_strip(self) -> QFrame:
        strip = QFrame()
        strip.setObjectName("laidStrip")
        self.laid_name = label()
        self.laid_name.setMinimumWidth(40)
        self.strength = QSlider(Qt.Orientation.Horizontal)
        self.strength.setRange(10, 100)
        self.strength.setValue(DEFAULT_STRENGTH)
        self.strength.setMinimumWidth(60)
        self.strength.setAccessibleName("Strength of what lies over the image")
        self.strength.setToolTip("How strongly it covers the image")
        self.strength.valueChanged.connect(lambda value: self.strength_changed.emit(value / 100))
        self.take_away = QToolButton()
        self.take_away.setProperty("flat", True)
        self.take_away.setAccessibleName("Take it off the image")
        self.take_away.setToolTip("Take it off the image (Shift+Y)")
        self.take_away.clicked.connect(lambda: self.probe.lay(None))
        row = QHBoxLayout(strip)
        row.setContentsMargins(12, 6, 10, 8)
        row.setSpacing(8)
        row.addWidget(self.laid_name, 2)
        row.addWidget(self.strength, 1)
        row.addWidget(self.take_away)
        strip.hide()
        return strip

    # --- tabs -------------------------------------------------------------------------------------------

    @property
    def page(self) -> Page:
        """The tab in front."""
        return self.pages[self.stack.currentIndex()]

    def show_page(self, name: str) -> None:
        """Bring a tab to the front."""
        number = next(place for place, page in enumerate(self.pages) if page.name == name)
        self.tabs.button(number).setChecked(True)

    def _tab_toggled(self, number: int, on: bool) -> None:
        page = self.pages[number]
        if not on:
            page.set_watched(False)
            return
        self.stack.setCurrentIndex(number)
        self.meaning.setText(page.meaning)
        self._show_who()
        page.set_watched(self.probe.is_active)

    def export(self) -> None:
        """Ask to write what the tab in front shows."""
        export = self.page.export()
        if export is None:
            self.probe.said.emit("Nothing to export here yet.")
        else:
            self.export_wanted.emit(export)

    # --- being seen -------------------------------------------------------------------------------------

    @property
    def is_seen(self) -> bool:
        """Whether a person can see the panel."""
        return self.probe.is_active

    def set_seen(self, seen: bool) -> None:
        """Begin to ask, or ask for nothing any more."""
        self.probe.set_active(seen)
        self.page.set_watched(seen)

    def _show_laid(self, laid: Laid | None) -> None:
        self.strip.setVisible(laid is not None)
        if laid is not None:
            self.laid_name.setText(laid.title)
            self.laid_name.setToolTip(f"On the image: {laid.title}")

    def _show_who(self) -> None:
        """Say so where the picture on the canvas is not the network's alone, which the views explain."""
        shown = self.probe.shown_by
        explains = shown is not None and self.page.explains_network
        self.who.setText(NOT_ALONE.get(shown, "") if explains and shown is not None else "")
        self.who.setVisible(bool(self.who.text()))

    def _recolor(self) -> None:
        self.export_button.setIcon(self._look.icon("export"))
        self.take_away.setIcon(self._look.icon("close"))
        restyle(self)
