"""Time and memory of a computation on the present device.

Memory is what the computation holds at most beyond what was there before. A CUDA device is asked for it;
elsewhere the tensors that pass torch's dispatcher are followed, which leaves out what kernels take for
themselves.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What one run takes.

    Attributes:
        milliseconds: median of the runs measured.
        memory_mb: most memory held at once, in units of 2**20 bytes.
    """

    milliseconds: float
    memory_mb: float


def measure_speed(call: Callable[[], object], device: torch.device, *, runs: int = 5) -> Speed:
    """Runs `call` once to warm up, once for memory, and `runs` times for time.

    Args:
        call: the computation; what it returns is dropped.
        device: where it happens.
        runs: how often to take the time; the median counts.
    """
    call()
    memory = _peak(call, device)
    times = [_seconds(call, device) for _ in range(max(1, runs))]
    return Speed(milliseconds=1e3 * statistics.median(times), memory_mb=memory / 2**20)


def measure_in_turns(
    calls: Sequence[Callable[[], object]], device: torch.device, *, runs: int = 5
) -> tuple[float, ...]:
    """Runs each computation once to warm up, then all in turns, which is fair on a busy machine.

    Args:
        calls: what is compared; what they return is dropped.
        device: where they happen.
        runs: how often to take the time of each.

    Returns:
        The median milliseconds of each.
    """
    for call in calls:
        call()
    times = [[_seconds(call, device) for call in calls] for _ in range(max(1, runs))]
    return tuple(1e3 * statistics.median(column) for column in zip(*times, strict=True))


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    call()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _peak(call: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return float(torch.cuda.max_memory_allocated(device) - before)
    new: Callable[[], _LiveTensors] = _LiveTensors  # torch's own constructor carries no types
    live = new()
    live.storages, live.peak = {}, 0
    with live:
        call()
    return float(live.peak)


class _LiveTensors(TorchDispatchMode):
    """Follows the storages of all results until they are freed."""

    storages: dict[int, tuple[StorageWeakRef, int]]
    peak: int

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs an operation and adds up what is alive."""
        del types
        known = {
            value.untyped_storage().data_ptr() for value in tree_leaves(args) if isinstance(value, Tensor)
        }
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and value.untyped_storage().data_ptr() not in known:
                storage = value.untyped_storage()
                self.storages[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        self.storages = {key: held for key, held in self.storages.items() if not held[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.storages.values()))
        return result
