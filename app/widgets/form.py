"""A form for any described configuration: one row for each field, with its help, unit and bounds."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, cast, get_args, get_origin

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.widgets.marks import label
from engine.catalog import FieldDescription, describe

_INT_LIMIT = 2**31 - 1
_DECIMALS = 7


def field_title(name: str) -> str:
    """Return a field's name as words: ``learning_rate`` becomes ``Learning rate``."""
    return name.replace("_", " ").capitalize()


def choice_title(choice: Enum) -> str:
    """Return what a combo box says for a choice."""
    value = choice.value
    text = value if isinstance(value, str) else choice.name
    return text.replace("_", " ").lower().capitalize() if text.isupper() or isinstance(value, str) else text


def type_title(config_type: type) -> str:
    """Return what a combo box says for a kind of configuration: ``ResNetConfig`` becomes ``ResNet``."""
    return config_type.__name__.removesuffix("Config")


class _IntegerBox(QSpinBox):
    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area: a form that is scrolled through must not change."""
        event.ignore()


class _NumberBox(QDoubleSpinBox):
    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area."""
        event.ignore()

    def textFromValue(self, value: float) -> str:
        """Return a number without trailing zeros, small ones in short form."""
        return f"{value:.7g}"

    def valueFromText(self, text: str) -> float:
        """Read any spelling of a number."""
        bare = text.removesuffix(self.suffix()).replace(",", ".").strip()
        try:
            return float(bare)
        except ValueError:
            return self.value()

    def validate(self, text: str, pos: int) -> Any:
        """Allow 1e-4 and the like while typing; Qt's own check knows plain decimals only."""
        from PySide6.QtGui import QValidator

        bare = text.removesuffix(self.suffix()).replace(",", ".").strip()
        try:
            number = float(bare)
        except ValueError:
            return QValidator.State.Intermediate, text, pos
        inside = self.minimum() <= number <= self.maximum()
        return (QValidator.State.Acceptable if inside else QValidator.State.Intermediate), text, pos


class _Combo(QComboBox):
    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area."""
        event.ignore()


class ConfigForm(QWidget):
    """Shows and edits one configuration.

    Attributes:
        edited: Somebody changed a field.

    Args:
        config: A dataclass made with `described` fields.
    """

    edited = Signal()

    def __init__(self, config: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._type: Callable[..., Any] = type(config)
        self._readers: dict[str, Callable[[], Any]] = {}
        self.fields: dict[str, QWidget] = {}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(14)
        layout.setVerticalSpacing(7)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        # mypy takes a class for unhashable here (the cache of `describe` wants a hashable argument).
        for description in describe(cast("Any", self._type)):
            self._add(layout, description, getattr(config, description.name))

    def value(self) -> Any:
        """Return the configuration the form shows.

        Raises:
            ConfigError: A value is out of bounds.
        """
        return self._type(**{name: read() for name, read in self._readers.items()})

    def _add(self, layout: QFormLayout, description: FieldDescription, value: Any) -> None:
        title = field_title(description.name)
        if description.variants:
            nested = VariantForm(description.variants, value)
            nested.edited.connect(self.edited)
            heading = label(title, kind="subheading")
            heading.setToolTip(description.help)
            layout.addRow(heading)
            layout.addRow(nested)
            self._readers[description.name] = nested.value
            self.fields[description.name] = nested
            return
        widget, read = self._editor(description, value)
        caption = label(title)
        for each in (caption, widget):
            each.setToolTip(_help(description))
        widget.setAccessibleName(title)
        widget.setAccessibleDescription(description.help)
        caption.setBuddy(widget)
        layout.addRow(caption, widget)
        self._readers[description.name] = read
        self.fields[description.name] = widget

    def _editor(self, description: FieldDescription, value: Any) -> tuple[QWidget, Callable[[], Any]]:
        if description.choices is not None:
            return self._combo(description.choices, value)
        if description.type is bool:
            box = QCheckBox()
            box.setChecked(bool(value))
            box.toggled.connect(self.edited)
            return box, box.isChecked
        if description.optional:
            return self._optional(description, value)
        if description.type is int:
            return self._integer(description, value)
        if description.type is float:
            return self._number(description, value)
        if get_origin(description.type) is tuple:
            return self._numbers(description, value)
        fixed = label(str(value), kind="muted")
        return fixed, lambda: value

    def _combo(self, choices: tuple[Enum, ...], value: Any) -> tuple[QWidget, Callable[[], Any]]:
        combo = _Combo()
        for choice in choices:
            combo.addItem(choice_title(choice))
        combo.setCurrentIndex(choices.index(value))
        combo.currentIndexChanged.connect(lambda _index: self.edited.emit())
        return combo, lambda: choices[combo.currentIndex()]

    def _integer(self, description: FieldDescription, value: Any) -> tuple[QWidget, Callable[[], Any]]:
        box = _IntegerBox()
        low = -_INT_LIMIT if description.low is None else int(description.low)
        high = _INT_LIMIT if description.high is None else int(min(description.high, _INT_LIMIT))
        box.setRange(low, high)
        box.setValue(int(value))
        box.setSuffix(f" {description.unit}" if description.unit else "")
        box.valueChanged.connect(lambda _value: self.edited.emit())
        return box, box.value

    def _number(self, description: FieldDescription, value: Any) -> tuple[QWidget, Callable[[], Any]]:
        box = _NumberBox()
        box.setDecimals(_DECIMALS)
        box.setRange(
            -1e12 if description.low is None else description.low,
            1e12 if description.high is None else description.high,
        )
        box.setSingleStep(_step(float(value)))
        box.setValue(float(value))
        box.setSuffix(f" {description.unit}" if description.unit else "")
        box.valueChanged.connect(lambda _value: self.edited.emit())
        rounded = box.value()
        # What nobody touched stays exact: the box rounds to its decimals.
        return box, lambda: value if box.value() == rounded else box.value()

    def _numbers(self, description: FieldDescription, value: Any) -> tuple[QWidget, Callable[[], Any]]:
        """Several numbers in one line, with commas between them."""
        shown = ", ".join(f"{number:g}" for number in value)
        line = QLineEdit(shown)
        line.setPlaceholderText("none")
        line.textEdited.connect(lambda _text: self.edited.emit())
        number_type = get_args(description.type)[0]

        def read() -> Any:
            text = line.text().strip()
            if text == shown:
                return value  # exactly as it was: the line shows few digits
            try:
                return tuple(number_type(part) for part in text.replace(";", ",").split(",") if part.strip())
            except ValueError:
                return text  # the configuration refuses it and says what is allowed

        return line, read

    def _optional(self, description: FieldDescription, value: Any) -> tuple[QWidget, Callable[[], Any]]:
        line = QLineEdit("" if value is None else str(value))
        line.setPlaceholderText("no limit")
        line.textEdited.connect(lambda _text: self.edited.emit())

        def read() -> Any:
            text = line.text().strip()
            if not text:
                return None
            try:
                return description.type(text)
            except ValueError:
                return text  # the configuration refuses it and says what is allowed

        return line, read


class VariantForm(QWidget):
    """A form for one of several kinds of configuration, chosen by a combo box (hidden where there is one).

    Args:
        variants: Kinds that may stand here.
        value: The one in use.
    """

    edited = Signal()

    def __init__(self, variants: tuple[type, ...], value: object, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._variants = variants
        self._kept: dict[type, object] = {type(value): value}
        self._combo = _Combo()
        for variant in variants:
            self._combo.addItem(type_title(variant))
        self._combo.setAccessibleName("Kind")
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(12, 0, 0, 4)
        self._layout.setSpacing(7)
        self._layout.addWidget(self._combo)
        self._combo.setVisible(len(variants) > 1)  # never before it has a parent: it would be a window
        self._form = ConfigForm(value)
        self._layout.addWidget(self._form)
        self._form.edited.connect(self.edited)
        self._combo.setCurrentIndex(variants.index(type(value)))
        self._combo.currentIndexChanged.connect(self._choose)

    def value(self) -> Any:
        """Return the configuration shown.

        Raises:
            ConfigError: A value is out of bounds.
        """
        return self._form.value()

    def set_value(self, value: object) -> None:
        """Show another configuration."""
        self._kept[type(value)] = value
        index = self._variants.index(type(value))
        if index == self._combo.currentIndex():
            self._show(value)
        else:
            self._combo.setCurrentIndex(index)

    def _choose(self, index: int) -> None:
        variant = self._variants[index]
        self._show(self._kept.get(variant) or variant())
        self.edited.emit()

    def _show(self, value: object) -> None:
        self._layout.removeWidget(self._form)
        self._form.hide()
        self._form.deleteLater()
        self._form = ConfigForm(value)
        self._form.edited.connect(self.edited)
        self._layout.addWidget(self._form)


def _step(value: float) -> float:
    return 0.05 if abs(value) >= 0.05 or value == 0 else abs(value) / 4


def _help(description: FieldDescription) -> str:
    bounds = ""
    if description.low is not None and description.high is not None:
        bounds = f" {description.low:g} to {description.high:g}"
    elif description.low is not None:
        bounds = f" at least {description.low:g}"
    unit = f" {description.unit}" if description.unit and bounds else ""
    return f"{description.help}{f' ({bounds.strip()}{unit})' if bounds else ''}"
