"""What this process holds: resident memory, living tensors."""

import gc
import os
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensor

_STATM = Path("/proc/self/statm")
_STATUS = Path("/proc/self/status")
KNOWN = _STATM.exists()
"""Whether this system tells resident memory the way Linux does."""


def resident_mib() -> float:
    """Resident memory of this process in MiB (Linux)."""
    return int(_STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mib() -> float:
    """Most memory that was ever resident in this process, in MiB (Linux)."""
    (line,) = (line for line in _STATUS.read_text("ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def living_tensors() -> tuple[int, int]:
    """Number and bytes of the tensors that Python still knows, after a collection.

    Those that only stand for others count nothing: the compiler keeps some of what it compiled before.
    """
    gc.collect()
    # By type: asking every object for its class would wake lazy modules.
    tensors = [
        item
        for item in gc.get_objects()
        if issubclass(type(item), torch.Tensor) and not issubclass(type(item), FakeTensor)
    ]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return len(tensors), sum(storages.values())
