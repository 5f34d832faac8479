import copy

import pytest
import torch
from torch import nn

from engine.learn.averaging import WeightAverage


class Counting(nn.Module):
    """A network with everything there is to follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.memory: torch.Tensor
        self.register_buffer("memory", torch.zeros(5))


def test_parameters_and_normalisation_are_averaged_and_other_state_is_copied() -> None:
    shown = Counting()
    trained = copy.deepcopy(shown)
    start = shown.layer.weight.detach().clone()
    average = WeightAverage(shown, trained, 0.95)
    expected, mean = start.clone(), torch.zeros(4)
    # Nineteen of twenty are reached at the 76th step: both halves of the rule are in it.
    for step in range(1, 100):
        with torch.no_grad():
            trained.layer.weight.add_(1.0)
            trained.norm.running_mean += 1.0  # type: ignore[operator]
            trained.memory += 1.0
        average.follow()
        keep = min(0.95, step / (4 + step))
        expected = keep * expected + (1 - keep) * trained.layer.weight.detach()
        mean = keep * mean + (1 - keep) * step
    assert torch.allclose(shown.layer.weight, expected)
    assert shown.norm.running_mean is not None
    assert torch.allclose(shown.norm.running_mean, mean)
    assert torch.equal(shown.memory, trained.memory)
    assert shown.layer.weight.requires_grad


@pytest.mark.parametrize("keep", [0.0, 0.9])
def test_nothing_of_the_past_is_kept_where_that_is_asked_for(keep: float) -> None:
    shown = Counting()
    trained = copy.deepcopy(shown)
    average = WeightAverage(shown, trained, keep)
    for _ in range(5):
        with torch.no_grad():
            trained.layer.weight.add_(1.0)
        average.follow()
    assert torch.equal(shown.layer.weight, trained.layer.weight) == (keep == 0.0)


def test_a_restart_follows_replaced_parameters() -> None:
    shown = Counting()
    trained = copy.deepcopy(shown)
    average = WeightAverage(shown, trained, 0.5)
    for network in (shown, trained):
        network.layer = nn.Conv2d(3, 6, 1)
    average.restart()
    average.follow()
    distance = (shown.layer.weight - trained.layer.weight).abs().max()
    average.follow()
    assert (shown.layer.weight - trained.layer.weight).abs().max() < distance
