"""What only a graphics card can show: no waiting in a step, 16-bit numbers, running out of its memory."""

import gc
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from engine.config import Precision, PredictConfig
from engine.learn.evaluator import EvaluationSample, evaluate
from engine.learn.trainer import Trainer
from engine.predict.predictor import Predictor
from models.build import build_loss, build_model
from models.configs import LossConfig, NetworkConfig
from tests.support.learning import CLASSES, LOSS, NETWORK, TRAINING, picture
from tests.support.waiting import listed, waits_for_card
from tests.unit.engine.test_step_reads import each_network_and_loss
from tests.unit.engine.test_trainer import _pool

pytestmark = pytest.mark.gpu

STEPS = 15
"""Fewer than those after which the losses are read."""


@pytest.fixture
def card() -> Iterator[torch.device]:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA card on this machine")
    yield torch.device("cuda")
    torch.cuda.set_per_process_memory_fraction(1.0)
    gc.collect()
    torch.cuda.empty_cache()


def _trainer(
    card: torch.device, network: NetworkConfig = NETWORK, loss: LossConfig = LOSS, **changes: object
) -> tuple[Trainer, torch.nn.Module, list[str]]:
    notices: list[str] = []
    config = replace(TRAINING, **{"precision": Precision.AUTO, **changes})  # type: ignore[arg-type]
    model = build_model(network, len(CLASSES), seed=0)
    trainer = Trainer(model, build_loss(loss), config, CLASSES, _pool(), card, notice=notices.append)
    return trainer, model, notices


@pytest.mark.parametrize("precision", list(Precision))
def test_learning_works_in_every_number_format(card: torch.device, precision: Precision) -> None:
    trainer, model, _ = _trainer(card, precision=precision)
    for _ in range(80):
        trainer.step()
    samples = [EvaluationSample(image=image, label_map=labels) for image, labels in map(picture, (10, 11))]
    predictor = Predictor(model, CLASSES, PredictConfig(), card, trainer.plan.precision)  # type: ignore[arg-type]
    result = evaluate(predictor, samples, CLASSES)
    assert result.miou is not None
    assert result.miou > 0.75


def test_waiting_for_the_card_is_noticed(card: torch.device) -> None:
    """What the tests below say is nothing must be something here."""
    values = torch.ones(4, device=card, requires_grad=True)
    with waits_for_card() as found:
        (2 * values).sum().backward()
        assert not found, listed(found)
        values.sum().item()
        values[values > 0].sum()
        torch.tensor([1.0, 2.0], device=card)
    assert sum(found.values()) >= 3, listed(found)
    assert all("test_waiting_for_the_card_is_noticed" in place for place in found)


@each_network_and_loss()
def test_a_step_never_waits_for_the_card(
    card: torch.device, network: NetworkConfig, loss: LossConfig
) -> None:
    trainer, _, _ = _trainer(card, network, loss, precision=Precision.BFLOAT16)
    for _ in range(3):
        trainer.step()
    with waits_for_card() as found:
        for _ in range(STEPS):
            trainer.step()
    assert not found, listed(found)


def test_a_run_waits_only_where_losses_are_read(card: torch.device) -> None:
    trainer, _, _ = _trainer(card, precision=Precision.BFLOAT16)
    for _ in range(3):
        trainer.step()
    with waits_for_card() as found:
        for _ in range(4 * STEPS):
            trainer.step()
    assert all("engine/learn/health.py" in place and place.endswith("in read") for place in found), listed(
        found
    )
    assert 1 <= sum(found.values()) <= 3, listed(found)


def test_a_full_card_gives_a_smaller_plan_and_training_goes_on(card: torch.device) -> None:
    trainer, _, notices = _trainer(
        card, crop=replace(TRAINING.crop, size=1024), batch_size=64, precision=Precision.FLOAT32
    )
    total = torch.cuda.get_device_properties(card).total_memory
    torch.cuda.set_per_process_memory_fraction(400 * 2**20 / total)
    trainer.step()
    assert trainer.plan.crop < 1024
    assert not trainer.plan.on_cpu
    assert notices[0].startswith("Not enough memory for 64 crops of 1024 px")
    for _ in range(5):
        trainer.step()
    trainer.check()


def test_memory_is_given_back_after_training(card: torch.device) -> None:
    _train_and_forget(card)  # libraries keep some room of their own from the first time on
    before = torch.cuda.memory_allocated(card)
    for _ in range(5):
        _train_and_forget(card)
    assert torch.cuda.memory_allocated(card) <= before + 2**20


def _train_and_forget(card: torch.device) -> None:
    trainer, model, _ = _trainer(card)
    trainer.step()
    del trainer, model
    gc.collect()
    torch.cuda.empty_cache()
