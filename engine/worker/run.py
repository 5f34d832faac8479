"""One training run, from start to stop. Worker thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from engine.annotate.classes import ClassTable
from engine.config import Precision, TrainingConfig
from engine.errors import DeviceMemoryError, EngineError
from engine.learn.checkpoint_files import CHECKPOINTS_FOLDER, is_above_all
from engine.learn.evaluator import EvaluationResult
from engine.learn.judge import Beside
from engine.learn.pool import Pool, store_reader
from engine.learn.runlog import RunLog
from engine.learn.trainer import Trainer
from engine.messages import CheckpointSaved, Event, Notice, PoolItem, Problem, Progress, StepsDone
from engine.predict.compute import is_out_of_memory, release_memory
from engine.project.manifest import Split
from engine.worker.judging import Candidates
from engine.worker.last_word import LastWord
from engine.worker.measuring import Measurement
from engine.worker.network import LiveNetwork, save_network, save_shown
from engine.worker.pace import Clock, Pace

_REPORT_S = 0.1
_LOG_S = 5.0
_REFRESH_SHARE = 0.1
_EVALUATION_SHARE = 0.15
_JUDGE_S = 0.5
"""How long somebody who stops may be kept waiting for a judgement."""


class Run:
    """Pool, trainer and clockwork of one run.

    Args:
        network: What to train.
        config: How.
        emit: Receives events.
        clock: Monotonic seconds.
        beside: What the quick model says beside the network; None where only networks are shown.

    Raises:
        EngineError: There is no project to learn from.
    """

    def __init__(
        self,
        network: LiveNetwork,
        config: TrainingConfig,
        emit: Callable[[Event], None],
        clock: Clock,
        beside: Beside | None = None,
    ) -> None:
        if not network.request.store_folder:
            raise EngineError("There is no project to learn from.", "Open a folder of images first.")
        self.network = network
        self.config = config
        self._emit = emit
        self._clock = clock
        seed, cache = config.seed + network.step, config.image_cache_mb * 2**20
        read = store_reader(network.request.store_folder)
        self.pool = Pool(read, network.classes, config.crop, cache, seed=seed)
        self._log = RunLog(Path(network.request.store_folder), notice=self._notice)
        self.candidates = Candidates(network, self.pool, config.promotion, emit, seed=seed, beside=beside)
        self.save_wanted = self._is_on_trust = False
        self.unjudged: LastWord | None = None
        self._trainer: Trainer | None = None
        self._first_step = self._saved_step = network.step
        self._reported = self._logged = clock()
        self.refresh = Pace(clock, config.refresh_s, share=_REFRESH_SHARE)
        self.evaluation = Pace(clock, config.evaluate_every_s, share=_EVALUATION_SHARE)
        self.checkpoint = Pace(clock, config.checkpoint_every_s)

    def fill(self, items: Sequence[PoolItem], cancelled: Callable[[], bool]) -> bool:
        """Read the annotations; return whether that went through without being cancelled."""
        for done in self.pool.fill(items):
            if done % 20 == 0 or done == len(items):
                self._emit(Progress(task="Reading annotations", done=done, total=len(items)))
            if cancelled():
                return False
        self._tell_notices()
        return True

    def start(self) -> None:
        """Make the trainer.

        Raises:
            TrainingRefusedError: There is nothing to learn yet; says what is missing.
        """
        self.pool.check()
        network = self.network
        try:
            self._trainer = self._new_trainer()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceMemoryError(
                "There is not enough memory to train this network.",
                "Close other programs, or choose a smaller network.",
            ) from error
        self._log.write(
            "start",
            step=network.step,
            checkpoint=network.checkpoint,
            device=network.device.title,
            plan=self._trainer.plan.describe(),
            images=self.pool.image_count(),
            labels_version=self.pool.labels_version,
            held_out=len(self.pool.held_out()),
            classes=list(network.classes.names),
            learning_rate=self.config.optimizer.learning_rate,
            recent_share=self.config.crop.recent_share,
            corrected_share=self.config.crop.corrected_share,
        )

    @property
    def trainer(self) -> Trainer:
        """The trainer; exists from `start` on."""
        if self._trainer is None:
            raise RuntimeError("the run was not started")
        return self._trainer

    @property
    def is_complete(self) -> bool:
        """Whether the run has done all steps it was given."""
        limit = self.config.max_steps
        return limit is not None and self.network.step - self._first_step >= limit

    def step(self) -> None:
        """Do one update and report, at most ten times a second.

        Raises:
            TrainingError: The loss left the rails; the network has its last good weights again.
            TrainingRefusedError: There is nothing left to learn from.
            DeviceMemoryError: Memory is too small.
        """
        try:
            result = self.trainer.step()
            self.network.step = result.step
            if self._clock() - self._reported >= _REPORT_S:
                self.report(result.learning_rate)
        finally:
            # After going back the count is that of the weights in place.
            self.network.step = self.trainer.step_count
        self.network.follow_to(self.trainer.device)
        self._tell_notices()

    def report(self, learning_rate: float) -> None:
        """Emit the losses since the last report.

        Raises:
            TrainingError: The loss left the rails.
        """
        report = self.trainer.read()
        now = self._clock()
        if report is None:
            return
        speed, self._reported = report.steps / max(1e-9, now - self._reported), now
        losses = dict(report.losses)
        self._emit(
            StepsDone(
                step=self.network.step,
                losses=losses,
                steps_per_second=speed,
                learning_rate=learning_rate,
                first_step=self._first_step,
                images=self.pool.image_count(),
            )
        )
        if now - self._logged >= _LOG_S:
            self._logged = now
            self._log.write(
                "steps", step=self.network.step, losses=losses, speed=speed, learning_rate=learning_rate
            )

    def check_weights(self) -> bool:
        """Whether the weights of now may be shown or saved.

        Raises:
            TrainingError: The loss left the rails.
        """
        try:
            self.trainer.check()
        finally:
            self.network.step = self.trainer.step_count
        return self.trainer.is_healthy

    def last_problem(self) -> Problem | None:
        """Read the losses of the last steps: what they poisoned must not be saved."""
        try:
            self.check_weights()
        except EngineError as error:
            return Problem.from_error(error)
        return None

    def show_first(self) -> None:
        """Show the weights of now if nothing is shown yet and nothing is known against them."""
        if self.network.has_learnt or self._trainer is None or self.network.step == 0:
            return
        if self._trainer.is_healthy and self.candidates.verdict is None:
            self.network.show_trained()
            self._is_on_trust = True

    def corrected(self, item: PoolItem) -> None:
        """Read a changed annotation; it is learned from with the very next step."""
        self.pool.update(item)
        if item.split is Split.TRAIN:
            self.trainer.restart()
        self._tell_notices()

    def reconfigure(self, config: TrainingConfig) -> None:
        """Take over another config."""
        self.config = config
        self.trainer.reconfigure(config)
        self.candidates.reconfigure(config.promotion)
        self.refresh.every = config.refresh_s
        self.evaluation.every = config.evaluate_every_s
        self.checkpoint.every = config.checkpoint_every_s

    def follow(self, classes: ClassTable, sources: Sequence[int | None]) -> None:
        """Follow a changed class table: the weights being trained, and those shown."""
        self.trainer.follow(classes, sources)
        self.network.model.follow_classes(sources)
        self.candidates.follow(classes)

    def measurement(self) -> Measurement:
        """Begin to measure the weights being trained on the held-out images."""
        return Measurement(self.network, self.pool.held_out(), self.pool.layers, self._emit, of_trained=True)

    def begin_what_is_due(self, *, is_showing: bool) -> Measurement | None:
        """Begin what the clock asks for, and return the measurement if it is one.

        Raises:
            TrainingError: The loss left the rails.
        """
        if self.refresh.is_due and not is_showing:
            self.refresh.begin()
            if self.check_weights():
                self.candidates.begin()
        if self.evaluation.is_due and self.pool.held_out():
            self.evaluation.begin()
            self.check_weights()
            return self.measurement()
        if self.checkpoint.is_due:
            self.checkpoint.begin()
            self.save_wanted = self.check_weights()
            if self.save_wanted and not self.candidates.is_running:
                self.candidates.begin()
        return None

    def take_evaluation(self, result: EvaluationResult) -> None:
        """Take in what was measured of the weights of now: what is best so far is judged and saved."""
        self.evaluation.end()
        self._log.write(
            "evaluation",
            step=self.network.step,
            miou=result.miou,
            pixel_accuracy=result.pixel_accuracy,
            iou_per_class=dict(result.iou_per_class),
            images=result.images,
            pixels=result.pixels,
        )
        if is_above_all(Path(self.network.request.store_folder) / CHECKPOINTS_FOLDER, result.miou):
            self.save_wanted = True
            self.candidates.begin()

    def save(self, name: str | None, *, is_over: Callable[[], bool] = lambda: False) -> None:
        """Save the weights of now, judged first: those that are no better are kept and marked so.

        Args:
            name: What a person calls them, or None.
            is_over: Whether there is no time left to judge them; they are then kept, and `unjudged`.

        Raises:
            EngineError: There is no project.
            StorageError: The disk refuses.
            TrainingError: The weights of now are not worth saving.
        """
        self.save_wanted = False
        self.check_weights()
        verdict = None if self.candidates.is_shown else self.candidates.go_on(is_over)
        better = self.candidates.is_shown
        saved = save_network(
            self.network,
            name=name,
            optimizer=self.trainer.optimizer_state(),
            keep=self.config.keep_checkpoints,
            labels_version=self.pool.labels_version,
            better=better,
        )
        self._log_checkpoint(saved)
        self._emit(saved)
        if better:
            return
        if verdict is None:
            self.unjudged = LastWord(self.network, self.candidates, Path(saved.path), self._emit)
        else:
            self.candidates.say(verdict, checkpoint=saved.path, promoted=False)
        self.save_shown()

    def save_news(self, *, hurries: bool = False) -> None:
        """Save the weights of now if no checkpoint has them; where that hurries they may be left `unjudged`.

        Raises as `save`.
        """
        until = self._clock() + _JUDGE_S
        if self.network.step != self._saved_step:
            self.save(None, is_over=lambda: hurries and self._clock() >= until)

    def save_trusted(self) -> None:
        """After a failure, take back what was shown unjudged and is no good; then as `save_shown`."""
        network, judged = self.network, self.candidates
        is_unjudged = self._is_on_trust if judged.verdict is None else judged.is_unquestioned
        if is_unjudged and network.shown_step > network.step:
            network.show_trained()
        self.save_shown()

    def save_shown(self) -> None:
        """Save the weights that are shown, if no checkpoint holds them.

        Raises:
            StorageError: The disk refuses.
        """
        network = self.network
        if network.shown_step in (network.saved_step, 0):
            return
        saved = save_shown(
            network, keep=self.config.keep_checkpoints, labels_version=self.pool.labels_version
        )
        self._log_checkpoint(saved)
        self._emit(saved)

    def promote(self) -> None:
        """Show the weights of now because a person wants it, whatever was found."""
        verdict = self.candidates.finish()
        self.network.show_trained()
        self.candidates.shown_changed()
        self.candidates.say(replace(verdict, reason="Shown because you chose it."), promoted=True)

    def _log_checkpoint(self, saved: CheckpointSaved) -> None:
        """Note a saved checkpoint, here and in the log."""
        self._saved_step = max(self._saved_step, saved.step)
        self._log.write(
            "checkpoint", step=saved.step, file=Path(saved.path).name, miou=saved.miou, better=saved.better
        )

    def close(self, reason: str, *, has_failed: bool = False) -> None:
        """End the run: what it learnt waits for the next one, memory goes back.

        Args:
            reason: Why, for the log.
            has_failed: Whether what it learnt since the weights that are shown is worth nothing.
        """
        if self._trainer is not None:
            self.network.optimizer = self._trainer.optimizer_state()
            self._log.write("stop", step=self.network.step, reason=reason)
        self._trainer = None
        if self.unjudged is None:
            self.candidates.cancel()
        if has_failed:
            self.network.give_up_training()
        else:
            self.network.end_training()
        self.pool.clear()
        release_memory(self.network.device.device)
        self.network.bring_back()

    def _new_trainer(self) -> Trainer:
        network = self.network
        return Trainer(
            network.begin_training(),
            network.loss,
            self.config,
            network.classes,
            self.pool,
            network.device.device,
            # The trial was made when the network was opened.
            precision=network.precision if self.config.precision is Precision.AUTO else None,
            step=network.step,
            optimizer=network.optimizer,
            notice=self._notice,
        )

    def _notice(self, text: str) -> None:
        self._emit(Notice(text=text))

    def _tell_notices(self) -> None:
        for text in self.pool.take_notices():
            self._notice(text)
