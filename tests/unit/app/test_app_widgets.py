"""Form, chart, inline field and notices by themselves."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from app.panels.class_model import ClassModel, share_text
from app.theme import Look
from app.widgets.chart import LineChart, nice_ceiling, thinned
from app.widgets.form import ConfigForm, VariantForm, field_title
from app.widgets.inline_field import InlineField
from app.widgets.notices import Level, NoticeCenter
from engine.annotate.classes import ClassTable
from engine.catalog import PRESETS, ConfigError, describe, loss_types, network_types
from engine.config import OptimizerConfig, OptimizerKind, Precision, TrainingConfig
from models.configs import CrossEntropyConfig, IdrnetConfig


@pytest.mark.parametrize("preset", PRESETS, ids=[preset.name for preset in PRESETS])
def test_a_form_returns_what_it_was_given(preset: object, qtbot: QtBot) -> None:
    for variants, value in ((network_types(), preset.network), (loss_types(), preset.loss)):
        form = VariantForm(variants, value)
        qtbot.addWidget(form)
        assert form.value() == value


def test_a_form_keeps_numbers_it_cannot_show_whole_until_they_are_edited(qtbot: QtBot) -> None:
    config = OptimizerConfig(floor=1e-6 / 0.007)
    form = ConfigForm(config)
    qtbot.addWidget(form)
    assert form.value() == config
    floor = form.fields["floor"]
    assert isinstance(floor, QDoubleSpinBox)
    floor.setValue(0.25)
    assert form.value().floor == 0.25


def test_every_training_field_has_a_row_with_help(qtbot: QtBot) -> None:
    form = ConfigForm(TrainingConfig())
    qtbot.addWidget(form)
    assert form.value() == TrainingConfig()
    for description in describe(TrainingConfig):
        assert description.name in form.fields
        if not description.variants:
            assert description.help in form.fields[description.name].toolTip()


def test_editing_gives_another_configuration(qtbot: QtBot) -> None:
    form = ConfigForm(TrainingConfig())
    qtbot.addWidget(form)
    edited: list[bool] = []
    form.edited.connect(lambda: edited.append(True))
    batch, precision = form.fields["batch_size"], form.fields["precision"]
    steps, seconds = form.fields["max_steps"], form.fields["refresh_s"]
    assert isinstance(batch, QSpinBox)
    assert isinstance(precision, QComboBox)
    assert isinstance(steps, QLineEdit)
    assert isinstance(seconds, QDoubleSpinBox)
    batch.setValue(9)
    precision.setCurrentIndex(list(Precision).index(Precision.FLOAT32))
    steps.setText("250")
    seconds.setValue(1.5)
    expected = replace(
        TrainingConfig(), batch_size=9, precision=Precision.FLOAT32, max_steps=250, refresh_s=1.5
    )
    assert form.value() == expected
    assert len(edited) >= 3
    steps.setText("many")
    with pytest.raises(ConfigError, match="max_steps"):
        form.value()


def test_small_numbers_keep_their_value_and_are_typed_in_any_spelling(qtbot: QtBot) -> None:
    form = ConfigForm(OptimizerConfig(learning_rate=1e-6, kind=OptimizerKind.SGD))
    qtbot.addWidget(form)
    assert form.value().learning_rate == pytest.approx(1e-6)
    box = form.fields["learning_rate"]
    assert isinstance(box, QDoubleSpinBox)
    assert box.valueFromText("2e-4") == pytest.approx(2e-4)
    assert box.valueFromText("0,5") == pytest.approx(0.5)


def test_a_row_of_numbers_is_typed_with_commas(qtbot: QtBot) -> None:
    form = ConfigForm(CrossEntropyConfig(class_weights=(1.0, 0.123456789, 5.0)))
    qtbot.addWidget(form)
    line = form.fields["class_weights"]
    assert isinstance(line, QLineEdit)
    assert line.text() == "1, 0.123457, 5"
    assert form.value().class_weights == (1.0, 0.123456789, 5.0)
    with qtbot.waitSignal(form.edited):
        line.clear()
        QTest.keyClicks(line, "2, .5;3,")
    assert form.value().class_weights == (2.0, 0.5, 3.0)
    line.setText("")
    assert form.value() == CrossEntropyConfig()
    for wrong, why in (("1, two", "numbers with commas"), ("1, -2", "between 0 and 1000")):
        line.setText(wrong)
        with pytest.raises(ConfigError, match=why):
            form.value()


def test_whole_numbers_stay_whole_in_a_row(qtbot: QtBot) -> None:
    form = ConfigForm(IdrnetConfig())
    qtbot.addWidget(form)
    line = form.fields["dilations"]
    assert isinstance(line, QLineEdit)
    line.setText("1, 6, 12, 18")
    assert form.value().dilations == (1, 6, 12, 18)
    line.setText("1, 6.5")
    with pytest.raises(ConfigError, match="numbers with commas"):
        form.value()


def test_bounds_hold_in_the_form(qtbot: QtBot) -> None:
    form = ConfigForm(TrainingConfig())
    qtbot.addWidget(form)
    batch = form.fields["batch_size"]
    assert isinstance(batch, QSpinBox)
    batch.setValue(10_000)
    assert form.value().batch_size == 256


def test_switching_the_kind_and_back_keeps_what_was_set(qtbot: QtBot) -> None:
    value = PRESETS[0].network
    form = VariantForm(network_types(), value)
    qtbot.addWidget(form)
    other = next(preset.network for preset in PRESETS if type(preset.network) is not type(value))
    form.set_value(other)
    assert form.value() == other
    form.set_value(value)
    assert form.value() == value


def test_a_form_changes_no_value_under_the_wheel(qtbot: QtBot) -> None:
    form = ConfigForm(OptimizerConfig())
    qtbot.addWidget(form)
    assert not [widget for widget in form.findChildren(QCheckBox) if widget.isTristate()]
    assert field_title("learning_rate") == "Learning rate"


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_a_nice_ceiling_lies_close_above(value: float) -> None:
    top = nice_ceiling(value)
    assert value <= top * (1 + 1e-6)
    assert top <= value * 2.6


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), max_size=300), st.integers(2, 50))
def test_thinning_keeps_the_newest(points: list[tuple[float, float]], limit: int) -> None:
    kept = thinned(points, limit)
    assert len(kept) <= limit
    assert kept[-1:] == points[-1:]
    assert set(kept) <= set(points)


def test_the_chart_of_a_resumed_run_begins_where_it_was_taken_up(qtbot: QtBot) -> None:
    chart = LineChart(Look())
    qtbot.addWidget(chart)
    for step in (7000, 7010, 7020):
        chart.add_loss(step, 0.5)
    assert chart.steps == (7000.0, 7020.0)
    chart.add_loss(10, 0.5)  # another network, from its beginning
    chart.add_loss(40, 0.5)
    assert chart.steps == (0.0, 40.0)


def test_the_chart_draws_and_tells(qtbot: QtBot) -> None:
    chart = LineChart(Look())
    qtbot.addWidget(chart)
    chart.resize(420, 180)
    empty = chart.grab().toImage()
    assert "not measured" in chart.accessibleName()
    for step in range(1, 6):
        chart.add_score(step * 10, step / 10)
        chart.add_loss(step * 10, 1 / step)
    chart.add_loss(60, float("nan"))
    assert "now 0.500, best 0.500" in chart.accessibleName()
    assert chart.grab().toImage() != empty
    assert len(chart.losses) == 5
    chart.add_score(20, 0.9)  # an older checkpoint was loaded
    assert chart.scores == ((10.0, 0.1), (20.0, 0.9))
    plain = chart.grab().toImage()
    place = QPointF(200, 90)
    none = Qt.MouseButton.NoButton
    chart.mouseMoveEvent(
        QMouseEvent(QEvent.Type.MouseMove, place, place, none, none, Qt.KeyboardModifier.NoModifier)
    )
    assert chart.grab().toImage() != plain  # the value under the pointer is written
    chart.leaveEvent(QEvent(QEvent.Type.Leave))
    assert chart.grab().toImage() == plain
    chart.clear()
    assert chart.scores == ()


def test_the_inline_field_answers_completes_and_gives_up(qtbot: QtBot) -> None:
    holder = QWidget()
    holder.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    qtbot.addWidget(holder)
    holder.resize(600, 400)
    field = InlineField(holder)
    answers: list[str] = []
    gone: list[bool] = []
    field.ask("What?", QPoint(590, 390), answers.append, give_up=lambda: gone.append(True))
    assert holder.rect().contains(field.geometry())
    field.line.setText("  road ")
    field.line.returnPressed.emit()
    field.ask("Class:", QPoint(0, 0), answers.append, suggestions=("sky", "skyline"), complete_only=True)
    field.line.setText("skyl")
    field.line.returnPressed.emit()
    field.ask("What?", QPoint(0, 0), answers.append, give_up=lambda: gone.append(True))
    field.line.returnPressed.emit()
    assert answers == ["road", "skyline"]
    assert gone == [True]
    assert not field.is_asking


def test_notices_are_read_counted_and_withdrawn() -> None:
    center = NoticeCenter()
    center.post("a", "First.")
    center.post("b", "Second.", level=Level.BAD, hint="Do this.")
    center.post("a", "First again.")
    assert [notice.cause for notice in center.notices] == ["a", "b"]
    assert center.notices[0].sentence == "First again. (×2)"
    assert center.unread == 2
    center.mark_read()
    assert center.unread == 0
    center.withdraw("a")
    assert [notice.cause for notice in center.notices] == ["b"]
    center.clear()
    assert center.notices == ()


def test_the_sparkline_has_no_words(qtbot: QtBot) -> None:
    chart = LineChart(Look(), compact=True)
    qtbot.addWidget(chart)
    chart.add_score(10, 0.5)
    assert "0.500" in chart.toolTip()
    assert chart.sizeHint().height() < 60
    assert chart.minimumSizeHint().width() <= chart.sizeHint().width()


def test_class_rows_say_everything_in_words() -> None:
    model = ClassModel()
    table = ClassTable().add("sky").add("road")
    model.set_classes(table)
    assert "Key 1" in model.data(model.index(0), Qt.ItemDataRole.ToolTipRole)
    renamed = table.rename(0, "heaven").with_flags(0, hidden=True, locked=True)
    changed: list[object] = []
    model.dataChanged.connect(lambda *where: changed.append(where))
    model.set_classes(renamed)
    assert len(changed) == 1  # the same rows: nothing is rebuilt, so that the choice stays
    words = model.data(model.index(0), Qt.ItemDataRole.AccessibleTextRole)
    assert "Hidden" in words
    assert "Locked" in words
    assert model.data(model.index(5)) is None
    assert model.row_of(9) == -1
    assert not model.setData(model.index(0), "  ")
    assert not model.dropMimeData(QMimeData(), Qt.DropAction.MoveAction, 0, 0, model.index(0))
    assert model.mimeTypes() == list(model.mimeData([model.index(0)]).formats())
    assert [share_text(share) for share in (0.0, 0.004, 0.314)] == ["–", "<1 %", "31 %"]
