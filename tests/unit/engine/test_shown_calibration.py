"""How far what is on screen can be trusted: whoever predicts it, asked about what it never learnt."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.annotate.classes import Provenance
from engine.inspect import shown
from engine.inspect.look import look_at
from engine.inspect.shown import judged_image, shown_probabilities
from engine.inspect.snapshot import Snapshot
from engine.messages import (
    AnnotationChanged,
    CalibrationFitted,
    CommandFailed,
    EndInspection,
    FitCalibration,
    PredictionSource,
    Progress,
)
from engine.quick.features import feature_grid
from engine.quick.head import Readout
from engine.quick.model import QuickModel
from engine.quick.picture import opinion, parts
from engine.quick.samples import labelled_cells
from engine.worker.contest import Contest
from engine.worker.joint_desk import JointPredictor
from engine.worker.quick_desk import QuickDesk
from tests.support.learning import BOX, CLASSES, SIZE, make_project, picture
from tests.support.worker_desk import Desk

pytestmark = pytest.mark.usefixtures("one_thread")


def taught() -> Readout:
    """The quick model after one image."""
    image, labels = picture(1)
    model = QuickModel()
    grid = model.grid("1.png", lambda: image)
    model.learn("1.png", grid, labelled_cells(labels, np.full(SIZE, Provenance.STROKE, np.uint8)))
    readout = model.readout(CLASSES.indices)
    assert readout is not None
    return readout


def test_the_quick_model_alone_is_judged_as_it_is_shown() -> None:
    image, labels = picture(2)
    readout, grid = taught(), feature_grid(image)
    (part,) = parts(grid, readout, None)
    said = shown_probabilities(None, opinion(grid, readout), CLASSES, SIZE, 0.0)
    index_of = np.array(CLASSES.index_of(), np.uint8)
    assert (index_of[said.argmax(axis=0)] == part.label_map).mean() > 0.999
    assert said.max(axis=0) == pytest.approx(part.confidence, abs=1e-3)
    judged = judged_image(image, labels, CLASSES, snapshot=None, readout=readout, share=0.0)
    assert judged is not None
    assert judged.whole
    assert judged.right.mean() == pytest.approx((part.label_map == labels).mean(), abs=0.02)


def test_nobody_to_ask_is_a_mistake_and_nothing_labelled_is_no_evidence() -> None:
    with pytest.raises(ValueError, match="asked"):
        shown_probabilities(None, None, CLASSES, SIZE, 1.0)
    image, labels = picture(2)
    readout = taught()
    for said in (np.full_like(labels, 255), labels[:-1]):
        assert judged_image(image, said, CLASSES, snapshot=None, readout=readout, share=0.0) is None


# --- in the worker, without its thread ---------------------------------------------------------------------


def opened(folder: Path, numbers: Sequence[int] = (0, 1, 2, 3), **changes: object) -> Desk:
    """A desk whose quick model has learnt from some images and whose network has learnt nothing."""
    desk = Desk(make_project(folder))
    desk.open(quick_head=True, **changes)
    learn(desk, numbers)
    return desk


def learn(desk: Desk, numbers: Sequence[int]) -> None:
    for number in numbers:
        desk.give(AnnotationChanged(item=desk.project.items[number]))
    desk.work(6)
    desk.heard.clear()


def fix_share(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    monkeypatch.setattr(Contest, "share", lambda *_asked: share)
    monkeypatch.setattr(Contest, "is_due", lambda *_asked, **_how: False)


def fit(desk: Desk, numbers: Sequence[int] = (0, 1, 2, 3)) -> CalibrationFitted | None:
    """Ask for a calibration and let it be answered to its end."""
    desk.give(FitCalibration(request_id=5, items=tuple(desk.project.items[number] for number in numbers)))
    for _ in range(60):
        if not desk.loop._work.is_busy:
            break
        desk.work()
    found = desk.heard.of(CalibrationFitted)
    return found[-1] if found else None


@pytest.fixture
def left_out(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Images that each quick model fitted for a question has not learnt from."""
    sets: list[set[str]] = []
    plain = QuickDesk.without

    def noted(desk: QuickDesk, unseen: Sequence[str]) -> Readout | None:
        sets.append(set(unseen))
        return plain(desk, unseen)

    monkeypatch.setattr(QuickDesk, "without", noted)
    return sets


def test_the_quick_model_is_enough_and_never_judged_by_what_it_learnt(
    tmp_path: Path, left_out: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = opened(tmp_path)
    asked: list[tuple[Any, Readout]] = []
    plain = shown.opinion

    def noted(grid: Any, readout: Readout) -> Any:
        asked.append((grid, readout))
        return plain(grid, readout)

    monkeypatch.setattr(shown, "opinion", noted)
    fitted = fit(desk)
    assert desk.heard.of(CommandFailed) == []
    assert fitted is not None
    assert (fitted.source, fitted.share, fitted.step) == (PredictionSource.QUICK, 0.0, 0)
    ahead = desk.predicted_ahead(3)
    assert (ahead.source, ahead.share) == (PredictionSource.QUICK, 0.0)
    assert fitted.request_id == 5
    assert fitted.pixels >= 200
    assert sorted(map(sorted, left_out)) == [["0.png"], ["1.png"], ["2.png"], ["3.png"]]
    screen = desk.loop._work._screen.quick.readout()
    assert screen is not None
    assert len(asked) == 4
    assert all(not np.array_equal(readout.matrix, screen.matrix) for _, readout in asked)
    assert (last := desk.heard.of(Progress)[-1]).done == last.total


def test_whole_held_out_images_are_enough_for_the_quick_model_too(
    tmp_path: Path, left_out: list[set[str]]
) -> None:
    desk = Desk(make_project(tmp_path, train=2, held_out=3))
    desk.open(quick_head=True)
    for number in (2, 3, 4):
        desk.annotate(picture(number)[1], 2, number=number)
    learn(desk, (0, 1))
    fitted = fit(desk, (0, 1, 2, 3, 4))
    assert fitted is not None
    assert fitted.images == 3
    assert sorted(map(sorted, left_out)) == [["2.png"], ["3.png"], ["4.png"]]


def test_a_quick_model_that_learnt_from_all_there_is_cannot_be_asked(tmp_path: Path) -> None:
    desk = opened(tmp_path, (0,))
    assert fit(desk, (0,)) is None
    assert "it has learnt from it" in desk.failed.problem.message
    assert desk.failed.command == "FitCalibration"


def test_both_together_are_asked_as_they_are_shown(
    tmp_path: Path, left_out: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fix_share(monkeypatch, 0.5)
    desk = opened(tmp_path)
    desk.count_as_trained()
    learn(desk, (0, 1, 2))
    network: Any = desk.loop._work._network
    image, _ = picture(7)
    readout = desk.loop._work._screen.quick.readout()
    assert readout is not None
    labels, confidence = JointPredictor(network, readout, 0.5).of(image).predict_whole(image)
    snapshot = Snapshot(
        model=network.predictor().frozen_copy(), classes=network.classes, step=1, device=network.device.device
    )
    alone = look_at(snapshot, "7.png", image).probabilities(max(SIZE))
    said = opinion(readout.look(image), readout)
    both = shown_probabilities(alone, said, network.classes, SIZE, 0.5)
    assert both.max(axis=0) == pytest.approx(confidence, abs=1e-3)
    assert (network.classes.index_of()[both.argmax(axis=0)] == labels).mean() > 0.999
    desk.predict(7)
    on_screen = desk.predicted()
    assert (on_screen.source, on_screen.share) == (PredictionSource.JOINT, 0.5)
    fitted = fit(desk)
    assert fitted is not None
    assert (fitted.source, fitted.share) == (on_screen.source, on_screen.share)
    assert fitted.step == on_screen.step
    assert left_out == [{"3.png"}], "held-out labels suffice: others are not looked at"
    assert (last := desk.heard.of(Progress)[-1]).done == last.total


def test_the_network_alone_asks_no_quick_model(
    tmp_path: Path, left_out: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fix_share(monkeypatch, 1.0)
    desk = opened(tmp_path)
    assert fit(desk) is None
    assert "learnt nothing" in desk.failed.problem.message
    desk.count_as_trained()
    desk.heard.clear()
    fitted = fit(desk)
    assert fitted is not None
    assert (fitted.source, fitted.share) == (PredictionSource.NETWORK, 1.0)
    assert left_out == []


@pytest.mark.parametrize(("share", "images"), [(0.0, 3), (1.0, 0)])
def test_whole_images_a_network_has_learnt_from_make_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, images: int
) -> None:
    """The quick model is asked about each by one that has not learnt from it; the network knows them all."""
    fix_share(monkeypatch, share)
    desk = opened(tmp_path)
    for number in (0, 1, 2):
        item = desk.project.items[number]
        desk.project.annotate(item.image_id, picture(number)[1], item.revision + 1)
    learn(desk, (0, 1, 2))
    desk.count_as_trained()
    desk.heard.clear()
    fitted = fit(desk, (0, 1, 2))
    assert fitted is not None
    assert fitted.pixels > 3000
    assert fitted.images == images


def test_who_stops_watching_is_shown_no_half_done_work(tmp_path: Path) -> None:
    desk = opened(tmp_path)
    desk.give(FitCalibration(request_id=5, items=desk.project.items))
    desk.work(3)
    assert (under_way := desk.heard.of(Progress)[-1]).done < under_way.total
    desk.give(EndInspection())
    assert (last := desk.heard.of(Progress)[-1]).done == last.total
    desk.work(5)
    assert desk.heard.of(CalibrationFitted) == []


def test_classes_the_quick_model_does_not_know_keep_what_the_network_says() -> None:
    image, _ = picture(2)
    readout = taught()
    fewer = CLASSES.remove(BOX)
    network = np.full((2, *SIZE), 0.5, np.float32)
    both = shown_probabilities(network, opinion(feature_grid(image), readout), fewer, SIZE, 0.5)
    assert both.shape == (2, *SIZE)
    assert both.sum(axis=0) == pytest.approx(np.ones(SIZE), abs=1e-5)
