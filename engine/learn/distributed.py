"""Several processes train one network (`torchrun`): gloo between processors, nccl between graphics cards.

Every process has the whole network and draws its own crops; together these are one batch. What networks and
losses share while they compute is in `models.processes`; here is the rest: joining and leaving, the sum of
the gradients, and decisions that all must take alike. Main thread of a command line verb.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime as dt
import os
import sys
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from engine.config import Device
from engine.errors import EngineError, TrainingError
from engine.learn.device import limit_threads
from engine.learn.ranks import Rank
from models.processes import are_several, summed

_BUCKET = 16 << 20
_SEEDS_APART = 1_000_003
_PATIENCE = dt.timedelta(minutes=30)


def has_cards(device: Device, count: int) -> bool:
    """Return whether there is a graphics card for each of `count` processes on this machine.

    Raises:
        EngineError: There are some, but too few.
    """
    if device not in (Device.AUTO, Device.CUDA) or not torch.cuda.is_available():
        return False
    if torch.cuda.device_count() < count:
        raise EngineError(
            f"{count} processes were started on a machine with {torch.cuda.device_count()} graphics cards.",
            hint="Start as many as there are cards (--nproc-per-node gpu), or add --device cpu.",
        )
    return True


def take_own_card(rank: Rank, device: Device) -> None:
    """Let each process of this machine use the graphics card of its number, where there are cards.

    Raises:
        EngineError: There are too few.
    """
    if has_cards(device, rank.local_count):
        torch.cuda.set_device(rank.local)


@contextlib.contextmanager
def joined(rank: Rank, *, on_cuda: bool) -> Iterator[None]:
    """Make this process one of `rank.count` for a while; does nothing where it is the only one.

    Numbers on the processor travel by gloo whatever the device, so that deciding something together makes no
    graphics card wait.

    Args:
        rank: Which process this is; the address of the others is in torchrun's environment variables.
        on_cuda: Whether each process has a graphics card of its own.
    """
    if rank.count == 1:
        yield
        return
    if on_cuda:
        torch.cuda.set_device(rank.local)
    limit_threads()
    backend = "cpu:gloo,cuda:nccl" if on_cuda else "gloo"
    store, _, _ = next(rendezvous("env://", timeout=_PATIENCE))
    if rank.local_count == rank.count:
        # After a restart on one machine the store is the old one: what the dead wrote must not be read. Over
        # several machines restarts are counted by each alone, and torchrun meets on a new store.
        store = PrefixStore(f"start {rank.restarts}", store)
    dist.init_process_group(backend, store=store, rank=rank.number, world_size=rank.count, timeout=_PATIENCE)
    try:
        yield
    except BaseException:
        if on_cuda:
            atexit.register(_leave_at_once)
        else:
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def _leave_at_once() -> None:
    """End this process without waiting for others, so that torchrun sees it end and starts all of them again.

    To be called when what went wrong has been said. With nccl taking leave is something all do together, and
    the others may be in the middle of a sum that this process will never join.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their sums over all processes; nothing happens alone.

    Sums, not means: each process's loss is its share of the joint loss. Parameters without a gradient have
    none in any process, because all run the same program on crops of the same shape.
    """
    if not are_several():
        return
    bucket: list[Tensor] = []
    size = 0
    for parameter in parameters:
        if parameter.grad is not None:
            bucket.append(parameter.grad)
            size += parameter.grad.numel()
        if size >= _BUCKET:
            _sum_together(bucket)
            bucket, size = [], 0
    _sum_together(bucket)


def _sum_together(values: list[Tensor]) -> None:
    """One message for many small tensors."""
    if not values:
        return
    flat = summed(torch.cat([value.reshape(-1) for value in values]))
    start = 0
    for value in values:
        value.copy_(flat[start : start + value.numel()].view_as(value))
        start += value.numel()


def summed_losses(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return detached terms of the joint loss, scalars by name: the sums of the processes' shares."""
    detached = {name: value.detach() for name, value in losses.items()}
    if not are_several() or not detached:
        return detached
    values = summed(torch.stack([value.float() for value in detached.values()]))
    return dict(zip(detached, values.unbind(), strict=True))


def agreed(value: int) -> int:
    """Return the first process's value in all of them."""
    if not are_several():
        return value
    shared = torch.tensor([value], dtype=torch.int64)
    dist.broadcast(shared, src=0)
    return int(shared.item())


def least(value: int) -> int:
    """Return the smallest of the processes' values in all of them."""
    if not are_several():
        return value
    shared = torch.tensor([value], dtype=torch.int64)
    dist.all_reduce(shared, op=dist.ReduceOp.MIN)
    return int(shared.item())


def added_up(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of a vector (N,) of float64 over all processes, a new array."""
    total: NDArray[np.float64] = summed(torch.from_numpy(values.copy())).numpy()
    return total


def choose_apart(rank: Rank, seed: int) -> int:
    """Let this process make random choices of its own (crops, dropout); return the seed for them."""
    own = (seed + _SEEDS_APART * rank.number) % 2**31
    torch.manual_seed(own)
    return own


def start_alike(model: nn.Module) -> None:
    """Give every process the first one's weights and buffers.

    Raises:
        TrainingError: The processes built different networks.
    """
    if not are_several():
        return
    size = sum(value.numel() for value in model.state_dict().values())
    if agreed(size) != size:
        raise TrainingError(
            "The processes built different networks.", "Use the same Maskloop and the same files everywhere."
        )
    for value in model.state_dict().values():
        held = value.contiguous()
        dist.broadcast(held, src=0)
        value.copy_(held)
