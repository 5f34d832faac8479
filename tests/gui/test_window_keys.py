"""Keys: one owner for each, none for the canvas while somebody types, Q and Space held and tapped."""

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent, QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.actions import ACTIONS, Act, ActionSpec, Context, clashes
from app.window import keys
from tests.support.window import Desk, MakeDesk

pytestmark = pytest.mark.gui


def test_no_two_enabled_actions_share_a_key(desk: Desk) -> None:
    assert clashes(desk.window.actions_table.enabled_specs()) == ()


def test_no_two_actions_of_the_table_share_a_key() -> None:
    assert clashes(ACTIONS) == ()


def test_a_clash_is_found() -> None:
    first = ActionSpec(Act.FIT, "Fit", ("Ctrl+0",), "", context=Context.ALWAYS)
    second = ActionSpec(Act.UNDO, "Undo", ("Ctrl+0",), "")
    assert clashes([first, second]) == ("Ctrl+0: Fit, Undo",)


def test_every_action_does_something(desk: Desk) -> None:
    table = desk.window.actions_table
    silent = [spec.act.name for spec in ACTIONS if table[spec.act].receivers("2triggered(bool)") == 0]
    assert silent == []


def test_every_icon_of_the_table_exists() -> None:
    from app.assets import has_icon

    assert [spec.icon for spec in ACTIONS if spec.icon and not has_icon(spec.icon)] == []


def test_digits_choose_classes_and_x_goes_back(desk: Desk) -> None:
    desk.key(Qt.Key.Key_3)
    assert desk.window.editing.active_class == 2
    assert desk.window.classes.view.currentIndex().row() == 2
    desk.key(Qt.Key.Key_1)
    desk.key(Qt.Key.Key_X)
    assert desk.window.editing.active_class == 2
    desk.key(Qt.Key.Key_9)
    assert desk.window.editing.active_class == 2
    assert "no class 9" in desk.window.status.hint.text()


@pytest.mark.parametrize("text", ["bde 123", "fqtx/[?"])
def test_a_text_field_gets_what_is_typed_and_the_canvas_nothing(desk: Desk, text: str) -> None:
    desk.key(Qt.Key.Key_2)
    tool, active = desk.window.area.view.tool_kind, desk.window.editing.active_class
    shown = desk.window.layers.layers
    line = desk.window.classes.add_line
    desk.focus(line)
    for letter in text:
        desk.key(letter)
    assert line.text() == text
    desk.key(Qt.Key.Key_Backspace)
    assert line.text() == text[:-1]
    assert desk.window.area.view.tool_kind is tool
    assert desk.window.editing.active_class == active
    assert desk.window.layers.layers == shown
    assert desk.session.current == "image_00.png"


def test_enter_in_a_text_field_is_its_own(desk: Desk) -> None:
    line = desk.window.classes.add_line
    desk.focus(line)
    for letter in "river":
        desk.key(letter)
    desk.key(Qt.Key.Key_Return)
    assert desk.session.classes.names[-1] == "river"
    assert desk.session.current == "image_00.png"
    assert desk.window.editing.active_class == desk.session.classes.indices[-1]


def test_q_tapped_toggles_the_prediction(desk: Desk) -> None:
    desk.key(Qt.Key.Key_Q)
    assert not desk.window.layers.layers.prediction_visible
    assert not desk.window.area.view.layers.prediction_visible
    desk.key(Qt.Key.Key_Q)
    assert desk.window.area.view.layers.prediction_visible


def test_q_held_only_peeks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(keys, "monotonic", lambda: now[0])
    view = desk.window.area.view
    QTest.keyPress(view, Qt.Key.Key_Q)
    assert not view.layers.prediction_visible
    now[0] += 1.0
    QTest.keyRelease(view, Qt.Key.Key_Q)
    assert view.layers.prediction_visible
    assert desk.window.layers.layers.prediction_visible


def test_space_reaches_the_canvas_from_a_list(desk: Desk) -> None:
    import numpy as np

    desk.session.predict("image_00.png", np.full((60, 80), 1, np.uint8))
    desk.settle()
    desk.hover(30.5, 30.5)
    desk.focus(desk.window.classes.view)
    desk.key(Qt.Key.Key_Space)
    assert desk.session.annotation is not None
    assert (desk.session.annotation.label_map == 1).all()


def test_a_button_with_the_focus_keeps_space_and_enter(desk: Desk) -> None:
    button = desk.window.details.save_button
    desk.window.docks["details"].show()
    override = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier)
    override.ignore()
    assert desk.window.gate.eventFilter(button, override)
    assert override.isAccepted()


def test_image_keys_do_nothing_on_the_start_page(make_desk: MakeDesk) -> None:
    desk = make_desk()
    for act in (Act.UNDO, Act.TOOL_BRUSH, Act.TRAIN, Act.NEXT_IMAGE):
        assert not desk.window.actions_table[act].isEnabled()
    for act in (Act.OPEN_FOLDER, Act.QUIT, Act.SHORTCUTS, Act.COMMANDS):
        assert desk.window.actions_table[act].isEnabled()


def test_opacity_keys(desk: Desk) -> None:
    before = desk.window.layers.layers.prediction_opacity
    desk.window.actions_table[Act.OPACITY_MORE].trigger()
    assert desk.window.area.view.layers.prediction_opacity == pytest.approx(before + 0.1)
    for _ in range(20):
        desk.window.actions_table[Act.OPACITY_LESS].trigger()
    assert desk.window.area.view.layers.prediction_opacity == 0.0


def test_tab_hides_the_class_strip_and_remembers(desk: Desk) -> None:
    desk.key(Qt.Key.Key_Tab)
    assert desk.window.area.strip.isHidden()
    assert not desk.store.value.show_class_strip
    desk.key(Qt.Key.Key_Tab)
    assert not desk.window.area.strip.isHidden()


def test_find_class_by_part_of_its_name(desk: Desk) -> None:
    desk.key("/")
    field = desk.window.area.field
    assert field.is_asking
    for letter in "tre":
        desk.key(letter)
    desk.key(Qt.Key.Key_Return)
    assert desk.window.editing.active_class == 3
    assert QApplication.focusWidget() is desk.window.area.view


def test_escape_gives_the_inline_field_up(desk: Desk) -> None:
    desk.key(Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert desk.window.area.field.is_asking
    desk.key("a")
    desk.key(Qt.Key.Key_Escape)
    assert not desk.window.area.field.is_asking
    assert len(desk.session.classes) == 4


def enter(desk: Desk) -> None:
    """Move the pointer from elsewhere onto the canvas."""
    centre = QPointF(desk.window.area.view.rect().center())
    QApplication.sendEvent(desk.window.area.view, QEnterEvent(centre, centre, centre))
    desk.settle()


def test_the_pointer_takes_the_keys_from_an_empty_field(desk: Desk) -> None:
    desk.focus(desk.window.classes.add_line)
    desk.key("m")
    desk.key(Qt.Key.Key_Return)
    assert desk.window.classes.add_line.hasFocus()
    enter(desk)
    desk.key(Qt.Key.Key_2)
    assert desk.window.classes.add_line.text() == ""
    assert desk.window.editing.active_class == 1


def test_the_pointer_leaves_a_field_alone_that_holds_text_or_asks(desk: Desk) -> None:
    line = desk.window.classes.add_line
    desk.focus(line)
    desk.key("m")
    enter(desk)
    assert line.hasFocus()
    desk.window.intentions.add_class()
    enter(desk)
    assert desk.window.area.field.line.hasFocus()


def test_alt_over_the_canvas_does_not_go_to_the_menu_bar(desk: Desk) -> None:
    view = desk.window.area.view
    desk.focus(view)
    for kind in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        modifier = (
            Qt.KeyboardModifier.AltModifier
            if kind != QEvent.Type.KeyRelease
            else Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(view, QKeyEvent(kind, Qt.Key.Key_Alt, modifier))
        desk.settle()
    assert view.hasFocus()
