"""Number formats and memory of the device a network runs on. Worker thread."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import assert_never

import torch

from engine.config import Precision
from engine.errors import DeviceMemoryError

_SHORT = "There is not enough memory for this: the network, training and other programs take the rest."
_SHORTAGE = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cusolver_status_alloc_failed",
    # On a full card cuBLAS and cuDNN cannot even make their handles, and do not say why.
    "cublas_status_not_initialized",
    "cudnn_status_not_initialized",
    # cuDNN tries one way of computing after the other; where each lacks room, it only says that none is left.
    "unable to find an engine to execute this computation",
)
"""What the allocator of the processor and CUDA's libraries say in plain RuntimeErrors, in small letters."""


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
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _SHORTAGE)


@contextlib.contextmanager
def shortage_told(
    message: str = _SHORT,
    hint: str = "Stop training, choose a smaller network or close other programs, then try again.",
) -> Iterator[None]:
    """Say in plain words where memory is short for something that training can go on without.

    Args:
        message: What could not be done.
        hint: What to do about it.

    Raises:
        DeviceMemoryError: instead of torch's own errors; all others pass.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceMemoryError(message, hint) from error


def release_memory(device: torch.device) -> None:
    """Give cached memory back to the system, so that other programs can have it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
