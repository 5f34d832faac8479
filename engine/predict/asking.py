"""Asking a network on its way whether it shall go on. Worker thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def asking(model: nn.Module, ask: Callable[[], None]) -> Iterator[None]:
    """Let a network ask before each of its layers, within the block; what `ask` raises ends the pass.

    A pass changes nothing, so it may end anywhere. On a graphics card the question comes when a layer is
    ordered, not when it is computed.
    """

    def before(_module: nn.Module, _given: object) -> None:
        ask()

    handles = [module.register_forward_pre_hook(before) for module in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
