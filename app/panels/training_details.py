"""Behind the training strip: the curve, the checkpoints, and the choice of network and settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.bridge import Bridge
from app.panels.checkpoints import CheckpointPanel
from app.panels.pinned import PinnedPictures
from app.theme import Look
from app.widgets.chart import LineChart
from app.widgets.form import VariantForm
from app.widgets.marks import label
from engine.catalog import PRESETS, ConfigError, loss_types, network_types
from engine.config import TrainingConfig
from engine.learn.recipe_choice import choice_of
from engine.learn.recipes import RECIPES, Recipe

OWN_SETTINGS = "Own settings"
OWN_TRAINING = "Own training"


class TrainingDetails(QWidget):
    """Bottom dock, closed at first.

    Attributes:
        save_wanted: A checkpoint with a name is wanted.

    Args:
        bridge: Where network and checkpoints live.
        look: Gives the colours.
        chart: The large chart; the strip feeds it.
    """

    save_wanted = Signal()

    def __init__(self, bridge: Bridge, look: Look, chart: LineChart, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.panel = CheckpointPanel(bridge)
        self.checkpoints = self.panel.table
        self.load_button, self.save_button = self.panel.load_button, self.panel.save_button
        self.pinned = PinnedPictures(bridge)
        self.pictures = QTabWidget()
        self.pictures.setDocumentMode(True)
        self.pictures.tabBar().setDrawBase(False)
        self.pictures.addTab(chart, "Curve")
        self.pictures.addTab(self.pinned, "Pinned images")
        self.network = NetworkChoice(bridge)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 4, 12, 12)
        layout.setSpacing(20)
        layout.addWidget(self.pictures, 4)
        layout.addWidget(self.panel, 4)
        layout.addWidget(self.network, 4)
        self.panel.save_wanted.connect(self.save_wanted)
        self.panel.compare_wanted.connect(self._compare)
        self.pinned.pins_changed.connect(self.panel.enable)
        look.changed.connect(self.update)

    def refresh(self) -> None:
        """Read the list of checkpoints anew."""
        self.panel.refresh()

    def _compare(self, before: Path | None, after: Path | None) -> None:
        self.pictures.setCurrentWidget(self.pinned)
        self.pinned.compare(before, after)


class NetworkChoice(QWidget):
    """Preset, published training, and forms made from the described configurations.

    Args:
        bridge: Where the choices go.
    """

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._network: VariantForm | None = None
        self._loss: VariantForm | None = None
        self._training: VariantForm | None = None
        self.preset, self.recipe = QComboBox(), QComboBox()
        self._fill_choices()
        self.help = label(kind="muted")
        self.help.setWordWrap(True)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        self._areas = {name: _scroll_area() for name in ("Network", "Loss", "Training")}
        for name, area in self._areas.items():
            self.tabs.addTab(area, name)
        self.problem = label()
        self.problem.setProperty("level", "bad")
        self.problem.setWordWrap(True)
        self.apply_button = QPushButton("Use these settings")
        self._lay_out()
        self.preset.activated.connect(self._preset_chosen)
        self.recipe.activated.connect(self._recipe_chosen)
        self.apply_button.clicked.connect(self.apply)
        bridge.session_changed.connect(self.take_session)
        self.take_session()

    def _fill_choices(self) -> None:
        self.preset.setAccessibleName("Preset")
        for preset in PRESETS:
            self.preset.addItem(preset.title)
            self.preset.setItemData(self.preset.count() - 1, preset.help, Qt.ItemDataRole.ToolTipRole)
        self.preset.addItem(OWN_SETTINGS)
        self.recipe.setAccessibleName("Published training")
        self.recipe.setToolTip("Train as a paper did: fills network, loss and training.")
        self.recipe.addItem(OWN_TRAINING)
        for recipe in RECIPES:
            self.recipe.addItem(f"As in {recipe.name}")
            self.recipe.setItemData(self.recipe.count() - 1, _about(recipe), Qt.ItemDataRole.ToolTipRole)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.problem, 1)
        row.addWidget(self.apply_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(7)
        choices = QHBoxLayout()
        choices.setSpacing(7)
        for combo in (self.preset, self.recipe):  # side by side: the forms below need the height
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(10)
            combo.view().setMinimumWidth(combo.view().sizeHintForColumn(0) + 24)
            choices.addWidget(combo, 1)
        layout.addLayout(choices)
        layout.addWidget(self.help)
        layout.addWidget(self.tabs, 1)
        layout.addLayout(row)

    def take_session(self) -> None:
        """Show what the project uses."""
        session = self._bridge.session
        self.setEnabled(session is not None and not session.read_only)
        if session is None:
            return
        self._network = VariantForm(network_types(), session.network)
        self._loss = VariantForm(loss_types(), session.loss)
        self._training = VariantForm((TrainingConfig,), session.training)
        for name, form in (("Network", self._network), ("Loss", self._loss), ("Training", self._training)):
            self._areas[name].setWidget(_padded(form))
            form.edited.connect(self._edited)
        self._show_choice()
        self.apply_button.setEnabled(False)

    def apply(self) -> None:
        """Take over what the forms show; a value out of bounds is named instead."""
        session = self._bridge.session
        if session is None or self._network is None or self._loss is None or self._training is None:
            return
        try:
            network, loss, training = self._network.value(), self._loss.value(), self._training.value()
        except ConfigError as error:
            self.problem.setText(str(error))
            return
        self.problem.setText("")
        steps: list[Callable[[], None]] = []
        if training != session.training:
            steps.append(lambda: self._bridge.set_training(training))
        if network != session.network or loss != session.loss:
            steps.append(lambda: session.choose_network(network, loss))
        for step in steps:
            self._bridge.attempt("The settings could not be used", step)
        self.apply_button.setEnabled(False)

    def _preset_chosen(self, row: int) -> None:
        if row >= len(PRESETS) or self._network is None or self._loss is None:
            return
        preset = PRESETS[row]
        self._network.set_value(preset.network)
        self._loss.set_value(preset.loss)
        self._edited()

    def _recipe_chosen(self, row: int) -> None:
        if row == 0 or self._network is None or self._loss is None or self._training is None:
            return
        try:
            shown = self._network.value()
        except ConfigError as error:
            self.problem.setText(str(error))
            return
        choice = choice_of(RECIPES[row - 1], shown)
        self._network.set_value(choice.network)
        self._loss.set_value(choice.loss)
        self._training.set_value(choice.training)
        self._edited()

    def _show_choice(self) -> None:
        """Name the preset and the published training that the forms show, if there are such."""
        if self._network is None or self._loss is None or self._training is None:
            return
        try:
            network, loss, training = self._network.value(), self._loss.value(), self._training.value()
        except ConfigError:
            network, loss, training = None, None, None
        presets = (
            row for row, preset in enumerate(PRESETS) if (network, loss) == (preset.network, preset.loss)
        )
        recipes = (
            row
            for row, recipe in enumerate(RECIPES, start=1)
            if (loss, training) == (recipe.loss, recipe.training())
            and choice_of(recipe, network).network == network
        )
        preset, recipe = next(presets, len(PRESETS)), next(recipes, 0)
        self.preset.setCurrentIndex(preset)
        self.recipe.setCurrentIndex(recipe)
        texts = [PRESETS[preset].help] if preset < len(PRESETS) else []
        texts += [_about(RECIPES[recipe - 1])] if recipe else []
        self.help.setText(" ".join(texts))

    def _edited(self) -> None:
        self.problem.setText("")
        self.apply_button.setEnabled(True)
        self._show_choice()


def _about(recipe: Recipe) -> str:
    """What a published training is, for people."""
    height, width = recipe.crop
    customary = "" if recipe.certain else " Where the paper is silent, figures are customary ones."
    return (
        f"{recipe.paper} {recipe.steps:,} steps of {recipe.batch} crops of {height} × {width}; "
        f"meant for {recipe.images:,} images on a large GPU.{customary}"
    )


def _scroll_area() -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area


def _padded(form: QWidget) -> QWidget:
    holder = QWidget()
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(2, 8, 10, 8)
    layout.addWidget(form)
    layout.addStretch(1)
    return holder
