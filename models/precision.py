"""Where autocast must not make numbers shorter."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def as_given(values: Tensor) -> AbstractContextManager[object]:
    """Returns a context in which operations on the device of `values` keep their number format.

    The meta device, on which costs are counted, knows no autocast: nothing is to be switched off there.
    """
    kind = values.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
