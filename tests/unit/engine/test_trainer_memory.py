"""What a trainer does when memory runs short in the middle of a step."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.config import Compiling
from engine.learn import trainer as module
from engine.learn.optimizer_state import drop_unfinished
from engine.learn.trainer import Trainer
from models.build import build_loss, build_model
from tests.support.learning import CLASSES, LOSS, NETWORK, TRAINING
from tests.unit.engine.test_trainer import _pool

CPU = torch.device("cpu")
CONFIG = replace(TRAINING, batch_size=2)


def _trainer(**more: Any) -> Trainer:
    model = build_model(NETWORK, len(CLASSES), seed=0)
    return Trainer(model, build_loss(LOSS), CONFIG, CLASSES, _pool(), CPU, **more)


def _full_once(monkeypatch: pytest.MonkeyPatch, trainer: Trainer, *, after: int) -> None:
    """Let memory run short once, where the optimizer makes room for what it will know of parameters."""
    make, count = torch.zeros_like, 0

    def zeros_like(*arguments: Any, **more: Any) -> torch.Tensor:
        nonlocal count
        count += 1
        if count == after:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return make(*arguments, **more)

    step = trainer._optimizer.step

    def stepped(*arguments: Any, **more: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(torch, "zeros_like", zeros_like)
            return step(*arguments, **more)

    monkeypatch.setattr(trainer._optimizer, "step", stepped)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_step_is_made_again_where_the_optimizer_had_no_room(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    trainer = _trainer()
    _full_once(monkeypatch, trainer, after=after)
    assert trainer.step().step == 1
    assert trainer.plan.batch == 1
    known = trainer.optimizer_state().values
    assert known
    assert all(values.keys() == {"step", "exp_avg", "exp_avg_sq"} for values in known.values())


def test_what_the_optimizer_knows_in_full_stays() -> None:
    trainer = _trainer()
    trainer.step()
    before = trainer.optimizer_state().values
    first = next(iter(trainer._optimizer.state))
    del trainer._optimizer.state[first]["exp_avg_sq"]
    drop_unfinished(trainer._optimizer)
    after = trainer.optimizer_state().values
    assert len(after) == len(before) - 1
    assert all(torch.equal(after[name]["exp_avg"], before[name]["exp_avg"]) for name in after)


@pytest.mark.parametrize("compiling", [None, Compiling.GRAPHS])
def test_recorded_graphs_of_a_plan_go_before_memory_is_given_back(
    monkeypatch: pytest.MonkeyPatch, compiling: Compiling | None
) -> None:
    done: list[str] = []
    monkeypatch.setattr(module, "compile_network", lambda *_: None)
    monkeypatch.setattr(torch.compiler, "reset", lambda: done.append("graphs"))
    monkeypatch.setattr(module, "release_memory", lambda _: done.append("memory"))
    trainer = _trainer(compiling=compiling)
    update = trainer._update

    def full_once(*arguments: Any) -> Any:
        monkeypatch.setattr(trainer, "_update", update)
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(trainer, "_update", full_once)
    trainer.step()
    assert done == (["memory"] if compiling is None else ["graphs", "memory"])
