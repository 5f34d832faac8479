"""``maskloop train --resume``: an interrupted run goes on, and one that is over leaves nothing behind."""

from pathlib import Path

import pytest

from engine.cli import run
from engine.cli.running import RunningCheckpoint
from engine.errors import CheckpointError
from engine.learn.checkpoint import read_checkpoint
from engine.learn.trainer import Trainer
from tests.integration.test_command_line import write_pairs

SHORT = ["--network", "tiny", "--crop", "48", "--batch", "2", "--device", "cpu", "--save-every", "0.000001"]


def _interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = Trainer.step

    def step_or_stop(self: Trainer) -> object:
        if self.step_count == step:
            raise KeyboardInterrupt
        return ordinary(self)

    monkeypatch.setattr(Trainer, "step", step_or_stop)


def test_an_interrupted_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "train")
    out = tmp_path / "net.pt"
    verb = ["train", str(tmp_path / "train"), "--out", str(out), "--steps", "8", *SHORT]
    with monkeypatch.context() as interrupted:
        _interrupt_at(5, interrupted)
        assert run(verb) == 1
    assert not out.exists()
    kept = RunningCheckpoint(out).read()
    assert kept is not None
    assert kept.checkpoint.about.step == 5
    assert kept.checkpoint.optimizer is not None
    assert kept.progress.seconds > 0
    capsys.readouterr()
    assert run([*verb, "--resume"]) == 0
    assert "Going on from step 5" in capsys.readouterr().err
    assert read_checkpoint(out).about.step == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pt", "train"]


def test_without_the_option_a_run_starts_afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pairs(tmp_path / "train")
    out = tmp_path / "net.pt"
    verb = ["train", str(tmp_path / "train"), "--out", str(out), *SHORT]
    with monkeypatch.context() as interrupted:
        _interrupt_at(4, interrupted)
        assert run([*verb, "--steps", "6"]) == 1
    assert run([*verb, "--steps", "3"]) == 0
    assert read_checkpoint(out).about.step == 3
    assert RunningCheckpoint(out).read() is None


def test_damaged_progress_is_named(tmp_path: Path) -> None:
    running = RunningCheckpoint(tmp_path / "net.pt")
    running.path.write_bytes(b"")
    running.path.with_suffix(".json").write_text("{}", "utf-8")
    with pytest.raises(CheckpointError, match=r"running\.json"):
        running.read()
