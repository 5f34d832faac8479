"""What happened to the folder outside the program, and long work: told once, with what can be done."""

from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication
from pytestqt.qtbot import QtBot

from app.actions import Act
from app.dialogs.export import ExportDialog
from app.dialogs.notices import NoticesDialog
from app.widgets.notices import Level
from engine.messages import EXPORT_TASK, Problem, Progress, RenamedFound
from tests.gui.test_window_questions import answer_next, trigger
from tests.support.window import Desk, MakeDesk

pytestmark = pytest.mark.gui

STROKE = [(20.5, 20.5), (20.5, 40.5)]
DAMAGED = Problem(message="The labels cannot be read.", hint="Nothing will overwrite them.")


def test_files_left_out_are_told_once_with_all_of_them_in_the_details(make_desk: MakeDesk) -> None:
    desk = make_desk(notes=("“a.txt” is left out.", "“b” is no folder."))
    desk.open()
    notice = desk.window.area.card.notice
    assert notice.text == "“a.txt” is left out. And 1 more."
    assert notice.report.splitlines()[1] == "“b” is no folder."


def test_renamed_images_get_their_annotations_at_a_click(make_desk: MakeDesk) -> None:
    desk = make_desk(missing=("old.png", "gone.png"))
    session = desk.open()
    assert ("find_renamed",) in session.calls
    assert "2 annotated images are missing: old.png, gone.png" in desk.window.area.card.notice.text
    session.emit(RenamedFound(found={"old.png": "image_00.png"}))
    desk.settle()
    assert [notice.cause for notice in desk.window.notices.notices].count("missing images") == 1
    desk.window.area.card._act.click()
    desk.settle()
    assert ("relink", {"old.png": "image_00.png"}) in session.calls
    assert session.missing == ("gone.png",)
    assert "1 annotated image is missing: gone.png" in desk.window.notices.notices[0].text


def test_missing_images_that_are_nowhere_are_said_to_be(make_desk: MakeDesk) -> None:
    desk = make_desk(missing=tuple(f"{number}.png" for number in range(5)))
    desk.open().emit(RenamedFound(found={}))
    desk.settle()
    notice = desk.window.notices.notices[0]
    assert "0.png, 1.png, 2.png and 2 more" in notice.text
    assert "Put the files back" in notice.hint
    assert len(notice.report.splitlines()) == 5
    assert notice.action is None


def test_a_damaged_annotation_can_be_started_anew_from_its_banner(make_desk: MakeDesk) -> None:
    desk = make_desk()
    session = desk.open()
    session.damaged["image_01.png"] = DAMAGED
    desk.bridge.show("image_01.png")
    desk.settle()
    anew, details = desk.window.area.banner.buttons
    details.click()
    assert desk.answers.asked == ["details: The labels cannot be read."]
    anew.click()
    desk.settle()
    assert ("start_anew", "image_01.png") in session.calls
    assert desk.window.area.banner.isHidden()
    desk.drag(STROKE)
    assert session.annotation.label_map[20, 20] == 0
    assert "set-aside" in desk.window.notices.notices[0].hint


def test_a_long_export_can_be_cancelled(desk: Desk, tmp_path: Path, qtbot: QtBot) -> None:
    desk.drag(STROKE)
    desk.session.holds_exports = True

    def fill(dialog: ExportDialog) -> None:
        dialog.folder.setText(str(tmp_path / "out"))
        dialog.accept()

    answer_next(ExportDialog, fill)
    trigger(desk, Act.EXPORT)
    work = desk.window.area.work
    qtbot.waitUntil(work.isVisible, timeout=60_000)
    desk.session.emit(Progress(task=EXPORT_TASK, done=3, total=9))
    desk.session.emit(Progress(task="Evaluation", done=1, total=2))
    desk.settle()
    assert work.text.text() == "Exporting masks · 3 of 9"
    work.button.click()
    desk.settle()
    assert ("cancel_export",) in desk.session.calls
    assert work.isHidden()
    notice = desk.window.notices.notices[0]
    assert (notice.text, notice.level) == ("The export was cancelled.", Level.INFO)


def test_what_matters_comes_back_when_a_passing_notice_goes(desk: Desk) -> None:
    notices, card = desk.window.notices, desk.window.area.card
    notices.post("disk", "The disk is full.", level=Level.BAD)
    notices.post("export", "3 files written.")
    assert card.notice.cause == "export"
    card._close.click()
    assert card.isVisible()
    assert card.notice.cause == "disk"
    notices.withdraw("disk")
    assert card.isHidden()


def test_the_list_of_notices_offers_the_same_action(desk: Desk) -> None:
    from app.widgets.notices import NoticeAction

    done: list[bool] = []
    action = NoticeAction("Do it", lambda: done.append(True))
    desk.window.notices.post("cause", "Something.", action=action)
    dialog = NoticesDialog(desk.window.notices, desk.look, desk.window)
    dialog.show()
    from PySide6.QtWidgets import QPushButton

    next(button for button in dialog.findChildren(QPushButton) if button.text() == "Do it").click()
    QCoreApplication.processEvents()
    assert done == [True]
    assert dialog.isHidden()


def test_a_project_kept_elsewhere_says_where(make_desk: MakeDesk, desk: Desk) -> None:
    assert desk.window.notices.notices == ()
    other = make_desk(home=Path("/home/somebody"))
    other.open()
    notice = other.window.area.card.notice
    assert "Nothing can be written" in notice.text
    assert "“/home/somebody/maskloop”" in notice.hint
