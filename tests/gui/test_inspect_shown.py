"""INSPECT explains the network: what it says where something else is shown, and on which images it looks."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.panels.inspect.page import LOOKING
from engine.annotate.classes import UNLABELLED
from engine.messages import (
    CommandFailed,
    FitCalibration,
    MakeOverlay,
    OverlayKind,
    PredictionSource,
    PreviewEffect,
    Problem,
)
from tests.support.inspection import Answers, opened
from tests.support.screen import color_at
from tests.support.window import Desk

pytestmark = pytest.mark.gui

IMAGE = "image_00.png"
ROAD = np.zeros((60, 80), np.uint8)
STROKE = [(20.5, 20.5), (20.5, 30.5)]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (PredictionSource.JOINT, "quick model and the network together"),
        (PredictionSource.QUICK, "shows the quick model;"),
        (PredictionSource.NETWORK, ""),
        (PredictionSource.MEMORY, ""),
    ],
)
def test_it_says_where_the_canvas_does_not_show_what_the_views_explain(
    desk: Desk, source: PredictionSource, says: str
) -> None:
    opened(desk, "pixel")
    panel = desk.window.inspect
    assert panel.who.isHidden()
    desk.session.predict(IMAGE, ROAD, source=source)
    desk.settle()
    assert panel.who.isHidden() == (not says)
    assert says in panel.who.text()
    desk.session.predict(IMAGE, ROAD)
    desk.settle()
    assert panel.who.isHidden()


def test_strokes_give_a_range_and_whole_images_a_number(desk: Desk) -> None:
    desk.session.predict(IMAGE, ROAD)  # with a confidence of 0.9
    answers = opened(desk, "doubt")
    answers.overlay(OverlayKind.ENTROPY)
    wrong = desk.window.inspect.page.wrong
    knots = ((0.5, 0.5), (1.0, 0.7))
    for images, says in ((0, "10 to 34 %"), (3, "34 %")):
        answers.calibrate(images=images, knots=knots)
        desk.settle()
        assert wrong.text() == f"Expected wrong pixels if accepted: {says}"


def test_where_few_images_do_not_show_that_calibration_helps_it_says_so(desk: Desk) -> None:
    desk.session.predict(IMAGE, ROAD)
    answers = opened(desk, "doubt")
    answers.overlay(OverlayKind.ENTROPY)
    unclear, nothing = "do not show that calibration helps", "nothing to mend"
    for images, ece, chance, says, not_ in (
        (3, 0.12, 0.05, unclear, nothing),  # 0.11 as it is
        (30, 0.12, 0.11, nothing, unclear),
        (3, 0.05, 0.05, "3 whole images", "helps"),
        (0, 0.12, 0.05, "is a range", "helps"),
    ):
        answers.calibrate(images=images, ece=ece, chance=chance)
        desk.settle()
        text = desk.window.inspect.page.trust.text.text()
        assert says in text
        assert not_ not in text


def test_a_curve_tells_of_nobody_but_who_it_was_fitted_on(desk: Desk) -> None:
    desk.session.predict(IMAGE, ROAD)
    answers = opened(desk, "doubt")
    page = desk.window.inspect.page
    now = [100.0]
    page.trust._clock = lambda: now[0]
    answers.overlay(OverlayKind.ENTROPY)
    answers.calibrate()
    desk.settle()
    page.slider.setValue(100)
    assert asked(desk) == 1
    assert page.wrong.text() == "Expected wrong pixels if accepted: 10 %"
    assert page.trust.text.text().startswith("The network alone: confidence misses")
    desk.session.predict(IMAGE, ROAD, source=PredictionSource.JOINT)
    desk.settle()
    assert asked(desk) == 1, "it rests"
    assert page.trust.rest.isActive()
    assert page.wrong.text() == "Expected wrong pixels: not known yet"
    assert page.why.text() == (
        "The curve below tells of the network alone; shown now: quick model and network together "
        "(50 % network). A new one is fitted soon."
    )
    assert page.export().facts["calibration"]["of"] == "network"
    assert not page.export().facts["calibration"]["is_of_what_is_shown"]
    now[0] += 20
    page.trust.rest.timeout.emit()
    page.trust.want()
    desk.settle()
    assert asked(desk) == 2, "once, though it was wanted twice"
    assert page.why.text().endswith("is being fitted.")
    answers.calibrate(source=PredictionSource.JOINT, share=0.5)
    desk.settle()
    assert page.wrong.text() == "Expected wrong pixels if accepted: 10 %"
    assert page.why.isHidden()
    assert "1,234 labelled pixels the quick model had not learnt from." in page.trust.text.text()
    facts = page.export().facts
    assert (facts["shown"], facts["calibration"]["of"]) == ("joint", "joint")
    assert facts["calibration"]["is_of_what_is_shown"]
    desk.session.predict(IMAGE, ROAD, source=PredictionSource.JOINT, share=0.75)
    desk.settle()
    assert "(75 % network)" in page.why.text()


def test_a_curve_is_renewed_in_its_own_time_and_only_for_who_watches(desk: Desk) -> None:
    desk.session.predict(IMAGE, ROAD, source=PredictionSource.JOINT)
    answers = opened(desk, "doubt")
    page = desk.window.inspect.page
    now = [100.0]
    page.trust._clock = lambda: now[0]
    answers.overlay(OverlayKind.ENTROPY)
    page.trust.fit_again()
    now[0] += 9.0  # so long it takes
    answers.calibrate(source=PredictionSource.JOINT, share=0.5)
    desk.settle()
    fitted = asked(desk)
    now[0] += 80
    desk.session.predict(IMAGE, ROAD, source=PredictionSource.JOINT)
    desk.settle()
    assert asked(desk) == fitted, "nothing has changed"
    desk.session.predict(IMAGE, ROAD, source=PredictionSource.JOINT, step=20)
    desk.settle()
    assert asked(desk) == fitted, "ten times as long as it took is not over"
    assert page.trust.rest.remainingTime() > 5000
    assert page.wrong.text().startswith("Expected"), "meanwhile the older curve serves"
    desk.window.inspect.show_page("pixel")
    assert not page.trust.rest.isActive()
    now[0] += 80
    desk.session.predict(IMAGE, ROAD, source=PredictionSource.JOINT, step=30)
    desk.settle()
    assert asked(desk) == fitted, "nobody watches"
    desk.window.inspect.show_page("doubt")
    assert asked(desk) == fitted + 1
    desk.session.emit(_failure("FitCalibration", "Calibration needs 200 labelled pixels."))
    now[0] += 80
    desk.session.predict(IMAGE, ROAD, source=PredictionSource.JOINT, step=30)
    desk.settle()
    assert asked(desk) == fitted + 1, "what failed is not asked again of the same state"


def test_with_the_quick_model_alone_doubt_is_that_of_what_is_shown(desk: Desk) -> None:
    desk.session.predict(IMAGE, ROAD, confidence=0.9, source=PredictionSource.QUICK)
    desk.window.inspecting.open("doubt")
    desk.settle()
    panel = desk.window.inspect
    page = panel.page
    assert page.empty.text() == LOOKING
    assert asked(desk) == 0
    desk.session.emit(_failure("Inspect", "The network has learnt nothing yet."))
    desk.settle()
    assert not page.empty.isVisible()
    assert panel.who.isHidden(), "nothing here explains the network"
    shown, entropy = page.kinds.buttons()[-1], page.kinds.buttons()[0]
    assert shown.isChecked()
    assert not entropy.isEnabled()
    assert "learnt nothing" in entropy.toolTip()
    assert desk.session.worker.of(MakeOverlay) == []
    assert asked(desk) == 1
    desk.session.emit(_failure("FitCalibration", "Calibration needs 200 labelled pixels."))
    desk.settle()
    assert page.wrong.text() == "Expected wrong pixels: not known yet"
    assert page.why.text() == "Calibration needs 200 labelled pixels. Do something."
    assert asked(desk) == 1
    page.trust.fit.click()
    assert asked(desk) == 2
    Answers(desk.session).calibrate(source=PredictionSource.QUICK, share=0.0, step=0)
    desk.settle()
    assert page.wrong.text() == "Expected wrong pixels if accepted: 10 %"
    assert page.trust.text.text().startswith("The quick model: confidence misses")
    assert panel.probe.lies("doubt")
    assert page.export().facts["kind"] == "shown"
    before = panel.probe.lying
    desk.session.predict(IMAGE, ROAD, confidence=0.8, source=PredictionSource.QUICK)
    desk.settle()
    assert panel.probe.lies("doubt")
    assert panel.probe.lying is not before, "it follows the picture"
    panel.take_away.click()
    desk.session.predict(IMAGE, ROAD, confidence=0.7, source=PredictionSource.QUICK)
    desk.settle()
    assert panel.probe.lying is None, "what was taken off stays off"
    page.slider.setValue(100)
    assert panel.probe.lies("doubt")


def test_what_people_labelled_is_not_counted_among_what_is_accepted(desk: Desk) -> None:
    desk.session.predict(IMAGE, ROAD, confidence=0.9)
    answers = opened(desk, "doubt")
    page = desk.window.inspect.page
    answers.calibrate()
    confidence = np.full((60, 80), 0.9, np.float32)
    desk.key(Qt.Key.Key_1)
    desk.drag(STROKE)
    painted = desk.session.annotation.label_map != UNLABELLED
    confidence[painted] = 1.0  # people's own pixels stand
    desk.session.predict(IMAGE, ROAD, confidence=confidence)
    page.kinds.buttons()[-1].click()
    page.slider.setValue(22)
    desk.settle()
    assert page.accepting.text() == "100 % of what nobody labelled is surer than 0.11."
    assert page.wrong.text() == "Expected wrong pixels if accepted: 10 %"
    page.slider.setValue(2)
    assert page.wrong.text() == "Nothing is surer than that."


def test_a_person_finds_what_training_would_undo(desk: Desk) -> None:
    view, panel = desk.window.area.view, desk.window.inspect
    desk.session.predict(IMAGE, ROAD)
    desk.key(Qt.Key.Key_I, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    answers = Answers(desk.session)
    answers.look()
    names = [page.name for page in panel.pages]
    QTest.mouseClick(panel.tabs.button(names.index("effect")), Qt.MouseButton.LeftButton)
    desk.settle()
    page = panel.page
    assert not page.flips_picture.isVisible()
    page.ensureWidgetVisible(page.check)
    QTest.mouseClick(page.check, Qt.MouseButton.LeftButton)
    assert page.check.text() == "Checking…"
    view.settle()
    plain = color_at(view, 20.5, 25.5), color_at(view, 50.5, 60.5)
    flips = np.zeros((60, 80), np.float32)
    flips[18:23, 20:31] = 1.0
    answers.overlay(
        OverlayKind.CANDIDATE_FLIPS, values=flips, explanation="55 of the 99 labelled pixels here."
    )
    desk.settle()
    assert page.flips.text() == "55 of the 99 labelled pixels here. Bright: 1.1 % of the image."
    page.ensureWidgetVisible(page.flips_picture)
    desk.settle()
    QTest.mouseClick(page.flips_picture, Qt.MouseButton.LeftButton)
    desk.settle()
    assert panel.probe.lies("candidate flips")
    view.settle()
    assert color_at(view, 20.5, 25.5) != plain[0]
    assert color_at(view, 50.5, 60.5) == plain[1], "only what is undone is covered"
    assert page.export().facts["candidate_flips"]["pixels"] == 55
    answers.overlay(
        OverlayKind.CANDIDATE_FLIPS, values=flips * 0, explanation="None of the 99 labelled pixels here."
    )
    desk.settle()
    assert page.flips.text() == "None of the 99 labelled pixels here."
    assert not page.flips_picture.isVisible()
    assert panel.probe.lying is None, "what is on the image is the newest answer"


def asked(desk: Desk) -> int:
    return len(desk.session.worker.of(FitCalibration))


def _failure(command: str, message: str) -> CommandFailed:
    return CommandFailed(command=command, problem=Problem(message=message, hint="Do something."))


def test_the_effect_is_previewed_on_pinned_images(desk: Desk) -> None:
    opened(desk, "effect")
    page = desk.window.inspect.page
    desk.key(Qt.Key.Key_1)
    desk.drag(STROKE)
    for name in ("image_02.png", IMAGE):
        desk.session.candidates.pin(name, True)
    page.ask()
    asked = desk.session.worker.of(PreviewEffect)[-1]
    assert [name for name, _ in asked.pinned] == ["image_02.png"], "the image on screen is there anyway"
    desk.session.candidates.pin("image_02.png", False)
    page.ask()
    asked = desk.session.worker.of(PreviewEffect)[-1]
    assert [name for name, _ in asked.pinned] == ["image_01.png", "image_02.png"]
