"""Where the network runs and in which numbers. Worker thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import torch

from engine.config import Device, Precision
from engine.learn.ranks import current_rank
from models.base import SegmentationModel

_TRIAL_S = 0.5
_TRIAL_EDGE = 96
_ROUNDS = 8
_WORTH_IT = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedDevice:
    """A device that exists.

    Attributes:
        device: For torch.
        title: For people, such as "NVIDIA H200" or "processor, 1 thread".
        notice: One sentence where it is not the device that was asked for, else "".
    """

    device: torch.device
    title: str
    notice: str = ""


def resolve_device(wanted: Device) -> ResolvedDevice:
    """Return the wanted device, or the processor with a notice where the machine has none such."""
    match wanted:
        case Device.AUTO:
            if torch.cuda.is_available():
                return _cuda()
            return _mps() if torch.backends.mps.is_available() else _cpu()
        case Device.CUDA:
            return _cuda() if torch.cuda.is_available() else _cpu("No CUDA graphics card was found")
        case Device.MPS:
            return (
                _mps() if torch.backends.mps.is_available() else _cpu("No Apple graphics processor was found")
            )
        case Device.CPU:
            return _cpu()
        case _ as never:
            assert_never(never)


def _cuda() -> ResolvedDevice:
    return ResolvedDevice(device=torch.device("cuda"), title=torch.cuda.get_device_name())


def _mps() -> ResolvedDevice:
    return ResolvedDevice(device=torch.device("mps"), title="Apple graphics processor")


def _cpu(why: str = "") -> ResolvedDevice:
    threads = torch.get_num_threads()
    title = f"processor, {threads} thread{'s' if threads > 1 else ''}"
    notice = f"{why}: the network runs on the processor." if why else ""
    return ResolvedDevice(device=torch.device("cpu"), title=title, notice=notice)


def available_cores() -> int:
    """Return the number of processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(threads: int | None = None) -> None:
    """Let torch use so many processor threads when called from this thread; None takes all cores but one.

    Where torchrun started several processes on this machine, they share the cores.

    That is the measured choice: with all of them a window stalls, and training itself collapses as soon
    as anything else is busy.
    """
    if threads is None:
        together = current_rank().local_count
        threads = max(1, available_cores() - 1 if together == 1 else available_cores() // together)
    torch.set_num_threads(threads)


def choose_precision(wanted: Precision, model: SegmentationModel[Any], device: torch.device) -> Precision:
    """Return the number format to use; never AUTO.

    On a graphics card 16-bit numbers are always faster. On a processor only some have units for them, and
    others imitate them slowly, so a trial of at most half a second with the real network decides.
    """
    if device.type == "mps":
        return Precision.FLOAT32
    if wanted is not Precision.AUTO:
        # fp16 needs gradient scaling and is imitated by processors; bf16 is the 16-bit format there.
        fallback = device.type == "cpu" and wanted is Precision.FLOAT16
        return Precision.BFLOAT16 if fallback else wanted
    if device.type == "cuda":
        return (
            Precision.BFLOAT16
            if torch.cuda.is_bf16_supported(including_emulation=False)
            else Precision.FLOAT16
        )
    faster = bfloat16_gain(model) >= _WORTH_IT
    return Precision.BFLOAT16 if faster else Precision.FLOAT32


def bfloat16_gain(model: SegmentationModel[Any], *, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return how many times faster the network is in bfloat16 on the processor; about half a second.

    Runs forward and backward in evaluation mode, so that no statistics move, and leaves no gradients behind.
    """
    was_training = model.training
    model.eval()
    try:
        image = torch.zeros(1, 3, _TRIAL_EDGE, _TRIAL_EDGE).contiguous(memory_format=torch.channels_last)
        plain = half = float("inf")
        start = clock()
        # The first round warms up; taking the formats in turn is fair on a busy machine.
        for _ in range(_ROUNDS):
            plain = min(plain, _timed_pass(model, image, torch.float32, clock))
            half = min(half, _timed_pass(model, image, torch.bfloat16, clock))
            if clock() - start > _TRIAL_S:
                break
        return plain / half
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was_training)


def _timed_pass(
    model: SegmentationModel[Any], image: torch.Tensor, dtype: torch.dtype, clock: Callable[[], float]
) -> float:
    start = clock()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
        output = model(image)
    output.logits.float().mean().backward()
    return clock() - start
