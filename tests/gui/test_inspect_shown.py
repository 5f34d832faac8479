"""INSPECT explains the network: what it says where something else is shown, and on which images it looks."""

import numpy as np
import pytest
from PySide6.QtCore import Qt

from engine.messages import OverlayKind, PredictionSource, PreviewEffect
from tests.support.inspection import opened
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


def test_no_wrong_pixels_are_foretold_of_a_picture_no_curve_was_fitted_on(desk: Desk) -> None:
    answers = opened(desk, "doubt")
    page = desk.window.inspect.page
    desk.session.predict(IMAGE, ROAD, source=PredictionSource.JOINT)
    answers.overlay(OverlayKind.ENTROPY)
    answers.calibrate()
    page.slider.setValue(100)
    desk.settle()
    assert page.wrong.text().endswith("of the network alone, not of what is shown.")
    desk.session.predict(IMAGE, ROAD)
    answers.calibrate()
    desk.settle()
    assert page.wrong.text() == "Expected wrong pixels if accepted: 10 %"


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
