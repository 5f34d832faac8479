"""What the processes of distributed training know together; alone, values stay as they are."""

import torch.distributed as dist
from torch import Tensor


def summed(values: Tensor) -> Tensor:
    """Returns the sum over all processes; changes `values` in place where there are several."""
    if _are_several():
        dist.all_reduce(values)
    return values


def gathered(values: Tensor) -> Tensor:
    """Returns the values of all processes, in their order, along the first axis; shapes must agree."""
    if not _are_several():
        return values
    joined = values.new_empty(dist.get_world_size() * values.shape[0], *values.shape[1:])
    dist.all_gather_into_tensor(joined, values.contiguous())
    return joined


def _are_several() -> bool:
    return dist.is_available() and dist.is_initialized()
