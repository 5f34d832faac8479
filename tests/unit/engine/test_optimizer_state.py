import pytest
import torch
from torch import nn

from engine.learn.optimizer_state import OptimizerState, load_optimizer, optimizer_state


def _trained(model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).square().sum().backward()
        optimizer.step()
    return optimizer


def _next_weights(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    optimizer.zero_grad()
    model(torch.full((1, 2), 0.5)).square().sum().backward()
    optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_a_resumed_optimizer_does_the_same_next_step() -> None:
    torch.manual_seed(0)
    model = nn.Linear(2, 3)
    optimizer = _trained(model)
    state = optimizer_state(optimizer, model, 7.0)
    twin = nn.Linear(2, 3)
    twin.load_state_dict(model.state_dict())
    fresh = torch.optim.AdamW(twin.parameters(), lr=0.1)
    assert load_optimizer(fresh, twin, state) == 2
    assert state.cycle_position == 7.0
    for own, theirs in zip(_next_weights(model, optimizer), _next_weights(twin, fresh), strict=True):
        assert torch.equal(own, theirs)


def test_parameters_of_another_shape_start_fresh_and_the_others_resume() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 3))
    state = optimizer_state(_trained(model), model, 0.0)
    model[1] = nn.Linear(4, 5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    assert load_optimizer(optimizer, model, state) == 2
    assert set(optimizer.state) == {model[0].weight, model[0].bias}
    _next_weights(model, optimizer)


def test_the_state_is_a_copy() -> None:
    model = nn.Linear(2, 3)
    optimizer = _trained(model)
    state = optimizer_state(optimizer, model, 0.0)
    before = state.values["weight"]["exp_avg"].clone()
    _next_weights(model, optimizer)
    assert torch.equal(state.values["weight"]["exp_avg"], before)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_nothing_known_is_fine(kind: type[torch.optim.Optimizer]) -> None:
    model = nn.Linear(2, 3)
    optimizer = kind(model.parameters(), lr=0.1)  # type: ignore[call-arg]
    assert optimizer_state(optimizer, model, 0.0).values == {}
    assert load_optimizer(optimizer, model, OptimizerState()) == 0
