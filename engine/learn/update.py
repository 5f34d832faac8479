"""One update of a network's weights, in the order of its contract: forward, loss, update, observe.

B batch, S edge of a crop. Worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.config import OptimizerConfig, OptimizerKind, Precision
from engine.learn.batches import Batch
from engine.learn.distributed import sum_gradients, summed_losses
from engine.predict.compute import autocast
from models.base import SegmentationModel
from models.losses.total import TotalLoss
from models.output import SegmentationOutput

MoreLosses = Callable[[SegmentationOutput], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Updater:
    """Updates one network; reads nothing back from the device.

    Attributes:
        model: Network to improve.
        loss: Loss of its outputs.
        optimizer: Over its parameters; its groups have their learning rates.
        scaler: Of gradients, see `make_scaler`.
        device: Where all this is.
        precision: Number format of the forward pass; never AUTO.
        clip_norm: Longest gradient.
    """

    model: SegmentationModel[Any]
    loss: TotalLoss
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device
    precision: Precision
    clip_norm: float

    def update(
        self, batch: Batch, step: int, learning_rate: float, more: MoreLosses | None = None
    ) -> dict[str, Tensor]:
        """Learn from one batch.

        Args:
            batch: Crops and what is known about them.
            step: Updates the network has had.
            learning_rate: Of this update, for statistics that follow it.
            more: Returns further named terms of the loss.

        Returns:
            Named weighted terms of the joint loss of all processes, detached scalars on the device.
        """
        self.model.train()
        with autocast(self.device, self.precision):
            output = self.model(batch.image)
            losses = dict(self.loss(output, batch.target, batch.trust))
            losses.update(self.model.extra_losses(output, batch.target, step))
            if more is not None:
                losses.update(more(output))
        total = torch.stack([value.float() for value in losses.values()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        sum_gradients(self.model.parameters())
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        with torch.no_grad():
            self.model.observe(output, batch.target, learning_rate)
        return summed_losses(losses)


def make_scaler(device: torch.device, precision: Precision) -> torch.amp.GradScaler:
    """Return what keeps small gradients from vanishing in 16 bits.

    Only fp16 needs it; switched off it does nothing, and the step reads the same for all formats.
    """
    enabled = precision is Precision.FLOAT16 and device.type == "cuda"
    return torch.amp.GradScaler(device.type, enabled=enabled)


def make_optimizer(
    model: SegmentationModel[Any], config: OptimizerConfig, *, fused: bool = True
) -> torch.optim.Optimizer:
    """Return a fresh optimizer over the network's parameter groups.

    Each group keeps its full learning rate as `initial_lr`.

    Args:
        model: The network.
        config: Kind of the optimizer and its choices.
        fused: AdamW goes over all parameters once, instead of once for each operation and parameter.
    """
    groups = [dict(group) for group in model.parameter_groups(config.learning_rate, config.weight_decay)]
    for group in groups:
        group["initial_lr"] = group["lr"]
        if config.decay_everything:
            group["weight_decay"] = config.weight_decay
    match config.kind:
        case OptimizerKind.ADAMW:
            return torch.optim.AdamW(groups, lr=config.learning_rate, fused=fused)
        case OptimizerKind.SGD:
            # Not fused: torch then wants momenta of all parameters or of none, and classes come later.
            return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
