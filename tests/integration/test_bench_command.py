"""``maskloop bench`` and ``maskloop networks`` on this computer."""

import csv
from pathlib import Path

import pytest

from engine.cli import run
from engine.measure.bench_rows import LOSSES
from models.backbone_catalog import BACKBONES
from models.catalog import MODELS


def test_losses_are_measured_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--edge", "64", "--classes", "3", "--runs", "1", "--device", "cpu"]
    assert run(["bench", "losses", *options, "--out", str(tmp_path / "new")]) == 0
    text = capsys.readouterr().out
    assert "2 x 3 x 64 x 64" in text
    assert all(row.title in text for row in LOSSES)
    folder = tmp_path / "new"
    assert LOSSES[0].title in (folder / "bench-losses.txt").read_text(encoding="utf-8")
    with (folder / "bench-losses.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(LOSSES)
    assert (folder / "bench-losses.png").read_bytes().startswith(b"\x89PNG")


def test_modules_are_counted_without_timing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "modules", "--count-only", "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert "15.124 [15.12]" in text
    assert "242.483 [242.48]" in text
    assert "timed on" not in text


def test_networks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["networks", "tiny", "fcn"]) == 0
    text = capsys.readouterr().out
    assert "fcn: FCN" in text
    assert "CVPR 2015" in text
    assert "shows Class probabilities" in text
    assert "preset fcn-resnet18" in text
    assert "baselines-ade20k" in text
    assert "spgnet" not in text


def test_backbones_are_listed_in_their_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["networks", "resnet", "hrnet"]) == 0
    text = capsys.readouterr().out
    assert "resnet (backbone): ResNet" in text
    assert "CVPR 2016" in text
    assert "depth 50: 23.51 M parameters" in text
    assert "needs the package timm" in text
    assert "fcn" not in text


def test_an_unknown_network_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["networks", "nix"]) == 1
    text = capsys.readouterr().err
    assert "nix" in text
    assert all(spec.name in text for spec in (*MODELS, *BACKBONES))
