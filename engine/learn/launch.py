"""The command that trains a project on every graphics card of this machine (torch-free; any thread).

The window starts it as a child process: one process for each card, outside the window's own. The project is
only read, as `--out` names the checkpoint; the window loads that when the child is done. Every file is
written whole or not at all, so the child may be ended at any moment: what it had saved by then stays.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.learn.checkpoint_files import SUFFIX

SAVE_EVERY_S = 60.0
"""What is lost at most where one of the processes dies, or a person stops them all."""

_CARDS = Path("/proc/driver/nvidia/gpus")
_PROCESSES = Path("/proc")


def local_cards(*, environment: Mapping[str, str] = os.environ, cards: Path = _CARDS) -> int:
    """Return the number of NVIDIA cards this process may use, without waking their driver.

    Args:
        environment: Where CUDA_VISIBLE_DEVICES may leave some out.
        cards: Folder in which Linux lists one entry for each; elsewhere there is none, and the answer is 0.
    """
    installed = len(list(cards.iterdir())) if cards.is_dir() else 0
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return installed
    return min(installed, len([name for name in visible.split(",") if name.strip() not in ("", "-1")]))


def can_launch() -> bool:
    """Return whether there are two cards at least, and a Python to start: a packed program has none."""
    return local_cards() >= 2 and not getattr(sys, "frozen", False)


def training_command(
    images_folder: Path, out: Path, *, cards: int, seconds: float, start_from: Path | None = None
) -> list[str]:
    """Return the words of the command; run them in any folder.

    Args:
        images_folder: The project's images.
        out: Checkpoint to write.
        cards: Number of processes, one for each card.
        seconds: Time of training.
        start_from: Checkpoint to start from, or None.
    """
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(cards)]
    verb = ["-m", "app", "train", str(images_folder), "--out", str(out), "--seconds", f"{seconds:g}"]
    kept = ["--save-every", f"{SAVE_EVERY_S:g}"]
    more = [] if start_from is None else ["--start-from", str(start_from)]
    return [sys.executable, *torchrun, "--max-restarts", "2", *verb, *kept, "--device", "cuda", *more]


def running_file(out: Path) -> Path:
    """Return where a run keeps its newest state until `out` is written: a checkpoint like any other."""
    return out.with_name(f"{out.name.removesuffix(SUFFIX)}.running{SUFFIX}")


def kill_with_children(number: int) -> None:
    """End a process and all that it started, at once; what is gone already does not matter.

    torchrun gives each of its processes a session of its own: if it alone is killed, they train on.

    Args:
        number: The process; 0 or less is none.
    """
    if number <= 0 or sys.platform == "win32":
        return
    for each in _with_children(number):
        # It goes first: otherwise it would start those anew that die.
        with contextlib.suppress(OSError):
            os.kill(each, signal.SIGKILL)


def _with_children(number: int) -> list[int]:
    found = [number]
    for parent in found:  # grows on the way
        for path in (_PROCESSES / str(parent) / "task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in path.read_text("ascii").split()]
    return found
