"""The main window: places the panels, and connects what they say to each other."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QByteArray, QSize, Qt
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QMainWindow,
    QStackedWidget,
    QTabWidget,
    QToolBar,
    QWidget,
)

from app.actions import Act, Actions
from app.bridge import Bridge
from app.canvas.layers import LayerSettings
from app.commands import Histories
from app.editing import EditController
from app.logs import LogFeed
from app.panels.classes import ClassesPanel
from app.panels.inspect import InspectPanel, Probe
from app.panels.layers import LayersPanel
from app.panels.log import LogPanel
from app.panels.queue import QueuePanel
from app.panels.start import StartPage
from app.panels.training import TrainingStrip
from app.panels.training_details import TrainingDetails
from app.preferences import Preferences, PreferenceStore
from app.theme import Look
from app.widgets.chart import LineChart
from app.widgets.notices import Level, Notice, NoticeAction, NoticeCard, NoticeCenter
from app.window.all_cards import AllCards
from app.window.asking import Asking
from app.window.canvas_area import CanvasArea
from app.window.closing import may_close
from app.window.inspecting import Inspecting
from app.window.intentions import Intentions
from app.window.keys import KeyGate
from app.window.long_work import LongWork
from app.window.menus import add_docks_to, build_menus, build_tool_bar, command_button
from app.window.opening import Opening, local
from app.window.repairs import Repairs
from app.window.review import Review
from app.window.status import StatusLine
from app.window.waits import Waits

DEFAULT_SIZE = QSize(1600, 1000)
_LAYOUT_VERSION = 2


@dataclass(frozen=True, slots=True)
class Services:
    """What the program gives to its window.

    Attributes:
        bridge: The session.
        look: The theme in force.
        store: The user's preferences.
        feed: Log lines.
    """

    bridge: Bridge
    look: Look
    store: PreferenceStore
    feed: LogFeed


class MainWindow(QMainWindow):
    """One window, one session at a time.

    Args:
        services: Bridge, look, preferences and log.
    """

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.services = services
        self.bridge, self.look, self.store = services.bridge, services.look, services.store
        self.setObjectName("main")
        self.setWindowTitle("Maskloop")
        self.setWindowIcon(self.look.icon("maskloop"))
        self.setAcceptDrops(True)
        self.setDockNestingEnabled(True)
        self.notices = NoticeCenter(self)
        self.actions_table = Actions(self, self.look)
        self._build_middle()
        self._build_docks()
        self.status = StatusLine(self.bridge, self.look, self.notices)
        self.setStatusBar(self.status)
        self.tool_bar = build_tool_bar(self, self.actions_table)
        self._build_training_bar()
        self.menus = build_menus(self, self.actions_table)
        self.histories = Histories(self.bridge, self)
        self.editing = EditController(self.bridge, self.area.view, self.histories, self)
        self.asking = Asking(self)
        self.opening = Opening(self)
        self.repairs = Repairs(self)
        self.long_work = LongWork(self)
        self.all_cards = AllCards(self)
        self.review = Review(self)
        self.inspecting = Inspecting(self, self.inspect)
        self.intentions = Intentions(self)
        self._finish_menus()
        self.gate = KeyGate(
            self,
            self.area.view,
            lambda peeking: self.intentions.peek(peeking=peeking),
            lambda: self.intentions.toggle_layer("prediction"),
        )
        application = QApplication.instance()
        if application is not None:
            application.installEventFilter(self.gate)
        self._connect()
        self._default_layout = self.saveState(_LAYOUT_VERSION)
        self._take_preferences(self.store.value)
        self._take_session()

    # --- building ---------------------------------------------------------------------------------------

    def _build_middle(self) -> None:
        card = NoticeCard(self.notices, self.look, self._show_details)
        self.start = StartPage(self.look)
        self.area = CanvasArea(self.look, card)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.start)
        self.pages.addWidget(self.area)
        self.setCentralWidget(self.pages)

    def _build_docks(self) -> None:
        chart = LineChart(self.look)
        self.queue = QueuePanel(self.bridge, self.look)
        self.classes = ClassesPanel(self.bridge, self.look)
        self.layers = LayersPanel(self.look)
        probe = Probe(self.bridge, self)
        self.inspect = InspectPanel(probe, self.look)
        self.waits = Waits(self.bridge, probe, parent=self)
        self.training = TrainingStrip(self.bridge, self.look, chart)
        self.details = TrainingDetails(self.bridge, self.look, chart)
        self.log = LogPanel(self.services.feed, self.look)
        left, right = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
        bottom = Qt.DockWidgetArea.BottomDockWidgetArea
        self.docks = {
            "queue": self._dock("Images", "queue", self.queue, left),
            "classes": self._dock("Classes", "classes", self.classes, right),
            "layers": self._dock("Layers", "layers", self.layers, right),
            "inspect": self._dock("Inspect", "inspect", self.inspect, right),
            "details": self._dock("Network and checkpoints", "details", self.details, bottom),
            "log": self._dock("Log", "log", self.log, bottom),
        }
        self.resizeDocks([self.docks["queue"]], [270], Qt.Orientation.Horizontal)
        self.resizeDocks([self.docks["classes"]], [310], Qt.Orientation.Horizontal)
        self.resizeDocks([self.docks["classes"], self.docks["layers"]], [560, 210], Qt.Orientation.Vertical)
        self.resizeDocks([self.docks["details"], self.docks["log"]], [300, 300], Qt.Orientation.Vertical)
        self.setTabPosition(right, QTabWidget.TabPosition.North)
        self.tabifyDockWidget(self.docks["classes"], self.docks["inspect"])
        for name in ("inspect", "details", "log"):
            self.docks[name].hide()

    def _dock(self, title: str, name: str, widget: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(f"dock-{name}")
        # A plain QWidget of our own draws the sheet's background only when it is told to.
        widget.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        dock.setWidget(widget)
        self.addDockWidget(area, dock)
        return dock

    def _build_training_bar(self) -> None:
        bar = QToolBar("Training", self)
        bar.setObjectName("training")
        bar.setMovable(False)
        bar.setContentsMargins(0, 0, 0, 0)
        bar.setStyleSheet("QToolBar { padding: 0; }")
        bar.addWidget(self.training)
        self.addToolBar(Qt.ToolBarArea.BottomToolBarArea, bar)
        self.training_bar = bar

    def _finish_menus(self) -> None:
        from app.actions import Menu

        view = self.menus[Menu.VIEW]
        add_docks_to(view, tuple(self.docks.values()))
        self.opening.add_recent_menu(self.menus[Menu.FILE])
        # The menu bar does not keep it alive by itself.
        self.command_button = command_button(self.actions_table)
        self.menuBar().setCornerWidget(self.command_button)

    def _connect(self) -> None:
        bridge, view, area, edit = self.bridge, self.area.view, self.area, self.editing
        bridge.session_changed.connect(self._take_session)
        bridge.problem.connect(self.tell_problem)
        self.classes.chosen.connect(edit.choose_class)
        area.strip.chosen.connect(edit.choose_class)
        area.strip.rule_clicked.connect(edit.cycle_rule)
        edit.active_class_changed.connect(self.classes.select)
        edit.active_class_changed.connect(area.strip.set_active)
        edit.rule_changed.connect(area.strip.set_rule)
        edit.rule_changed.connect(lambda rule: self.store.change(rule=rule))
        edit.message.connect(self.status.say)
        self.waits.changed.connect(self.status.set_wait)
        self.waits.too_long.connect(self._say_too_long)
        self.layers.layers_changed.connect(self._layers_changed)
        view.what_next_changed.connect(self._say_next)
        view.brush_radius_changed.connect(area.strip.set_brush)
        area.strip.resized.connect(area.place)
        bridge.classes_changed.connect(self._take_classes)
        area.side_note.closed.connect(lambda: self.store.change(show_side_note=False))
        self._say_next(view.what_next())

    # --- preferences ------------------------------------------------------------------------------------

    def _take_preferences(self, preferences: Preferences) -> None:
        self.area.view.set_brush_radius(preferences.brush_radius)
        self.area.strip.set_brush(preferences.brush_radius)
        self.area.view.wheel_zooms = not preferences.wheel_scrolls
        self.editing.set_rule(preferences.rule)
        self.area.strip.setVisible(preferences.show_class_strip)
        self.actions_table.set_checked(Act.CLASS_STRIP, preferences.show_class_strip)
        self.layers.set_layers(
            LayerSettings(
                prediction_opacity=preferences.prediction_opacity,
                annotation_opacity=preferences.annotation_opacity,
            )
        )
        self.start.set_recent(preferences.recent)
        self.resize(DEFAULT_SIZE)
        if preferences.geometry:
            self.restoreGeometry(_unpacked(preferences.geometry))
        if preferences.layout:
            self.restoreState(_unpacked(preferences.layout), _LAYOUT_VERSION)
        for notice in self.store.notices:
            self.notices.post("preferences", notice, level=Level.WARN)
        if self.look.qdarkstyle_missing:
            self.notices.post(
                "qdarkstyle",
                "qdarkstyle is not installed, so Qt's own dark theme is used.",
                hint="Install it with “pip install qdarkstyle”.",
            )

    def remember(self) -> None:
        """Write down what the window looks like."""
        layers = self.layers.layers
        self.store.change(
            geometry=_packed(self.saveGeometry()),
            layout=_packed(self.saveState(_LAYOUT_VERSION))
            if self.bridge.session
            else self.store.value.layout,
            brush_radius=self.area.view.brush_radius,
            prediction_opacity=layers.prediction_opacity,
            annotation_opacity=layers.annotation_opacity,
        )

    def reset_layout(self) -> None:
        """Put every panel back where it was at first."""
        self.restoreState(self._default_layout, _LAYOUT_VERSION)

    # --- session ----------------------------------------------------------------------------------------

    def _take_session(self) -> None:
        session = self.bridge.session
        is_open = session is not None
        self.pages.setCurrentWidget(self.area if is_open else self.start)
        for name in ("queue", "classes", "layers"):
            self.docks[name].setVisible(is_open)
        for name in ("inspect", "details", "log"):
            if not is_open:
                self.docks[name].hide()
        self.training_bar.setVisible(is_open)
        self.tool_bar.setVisible(is_open)
        self.actions_table.set_image_open(is_open)
        self.setWindowTitle(f"{session.folder.name} – Maskloop" if session else "Maskloop")
        self._take_classes()
        self.start.set_recent(self.store.value.recent)
        shows_note = bool(session and self.store.value.show_side_note and not session.read_only)
        self.area.side_note.setVisible(shows_note)
        if session is not None:
            self.area.place()
            self.area.view.setFocus()

    def _take_classes(self) -> None:
        session = self.bridge.session
        if session is not None:
            self.area.strip.set_classes(session.classes)
            self.area.place()

    def _layers_changed(self, layers: LayerSettings) -> None:
        self.area.view.layers = layers
        for act, name in _LAYER_ACTS.items():
            self.actions_table.set_checked(act, self.layers.is_visible(name))

    def _say_next(self, text: str) -> None:
        """Say what the next click does; without an image on screen the canvas cannot know."""
        session = self.bridge.session
        if session is not None and session.read_only:
            text = "Open read-only: look, zoom and export; nothing can be changed"
        elif session is not None and self.area.view.image_size is None:
            text = "No image to paint on here: D goes on, A goes back, Ctrl+O opens another folder"
        self.status.set_next(text)

    # --- telling ----------------------------------------------------------------------------------------

    def tell_problem(self, cause: str, problem: object, action: NoticeAction | None = None) -> None:
        """Post a problem, with what can be done about it at once."""
        message = getattr(problem, "message", str(problem))
        hint = getattr(problem, "hint", "")
        report = getattr(problem, "report", "")
        text = f"{cause}: {message}"
        self.notices.post(cause, text, hint=hint, level=Level.BAD, report=report, action=action)
        self.area.place()

    def _say_too_long(self, what: str) -> None:
        """Say what can be done about a wait that does not end."""
        self.notices.post(
            "too long",
            f"A minute has passed, waiting for {what}.",
            hint="Painting and saving go on. If it does not end, close the folder and open it again.",
            level=Level.WARN,
            action=NoticeAction("Show the log", self._show_log),
        )
        self.area.place()

    def _show_log(self) -> None:
        self.docks["log"].show()
        self.docks["log"].raise_()

    def _show_details(self, notice: Notice) -> None:
        self.asking.details(notice.text, notice.hint, notice.report)

    # --- the end, and what is dropped -------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent) -> None:
        """Leave only when everything is saved, or when the person says so."""
        self.remember()
        if not may_close(self):
            event.ignore()
            return
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self.gate)
        event.accept()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Say whether what is dragged can be dropped."""
        if self.opening.can_take(event.mimeData()):
            event.acceptProposedAction()
            self.start.set_hot(True)

    def dragLeaveEvent(self, _event: QDragLeaveEvent) -> None:
        """The drag left the window."""
        self.start.set_hot(False)

    def dropEvent(self, event: QDropEvent) -> None:
        """Open a folder or take a class list."""
        self.start.set_hot(False)
        event.acceptProposedAction()
        self.opening.take_dropped([Path(url.toLocalFile()) for url in local(event.mimeData().urls())])


_LAYER_ACTS = {
    Act.TOGGLE_PREDICTION: "prediction",
    Act.TOGGLE_CORRECTIONS: "annotation",
    Act.TOGGLE_IMAGE: "image",
}


def _packed(data: QByteArray) -> str:
    return base64.b64encode(data.data()).decode("ascii")


def _unpacked(text: str) -> QByteArray:
    try:
        return QByteArray(base64.b64decode(text, validate=True))
    except ValueError:
        return QByteArray()
