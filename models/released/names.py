"""What the published checkpoints of all families have in common: how their tensors are named."""

import re
from collections.abc import Mapping

from torch import Tensor

Prefixes = tuple[tuple[str, str], ...]
"""Beginnings of published names, and what stands there in ours."""

_PROJECTION = re.compile(r"\b(query|key|value|out)_project\.(?:(\d+)\.(\d+)\.)?")
_PARTS = 3
"""Convolution, normalisation and ReLU are three entries in our sequences; published ones nest each pair."""


def renamed(state: Mapping[str, Tensor], prefixes: Prefixes) -> dict[str, Tensor]:
    """Returns a published state under our names, projections of attention blocks included.

    Args:
        state: tensors by published name.
        prefixes: the first that fits is replaced; names without one keep their beginning.
    """
    return {own_name(name, prefixes): values for name, values in state.items()}


def own_name(name: str, prefixes: Prefixes) -> str:
    """Returns our name of one tensor; arguments as in `renamed`."""
    name = _PROJECTION.sub(_projection, name)
    for published, own in prefixes:
        if name.startswith(published):
            return own + name.removeprefix(published)
    return name


def _projection(found: re.Match[str]) -> str:
    name, layer, part = found.groups()
    return f"{name}." if layer is None else f"{name}.{_PARTS * int(layer) + int(part)}."
