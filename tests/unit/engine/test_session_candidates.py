"""Candidates as the session keeps them: what is opened next time, what is pinned, which pictures count."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.messages import (
    CandidateJudged,
    CheckpointSaved,
    CheckpointsChanged,
    Command,
    CompareCheckpoints,
    ComparisonReady,
    PromoteCandidate,
)
from engine.project.manifest import ImageRecord, Manifest
from engine.project.project import Project
from engine.session.candidates import CandidateControl


@dataclass
class Wired:
    """A control, and what it asked for and stored."""

    project: Project
    asked: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.control = CandidateControl(self.project, self.asked.append, self.project.update)

    @property
    def checkpoint(self) -> str | None:
        return self.project.manifest.checkpoint


@pytest.fixture
def wired(tmp_path: Path) -> Wired:
    project = Project.open(tmp_path)
    records = {name: ImageRecord(image_id=name) for name in ("a.png", "b.png")}
    project.update(replace(Manifest(), images=records))
    return Wired(project)


def saved(wired: Wired, name: str, *, better: bool = True) -> CheckpointSaved:
    path = wired.project.folder / "checkpoints" / name
    return CheckpointSaved(path=str(path), step=1, miou=None, is_best=False, better=better)


def judged(**more: Any) -> CandidateJudged:
    values: dict[str, Any] = {"step": 1, "miou": None, "shown_miou": None, "flipped": 0.0, "promoted": True}
    return CandidateJudged(**values | {"reason": "x"} | more)


def test_what_is_only_kept_is_not_opened_next_time(wired: Wired) -> None:
    wired.control.handle(saved(wired, "one.pt"))
    assert wired.checkpoint == "checkpoints/one.pt"
    kept = saved(wired, "two.pt", better=False)
    wired.control.handle(kept)
    wired.control.handle(judged(promoted=False, checkpoint=kept.path))
    assert wired.checkpoint == "checkpoints/one.pt"
    wired.control.handle(judged(checkpoint=kept.path))
    assert wired.checkpoint == "checkpoints/two.pt"
    assert [event.promoted for event in wired.control.curve] == [False, True]


def test_a_renamed_checkpoint_stays_the_one_in_use(wired: Wired) -> None:
    event = saved(wired, "one.pt")
    wired.control.handle(event)
    wired.control.handle(CheckpointsChanged(moved={"/elsewhere/x.pt": "", event.path: event.path + "2"}))
    assert wired.checkpoint == "checkpoints/one.pt2"


def test_pins_are_part_of_the_project(wired: Wired) -> None:
    for name, is_pinned in (("a.png", True), ("b.png", True), ("a.png", True), ("b.png", False)):
        wired.control.pin(name, is_pinned)
    assert wired.control.pinned == wired.project.manifest.pinned == ("a.png",)
    wired.control.compare(None, Path("/c.pt"))
    (asked,) = wired.asked
    assert isinstance(asked, CompareCheckpoints)
    assert asked.images == {"a.png": str(wired.project.image_path("a.png"))}


def test_pictures_of_an_older_question_are_dropped(wired: Wired) -> None:
    wired.control.pin("a.png", True)
    wired.control.compare(None, None)
    wired.control.compare(None, None)
    small = np.zeros((2, 2), np.uint8)
    for number in (1, 2):
        answer = ComparisonReady(
            request_id=number,
            image_id="a.png",
            image=np.zeros((2, 2, 3), np.uint8),
            before=small,
            after=small,
            changed=number / 10,
        )
        wired.control.handle(answer)
        assert len(wired.control.pictures) == number - 1
    assert wired.control.pictures["a.png"].changed == 0.2


def test_promoting_names_the_file_or_the_newest_weights(wired: Wired) -> None:
    wired.control.promote()
    wired.control.promote(Path("/c.pt"))
    assert wired.asked == [PromoteCandidate(path=""), PromoteCandidate(path="/c.pt")]
