"""Number formats and memory of the device a network runs on. Worker thread."""

from __future__ import annotations

import contextlib
from typing import assert_never

import torch

from engine.config import Precision


def dtype_of(precision: Precision) -> torch.dtype:
    """Return torch's name of a number format.

    Raises:
        ValueError: AUTO is no format.
    """
    match precision:
        case Precision.FLOAT32:
            return torch.float32
        case Precision.BFLOAT16:
            return torch.bfloat16
        case Precision.FLOAT16:
            return torch.float16
        case Precision.AUTO:
            raise ValueError("choose a precision first")
        case _ as never:
            assert_never(never)


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a network computes in a number format; never AUTO."""
    if precision is Precision.FLOAT32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype_of(precision))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was short, on the graphics card or in the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The allocator of the processor and some CUDA libraries raise plain RuntimeErrors.
    words = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def release_memory(device: torch.device) -> None:
    """Give cached memory back to the system, so that other programs can have it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
