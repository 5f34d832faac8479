"""The verbs under torchrun: two processes train, one is killed, the run goes on; two processes predict."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli import run
from engine.learn.checkpoint import read_checkpoint
from tests.integration.test_command_line import write_pairs
from tests.support import checkout
from tests.support.joint_steps import run_processes

pytestmark = pytest.mark.slow
STEPS = 120
_PATIENCE_S = 240


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "train")
    write_pairs(tmp_path / "val")
    return tmp_path


def _train(pairs: Path, *options: str) -> list[str]:
    shape = [
        "--network",
        "tiny",
        "--crop",
        "48",
        "--batch",
        "4",
        "--device",
        "cpu",
        "--evaluate-every",
        "600",
    ]
    return ["train", str(pairs / "train"), *shape, "--out", str(pairs / "net.pt"), *options]


def test_two_processes_predict_what_one_predicts(pairs: Path) -> None:
    assert run(_train(pairs, "--steps", "3")) == 0
    predict = ["predict", str(pairs / "val/images"), "--checkpoint", str(pairs / "net.pt"), "--device", "cpu"]
    assert run([*predict, "--out", str(pairs / "one")]) == 0
    outputs = run_processes(2, ["-m", "app", *predict, "--out", str(pairs / "two")], cwd=checkout.ROOT)
    assert all(re.search(r"process [12] of 2: [1-9]\d* of", output) for output in outputs)
    names = sorted(path.name for path in (pairs / "one").iterdir())
    assert names == sorted(path.name for path in (pairs / "two").iterdir())
    for name in names:
        assert (pairs / "one" / name).read_bytes() == (pairs / "two" / name).read_bytes()


def test_one_file_for_all_images_cannot_be_shared(pairs: Path) -> None:
    assert run(_train(pairs, "--steps", "2")) == 0
    predict = ["predict", str(pairs / "val/images"), "--checkpoint", str(pairs / "net.pt")]
    with pytest.raises(AssertionError, match="several processes cannot"):
        run_processes(
            2,
            ["-m", "app", *predict, "--format", "coco", "--out", str(pairs / "out")],
            cwd=checkout.ROOT,
        )


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the processes by /proc")
def test_a_killed_process_costs_seconds_not_the_run(pairs: Path) -> None:
    log = pairs / "log.txt"
    elastic = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "2"]
    verb = _train(pairs, "--steps", str(STEPS), "--save-every", "0.2")
    environment = {**os.environ, "PYTHONPATH": str(checkout.ROOT), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        torchrun = subprocess.Popen(
            [sys.executable, *elastic, "-m", "app", *verb], env=environment, stdout=output, stderr=output
        )
        try:
            while not (pairs / "net.running.pt").exists():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    torchrun.wait(0.05)
                assert torchrun.poll() is None, log.read_text("utf-8")
            os.kill(_workers(torchrun.pid)[1], signal.SIGKILL)
            torchrun.wait(_PATIENCE_S)
        finally:
            torchrun.kill()
            torchrun.wait()
    said = log.read_text("utf-8")
    assert torchrun.returncode == 0, said
    resumed = re.search(r"Going on from step (\d+)", said)
    assert resumed, said
    assert 0 < int(resumed[1]) < STEPS
    assert read_checkpoint(pairs / "net.pt").about.step == STEPS
    assert not list(pairs.glob("net.running.*"))


def _workers(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii")
    return [int(number) for number in children.split()]
