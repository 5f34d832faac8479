"""A few steps of training on fixed batches, by one process or by several.

Every process takes its rows of the same batches. What comes out (losses, weights, buffers) must not depend on
how many there are.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from engine.annotate.classes import Provenance
from engine.config import OptimizerConfig, OptimizerKind, SparseConfig
from engine.learn.batches import Batch, trust_of
from engine.learn.distributed import joined, start_alike
from engine.learn.ranks import Rank, current_rank
from engine.learn.trainer import Trainer
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig
from models.idrnet_presets import tiny_idrnet
from models.loss_configs import AffinityConfig, RmiConfig
from models.memory_presets import tiny_mcibi, tiny_mcibipp
from models.presets import tiny, tiny_fcn, tiny_spgnet
from models.relation import ClassRelations
from tests.support.checkout import ROOT
from tests.support.learning import CLASSES, TRAINING

STEPS, CROPS, EDGE = 3, 4, 64

SPARSE = {
    "strokes before accepted": SparseConfig(accepted_weight=0.3),
    "balanced strokes before accepted": SparseConfig(accepted_weight=0.3),
    "agreement": SparseConfig(accepted_weight=0.3, consistency=2.0, consistency_confidence=0.5),
}


def _still(network: Any) -> Any:
    """Without dropout: every process draws masks of its own."""
    return dataclasses.replace(network, dropout=0.0)


def cases() -> dict[str, tuple[Any, Any]]:
    """Network and loss by name."""
    mcibi = _still(tiny_mcibi())
    memory = dataclasses.replace(mcibi.memory, consistency_weight=0.4, consistency_start=1)
    return {
        "tiny": (_still(tiny()), CrossEntropyConfig()),
        "balanced classes": (_still(tiny_fcn()), CrossEntropyConfig(class_balance=0.7)),
        "IDRNet": (_still(tiny_idrnet()), CrossEntropyConfig()),
        "MCIBI": (dataclasses.replace(mcibi, memory=memory), CrossEntropyConfig()),
        "MCIBI++": (_still(tiny_mcibipp()), CrossEntropyConfig()),
        "SPGNet": (tiny_spgnet(), CrossEntropyConfig()),
        "RMI": (_still(tiny_fcn()), RmiConfig()),
        "RMI on strokes": (_still(tiny_fcn()), RmiConfig(only_labelled=True)),
        "affinity": (_still(tiny_fcn()), AffinityConfig()),
        "strokes before accepted": (_still(tiny_fcn()), CrossEntropyConfig()),
        "balanced strokes before accepted": (_still(tiny_fcn()), CrossEntropyConfig(class_balance=0.7)),
        "agreement": (_still(tiny_fcn()), CrossEntropyConfig()),
    }


def whole_batch(step: int) -> Batch:
    """The joint batch of a step; the first half has far fewer labelled pixels than the second."""
    generator = torch.Generator().manual_seed(step)
    blocks = torch.randint(0, len(CLASSES), (CROPS, 4, 4), generator=generator)
    target = blocks.repeat_interleave(EDGE // 4, 1).repeat_interleave(EDGE // 4, 2)
    target[: CROPS // 2, 12:] = 255
    image = torch.randn(CROPS, 3, EDGE, EDGE, generator=generator) + target.clamp(max=3)[:, None]
    provenance = torch.where(target == 1, int(Provenance.ACCEPTED), int(Provenance.STROKE))
    provenance[target == 255] = 0
    return Batch(image=image, target=target, provenance=provenance.to(torch.uint8))


def own_rows(batch: Batch, rank: Rank, sparse: SparseConfig) -> Batch:
    """The rows of one process, and how much their pixels count."""
    rows = slice(rank.number * CROPS // rank.count, (rank.number + 1) * CROPS // rank.count)
    trust, provenance = trust_of(sparse), batch.provenance[rows]
    return Batch(
        image=batch.image[rows],
        target=batch.target[rows],
        provenance=provenance,
        trust=None if trust is None else trust[provenance.long()],
    )


class _Times:
    """The same draws for the same crops, however they are spread over processes."""

    def __init__(self, rank: Rank) -> None:
        self._rank, self._generator = rank, torch.Generator().manual_seed(5)

    def __call__(self, present: Tensor) -> Tensor:
        whole = torch.empty(CROPS, present.shape[1]).exponential_(generator=self._generator)
        start = self._rank.number * len(present)
        return whole[start : start + len(present)]


def _open_gate(trainer: Trainer) -> None:
    """Let the average teach from the first step on, and change images without chance."""
    teacher: Any = trainer._consistency
    teacher._count, teacher.precision = 1, 1.0
    teacher._changed = lambda image: 0.7 * image + 0.2
    answer = teacher._answer
    # A network that knows nothing is sure of nothing.
    teacher._answer = lambda image: (torch.ones_like(answer(image)[0]), answer(image)[1])


def learn(name: str, rank: Rank) -> dict[str, Any]:
    """Losses of every step, and all weights and buffers at the end."""
    network, loss = cases()[name]
    torch.manual_seed(0)
    model = build_model(network, len(CLASSES), seed=0)
    start_alike(model)
    relations: list[Any] = [module for module in model.modules() if isinstance(module, ClassRelations)]
    for module in relations:
        module.times = _Times(rank)
    # Adam would divide rounding errors of tiny gradients by their own size.
    optimizer = OptimizerConfig(
        kind=OptimizerKind.SGD, learning_rate=0.02, momentum=0.9, warmup_steps=0, clip_norm=1.0
    )
    sparse = SPARSE.get(name, SparseConfig())
    config = dataclasses.replace(TRAINING, optimizer=optimizer, sparse=sparse)
    pool: Any = SimpleNamespace(spreads=False)
    trainer = Trainer(model, build_loss(loss), config, CLASSES, pool, torch.device("cpu"))
    _open_gate(trainer)
    losses = [trainer._update(own_rows(whole_batch(step), rank, sparse)).losses for step in range(STEPS)]
    return {
        "losses": {
            key: torch.stack([step[key] for step in losses]) for key in losses[-1] if key in losses[0]
        },
        "weights": {key: value.clone() for key, value in trainer._model.state_dict().items()},
    }


def environments(count: int) -> list[dict[str, str]]:
    """What torchrun would tell each of `count` processes on this machine."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    shared = {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
    }
    return [{**os.environ, **shared, "RANK": str(n), "LOCAL_RANK": str(n)} for n in range(count)]


def run_processes(count: int, arguments: list[str], *, cwd: Path) -> list[str]:
    """Run `python ARGUMENTS` in several processes; return their outputs.

    Raises:
        AssertionError: one of them failed.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment in environments(count)
    ]
    try:
        outputs = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), "\n".join(outputs)
    return outputs


def main(folder: Path) -> None:
    """Learn every case as one of several processes and write what came out."""
    rank = current_rank()
    with joined(rank, on_cuda=False):
        torch.save({name: learn(name, rank) for name in cases()}, folder / f"{rank.number}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
