"""Networks translated to machine code before training: minutes once, then faster steps on some networks.

Steps of a compiled network can't be interrupted while it is translated, which is why the window never does
it. Imports torch's compiler when asked to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from engine.config import Compiling
from engine.errors import TrainingError, brief
from models.base import SegmentationModel
from models.processes import are_several

_MODES = {Compiling.CODE: "default", Compiling.GRAPHS: "reduce-overhead"}


def check_compiling(kind: Compiling, device: torch.device) -> None:
    """Find out with one small operation whether this computer can; some seconds.

    Raises:
        TrainingError: It can't, or there are several processes to record graphs of; says why.
    """
    if kind is Compiling.GRAPHS and are_several():
        # What the processes tell each other in the middle of a pass cannot be recorded.
        raise TrainingError(
            "CUDA graphs do not work where several processes train together.",
            "Choose --compile code, or start one process.",
        )
    if kind is Compiling.GRAPHS and device.type != "cuda":
        raise TrainingError(
            "CUDA graphs need a CUDA graphics card.", "Choose --compile code, or leave --compile out."
        )
    try:
        torch.compile(_trial, mode=_MODES[kind])(torch.ones(8, device=device))
    except (RuntimeError, OSError, ImportError) as error:
        raise TrainingError(
            f"This computer can't compile networks: {brief(error)}",
            "Install what torch's compiler needs (a C++ compiler; Triton for a graphics card), or leave "
            "--compile out.",
        ) from error


@contextlib.contextmanager
def compile_errors() -> Iterator[None]:
    """Say what to do where translating the network itself fails, which happens in its first step.

    Raises:
        TrainingError: instead of the compiler's own error.
    """
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        raise TrainingError(
            f"This network can't be compiled here: {brief(error)}",
            "Leave --compile out.",
        ) from error


def compile_network(model: SegmentationModel[Any], kind: Compiling) -> None:
    """Let a network's passes be translated when they are first run for a size of crop and a class table.

    Names and values of its state stay as they are.
    """
    model.compile(mode=_MODES[kind], dynamic=False)


def _trial(value: torch.Tensor) -> torch.Tensor:
    return value * 2 + 1
