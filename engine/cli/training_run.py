"""A training run on the main thread: steps, measurements, a curve on the console. Imports torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.catalog import networks
from engine.cli.clock import Clock, Limits, with_cycle
from engine.cli.console import Bar, say
from engine.cli.evaluate import table
from engine.cli.materials import Material
from engine.cli.networks import make_predictor
from engine.cli.running import Resumed, RunningCheckpoint, RunProgress
from engine.config import Compiling, Device, Precision, TrainingConfig
from engine.files import storage_errors
from engine.learn.checkpoint import Checkpoint, CheckpointAbout, read_checkpoint, restore, save_checkpoint
from engine.learn.checkpoint_files import CHECKPOINTS_FOLDER, SUFFIX, checkpoint_path
from engine.learn.compiling import check_compiling, compile_errors
from engine.learn.device import choose_precision, limit_threads, resolve_device
from engine.learn.distributed import added_up, agreed, choose_apart, start_alike
from engine.learn.evaluator import EvaluationResult, EvaluationSample, evaluate
from engine.learn.health import LossReport
from engine.learn.optimizer_state import OptimizerState
from engine.learn.pool import Pool
from engine.learn.ranks import ALONE, Rank
from engine.learn.scalars import Scalars
from engine.learn.trainer import Trainer
from engine.messages import PoolItem
from engine.project.images import read_image
from engine.project.manifest import Split
from models.base import SegmentationModel
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig, LossConfig, NetworkConfig

_TIMED_FROM, _TIMED_TO = 3, 15
_QUICK_IMAGES = 12


class TrainingRun:
    """Network, pool and trainer of one run.

    The learning rate falls once over the whole run: its length is estimated from the first steps.
    """

    def __init__(
        self,
        material: Material,
        network: NetworkConfig,
        config: TrainingConfig,
        device: Device,
        *,
        loss: LossConfig | None = None,
        rank: Rank = ALONE,
        compiling: Compiling | None = None,
    ) -> None:
        """Build everything; without a loss it is the project's, or cross-entropy.

        Args:
            material: what to learn from.
            network: which network.
            config: how to train; the batch is that of all processes together.
            device: where to train.
            loss: what to make small.
            rank: which of several processes this is; they have joined (`engine.learn.distributed`) before.
            compiling: how the network is translated first; ``None`` runs it as it is.

        Raises:
            TrainingRefusedError: nothing can be learnt from the material.
            TrainingError: this computer cannot compile networks.
        """
        self.notes: list[str] = []
        self.result: EvaluationResult | None = None
        self._material = material
        self._network = network
        project = material.project
        self._loss = loss or (CrossEntropyConfig() if project is None else project.manifest.loss)
        self._rank = rank
        self._config = self._own_part(config)
        limit_threads()
        self._device = resolve_device(device)
        if self._device.notice:
            self.notes.append(self._device.notice)
        self._compiling = compiling
        if compiling is not None:
            check_compiling(compiling, self._device.device)
        self._model: SegmentationModel[Any] = build_model(
            network, len(material.classes), seed=config.seed, notice=self.notes.append, specs=networks()
        )
        self._model.to(self._device.device)
        start_alike(self._model)
        self._step = self._first = 0
        self._spent = 0.0
        self._optimizer: OptimizerState | None = None
        self._pool = Pool(
            material.read_layers,
            material.classes,
            config.crop,
            config.image_cache_mb << 20,
            seed=self._config.seed,
        )
        with Bar("Reading labels", len(material.items)) as bar:
            for done in self._pool.fill(material.items):
                bar.update(done)
        self.notes.extend(self._pool.take_notices())
        self._pool.check()

    def _own_part(self, config: TrainingConfig) -> TrainingConfig:
        """What this process draws of every batch, by random choices of its own."""
        if self._rank.count == 1:
            return config
        part = self._rank.part_of(config.batch_size)
        if part * self._rank.count != config.batch_size:
            self.notes.append(
                f"{config.batch_size} crops cannot be shared evenly by {self._rank.count} processes: "
                f"a step takes {part * self._rank.count}."
            )
        return dataclasses.replace(config, batch_size=part, seed=choose_apart(self._rank, config.seed))

    def continue_from(self, path: Path) -> None:
        """Take over weights of a checkpoint, classes matched by name.

        Raises:
            CheckpointError: the file cannot be used.
        """
        checkpoint = read_checkpoint(path)
        self.notes.extend(restore(self._model, checkpoint, self._material.classes).sentences)
        self._step = self._first = checkpoint.about.step
        start_alike(self._model)

    def resume(self, resumed: Resumed, limits: Limits) -> None:
        """Go on where a run of the same options was when it last saved itself."""
        about = resumed.checkpoint.about
        restore(self._model, resumed.checkpoint, self._material.classes)
        self._step, self._first = about.step, resumed.progress.first_step
        self._spent, self._optimizer = resumed.progress.seconds, resumed.checkpoint.optimizer
        done = self._step - self._first
        expected = limits.steps
        if limits.seconds is not None and self._spent > 0:
            by_time = int(done * limits.seconds / self._spent)
            expected = by_time if expected is None else min(expected, by_time)
        self._config = with_cycle(self._config, expected or done)
        self.notes.append(f"Going on from step {self._step:,}, after {self._spent:.0f} seconds of training.")
        start_alike(self._model)

    def train(
        self,
        limits: Limits,
        *,
        running: RunningCheckpoint | None = None,
        save_every_s: float = math.inf,
        scalars: Scalars | None = None,
    ) -> None:
        """Train until a limit is reached; prints a line per measurement and a table at last.

        Args:
            limits: when to stop.
            running: where to keep the newest state of the run, or ``None``.
            save_every_s: seconds between two of these.
            scalars: where curves go, or ``None``.

        Raises:
            TrainingError: the loss left the rails.
            DeviceMemoryError: memory is too small even for the smallest step.
        """
        trainer = self._trainer()
        self._say_head(trainer)
        clock = Clock(limits, spent=self._spent)
        began = trainer.step_count
        saved = measured = clock.elapsed()
        with Bar("Training", clock.total) as bar:
            while not agreed(clock.is_over(trainer.step_count - self._first)):
                with compile_errors():
                    trainer.step()
                steps = trainer.step_count - began
                if steps == _TIMED_FROM:
                    clock.start_timing()
                if steps == _TIMED_TO and not self._spent:
                    self._set_cycle(trainer, clock.expected_steps(steps, _TIMED_TO - _TIMED_FROM))
                bar.update(clock.position(trainer.step_count - self._first))
                if agreed(clock.elapsed() - measured >= self._config.evaluate_every_s):
                    self._measure(trainer, clock, scalars)
                    measured = clock.elapsed()
                if running is not None and self._rank.is_first and clock.elapsed() - saved >= save_every_s:
                    self._keep(trainer, clock, running)
                    saved = clock.elapsed()
        self._measure(trainer, clock, scalars, is_last=True)
        self._step = trainer.step_count
        if self.result is not None:
            say(table(self.result.iou_per_class))

    def save(self, path: Path | None) -> Path:
        """Write the checkpoint to ``path``, or into the project and its manifest, or to ``trained.pt``.

        Only the first of several processes writes.

        Raises:
            StorageError: the disk refuses.
        """
        miou = None if self.result is None else self.result.miou
        project = self._material.project
        target = path
        if target is None and project is not None:
            folder = project.folder / CHECKPOINTS_FOLDER
            target = checkpoint_path(folder, step=self._step, miou=miou)
        target = target or Path(f"trained{SUFFIX}")
        if not self._rank.is_first:
            return target
        if project is not None and path is None:
            project.ensure()
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(target, Checkpoint(about=self._about(self._step), weights=self._model.state_dict()))
        if path is None and project is not None:
            name = target.relative_to(project.folder).as_posix()
            project.update(
                dataclasses.replace(project.manifest, checkpoint=name, network=self._network, loss=self._loss)
            )
            project.save()
        return target

    def running(self, path: Path | None) -> RunningCheckpoint:
        """Where the newest state of the run is kept, for the same ``path`` as in `save`."""
        project = self._material.project
        target = path or Path(f"trained{SUFFIX}")
        if path is None and project is not None:
            target = project.folder / CHECKPOINTS_FOLDER / f"run{SUFFIX}"
        return RunningCheckpoint(target)

    def forget(self, running: RunningCheckpoint) -> None:
        """Remove the state of a run that is over, or of an older one before a new one starts."""
        if self._rank.is_first:
            running.remove()

    def _about(self, step: int, cycle_position: float = 0.0) -> CheckpointAbout:
        return CheckpointAbout(
            network=self._network,
            loss=self._loss,
            classes=self._material.classes,
            step=step,
            miou=None if self.result is None else self.result.miou,
            cycle_position=cycle_position,
        )

    def _keep(self, trainer: Trainer, clock: Clock, running: RunningCheckpoint) -> None:
        """Save the newest state of the run, unless its loss is out of order."""
        trainer.check()
        if not trainer.is_healthy:
            return
        state = trainer.optimizer_state()
        running.save(
            Checkpoint(
                about=self._about(trainer.step_count, state.cycle_position),
                weights=self._model.state_dict(),
                optimizer=state,
            ),
            RunProgress(first_step=self._first, seconds=clock.elapsed()),
        )

    def _trainer(self) -> Trainer:
        return Trainer(
            self._model,
            build_loss(self._loss),
            self._config,
            self._material.classes,
            self._pool,
            self._device.device,
            precision=self._common_precision(),
            step=self._step,
            optimizer=self._optimizer,
            notice=say,
            compiling=self._compiling,
        )

    def _common_precision(self) -> Precision | None:
        """The first process's choice where there are several: a trial could end differently in each."""
        if self._rank.count == 1:
            return None
        formats = list(Precision)
        chosen = choose_precision(self._config.precision, self._model, self._device.device)
        return formats[agreed(formats.index(chosen))]

    def _say_head(self, trainer: Trainer) -> None:
        together = f" in {self._rank.count} processes" if self._rank.count > 1 else ""
        plan = trainer.plan.describe()
        say(f"{self._network_title()} on {self._device.title}, {plan}{' each' if together else ''}{together}")
        held_out = len(self._material.of_split(Split.VAL))
        if held_out > _QUICK_IMAGES:
            say(f"Measured on {_QUICK_IMAGES} of {held_out} held-out images on the way, on all at the end.")
        say(f"{'seconds':>8} {'step':>7} {'loss':>8} {'mIoU':>7} {'accuracy':>9}")

    def _network_title(self) -> str:
        parameters = sum(value.numel() for value in self._model.parameters())
        return f"{type(self._network).__name__.removesuffix('Config')}, {parameters:,} parameters"

    def _set_cycle(self, trainer: Trainer, steps: int) -> None:
        """Let the learning rate fall once over the steps to come."""
        self._config = with_cycle(self._config, agreed(steps))
        trainer.reconfigure(self._config)

    def _measure(
        self, trainer: Trainer, clock: Clock, scalars: Scalars | None, *, is_last: bool = False
    ) -> None:
        """Print one line of the curve: on some held-out images on the way, on all of them at last."""
        report = trainer.read()
        loss = None if report is None else sum(report.losses.values())
        held_out = self._material.of_split(Split.VAL)
        line = f"{clock.elapsed():8.1f} {trainer.step_count:7d} {'–' if loss is None else f'{loss:.4f}':>8}"
        with clock.standing():
            if held_out:
                measured = held_out if is_last else _spread(held_out, _QUICK_IMAGES)
                self.result = self._evaluate(measured)
                line += f" {_percent(self.result.miou):>7} {_percent(self.result.pixel_accuracy):>9}"
        say(line)
        if scalars is not None:
            scalars.add(self._scalars(loss, report), trainer.step_count)

    def _evaluate(self, items: Sequence[PoolItem]) -> EvaluationResult:
        """Every process measures its share of the images; all have the joint figures."""
        classes = self._material.classes
        predictor = make_predictor(self._model, classes, self._device)
        return evaluate(predictor, self._samples(self._rank.share(items)), classes, join=added_up)

    def _scalars(self, loss: float | None, report: LossReport | None) -> dict[str, float | None]:
        found: dict[str, float | None] = {"loss/total": loss}
        if report is not None:
            found |= {f"loss/{name}": value for name, value in report.losses.items()}
        if self.result is not None:
            found |= {"held out/mIoU": self.result.miou, "held out/accuracy": self.result.pixel_accuracy}
            found |= {f"held out IoU/{name}": value for name, value in self.result.iou_per_class.items()}
        return found

    def _samples(self, items: Sequence[PoolItem]) -> Iterator[EvaluationSample]:
        for item in items:
            label_map, _ = self._material.read_layers(item)
            yield EvaluationSample(image=read_image(Path(item.image_path)), label_map=label_map)


def _spread(items: Sequence[PoolItem], count: int) -> Sequence[PoolItem]:
    """At most ``count`` items, evenly spread."""
    if len(items) <= count:
        return items
    return [items[place * len(items) // count] for place in range(count)]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
