import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli.entry import make_parser
from engine.learn import launch
from engine.learn.checkpoint_files import list_checkpoints
from engine.learn.launch import (
    SAVE_EVERY_S,
    can_launch,
    kill_with_children,
    local_cards,
    running_file,
    training_command,
)


def test_cards_are_counted_without_the_driver(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number)).mkdir()
    assert local_cards(environment={}, cards=tmp_path) == 3
    assert local_cards(environment={"CUDA_VISIBLE_DEVICES": "0,2"}, cards=tmp_path) == 2
    assert local_cards(environment={"CUDA_VISIBLE_DEVICES": ""}, cards=tmp_path) == 0
    assert local_cards(environment={"CUDA_VISIBLE_DEVICES": "-1"}, cards=tmp_path) == 0
    assert local_cards(environment={}, cards=tmp_path / "none") == 0


@pytest.mark.parametrize(("cards", "expected"), [(1, False), (2, True)])
def test_one_card_is_no_reason_for_a_child(
    monkeypatch: pytest.MonkeyPatch, cards: int, expected: bool
) -> None:
    monkeypatch.setattr(launch, "local_cards", lambda: cards)
    assert can_launch() is expected
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not can_launch()


def test_the_verb_understands_the_command(tmp_path: Path) -> None:
    command = training_command(tmp_path, tmp_path / "a.pt", cards=4, seconds=90, start_from=tmp_path / "b.pt")
    assert command[:6] == [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "4",
    ]
    words = command[command.index("app") + 1 :]
    arguments = make_parser().parse_args(words)
    assert (arguments.verb, arguments.folder, arguments.out) == ("train", tmp_path, tmp_path / "a.pt")
    assert (arguments.seconds, arguments.start_from, arguments.device) == (90.0, tmp_path / "b.pt", "cuda")
    assert arguments.save_every == SAVE_EVERY_S


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the processes by /proc")
def test_a_process_ends_with_all_that_it_started() -> None:
    inner = "import signal; signal.alarm(300); signal.pause()"  # ends by itself if this test fails
    outer = (
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', {inner!r}], start_new_session=True)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    kill_with_children(process.pid)
    # The inner one holds the same pipe: this comes back when both are gone.
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def test_no_process_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    # The system takes 0 for the whole group of the caller, and -1 for every process there is.
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    for number in (0, -1):
        kill_with_children(number)
    assert killed == []


def test_what_a_run_keeps_on_the_way_is_no_checkpoint_of_the_list(tmp_path: Path) -> None:
    kept = running_file(tmp_path / "all-cards.pt")
    assert kept == tmp_path / "all-cards.running.pt"
    kept.touch()
    assert list_checkpoints(tmp_path) == ()
