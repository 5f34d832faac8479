"""Whatever happens in whatever order: what cannot be done says why."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from engine.annotate.stroke import PaintRule
from engine.messages import (
    CommandFailed,
    Event,
    ImageFailed,
    Problem,
    StateChanged,
    TrainingStopped,
    WorkerState,
    WriteFailed,
    WriteRecovered,
)
from tests.support.fake_session import Opener, pictures
from tests.support.window import Desk

pytestmark = pytest.mark.gui

PROBLEM = Problem(message="It broke.", hint="Mend it.")

states = st.builds(
    StateChanged, state=st.sampled_from(list(WorkerState)), problem=st.sampled_from([None, PROBLEM])
)
events = st.one_of(
    states,
    st.sampled_from(["Predict", "Export", "StartTraining", "LoadCheckpoint", "CompareCheckpoints"]).map(
        lambda name: CommandFailed(command=name, problem=PROBLEM)
    ),
    st.builds(ImageFailed, image_id=st.sampled_from(list(pictures())), problem=st.just(PROBLEM)),
    st.just(TrainingStopped(reason="Stopped by you.")),
    st.just(WriteFailed(target="strokes", problem=PROBLEM)),
    st.just(WriteRecovered(target="strokes")),
)
deeds = st.one_of(
    events,
    st.tuples(st.just("show"), st.integers(0, 2)),
    st.tuples(st.just("refuse"), st.sampled_from([None, "All strokes are of one class."])),
    st.tuples(st.just("busy"), st.sampled_from(["", "Importing masks; a moment."])),
    st.tuples(st.just("damage"), st.integers(0, 2)),
    st.tuples(st.just("train"), st.none()),
)


def _happen(desk: Desk, deed: Event | tuple[str, object]) -> None:
    session = desk.session
    if not isinstance(deed, tuple):
        session.emit(deed)
    elif deed[0] == "show":
        desk.bridge.show(list(session.pictures)[deed[1]])
    elif deed[0] == "refuse":
        session.refusal = deed[1]
        desk.bridge.training_changed.emit()
    elif deed[0] == "busy":
        session._busy = deed[1]
    elif deed[0] == "damage":
        session.damaged[list(session.pictures)[deed[1]]] = PROBLEM
    elif deed[0] == "train":
        desk.window.intentions.toggle_training()
    desk.settle()


def _assert_training_is_possible_or_explained(desk: Desk) -> None:
    strip = desk.window.training
    assert strip.button.isEnabled() or strip.reason.text(), strip.state.text()


def _assert_painting_is_possible_or_explained(desk: Desk, turn: int) -> None:
    window, session = desk.window, desk.session
    window.status.say("")
    window.editing.set_rule(PaintRule.EVERYTHING)
    window.editing.choose_class(turn % 2)
    before = None if session.annotation is None else session.annotation.label_map.copy()
    desk.drag([(20.5, 20.5), (20.5, 40.5)])
    desk.settle()
    after = None if session.annotation is None else session.annotation.label_map
    if before is not None and after is not None and not np.array_equal(before, after):
        return
    said = window.status.hint.property("level") == "warn" and window.status.hint.text()
    assert said or (window.area.banner.isVisible() and window.area.banner.text.text())


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(happened=st.lists(deeds, max_size=12), read_only=st.booleans())
def test_what_cannot_be_done_says_why(
    qtbot: QtBot, tmp_path: Path, happened: list[Event | tuple[str, object]], read_only: bool
) -> None:
    del qtbot  # there is a Qt application
    desk = Desk(tmp_path, Opener())
    if read_only:
        desk.bridge.open(Path("/fake/images"), read_only=True)
        desk.bridge.show(next(iter(desk.session.pictures)))
    else:
        desk.open()
    desk.settle()
    for turn, deed in enumerate([None, *happened]):
        if deed is not None:
            _happen(desk, deed)
        _assert_training_is_possible_or_explained(desk)
        _assert_painting_is_possible_or_explained(desk, turn)
    desk.close()
