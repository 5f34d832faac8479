"""One training step after the other. Worker thread.

B batch, K classes, S edge of a crop. The order within a step is that of the network's contract: forward,
loss and extra losses, update, observe.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.config import Compiling, Precision, TrainingConfig
from engine.errors import DeviceMemoryError, TrainingError
from engine.learn.averaging import WeightAverage
from engine.learn.batches import Batch, Batches
from engine.learn.compiling import compile_network
from engine.learn.consistency import Consistency
from engine.learn.device import choose_precision
from engine.learn.health import LossReport, LossWatch
from engine.learn.memory_need import measured_plan
from engine.learn.memory_plan import Plan, sentence, smaller
from engine.learn.optimizer_state import OptimizerState, drop_unfinished, load_optimizer, optimizer_state
from engine.learn.pool import Pool
from engine.learn.schedule import Schedule
from engine.learn.update import MoreLosses, Updater, make_optimizer, make_scaler
from engine.predict.compute import autocast, is_out_of_memory, release_memory
from models.base import SegmentationModel
from models.losses.total import TotalLoss
from models.processes import are_several

_CHECK_STEPS = 25
_KEEP_STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One update done.

    Attributes:
        step: Updates since the network was new.
        learning_rate: Rate of this update.
        losses: Named weighted terms, scalars on the device; reading them waits for it.
    """

    step: int
    learning_rate: float
    losses: Mapping[str, Tensor]


class Trainer:
    """Trains a copy of a network; the network follows as the average of the weights, and predicts.

    Args:
        model: Network to improve.
        loss: Loss of the outputs.
        config: How to train.
        classes: Class table; its order is the order of the channels.
        pool: Where crops come from.
        device: Where to train.
        precision: Number format, where it is known already; None chooses by the config.
        step: Updates the network has already had.
        optimizer: State to resume from, or None.
        notice: Called with a sentence a person should read.
        compiling: How the network in training is translated in its first step, which takes minutes then; None
            runs it as it is.
    """

    def __init__(
        self,
        model: SegmentationModel[Any],
        loss: TotalLoss,
        config: TrainingConfig,
        classes: ClassTable,
        pool: Pool,
        device: torch.device,
        *,
        precision: Precision | None = None,
        step: int = 0,
        optimizer: OptimizerState | None = None,
        notice: Callable[[str], None] = lambda _: None,
        compiling: Compiling | None = None,
    ) -> None:
        self.step_count = step
        self._shown = model.to(device)
        self._model = copy.deepcopy(self._shown)
        for network in (self._shown, self._model):
            network.to(memory_format=torch.channels_last)
        self._loss = loss.to(device)
        self._loss.set_classes(classes.indices)
        self._config = config
        self._pool = pool
        self._device = device
        self._notice = notice
        if precision is None:
            precision = choose_precision(config.precision, self._model, device)
        plan = Plan(
            crop=config.crop.size, batch=config.batch_size, precision=precision, on_cpu=device.type == "cpu"
        )
        self._plan = measured_plan(plan, self._model, self._loss, device, notice)
        self._is_compiled = compiling is not None
        if compiling is not None:
            compile_network(self._model, compiling)
        self._batches = Batches(pool, classes, config.augment, device, seed=config.seed + step)
        self._consistency = Consistency(self._shown, pool, classes, config.sparse, seed=config.seed + step)
        self._take_sparse()
        self._schedule = Schedule(config.optimizer)
        self._optimizer = self._new_optimizer()
        self._average = WeightAverage(self._shown, self._model, config.optimizer.average)
        self._scaler = make_scaler(self._device, self._plan.precision)
        if optimizer is not None:
            load_optimizer(self._optimizer, self._model, optimizer)
            self._schedule.restore(optimizer.cycle_position)
        self._watch = LossWatch(len(classes))
        self._unread: list[LossReport] = []
        self._good = self._candidate = self._snapshot()

    # ------------------------------------------------------------------------------------ training

    @property
    def plan(self) -> Plan:
        """What a step takes at present."""
        return self._plan

    @property
    def device(self) -> torch.device:
        """Where training runs at present; the processor once nothing else had room."""
        return self._device

    @property
    def is_healthy(self) -> bool:
        """Whether the weights of now may be shown: the loss was in order when it was last read."""
        return self._watch.is_healthy

    def step(self) -> StepResult:
        """Do one update.

        Raises:
            TrainingError: The loss left the rails; the last good weights are back in place.
            TrainingRefusedError: There is nothing left to draw from.
            DeviceMemoryError: Memory is too small even for the smallest step.
        """
        result = None
        while result is None:
            try:
                result = self._update(self._batches.next(self._plan.batch, self._plan.crop))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                drop_unfinished(self._optimizer)
                # Several processes cannot change plans one by one: the others wait in the middle of a step.
                plan = None if are_several() else smaller(self._plan)
                if plan is None:
                    raise self._too_small() from error
            else:
                break
            # Outside the handler: its traceback would keep the tensors alive that have to go.
            self._change_plan(plan)
        if self._watch.steps >= _CHECK_STEPS:
            self._read()
        if self.step_count % _KEEP_STEPS == 0:
            self._keep()
        return result

    def read(self) -> LossReport | None:
        """Return the mean losses since the last call, or None without steps. Waits for the device.

        Raises:
            TrainingError: The loss left the rails; the last good weights are back in place.
        """
        self._read()
        reports, self._unread = self._unread, []
        if not reports:
            return None
        steps = sum(report.steps for report in reports)
        names = {name: None for report in reports for name in report.losses}
        means = {
            name: sum(report.losses.get(name, 0.0) * report.steps for report in reports) / steps
            for name in names
        }
        return LossReport(losses=means, steps=steps)

    def check(self) -> None:
        """Judge the losses so far without taking them from `read`. Waits for the device.

        Raises:
            TrainingError: The loss left the rails; the last good weights are back in place.
        """
        self._read()

    def restart(self) -> None:
        """Warm restart: there are new corrections to learn."""
        self._schedule.restart()
        self._watch.forgive()

    def reconfigure(self, config: TrainingConfig) -> None:
        """Take over another config without losing what the optimizer knows."""
        old, self._config = self._config, config
        self._pool.config = config.crop
        self._batches.set_augmentation(config.augment)
        self._take_sparse()
        if (old.crop.size, old.batch_size) != (config.crop.size, config.batch_size):
            plan = replace(self._plan, crop=config.crop.size, batch=config.batch_size)
            self._plan = measured_plan(plan, self._model, self._loss, self._device, self._notice)
        self._average.keep = config.optimizer.average
        if old.optimizer != config.optimizer:
            state = self.optimizer_state()
            self._schedule.reconfigure(config.optimizer)
            self._optimizer = self._new_optimizer()
            if old.optimizer.kind is config.optimizer.kind:
                load_optimizer(self._optimizer, self._model, state)

    def follow(self, classes: ClassTable, sources: Sequence[int | None]) -> None:
        """Follow a changed class table: the network, and the optimizer for everything that stayed.

        Args:
            classes: The new table.
            sources: For each new channel the old one, or None for a new class.
        """
        state = self.optimizer_state()
        for network in (self._shown, self._model):
            network.follow_classes(sources)
        self._average.restart()
        self._loss.set_classes(classes.indices)
        self._pool.set_classes(classes)
        self._batches.set_classes(classes)
        self._consistency.set_classes(classes)
        self._optimizer = self._new_optimizer()
        load_optimizer(self._optimizer, self._model, state)
        self._watch = LossWatch(len(classes))
        self._good = self._candidate = self._snapshot()

    def optimizer_state(self) -> OptimizerState:
        """Return what a later run needs to resume, on the processor."""
        return optimizer_state(self._optimizer, self._model, self._schedule.position)

    # ------------------------------------------------------------------------------------ one update

    def _update(self, batch: Batch) -> StepResult:
        factor = self._schedule.factor()
        for group in self._optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        learning_rate = self._config.optimizer.learning_rate * factor
        batch, more = self._with_pseudo_labels(batch)
        updater = Updater(
            model=self._model,
            loss=self._loss,
            optimizer=self._optimizer,
            scaler=self._scaler,
            device=self._device,
            precision=self._plan.precision,
            clip_norm=self._config.optimizer.clip_norm,
        )
        losses = updater.update(batch, self.step_count, learning_rate, more)
        self._average.follow()
        self.step_count += 1
        self._schedule.advance()
        self._watch.add(losses)
        return StepResult(step=self.step_count, learning_rate=learning_rate, losses=losses)

    def _with_pseudo_labels(self, batch: Batch) -> tuple[Batch, MoreLosses | None]:
        """Returns the batch as it is learnt from, and what its pseudo-labels add to the loss."""
        if self._config.sparse.consistency <= 0:
            return batch, None
        with autocast(self._device, self._plan.precision):
            prepared = self._consistency.prepare(batch, self._plan.crop)
        if prepared is None:
            return batch, None
        image, pseudo = prepared
        return replace(batch, image=image), lambda output: {
            "consistency": self._consistency.loss(output.logits, pseudo)
        }

    def _take_sparse(self) -> None:
        sparse = self._config.sparse
        self._pool.spreads = sparse.spread > 0
        self._batches.set_sparse(sparse)
        self._consistency.config = sparse

    def _new_optimizer(self) -> torch.optim.Optimizer:
        return make_optimizer(self._model, self._config.optimizer)

    # ------------------------------------------------------------------------------------ going back

    def _read(self) -> None:
        try:
            report = self._watch.read()
        except TrainingError:
            self._roll_back()
            raise
        if report is not None:
            self._unread.append(report)

    def _keep(self) -> None:
        """Believe in the weights of a while ago, as the loss since then was in order; take new ones aside."""
        self._read()
        if self._watch.is_healthy:
            self._good, self._candidate = self._candidate, self._snapshot()

    def _snapshot(self) -> tuple[int, dict[str, Tensor]]:
        return self.step_count, {
            name: value.detach().clone() for name, value in self._shown.state_dict().items()
        }

    def _roll_back(self) -> None:
        self.step_count, weights = self._good
        for network in (self._shown, self._model):
            network.load_state_dict(weights)
        self._average.restart()
        self._optimizer = self._new_optimizer()
        self._watch.discard()
        self._unread = []

    # ------------------------------------------------------------------------------------ memory

    def _change_plan(self, plan: Plan) -> None:
        self._notice(sentence(self._plan, plan))
        self._optimizer.zero_grad(set_to_none=True)
        if self._is_compiled:
            torch.compiler.reset()  # recorded graphs keep the memory of the plan before
        if plan.on_cpu and not self._plan.on_cpu:
            self._move_to_cpu()
        self._plan = plan
        self._scaler = make_scaler(self._device, self._plan.precision)
        release_memory(self._device)

    def _move_to_cpu(self) -> None:
        state, old = self.optimizer_state(), self._device
        self._device = torch.device("cpu")
        for network in (self._shown, self._model):
            network.to(self._device)
        self._average.restart()
        self._loss.to(self._device)
        self._batches.set_device(self._device)
        self._optimizer = self._new_optimizer()
        load_optimizer(self._optimizer, self._model, state)
        self._good = self._candidate = self._snapshot()
        self._watch.discard()
        release_memory(old)

    def _too_small(self) -> DeviceMemoryError:
        return DeviceMemoryError(
            f"There is not enough memory to train, not even {self._plan.describe()}.",
            "Close other programs, or choose a smaller network.",
        )
