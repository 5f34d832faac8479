"""Candidates and checkpoints through the window: guard line, marks, promotion, names, pinned pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.panels.checkpoints import NOT_BETTER
from app.panels.pinned import pictures_of
from engine.learn.checkpoint_files import CheckpointInfo
from engine.messages import (
    CandidateJudged,
    CheckpointSaved,
    CompareCheckpoints,
    ComparisonReady,
    DeleteCheckpoints,
    NameCheckpoint,
    Objection,
    PromoteCandidate,
    StateChanged,
    WorkerState,
)
from tests.support.fake_session import CLASSES
from tests.support.window import Desk

pytestmark = pytest.mark.gui

FOLDER = Path("/fake/images/maskloop/checkpoints")
BETTER, KEPT = FOLDER / "step-00000100_miou-0.6000.pt", FOLDER / "step-00000200_not-better.pt"
NAMED = FOLDER / "start_step-00000050.pt"


def info(path: Path, step: int, **more: Any) -> CheckpointInfo:
    values: dict[str, Any] = {"name": "", "miou": None, "saved_at": 1_760_000_000.0 + step, "is_best": False}
    return CheckpointInfo(path=path, step=step, **values | more)


@pytest.fixture
def filled(desk: Desk) -> Desk:
    """Return a window whose project has three checkpoints and an idle worker."""
    desk.session.known_checkpoints = (
        info(KEPT, 200, better=False, labels_version=7),
        info(BETTER, 100, miou=0.6, is_best=True),
        info(NAMED, 50, name="start"),
    )
    desk.session.emit(StateChanged(state=WorkerState.IDLE))
    desk.session.emit(CheckpointSaved(path=str(KEPT), step=200, miou=None, is_best=False, better=False))
    desk.settle()
    return desk


def judged(*, promoted: bool) -> CandidateJudged:
    return CandidateJudged(
        step=200,
        miou=0.5,
        shown_miou=0.6,
        flipped=0.004 if promoted else 0.043,
        promoted=promoted,
        reason="" if promoted else "It would flip 4.3 % of painted or accepted pixels (limit 2.0 %).",
        objection=Objection.NONE if promoted else Objection.FLIPS,
    )


def test_the_guard_line_says_what_was_found(filled: Desk) -> None:
    panel = filled.window.details.panel
    assert "No candidate was judged yet" in panel.guard.text()
    assert not panel.promote_button.isEnabled()
    filled.session.emit(judged(promoted=True))
    filled.settle()
    assert "flips of accepted pixels 0.4 % (limit 2 %) ✓ shown" in panel.guard.text()
    assert not panel.promote_button.isEnabled()
    filled.session.emit(judged(promoted=False))
    filled.settle()
    assert "4.3 % (limit 2 %) ✗ kept, not shown. It would flip" in panel.guard.text()
    filled.session.emit(StateChanged(state=WorkerState.TRAINING))
    filled.session.emit(judged(promoted=False))
    filled.settle()
    assert filled.window.training.reason.text().startswith("Step 200 is not shown. It would flip")
    panel.promote_button.click()
    assert filled.session.worker.of(PromoteCandidate) == [PromoteCandidate(path="")]


def test_the_list_marks_what_was_only_kept(filled: Desk) -> None:
    panel = filled.window.details.panel
    rows = [[panel.table.item(row, column).text() for column in range(4)] for row in range(3)]
    assert rows[0] == [f"automatic {NOT_BETTER}", "200", "–", "7"]
    assert rows[1][:3] == ["automatic ★ best", "100", "0.600"]
    assert rows[2][0] == "start"
    panel.table.selectRow(0)
    panel.promote_button.click()
    assert filled.session.worker.of(PromoteCandidate) == [PromoteCandidate(path=str(KEPT))]
    panel.load_button.click()
    assert ("load_checkpoint", KEPT) in filled.session.calls


def test_checkpoints_are_named_and_the_others_deleted_with_the_second_click(filled: Desk) -> None:
    panel = filled.window.details.panel
    panel.table.selectRow(1)
    panel.name_button.click()
    panel.name.setText("good")
    QTest.keyClick(panel.name, "\r")
    assert filled.session.worker.of(NameCheckpoint) == [NameCheckpoint(path=str(BETTER), name="good")]
    # Neither the best, nor the named, nor the selected one goes; another list asks anew.
    panel.delete_button.click()
    panel.refresh()
    assert panel.delete_button.text() == "Delete others"
    panel.delete_button.click()
    assert panel.delete_button.text() == "Delete 1 file: sure?"
    assert filled.session.worker.of(DeleteCheckpoints) == []
    panel.delete_button.click()
    assert filled.session.worker.of(DeleteCheckpoints) == [DeleteCheckpoints(paths=(str(KEPT),))]
    panel.table.selectRow(0)
    assert not panel.delete_button.isEnabled()


def test_pinned_images_show_before_after_and_changed(filled: Desk) -> None:
    details, session = filled.window.details, filled.session
    panel, pinned = details.panel, details.pinned
    panel.table.selectRow(0)
    assert not panel.compare_button.isEnabled()
    assert "Pin an image first" in panel.compare_button.toolTip()
    pinned.pin_button.click()
    assert session.candidates.pinned == (session.current,)
    assert panel.compare_button.isEnabled()
    assert "Pin" not in panel.compare_button.toolTip()
    panel.compare_button.click()
    (asked,) = session.worker.of(CompareCheckpoints)
    assert (asked.before, asked.after, list(asked.images)) == ("", str(KEPT), [session.current])
    event = ComparisonReady(
        request_id=asked.request_id,
        image_id=str(session.current),
        image=np.full((6, 8, 3), 90, np.uint8),
        before=np.zeros((6, 8), np.uint8),
        after=np.eye(6, 8, dtype=np.uint8),
        changed=0.125,
    )
    session.emit(event)
    filled.settle()
    cells = pinned.pictures[str(session.current)]
    assert all(not cell.pixmap().isNull() for cell in cells)
    assert "12.5 % of the pixels differ" in cells[2].toolTip()
    assert KEPT.name in pinned.hint.text()
    before, after, changed = pictures_of(event, CLASSES)
    assert (before[1, 0] == after[1, 0]).all()
    assert (before[1, 1] != after[1, 1]).any()
    building = CLASSES.by_index(1)
    assert building is not None
    assert tuple(changed[1, 1]) == tuple(building.color)
    assert tuple(changed[1, 0]) == (45, 45, 45)
    pinned.pin_button.click()
    assert pinned.pictures == {}


def test_two_selected_checkpoints_are_compared_with_each_other(filled: Desk) -> None:
    details, session = filled.window.details, filled.session
    panel = details.panel
    details.pinned.pin_button.click()
    details.panel.table.clearSelection()
    held = Qt.KeyboardModifier.ControlModifier
    for row in (0, 2):
        item = panel.table.item(row, 0)
        assert item is not None
        middle = panel.table.visualItemRect(item).center()
        QTest.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, held, middle)
    assert not panel.load_button.isEnabled()
    assert not panel.promote_button.isEnabled()
    panel.refresh()
    panel.compare_button.click()
    (asked,) = session.worker.of(CompareCheckpoints)
    assert (asked.before, asked.after) == (str(NAMED), str(KEPT))
    event = ComparisonReady(
        request_id=asked.request_id,
        image_id=str(session.current),
        image=np.full((6, 8, 3), 90, np.uint8),
        before=np.zeros((6, 8), np.uint8),
        after=np.zeros((6, 8), np.uint8),
        changed=0.0,
    )
    session.emit(event)
    filled.settle()
    assert details.pinned.hint.text() == f"Before: {NAMED.name}. After: {KEPT.name}."
