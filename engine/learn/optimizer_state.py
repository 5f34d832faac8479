"""What an optimizer knows, by the names of the parameters, so that it survives class changes and restarts.

Worker thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

_ADAM_KNOWS = {"step", "exp_avg", "exp_avg_sq"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptimizerState:
    """What a later run resumes from.

    Attributes:
        values: By parameter name, the optimizer's tensors for it (on the processor).
        cycle_position: Steps into the cycle of the learning rate.
    """

    values: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    cycle_position: float = 0.0


def optimizer_state(
    optimizer: torch.optim.Optimizer, model: nn.Module, cycle_position: float
) -> OptimizerState:
    """Return a copy of what an optimizer knows."""
    values: dict[str, dict[str, Tensor]] = {}
    for name, parameter in model.named_parameters():
        known = optimizer.state.get(parameter)
        if known:
            values[name] = {
                key: value.detach().to("cpu", copy=True)
                for key, value in known.items()
                if isinstance(value, Tensor)
            }
    return OptimizerState(values=values, cycle_position=cycle_position)


def drop_unfinished(optimizer: torch.optim.Optimizer) -> None:
    """Forget what AdamW only began to know of a parameter when memory ran short: its next step would fail."""
    if not isinstance(optimizer, torch.optim.AdamW):
        return
    for parameter, known in list(optimizer.state.items()):
        if not known.keys() >= _ADAM_KNOWS:
            del optimizer.state[parameter]


def load_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, state: OptimizerState) -> int:
    """Give an optimizer what is known about parameters of the same name and shape.

    Returns:
        Number of parameters resumed; the others start fresh.
    """
    # torch's own loading brings every tensor to its parameter's device and type, but counts parameters
    # instead of naming them.
    own = optimizer.state_dict()
    numbers = _numbers(optimizer)
    resumed = {}
    for name, parameter in model.named_parameters():
        known = state.values.get(name)
        if parameter in numbers and known and _fits(known, parameter):
            resumed[numbers[parameter]] = {key: _laid_out(value, parameter) for key, value in known.items()}
    optimizer.load_state_dict({"state": resumed, "param_groups": own["param_groups"]})
    return len(resumed)


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """Return a copy that lies in memory as the parameter does: fused optimizers go by that alone."""
    if value.dim() == 0:
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device).copy_(value)


def _numbers(optimizer: torch.optim.Optimizer) -> dict[Tensor, int]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return {parameter: number for number, parameter in enumerate(parameters)}


def _fits(known: Mapping[str, Tensor], parameter: Tensor) -> bool:
    """Counters have no axes; everything else has the shape of its parameter."""
    return all(value.dim() == 0 or value.shape == parameter.shape for value in known.values())
