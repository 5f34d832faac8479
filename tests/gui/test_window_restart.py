"""What a window offers when the network's part of the program fell."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from app.actions import Act
from app.widgets.notices import Level
from engine.messages import Problem, StateChanged, WorkerState
from tests.support.window import Desk

pytestmark = pytest.mark.gui

PROBLEM = Problem(message="KeyError in Predict.", hint="Restart the network.")


def test_a_fallen_worker_is_told_with_its_cause_and_a_remedy(desk: Desk) -> None:
    problem = Problem(
        message="The network's part of the program ended (KeyError: 'x').",
        hint="Restart the network.",
        report="Traceback: x",
    )
    desk.session.emit(StateChanged(state=WorkerState.FAULTED, problem=problem))
    desk.settle()
    (notice,) = desk.window.notices.notices
    assert (notice.cause, notice.level) == ("The network stopped", Level.BAD)
    assert problem.message in notice.text
    assert (notice.hint, notice.report) == (problem.hint, problem.report)
    strip = desk.window.training
    assert "labels are safe" in strip._advice(WorkerState.FAULTED)
    assert strip.button.text() == "Restart"
    assert desk.window.actions_table[Act.TRAIN].text() == "Restart the network"
    QTest.mouseClick(strip.button, Qt.MouseButton.LeftButton)
    desk.settle()
    assert desk.session.calls[-1] == ("restart_network",)
    assert (strip.state.text(), strip.button.text()) != ("Stopped by an error", "Restart")


def test_the_notice_of_a_fallen_worker_restarts_it(desk: Desk) -> None:
    desk.session.emit(StateChanged(state=WorkerState.FAULTED, problem=PROBLEM))
    desk.settle()
    card = desk.window.area.card
    (button,) = [each for each in card.findChildren(QPushButton) if each.text() == "Restart"]
    assert button.isVisible()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    desk.settle()
    assert desk.session.calls[-1] == ("restart_network",)
    assert desk.window.training.state.text() != "Stopped by an error"
