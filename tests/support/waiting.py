"""Where a program waits: on a graphics card as torch tells it, on the processor as far as it can be known."""

from __future__ import annotations

import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support import checkout

_HERE = Path(__file__)
_WAITED = "called a synchronizing CUDA operation"
_aten = torch.ops.aten
_READ = {
    _aten._local_scalar_dense,
    _aten._unique2,
    _aten.bincount,
    _aten.equal,
    _aten.masked_select,
    _aten.nonzero,
    _aten.repeat_interleave,
    _aten.unique_consecutive,
    _aten.unique_dim,
}
"""Operations whose result, or its size, the processor must have before it can go on."""
_INDEXED = {_aten.index, _aten.index_put, _aten.index_put_}
"""Those that first look for the places where a mask is true, if they are given one."""


@contextmanager
def waits_for_card() -> Iterator[Counter[str]]:
    """Count the operations that wait for the graphics card, by the line of ours that asks for them.

    Torch notices copies to and from ordinary memory, reading values, and whatever needs to know a size. What
    waits in a backward pass is told when that is over, so it counts for the line that begins it.
    """
    found: Counter[str] = Counter()

    def note(message: Warning | str, *_: object, **__: object) -> None:
        if _WAITED in str(message):
            found[_place()] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")


class Readings(TorchDispatchMode):
    """Counts on the processor what would wait on a graphics card because a value is read, by line of ours.

    Optimizers keep their counts on the processor wherever they run, so what they read there does not count.

    Attributes:
        found: How often, by the line.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        packet = func.overloadpacket
        if packet in _READ or (packet in _INDEXED and _has_mask(args[1])):
            place = _place()
            if "/torch/optim/" not in place:
                self.found[place] += 1
        return func(*args, **(kwargs or {}))


def _has_mask(indices: Any) -> bool:
    return any(isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _place() -> str:
    """Return the innermost line of the checkout on the stack; one of an optimizer's where it passes by it."""
    stack = traceback.extract_stack()[:-1]
    ours = [frame for frame in stack if _is_ours(frame.filename)]
    passed = [frame for frame in stack if "/torch/optim/" in frame.filename]
    frame = (passed or ours or stack)[-1]
    return f"{frame.filename.removeprefix(f'{checkout.ROOT}/')}:{frame.lineno} in {frame.name}"


def _is_ours(name: str) -> bool:
    """Whether a file is the checkout's own: an environment made inside it is not, nor is this file."""
    path = Path(name)
    return path.is_relative_to(checkout.ROOT) and path != _HERE and "site-packages" not in path.parts


def listed(found: Counter[str]) -> str:
    """Return the places and how often each was met, for a failing test."""
    return "\n".join(f"{count} times at {place}" for place, count in found.most_common())
