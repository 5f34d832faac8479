"""Undo steps: kept small, however large the change was."""

import threading

import numpy as np
import pytest

from app.bridge import Bridge
from app.commands import LARGE_PIXELS, CorrectionCommand, Histories
from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch


class RecordingBridge(Bridge):
    """A bridge that keeps what it was asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[str, Patch]] = []

    def apply(self, patch: Patch) -> None:
        self.done.append(("apply", patch))

    def commit(self, patch: Patch, kind: RecordKind) -> None:
        self.done.append((kind.name, patch))


def _patch(side: int) -> Patch:
    ones = np.ones((side, side), np.uint8)
    return Patch(0, 0, ones.astype(np.bool_), ones * 255, ones, ones * 0, ones)


@pytest.mark.parametrize("side", [8, int(LARGE_PIXELS**0.5) + 10])
def test_a_step_is_undone_and_redone_from_its_compressed_form(side: int) -> None:
    bridge = RecordingBridge()
    histories = Histories(bridge)
    histories.activate("a.png", (), ())
    patch = _patch(side)
    histories.push(patch, "stroke")
    for thread in threading.enumerate():
        if thread.name == "compress undo step":
            thread.join()
    stack = histories.active
    assert stack is not None
    stack.undo()
    stack.redo()
    assert bridge.done == [
        ("apply", patch.inverse()),
        ("UNDO", patch),
        ("apply", patch),
        ("REDO", patch),
    ]


def test_compressing_twice_changes_nothing() -> None:
    bridge = RecordingBridge()
    patch = _patch(8)
    command = CorrectionCommand(bridge, patch, "stroke")
    command.compress()
    command.compress()
    command.undo()
    assert bridge.done[0] == ("apply", patch.inverse())
