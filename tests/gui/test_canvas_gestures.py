"""Whatever the hand does in whatever order, strokes begin and end in pairs and nothing hangs."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.canvas.tool import ToolKind
from app.canvas.view import CanvasView
from engine.project.pyramid import build_pyramid
from tests.support.canvas import PaintingHost, grey_image, mouse, predicted, three_classes

pytestmark = pytest.mark.gui

SIZE = (60, 80)
BUTTONS = (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton)
KEYS = (
    Qt.Key.Key_Space,
    Qt.Key.Key_Escape,
    Qt.Key.Key_Return,
    Qt.Key.Key_Backspace,
    Qt.Key.Key_BracketLeft,
    Qt.Key.Key_BracketRight,
    Qt.Key.Key_Alt,
)
MODIFIERS = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
)
MOUSE = (
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseMove,
    QEvent.Type.MouseMove,
    QEvent.Type.MouseButtonRelease,
    QEvent.Type.MouseButtonDblClick,
)
points = st.tuples(st.integers(-20, 320), st.integers(-20, 260))
events = st.one_of(
    st.tuples(
        st.just("mouse"), st.sampled_from(MOUSE), points, st.sampled_from(BUTTONS), st.sampled_from(MODIFIERS)
    ),
    st.tuples(
        st.just("key"), st.sampled_from((QEvent.Type.KeyPress, QEvent.Type.KeyRelease)), st.sampled_from(KEYS)
    ),
    st.tuples(st.just("tool"), st.sampled_from(list(ToolKind))),
    st.tuples(
        st.just("other"),
        st.sampled_from(
            ("focus", "leave", "predict", "clear", "fit", "zoom", "pan", "refuse", "accept", "undo")
        ),
    ),
)
STROKES = re.compile(r"(?:(?:begin|erase) (?:extend )+(?:finish|cancel) |(?:begin|erase) )*")


@pytest.fixture
def view(qtbot: QtBot) -> CanvasView:
    view = CanvasView()
    qtbot.addWidget(view)
    view.resize(300, 240)
    view.set_classes(three_classes())
    view.set_active_class(0)
    view.show()
    qtbot.waitExposed(view)
    return view


def happen(view: CanvasView, host: PaintingHost, event: tuple) -> None:
    match event:
        case "mouse", kind, (x, y), button, modifiers:
            mouse(view, kind, QPointF(x, y), button=button, modifiers=modifiers)
        case "key", kind, code:
            QApplication.sendEvent(view, QKeyEvent(kind, code, Qt.KeyboardModifier.NoModifier))
        case "tool", kind:
            view.set_tool(kind)
        case "other", name:
            {
                "focus": lambda: QApplication.sendEvent(view, QFocusEvent(QEvent.Type.FocusOut)),
                "leave": lambda: QApplication.sendEvent(view, QEvent(QEvent.Type.Leave)),
                "predict": lambda: view.update_prediction(predicted(SIZE, 1)),
                "clear": view.clear_prediction,
                "fit": view.fit,
                "zoom": lambda: view.zoom_at(1.7, QPointF(100, 100)),
                "pan": lambda: view.pan_by(13, -7),
                "refuse": lambda: setattr(host, "refuses", True),
                "accept": lambda: setattr(host, "refuses", False),
                "undo": view.cancel_gesture,
            }[name]()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(events, max_size=60))
def test_strokes_come_in_whole(view: CanvasView, happened: list[tuple]) -> None:
    view.set_host(None)
    view.set_image(build_pyramid(grey_image(SIZE)), SIZE)
    view.set_tool(ToolKind.BRUSH)
    host = PaintingHost(view, SIZE)
    for event in happened:
        happen(view, host, event)
    view.finish_gesture()
    assert not view.is_busy
    strokes = "".join(
        f"{call} " for call in host.calls if call in ("begin", "erase", "extend", "finish", "cancel")
    )
    assert STROKES.fullmatch(strokes), strokes
    assert view._held == []  # nothing is kept back once no button is down
    view.settle()
    assert view.grab().toImage().width() == view.width()
