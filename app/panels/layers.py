"""What is shown over what: image, prediction and corrections, with switches and opacities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QLabel, QSlider, QToolButton, QVBoxLayout, QWidget

from app.canvas.layers import LayerSettings
from app.theme import Look
from app.widgets.marks import label

OPACITY_STEP = 0.1


class LayersPanel(QWidget):
    """Right dock, lower half.

    Attributes:
        layers_changed: The new `LayerSettings`.

    Args:
        look: Gives the icons.
    """

    layers_changed = Signal(object)

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._layers = LayerSettings()
        self._eyes: dict[str, QToolButton] = {}
        self._sliders: dict[str, QSlider] = {}
        self._values: dict[str, QLabel] = {}
        self.hatch = QCheckBox("Hatch where the network is unsure")
        self.hatch.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hatch.setToolTip(
            "Stripes mark predicted pixels of low confidence, so colour alone is not needed."
        )
        self.edges = QCheckBox("Edge around corrections")
        self.edges.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.edges.setToolTip("A thin white line around what you painted.")
        self.hatch.toggled.connect(lambda on: self._set(hatch_below=_HATCH if on else 0.0))
        self.edges.toggled.connect(lambda on: self._set(edges_visible=on))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 2, 14, 12)
        layout.setSpacing(6)
        layout.addLayout(self._rows())
        layout.addSpacing(2)
        layout.addWidget(self.hatch)
        layout.addWidget(self.edges)
        layout.addStretch(1)
        look.changed.connect(self._show)
        self._show()

    def _rows(self) -> QGridLayout:
        """Return a row for each layer: eye, name, opacity."""
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(2, 1)
        for row, (name, title, key) in enumerate(
            (
                ("prediction", "Prediction", "Q"),
                ("annotation", "Corrections", "T"),
                ("image", "Image", "Shift+Q"),
            )
        ):
            self._eyes[name] = self._eye(name, title, key)
            grid.addWidget(self._eyes[name], row, 0)
            grid.addWidget(label(title), row, 1)
            if name != "image":
                self._sliders[name] = self._slider(name, title)
                value = label(kind="muted")
                value.setMinimumWidth(value.fontMetrics().horizontalAdvance("100 %"))
                value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self._values[name] = value
                grid.addWidget(self._sliders[name], row, 2)
                grid.addWidget(value, row, 3)
        return grid

    @property
    def layers(self) -> LayerSettings:
        """What is shown now."""
        return self._layers

    def set_layers(self, layers: LayerSettings) -> None:
        """Show other settings, and tell the canvas."""
        if layers != self._layers:
            self._layers = layers
            self._show()
            self.layers_changed.emit(layers)

    def is_visible(self, name: str) -> bool:
        """Say whether ``image``, ``prediction`` or ``annotation`` is drawn."""
        return bool(getattr(self._layers, f"{name}_visible"))

    def set_visible_layer(self, name: str, visible: bool) -> None:
        """Show or hide one of them."""
        self._set(**{f"{name}_visible": visible})

    def change_opacity(self, step: float) -> None:
        """Make the prediction stronger or fainter."""
        self._set(prediction_opacity=min(1.0, max(0.0, round(self._layers.prediction_opacity + step, 2))))

    def _set(self, **changes: Any) -> None:
        self.set_layers(replace(self._layers, **changes))

    def _eye(self, name: str, title: str, key: str) -> QToolButton:
        button = QToolButton()
        button.setProperty("flat", True)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setToolTip(f"Show or hide: {title} ({key})")
        button.setAccessibleName(f"Show {title.lower()}")
        button.clicked.connect(lambda: self.set_visible_layer(name, not self.is_visible(name)))
        return button

    def _slider(self, name: str, title: str) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(0, 100)
        slider.setPageStep(10)
        slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        slider.setAccessibleName(f"Opacity of {title.lower()}")
        slider.setToolTip(
            f"Opacity of {title.lower()}" + (" (Shift+, and Shift+.)" if name == "prediction" else "")
        )
        slider.valueChanged.connect(lambda value: self._set(**{f"{name}_opacity": value / 100}))
        return slider

    def _show(self) -> None:
        for name, eye in self._eyes.items():
            eye.setIcon(self._look.icon("eye" if self.is_visible(name) else "eye-off"))
        for name, slider in self._sliders.items():
            percent = round(getattr(self._layers, f"{name}_opacity") * 100)
            slider.blockSignals(True)
            slider.setValue(percent)
            slider.blockSignals(False)
            slider.setEnabled(self.is_visible(name))
            self._values[name].setText(f"{percent} %")
        for box, on in ((self.hatch, self._layers.hatch_below > 0), (self.edges, self._layers.edges_visible)):
            box.blockSignals(True)
            box.setChecked(on)
            box.blockSignals(False)


_HATCH = LayerSettings().hatch_below
