"""``maskloop train`` with a preset, a loss or a paper's training."""

from pathlib import Path

import pytest

from engine.cli import run
from engine.learn.checkpoint import read_checkpoint
from models.configs import TinyConfig
from models.loss_configs import CrossEntropyConfig, RmiConfig
from tests.integration.test_command_line import write_pairs

SHORT = ["--steps", "3", "--crop", "48", "--batch", "2", "--device", "cpu"]


def test_preset_loss_and_recipe_are_followed(tmp_path: Path) -> None:
    write_pairs(tmp_path / "train")
    out = tmp_path / "net.pt"
    options = ["--preset", "tiny", "--loss", "rmi", "--recipe", "quick-cpu", *SHORT]
    assert run(["train", str(tmp_path / "train"), "--out", str(out), *options]) == 0
    about = read_checkpoint(out).about
    assert about.loss == RmiConfig()
    assert about.network == TinyConfig()
    assert about.step == 3


def test_a_published_training_brings_its_loss(tmp_path: Path) -> None:
    write_pairs(tmp_path / "train")
    out = tmp_path / "net.pt"
    options = ["--network", "tiny", "--recipe", "spgnet-cityscapes", *SHORT]
    assert run(["train", str(tmp_path / "train"), "--out", str(out), *options]) == 0
    assert read_checkpoint(out).about.loss == CrossEntropyConfig(auxiliary_weight=1.0)


@pytest.mark.parametrize(
    "options", [["--preset", "nix"], ["--recipe", "nix"], ["--preset", "tiny", "--network", "fcn"]]
)
def test_unknown_or_contradicting_choices_are_refused(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "train")
    assert run(["train", str(tmp_path / "train"), *options, *SHORT]) == 1
    assert "preset" in (said := capsys.readouterr().err) or "recipe" in said


def test_what_cannot_be_compiled_for_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pairs(tmp_path / "train")
    assert run(["train", str(tmp_path / "train"), "--compile", "graphs", "--device", "cpu", *SHORT]) == 1
    assert "CUDA graphs need" in capsys.readouterr().err
