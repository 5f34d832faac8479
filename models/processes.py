"""What the processes of distributed training know together; alone, values stay as they are.

The crops of all processes are one batch, and every process computes its share of that batch's loss: sums run
over its own pixels, the numbers they are divided by over the pixels of all. The shares add up to the loss of
the joint batch, and so do their gradients, however unevenly labelled pixels are spread over the processes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.distributed as dist
from torch import Tensor

_apart: ContextVar[bool] = ContextVar("apart", default=False)


def summed(values: Tensor) -> Tensor:
    """Returns the sum over all processes; changes `values` in place where there are several.

    No gradient flows through it: for counts and statistics of any shape, which must be the same everywhere.
    """
    if are_several():
        dist.all_reduce(values)
    return values


def gathered(values: Tensor) -> Tensor:
    """Returns the values (N, …) of all P processes in their order, (P N, …); shapes must agree.

    No gradient flows through it.
    """
    if not are_several():
        return values
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def own(joined: Tensor) -> Tensor:
    """Returns this process's N rows of (P N, …) that `gathered` returned, or that were computed from it."""
    if not are_several():
        return joined
    return joined.chunk(dist.get_world_size())[dist.get_rank()]


def process_count() -> int:
    """Returns the number of processes that train together, 1 alone."""
    return dist.get_world_size() if are_several() else 1


def are_several() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and not _apart.get()


@contextmanager
def apart() -> Iterator[None]:
    """Lets this process compute on its own: what is the same in all, or what only one of them does."""
    token = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)
