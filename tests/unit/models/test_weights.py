"""Loading by name reports everything and raises nothing."""

import pytest
import torch
from torch import Tensor, nn

from models.weights import load_state


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def test_everything_fits() -> None:
    source, target = network(), network()
    report = load_state(target, source.state_dict())
    assert report.complete
    assert len(report.used) == len(source.state_dict())
    assert all(torch.equal(values, target.state_dict()[name]) for name, values in source.state_dict().items())
    assert report.summary() == "9 of 9 tensors loaded."


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_taken_off(prefix: str) -> None:
    source = network()
    state = {prefix + name: values for name, values in source.state_dict().items()}
    if prefix != "module._orig_mod.":
        assert load_state(network(), state).complete
    target = network()
    assert load_state(target, state).used
    assert torch.equal(target.state_dict()["0.weight"], source.state_dict()["0.weight"])


def test_what_does_not_fit_is_named_and_stays() -> None:
    target = network()
    kept = {name: values.clone() for name, values in target.state_dict().items()}
    state: dict[str, Tensor] = dict(network().state_dict())
    del state["0.bias"], state["1.num_batches_tracked"]
    state["2.weight"] = torch.zeros(7, 4, 1, 1)
    state["other"] = torch.zeros(1)
    report = load_state(target, state)
    assert report.missing == ("0.bias",)
    assert report.mismatched == ("2.weight",)
    assert report.unexpected == ("other",)
    assert "0.weight" in report.used
    assert not report.complete
    assert torch.equal(target.state_dict()["0.bias"], kept["0.bias"])
    assert torch.equal(target.state_dict()["2.weight"], kept["2.weight"])
    assert report.summary() == "6 of 8 tensors loaded (1 missing, 1 of another shape, 1 not known here)."


def test_nothing_given_is_all_missing() -> None:
    report = load_state(network(), {})
    assert not report.used
    assert len(report.missing) == 8


def test_precision_of_the_network_stays() -> None:
    target = network()
    load_state(target, {name: values.double() for name, values in network().state_dict().items()})
    assert target.state_dict()["0.weight"].dtype == torch.float32
