"""A training step reads nothing back, where a graphics card would wait: what can be seen without one."""

import warnings
from collections import Counter

import pytest
import torch

from engine.learn.trainer import Trainer
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig, LossConfig, NetworkConfig, RmiConfig
from models.idrnet_presets import tiny_idrnet
from models.memory_presets import tiny_mcibi, tiny_mcibipp
from models.presets import tiny_spgnet
from tests.support.learning import CLASSES, NETWORK, TRAINING
from tests.support.waiting import Readings, listed, waits_for_card
from tests.unit.engine.test_trainer import CPU, _pool

NETWORKS = {
    "tiny": NETWORK,
    "idrnet": tiny_idrnet(),
    "mcibi": tiny_mcibi(),
    "mcibi++": tiny_mcibipp(),
    "spgnet": tiny_spgnet(),
}
LOSSES = {"cross-entropy": CrossEntropyConfig(), "regions": RmiConfig()}
ON_PROCESSORS_ONLY = ("_worth_solving", "_settled")
"""They look at values where looking costs nothing, and say so in their docstrings."""


def each_network_and_loss() -> pytest.MarkDecorator:
    """Every kind of network with every kind of loss."""
    cases = [(network, loss) for network in NETWORKS.values() for loss in LOSSES.values()]
    names = [f"{network}-{loss}" for network in NETWORKS for loss in LOSSES]
    return pytest.mark.parametrize(("network", "loss"), cases, ids=names)


@each_network_and_loss()
def test_a_step_reads_no_value(network: NetworkConfig, loss: LossConfig) -> None:
    model = build_model(network, len(CLASSES), seed=0)
    trainer = Trainer(model, build_loss(loss), TRAINING, CLASSES, _pool(), CPU)
    trainer.step()
    with Readings() as readings:
        for _ in range(3):
            trainer.step()
    found = Counter({p: n for p, n in readings.found.items() if not p.endswith(ON_PROCESSORS_ONLY)})
    assert not found, listed(found)


def test_what_is_read_is_named_with_its_place() -> None:
    values = torch.arange(4.0)
    with Readings() as readings:
        values.sum().item()
        values[values > 1]
        values.nonzero()
        values[torch.tensor([0, 1])]
    assert sum(readings.found.values()) == 3
    assert all("test_step_reads.py" in place for place in readings.found)


def test_what_torch_tells_of_waiting_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    with waits_for_card() as found:
        for _ in range(2):
            warnings.warn("called a synchronizing CUDA operation (Triggered internally)", stacklevel=1)
        warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)
    assert modes == ["warn", "default"]
    ((place, count),) = found.items()
    assert count == 2
    assert "test_step_reads.py" in place
    assert "test_what_torch_tells_of_waiting_is_counted" in place
