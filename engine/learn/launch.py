"""The command that trains a project on every graphics card of this machine (torch-free; any thread).

The window starts it as a child process: one process for each card, outside the window's own. The project is
only read, as `--out` names the checkpoint; the window loads that when the child is done.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_CARDS = Path("/proc/driver/nvidia/gpus")


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
    more = [] if start_from is None else ["--start-from", str(start_from)]
    return [sys.executable, *torchrun, "--max-restarts", "2", *verb, "--device", "cuda", *more]
