"""The demo: a whole session without a window, on a short day."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.cli import run
from engine.project.manifest import Split
from engine.project.project import Project


@pytest.mark.slow
def test_demo_learns_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    assert run(["demo", "--out", str(out), "--seconds", "40", "--device", "cpu"]) == 0
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["miou_after"] > report["miou_before"] + 0.05
    assert report["curve"][0]["miou"] == report["miou_before"]
    assert report["curve"][-1]["miou"] == report["miou_after"]
    assert report["strokes"] >= 3
    assert 20 < report["user_seconds"] <= 45
    assert len(report["iou_per_class"]) == 8
    with Image.open(out / "report.png") as picture:
        assert picture.size[0] > 1000
    assert "report.png" in (out / "report.html").read_text("utf-8")
    assert len(list((out / "masks/label_ids").iterdir())) == 24
    project = Project.open(out / "images", read_only=True)
    records = project.manifest.images
    assert all(
        records[name].split is Split.NONE and records[name].revision == 0 for name in report["held_out"]
    )
    assert any(record.revision > 0 for record in records.values())
    assert project.manifest.checkpoint is not None
    project.close()
    with Image.open(out / "masks/label_ids/scene_24.png") as mask:
        assert (np.array(mask) < 8).all()
    assert "held-out mIoU" in capsys.readouterr().out
    assert run(["check", str(out / "images")]) == 0
