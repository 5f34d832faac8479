"""The demo's session on small pictures with a fast hand: the whole loop, real threads, real project."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.cli import run
from engine.cli.outcome import Outcome
from engine.cli.report import draw_report, summary, write_report
from engine.cli.simulation import Simulation
from engine.config import Device
from engine.errors import EngineError
from engine.project.integrity import check_project
from engine.project.manifest import Split
from engine.project.project import Project
from engine.sample.scenes import generate_scene, truth_folder

TILE = (90, 120)
SECONDS = 12.0
"""Long enough that the network learns on a machine with other work; a fast one only learns more."""


def write_tiles(folder: Path) -> None:
    """Eight small pictures cut from a scene where several classes meet."""
    image, label_map = generate_scene(3, 3)
    truth_folder(folder).mkdir(parents=True)
    folder.mkdir()
    for place in range(8):
        top, left = 110 + 12 * (place // 4), 40 + 90 * (place % 4)
        box = np.s_[top : top + TILE[0], left : left + TILE[1]]
        Image.fromarray(image[box]).save(folder / f"{place}.png")
        Image.fromarray(label_map[box]).save(truth_folder(folder) / f"{place}.png")


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A folder after twelve seconds of a hand that is seven times as fast as a person's."""
    folder = tmp_path_factory.mktemp("demo ä")
    write_tiles(folder / "images")
    simulation = Simulation(
        folder / "images",
        seconds=SECONDS,
        device=Device.CPU,
        seed=0,
        progress=lambda done, note="": None,
        pace=7.0,
    )
    return folder, simulation.run(folder / "masks")


def test_curve_starts_untrained_and_ends_with_the_session(worked: tuple[Path, Outcome]) -> None:
    outcome = worked[1]
    first, last = outcome.curve[0], outcome.curve[-1]
    assert (first.step, first.strokes, first.seconds) == (0, 0, 0.0)
    assert last.step == outcome.steps > 0
    assert last.strokes == outcome.strokes > 0
    assert last.seconds >= SECONDS
    assert [point.seconds for point in outcome.curve] == sorted(point.seconds for point in outcome.curve)
    assert outcome.miou_after > outcome.miou_before
    assert 0 < outcome.compute_seconds <= 5 * SECONDS


def test_held_out_images_are_untouched_and_the_project_is_sound(worked: tuple[Path, Outcome]) -> None:
    folder, outcome = worked
    project = Project.open(folder / "images", read_only=True)
    records = project.manifest.images
    project.close()
    names = [picture.image_id for picture in outcome.held_out]
    assert names == ["6.png", "7.png"]
    assert all(records[name].split is Split.NONE and records[name].revision == 0 for name in names)
    assert outcome.images_corrected == sum(record.revision > 0 for record in records.values())
    assert project.manifest.checkpoint is not None
    assert check_project(folder / "images") == ()


def test_masks_of_all_images_are_exported(worked: tuple[Path, Outcome]) -> None:
    folder, outcome = worked
    ids = sorted((folder / "masks/label_ids").iterdir())
    assert [path.name for path in ids] == [f"{place}.png" for place in range(8)]
    assert outcome.exported_files == 3 * 8 + 1
    with Image.open(ids[-1]) as mask:
        assert (np.array(mask) == outcome.held_out[-1].after).all()


def test_report(worked: tuple[Path, Outcome], tmp_path: Path) -> None:
    outcome = worked[1]
    wanted = {
        "miou_before",
        "miou_after",
        "iou_per_class",
        "strokes",
        "user_seconds",
        "compute_seconds",
        "curve",
    }
    assert wanted <= set(outcome.as_json())
    write_report(tmp_path, outcome)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "report.png" in page
    assert "pole and fence" in page
    assert "held-out mIoU" in summary(outcome)
    picture = draw_report(outcome)
    undone = dataclasses.replace(
        outcome, held_out=tuple(dataclasses.replace(p, after=p.before) for p in outcome.held_out)
    )
    assert (draw_report(undone) != picture).any()
    with Image.open(tmp_path / "report.png") as stored:
        assert (np.array(stored) == picture).all()


def test_no_time_to_learn_is_said(tmp_path: Path) -> None:
    write_tiles(tmp_path / "images")
    simulation = Simulation(
        tmp_path / "images", seconds=0.05, device=Device.CPU, seed=0, progress=lambda done, note="": None
    )
    outcome = simulation.run(tmp_path / "masks")
    assert outcome.steps == 0
    assert outcome.miou_after == outcome.miou_before
    assert any("more --seconds" in note for note in outcome.notes)


def test_missing_truth_ends_with_a_clean_project(tmp_path: Path) -> None:
    write_tiles(tmp_path / "images")
    for path in truth_folder(tmp_path / "images").iterdir():
        path.unlink()
    simulation = Simulation(
        tmp_path / "images", seconds=1.0, device=Device.CPU, seed=0, progress=lambda done, note="": None
    )
    with pytest.raises((EngineError, FileNotFoundError)):
        simulation.run(tmp_path / "masks")
    Project.open(tmp_path / "images").close()


def test_the_verb_puts_everything_into_one_folder(
    worked: tuple[Path, Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: dict[str, object] = {}

    class Prepared:
        def __init__(self, images: Path, **options: object) -> None:
            asked.update(options, images=images)

        def run(self, masks: Path) -> Outcome:
            return worked[1]

    monkeypatch.setattr(
        "engine.sample.scenes.write_sample", lambda folder, seed, progress: write_tiles(folder)
    )
    monkeypatch.setattr("engine.cli.simulation.Simulation", Prepared)
    out = tmp_path / "new"
    out.mkdir()
    assert run(["demo", "--out", str(out), "--seconds", "7", "--seed", "3", "--device", "cpu"]) == 0
    assert (asked["images"], asked["seconds"], asked["seed"]) == (out / "images", 7.0, 3)
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["miou_after"] == worked[1].miou_after
    assert (out / "report.png").exists()
    assert "report.html" in capsys.readouterr().out
