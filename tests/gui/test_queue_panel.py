"""The queue panel: order, doubt in rows, filters with counts, going on to the most useful image."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.panels.queue_model import MARK_ROLE, Mark, Shown
from engine.messages import ImageScored, PredictionSource
from engine.project.manifest import OrderKind
from tests.support.fake_session import pictures
from tests.support.window import Desk, MakeDesk

pytestmark = pytest.mark.gui

FIRST, SECOND, THIRD, FOURTH = (f"image_{number:02}.png" for number in range(4))


@pytest.fixture
def looked_at(make_desk: MakeDesk, qtbot: QtBot) -> Desk:
    """A folder of four; the model is in doubt about the third, and the last has changed."""
    desk = make_desk(images=pictures(4))
    session = desk.open()
    for number, (name, uncertainty, changed) in enumerate(
        ((FIRST, 0.1, None), (SECOND, 0.12, None), (THIRD, 0.4, None), (FOURTH, 0.1, 0.3))
    ):
        session.emit(ImageScored(image_id=name, descriptor=np.eye(4, dtype=np.float32)[number]))
        session.emit(
            ImageScored(
                image_id=name, uncertainty=uncertainty, changed=changed, source=PredictionSource.NETWORK
            )
        )
    model = desk.window.queue.model
    qtbot.waitUntil(lambda: model.index(3).data(MARK_ROLE) is not None, timeout=60_000)
    return desk


def rows(desk: Desk) -> list[str]:
    model = desk.window.queue.model
    return [model.image_at(row) for row in range(model.rowCount())]


def choose(desk: Desk, kind: OrderKind) -> None:
    box = desk.window.queue.order
    box.setCurrentIndex(box.findData(kind))
    desk.settle()


def test_rows_tell_doubt_in_dots_and_words(looked_at: Desk) -> None:
    model = looked_at.window.queue.model
    marks = [model.index(row).data(MARK_ROLE) for row in range(4)]
    assert marks[2] == Mark(percent=40, level=3, is_unsure=True)
    assert marks[3].is_changed
    assert "40 % unsure" in model.data(model.index(2), Qt.ItemDataRole.AccessibleTextRole)
    assert "changed since you looked" in model.data(model.index(3), Qt.ItemDataRole.ToolTipRole)


def test_filters_show_what_they_count(looked_at: Desk) -> None:
    queue = looked_at.window.queue
    for shown, expected in ((Shown.UNSURE, [THIRD]), (Shown.CHANGED, [FOURTH])):
        row = queue.filter.findData(shown)
        assert queue.filter.itemText(row) == f"{shown.value} · {len(expected)}"
        queue.filter.setCurrentIndex(row)
        assert rows(looked_at) == expected
    looked_at.session.emit(ImageScored(image_id=FOURTH, uncertainty=0.1, source=PredictionSource.NETWORK))
    looked_at.settle()
    assert rows(looked_at) == [FOURTH], "no row leaves under the pointer"


def test_going_on_follows_the_order_chosen_and_nothing_moves_before(looked_at: Desk) -> None:
    desk = looked_at
    assert rows(desk) == [FIRST, SECOND, THIRD, FOURTH]
    assert desk.window.queue.kind is OrderKind.FOLDER
    choose(desk, OrderKind.USEFUL)
    assert rows(desk)[0] == THIRD
    before = rows(desk)
    desk.session.emit(ImageScored(image_id=SECOND, uncertainty=0.9, source=PredictionSource.NETWORK))
    desk.settle()
    assert rows(desk) == before, "answers that come while a person looks move nothing"
    desk.key("n")
    assert desk.session.current == SECOND, "the most useful one of now"
    assert rows(desk)[:2] == [SECOND, THIRD], "what is on screen, then what comes next"
    choose(desk, OrderKind.FOLDER)
    assert rows(desk) == [FIRST, SECOND, THIRD, FOURTH]
    desk.key("n")
    assert desk.session.current == THIRD


def test_the_order_a_project_remembers_is_chosen_when_it_opens(make_desk: MakeDesk) -> None:
    desk = make_desk(images=pictures(2))
    first = desk.open()
    choose(desk, OrderKind.USEFUL)
    assert first.manifest.order is OrderKind.USEFUL
    desk.open()
    queue = desk.window.queue
    assert queue.kind is OrderKind.FOLDER, "another project has an order of its own"
    assert queue.order.currentText() == "Folder order"


def test_an_empty_list_says_why_and_what_to_do(looked_at: Desk) -> None:
    queue = looked_at.window.queue
    for name in (FIRST, SECOND, THIRD, FOURTH):
        looked_at.bridge.set_reviewed(name, True)
    queue.filter.setCurrentIndex(queue.filter.findData(Shown.UNREVIEWED))
    assert "All 4 reviewed" in queue._empty.text()
    looked_at.key("n")
    assert "All images are reviewed" in looked_at.window.status.hint.text()


def test_in_folder_order_it_says_when_the_next_image_teaches_little(looked_at: Desk) -> None:
    desk, tip = looked_at, looked_at.window.queue.tip
    assert tip.isHidden(), "nothing is painted yet"
    session = desk.session
    session.emit(ImageScored(image_id=THIRD, descriptor=np.array([0, 1.0, 0.1, 0], np.float32)))
    for image in (FIRST, SECOND):
        assert tip.isHidden()
        desk.bridge.show(image)
        desk.settle()
        desk.drag([(20.5, 20.5), (20.5, 40.5)])
        desk.window.queue._take_marks()
    assert not tip.isHidden()
    QTest.mouseClick(tip.put_off, Qt.MouseButton.LeftButton)
    desk.window.queue._take_marks()
    assert tip.isHidden()
    tip.begin()
    desk.window.queue._take_marks()
    assert not tip.isHidden()
    classes = session.classes
    QTest.mouseClick(tip.take, Qt.MouseButton.LeftButton)
    assert session.queue.kind is OrderKind.USEFUL
    assert tip.isHidden()
    desk.key("n")
    assert session.current == FOURTH, "the key went to the images, and to no field"
    assert session.classes == classes
