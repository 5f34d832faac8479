"""The run that goes on and the measurement under way, from start to end, in pieces. Worker thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from engine.errors import EngineError
from engine.messages import (
    Evaluate,
    Event,
    Problem,
    Shutdown,
    StartTraining,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.worker.comparing import CheckpointDesk
from engine.worker.guard import Guard
from engine.worker.inbox import Inbox
from engine.worker.measuring import Measurement, measurement_of
from engine.worker.network import LiveNetwork, save_shown
from engine.worker.pace import Clock
from engine.worker.run import Run
from engine.worker.views import ScreenPrediction

STOPPED = "Training was stopped."


class TrainingDesk:
    """Holds at most one run and one measurement.

    Args:
        guard: The loop.
        emit: Receives events.
        inbox: Asked at boundaries whether to go on.
        clock: Monotonic seconds.
        screen: What is shown while training goes on.
        checkpoints: Judges on where a run had no time left to.
        show: Begins the image on screen anew.
    """

    def __init__(
        self,
        guard: Guard,
        emit: Callable[[Event], None],
        inbox: Inbox,
        clock: Clock,
        *,
        screen: ScreenPrediction,
        checkpoints: CheckpointDesk,
        show: Callable[[], None],
    ) -> None:
        self._guard = guard
        self._emit = emit
        self._inbox = inbox
        self._clock = clock
        self._screen = screen
        self._checkpoints = checkpoints
        self._show = show
        self._ending: Run | None = None
        self._measurement: Measurement | None = None
        self.run: Run | None = None

    @property
    def is_on(self) -> bool:
        """Whether a run goes on."""
        return self.run is not None

    @property
    def is_busy(self) -> bool:
        """Whether a run goes on or something is measured."""
        return self.run is not None or self._measurement is not None

    @property
    def has_piece(self) -> bool:
        """Whether a piece of measuring or judging comes before the next step."""
        return self._measurement is not None or (self.run is not None and self.run.candidates.is_running)

    def forget(self) -> None:
        """Let go of everything: the network can no longer be trusted."""
        self.run = self._ending = self._measurement = None

    def forget_measurement(self) -> None:
        """Drop what is being measured: class table or network are others now."""
        self._measurement = None

    def start(self, network: LiveNetwork, command: StartTraining) -> None:
        """Start a run, or give a running one another config and images.

        Raises:
            EngineError: There is no project to learn from, or nothing in it.
            DeviceMemoryError: Memory is too small.
        """
        running = self.run
        beside = partial(self._screen.as_shown.beside, network)
        run = running or Run(network, command.config, self._emit, self._clock, beside)
        if not run.fill(command.items, lambda: self._inbox.superseded_by(Shutdown, StopTraining)):
            if running is None:
                self._emit(TrainingStopped(reason=STOPPED))
            return
        self._screen.start(network, command)
        if running is not None:
            run.reconfigure(command.config)
            return
        run.start()
        self._checkpoints.judge_on(None)
        self.run = run
        self._guard.enter(WorkerState.TRAINING)

    def stop(
        self,
        reason: str = STOPPED,
        *,
        save: bool = True,
        problem: Problem | None = None,
        hurries: bool = False,
    ) -> None:
        """End a run, if there is one: what it learnt is saved, memory is given back, then that is said.

        Not before: whoever hears it may pull out the disk or start something else on the card.

        Args:
            reason: Why, in a sentence.
            save: Whether what it learnt is to be saved.
            problem: What made it fail; only what is shown is saved then.
            hurries: Whether somebody waits: weights may be judged, and shown, only after that.
        """
        run, self.run = self.run, None
        if run is None:
            return
        self._ending, self._measurement = run, None
        if problem is None:
            problem = run.last_problem()
        why = reason if problem is None else problem.message
        before = run.network.shown_step
        if problem is not None:
            self._guard.guarded("SaveCheckpoint", run.save_trusted)
        elif save:
            self._guard.guarded("SaveCheckpoint", lambda: run.save_news(hurries=hurries))
        has_failed = problem is not None
        self._guard.guarded("StopTraining", lambda: run.close(why, has_failed=has_failed), in_doubt=True)
        self._screen.as_shown.forget()
        if self._ending is run:  # else a bug while saving or closing has led to FAULTED
            self._ending = None
            self._guard.enter(WorkerState.IDLE, problem)
            self._checkpoints.judge_on(run.unjudged)
        self._emit(TrainingStopped(reason=why))
        if run.network.shown_step != before:
            self._show()

    def evaluate(self, network: LiveNetwork, command: Evaluate) -> None:
        """Begin to measure on held-out images.

        Raises:
            EngineError: No project is open.
        """
        layers = None if self.run is None else self.run.pool.layers
        self._measurement = measurement_of(network, command.items, layers, self._emit)

    def save(self, network: LiveNetwork, name: str | None) -> None:
        """Save a checkpoint: of the run that goes on, else of what is shown. Raises as `Run.save`."""
        if self.run is not None:
            self.run.save(name)
            self._show()
        else:
            self._emit(save_shown(network, name=name, keep=None, labels_version=None))

    # -------------------------------------------------------------------------------- pieces

    def advance_piece(self, network: LiveNetwork) -> None:
        """Do a piece of what comes before the next step, see `has_piece`."""
        run = self.run
        if self._measurement is not None:
            self._guard.guarded("Evaluate", lambda: self._measure(network))
        elif run is not None:
            self._guard.guarded("training", lambda: self._judge(run), in_doubt=True)

    def step(self) -> None:
        """Do a step of the run, if there is one."""
        run = self.run
        if run is not None:
            self._guard.guarded("training", lambda: self._train(run), in_doubt=True)

    def _measure(self, network: LiveNetwork) -> None:
        # Put back only if all is well and not done: a measurement that failed is over.
        measurement, self._measurement = self._measurement, None
        if measurement is None:
            return
        result = measurement.advance()
        if result is None:
            self._measurement = measurement
            return
        self._emit(measurement.event(result))
        if result.miou is not None:
            network.miou = (measurement.step, result.miou)
        if self.run is not None and measurement.step == network.step:
            self.run.take_evaluation(result)

    def _train(self, run: Run) -> None:
        """One step and whatever is due; a problem ends the run."""
        problem = None
        try:
            run.step()
            if run.is_complete:
                self.stop(f"Done: {run.config.max_steps} steps.", save=True)
            else:
                self._measurement = run.begin_what_is_due(is_showing=self._screen.is_running)
        except EngineError as error:
            problem = Problem.from_error(error)
        if problem is not None:
            # Not in the handler: its traceback keeps alive what a stop gives back.
            self.stop(save=False, problem=problem)

    def _judge(self, run: Run) -> None:
        """Go on with judging the candidate; what may be shown is shown."""
        verdict, problem = None, None
        try:
            verdict = run.candidates.advance()
        except EngineError as error:
            problem = Problem.from_error(error)
        if problem is not None:
            self.stop(save=False, problem=problem)
        if verdict is None:
            return
        shows = verdict.promoted and self._guard.guarded("Predict", self._show)
        if not (shows and self._screen.is_running):
            run.refresh.end()
        if run.save_wanted:
            self._guard.guarded("SaveCheckpoint", lambda: run.save(None))
