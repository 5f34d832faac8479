"""Loading tensors into a network by name, with a report instead of an error."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_WRAPPERS = ("module.", "_orig_mod.")
"""What training in parallel or compiled puts before every name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What happened to every tensor, by its name in the network (`unexpected`: in the file).

    Attributes:
        used: loaded.
        missing: in the network, not in the file; keeps the value it had.
        unexpected: in the file, not in the network; left out.
        mismatched: in both with different shapes; keeps the value it had.
    """

    used: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every tensor of the network was loaded and none was left over."""
        return not (self.missing or self.unexpected or self.mismatched)

    def summary(self) -> str:
        """Returns one sentence for the user."""
        total = len(self.used) + len(self.missing) + len(self.mismatched)
        counts = (
            (len(self.missing), "missing"),
            (len(self.mismatched), "of another shape"),
            (len(self.unexpected), "not known here"),
        )
        rest = ", ".join(f"{count} {words}" for count, words in counts if count)
        return f"{len(self.used)} of {total} tensors loaded{f' ({rest})' if rest else ''}."


def load_state(model: nn.Module, state: Mapping[str, Tensor]) -> LoadReport:
    """Copies tensors into a network by name; never raises because of names or shapes.

    The prefixes that wrappers put before every name ("module.") are taken off. Counters of batch
    normalisation (`num_batches_tracked`) may be missing without being reported: old files have none.

    Args:
        model: network, changed in place; tensors keep their device and dtype.
        state: tensors by name.
    """
    given = unwrapped(state)
    own = model.state_dict()
    used = [name for name in own if name in given and given[name].shape == own[name].shape]
    with torch.no_grad():
        for name in used:
            own[name].copy_(given[name])
    return LoadReport(
        used=tuple(used),
        missing=tuple(name for name in own if name not in given and not name.endswith("num_batches_tracked")),
        unexpected=tuple(name for name in given if name not in own),
        mismatched=tuple(name for name in own if name in given and given[name].shape != own[name].shape),
    )


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns tensors without the prefix that a wrapper put before every name."""
    given = dict(state)
    for prefix in _WRAPPERS:
        if given and all(name.startswith(prefix) for name in given):
            given = {name.removeprefix(prefix): values for name, values in given.items()}
    return given
