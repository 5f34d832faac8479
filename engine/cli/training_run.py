"""A training run on the main thread: steps, measurements, a curve on the console. Imports torch."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.catalog import networks
from engine.cli.console import Bar, say
from engine.cli.evaluate import table
from engine.cli.materials import Material
from engine.cli.networks import make_predictor
from engine.config import Device, TrainingConfig
from engine.files import storage_errors
from engine.learn.checkpoint import Checkpoint, CheckpointAbout, read_checkpoint, restore, save_checkpoint
from engine.learn.checkpoint_files import CHECKPOINTS_FOLDER, SUFFIX, checkpoint_path
from engine.learn.device import limit_threads, resolve_device
from engine.learn.evaluator import EvaluationResult, EvaluationSample, evaluate
from engine.learn.pool import Pool
from engine.learn.trainer import Trainer
from engine.messages import PoolItem
from engine.project.images import read_image
from engine.project.manifest import Split
from models.base import SegmentationModel
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig, LossConfig, NetworkConfig

_TIMED_FROM, _TIMED_TO = 3, 15
_PERCENT = 100
_QUICK_IMAGES = 12


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop: whichever comes first."""

    seconds: float | None
    steps: int | None


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
    ) -> None:
        """Build everything; without a loss it is the project's, or cross-entropy.

        Raises:
            TrainingRefusedError: nothing can be learnt from the material.
        """
        self.notes: list[str] = []
        self.result: EvaluationResult | None = None
        self._material = material
        self._network = network
        project = material.project
        self._loss = loss or (CrossEntropyConfig() if project is None else project.manifest.loss)
        self._config = config
        limit_threads()
        self._device = resolve_device(device)
        if self._device.notice:
            self.notes.append(self._device.notice)
        self._model: SegmentationModel[Any] = build_model(
            network, len(material.classes), seed=config.seed, notice=self.notes.append, specs=networks()
        )
        self._model.to(self._device.device)
        self._step = 0
        self._pool = Pool(
            material.read_layers,
            material.classes,
            config.crop,
            config.image_cache_mb << 20,
            seed=config.seed,
        )
        with Bar("Reading labels", len(material.items)) as bar:
            for done in self._pool.fill(material.items):
                bar.update(done)
        self.notes.extend(self._pool.take_notices())
        self._pool.check()

    def continue_from(self, path: Path) -> None:
        """Take over weights of a checkpoint, classes matched by name.

        Raises:
            CheckpointError: the file cannot be used.
        """
        checkpoint = read_checkpoint(path)
        self.notes.extend(restore(self._model, checkpoint, self._material.classes).sentences)
        self._step = checkpoint.about.step

    def train(self, limits: Limits) -> None:
        """Train until a limit is reached; prints a line per measurement and a table at last.

        Raises:
            TrainingError: the loss left the rails.
            DeviceMemoryError: memory is too small even for the smallest step.
        """
        trainer = self._trainer()
        say(f"{self._network_title()} on {self._device.title}, {trainer.plan.describe()}")
        held_out = len(self._material.of_split(Split.VAL))
        if held_out > _QUICK_IMAGES:
            say(f"Measured on {_QUICK_IMAGES} of {held_out} held-out images on the way, on all at the end.")
        say(f"{'seconds':>8} {'step':>7} {'loss':>8} {'mIoU':>7} {'accuracy':>9}")
        start = time.monotonic()
        measured = start
        clock = _Clock(start, limits)
        first = trainer.step_count
        with Bar("Training", clock.total) as bar:
            while not clock.is_over(trainer.step_count - first):
                trainer.step()
                done = trainer.step_count - first
                if done == _TIMED_FROM:
                    clock.start_timing()
                if done == _TIMED_TO:
                    self._set_cycle(trainer, clock.expected_steps(done, _TIMED_TO - _TIMED_FROM))
                bar.update(clock.position(done))
                if time.monotonic() - measured >= self._config.evaluate_every_s:
                    self._measure(trainer, clock)
                    measured = time.monotonic()
        self._measure(trainer, clock, is_last=True)
        self._step = trainer.step_count
        if self.result is not None:
            say(table(self.result.iou_per_class))

    def save(self, path: Path | None) -> Path:
        """Write the checkpoint to ``path``, or into the project and its manifest, or to ``trained.pt``.

        Raises:
            StorageError: the disk refuses.
        """
        miou = None if self.result is None else self.result.miou
        project = self._material.project
        target = path
        if target is None and project is not None:
            project.ensure()
            target = checkpoint_path(project.folder / CHECKPOINTS_FOLDER, step=self._step, miou=miou)
        target = target or Path(f"trained{SUFFIX}")
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        about = CheckpointAbout(
            network=self._network, loss=self._loss, classes=self._material.classes, step=self._step, miou=miou
        )
        save_checkpoint(target, Checkpoint(about=about, weights=self._model.state_dict()))
        if path is None and project is not None:
            name = target.relative_to(project.folder).as_posix()
            project.update(
                dataclasses.replace(project.manifest, checkpoint=name, network=self._network, loss=self._loss)
            )
            project.save()
        return target

    def _trainer(self) -> Trainer:
        return Trainer(
            self._model,
            build_loss(self._loss),
            self._config,
            self._material.classes,
            self._pool,
            self._device.device,
            step=self._step,
            notice=say,
        )

    def _network_title(self) -> str:
        parameters = sum(value.numel() for value in self._model.parameters())
        return f"{type(self._network).__name__.removesuffix('Config')}, {parameters:,} parameters"

    def _set_cycle(self, trainer: Trainer, steps: int) -> None:
        """Let the learning rate fall once over the steps to come."""
        optimizer = dataclasses.replace(self._config.optimizer, cycle_steps=max(_TIMED_TO + 1, steps))
        self._config = dataclasses.replace(self._config, optimizer=optimizer)
        trainer.reconfigure(self._config)

    def _measure(self, trainer: Trainer, clock: "_Clock", *, is_last: bool = False) -> None:
        """Print one line of the curve: on some held-out images on the way, on all of them at last."""
        report = trainer.read()
        loss = "–" if report is None else f"{sum(report.losses.values()):.4f}"
        held_out = self._material.of_split(Split.VAL)
        began = time.monotonic()
        line = f"{clock.elapsed():8.1f} {trainer.step_count:7d} {loss:>8}"
        if held_out:
            predictor = make_predictor(self._model, self._material.classes, self._device)
            measured = held_out if is_last else _spread(held_out, _QUICK_IMAGES)
            self.result = evaluate(predictor, self._samples(measured), self._material.classes)
            line += f" {_percent(self.result.miou):>7} {_percent(self.result.pixel_accuracy):>9}"
        clock.leave_out(time.monotonic() - began)
        say(line)

    def _samples(self, items: Sequence[PoolItem]) -> Iterator[EvaluationSample]:
        for item in items:
            label_map, _ = self._material.read_layers(item)
            yield EvaluationSample(image=read_image(Path(item.image_path)), label_map=label_map)


def _spread(items: Sequence[PoolItem], count: int) -> Sequence[PoolItem]:
    """At most ``count`` items, evenly spread."""
    if len(items) <= count:
        return items
    return [items[place * len(items) // count] for place in range(count)]


class _Clock:
    """Seconds of training, without those spent on measuring."""

    def __init__(self, start: float, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self._start = start
        self._now = now
        self._limits = limits
        self._timed = start
        self.total = limits.steps if limits.seconds is None and limits.steps is not None else _PERCENT

    def elapsed(self) -> float:
        """Seconds so far."""
        return self._now() - self._start

    def leave_out(self, seconds: float) -> None:
        """Seconds that shall not count."""
        self._start += seconds
        self._timed += seconds

    def is_over(self, steps: int) -> bool:
        """Whether a limit is reached."""
        by_steps = self._limits.steps is not None and steps >= self._limits.steps
        return by_steps or (self._limits.seconds is not None and self.elapsed() >= self._limits.seconds)

    def start_timing(self) -> None:
        """The first steps are over, which are slower than others."""
        self._timed = self._now()

    def expected_steps(self, done: int, timed: int) -> int:
        """How many steps the run will have, from the speed of the last ``timed`` ones."""
        expected = self._limits.steps
        if self._limits.seconds is not None:
            speed = timed / max(1e-6, self._now() - self._timed)
            by_time = done + int(max(0.0, self._limits.seconds - self.elapsed()) * speed)
            expected = by_time if expected is None else min(expected, by_time)
        return done if expected is None else expected

    def position(self, steps: int) -> int:
        """What a progress bar of ``total`` pieces shows."""
        if self._limits.seconds is None:
            return steps
        return min(_PERCENT - 1, int(_PERCENT * self.elapsed() / self._limits.seconds))


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
