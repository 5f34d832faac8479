"""The worker's loop: commands first, then what is on screen, then measuring, then one step of training.

Nothing here waits longer than one piece of work: a step, a tile, an image. See `engine.worker.states` for
the states and what each does with each command.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from engine.errors import EngineError
from engine.learn.device import available_cores, limit_threads
from engine.learn.pool import Layers, store_reader
from engine.messages import (
    AnnotationChanged,
    CancelExport,
    ClassesChanged,
    Command,
    CommandFailed,
    Evaluate,
    Event,
    Export,
    LoadCheckpoint,
    OpenNetwork,
    PoolItem,
    Predict,
    Problem,
    Progress,
    SaveCheckpoint,
    Shutdown,
    StartTraining,
    StateChanged,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.worker.exporting import ExportCancelledError, export
from engine.worker.inbox import Inbox
from engine.worker.measuring import Measurement
from engine.worker.network import LiveNetwork, load_network, open_network, save_network
from engine.worker.pace import Clock
from engine.worker.run import Run
from engine.worker.states import Answer, answer
from engine.worker.views import ScreenPrediction

_log = logging.getLogger(__name__)

_STOPPED = "Training was stopped."
_DOWNLOAD = "Downloading weights"


def run_loop(emit: Callable[[Event], None], inbox: Inbox, threads: int | None) -> None:
    """Serve the inbox until `Shutdown`; the worker thread's whole life after torch was imported."""
    limit_threads(threads if threads is not None else max(1, available_cores() - 1))
    Loop(emit, inbox).run()


class Loop:
    """State and the work under way.

    Args:
        emit: Receives events.
        inbox: Where commands come from.
        clock: Monotonic seconds.
    """

    def __init__(self, emit: Callable[[Event], None], inbox: Inbox, *, clock: Clock = time.monotonic) -> None:
        self._emit = emit
        self._inbox = inbox
        self._clock = clock
        self._state = WorkerState.STARTING
        self._network: LiveNetwork | None = None
        self._request: OpenNetwork | None = None
        self._run: Run | None = None
        self._screen = ScreenPrediction(emit)
        self._measurement: Measurement | None = None

    @property
    def state(self) -> WorkerState:
        """The present state."""
        return self._state

    def run(self) -> None:
        """Serve commands and work until `Shutdown`."""
        self._enter(WorkerState.IDLE)
        while self._state is not WorkerState.STOPPED:
            self.turn(wait=True)

    def turn(self, *, wait: bool) -> None:
        """Serve one command, or do one piece of work where there is none.

        Args:
            wait: Whether to wait for a command where there is nothing to do.
        """
        command = self._inbox.take(wait=wait and not self._has_work)
        if command is not None:
            self._guarded(type(command).__name__, lambda: self._serve(command))
        elif self._has_work:
            self._work()

    # ------------------------------------------------------------------------------------ errors

    def _guarded(self, name: str, action: Callable[[], None]) -> bool:
        """Do something and return whether it went well.

        The world's faults become `CommandFailed`, ours lead to FAULTED.
        """
        try:
            action()
        except EngineError as error:
            self._emit(CommandFailed(command=name, problem=Problem.from_error(error)))
        except Exception as error:  # noqa: BLE001 - one of the four places: the thread outlives a bug
            self._fault(name, error)
        else:
            return True
        return False

    def _fault(self, name: str, error: Exception) -> None:
        """The network can no longer be trusted: let go of everything that uses it."""
        _log.error("the worker failed in %s", name, exc_info=error)
        problem = Problem(
            message=f"Something went wrong inside the program ({type(error).__name__} in {name}).",
            hint="Your annotations are safe. Load a checkpoint or open the network again; please report this.",
            report="".join(traceback.format_exception(error)),
        )
        self._run, self._measurement, self._network = None, None, None
        self._screen.cancel()
        self._emit(CommandFailed(command=name, problem=problem))
        self._enter(WorkerState.FAULTED, problem)

    def _enter(self, state: WorkerState, problem: Problem | None = None) -> None:
        if state is not self._state or problem is not None:
            self._state = state
            self._emit(StateChanged(state=state, problem=problem))

    # ------------------------------------------------------------------------------------ commands

    def _serve(self, command: Command) -> None:
        reply = answer(self._state, command)
        match reply:
            case Answer.DO:
                self._do(command)
            case Answer.REMEMBER:
                self._remember(command)
            case Answer.REFUSE:
                raise EngineError(
                    "The network cannot be trusted after the last problem.",
                    "Load a checkpoint or open the network again.",
                )
            case Answer.IGNORE | Answer.WAIT:
                pass
            case _ as never:
                assert_never(never)

    def _do(self, command: Command) -> None:  # noqa: C901 - one line for each command
        match command:
            case OpenNetwork():
                self._open(command)
            case ClassesChanged():
                self._change_classes(command)
            case StartTraining():
                self._start(command)
            case StopTraining():
                self._stop(_STOPPED, save=True)
            case AnnotationChanged():
                self._training_run().corrected(command.item)
            case Predict():
                self._remember(command)
                self._begin_prediction()
            case Evaluate():
                self._evaluate(command)
            case SaveCheckpoint():
                self._save(command.name)
            case LoadCheckpoint():
                self._load(command)
            case Export():
                self._export(command)
            case CancelExport():
                pass
            case Shutdown():
                self._shut_down()
            case _ as never:
                assert_never(never)

    def _remember(self, command: Command) -> None:
        if isinstance(command, Predict):
            self._screen.wanted = command
        elif isinstance(command, ClassesChanged) and self._request is not None:
            self._request = replace(self._request, classes=command.classes)

    def _open(self, command: OpenNetwork) -> None:
        self._stop("Another network was opened.", save=True)
        if self._request is not None and self._request.images_folder != command.images_folder:
            self._screen.wanted = None
        self._let_go()
        self._request = command
        network, opened = open_network(command, progress=self._download)
        self._take(network)
        self._emit(opened)
        self._begin_prediction()

    def _load(self, command: LoadCheckpoint) -> None:
        if self._request is None:
            raise EngineError(
                "No project is open to load a checkpoint into.", "Open a folder of images first."
            )
        # Reads first: a file that cannot be used must not end the training.
        network, opened = load_network(command.path, self._request, progress=self._download)
        self._stop("A checkpoint was loaded.", save=False)
        self._let_go()
        self._request = network.request
        self._take(network)
        self._emit(opened)
        self._begin_prediction()

    def _take(self, network: LiveNetwork) -> None:
        self._network = network
        self._enter(WorkerState.IDLE)

    def _let_go(self) -> None:
        self._network, self._measurement = None, None
        self._screen.cancel()

    def _change_classes(self, command: ClassesChanged) -> None:
        network = self._opened_network()
        if not len(command.classes):
            raise EngineError("The last class was removed.", "Add a class; the network then starts afresh.")
        sources = network.class_sources(command.classes)
        if sources != tuple(range(len(network.classes))):
            # A measurement under way would mix two class tables.
            self._measurement = None
            if self._run is not None:
                self._run.follow(command.classes, sources)
            else:
                network.model.follow_classes(sources)
        elif self._run is not None:
            self._run.pool.set_classes(command.classes)
        network.set_classes(command.classes)
        self._request = network.request
        self._begin_prediction()

    def _start(self, command: StartTraining) -> None:
        network = self._opened_network()
        running = self._run
        run = running if running is not None else Run(network, command.config, self._emit, self._clock)
        if not run.fill(command.items, lambda: self._inbox.superseded_by(Shutdown, StopTraining)):
            if running is None:
                self._emit(TrainingStopped(reason=_STOPPED))
            return
        if running is not None:
            run.reconfigure(command.config)
            return
        run.start()
        self._run = run
        self._enter(WorkerState.TRAINING)

    def _stop(self, reason: str, *, save: bool, problem: Problem | None = None) -> None:
        """End a run, if there is one: weights are saved, memory is given back, the state is IDLE."""
        run, self._run = self._run, None
        if run is None:
            return
        self._measurement = None
        if problem is None:
            problem = self._last_check(run)
        run.close(reason if problem is None else problem.message)
        self._enter(WorkerState.IDLE, problem)
        self._emit(TrainingStopped(reason=reason if problem is None else problem.message))
        if save and run.has_news:
            self._guarded("SaveCheckpoint", lambda: self._save(None))

    def _last_check(self, run: Run) -> Problem | None:
        """Read the losses of the last steps: what they poisoned must not be saved."""
        try:
            run.check_weights()
        except EngineError as error:
            return Problem.from_error(error)
        return None

    def _evaluate(self, command: Evaluate) -> None:
        network = self._opened_network()
        read: Callable[[PoolItem], Layers]
        if self._run is not None:
            read = self._run.pool.layers
        elif network.request.store_folder:
            read = store_reader(network.request.store_folder)
        else:
            raise EngineError("There is no project to measure on.", "Open a folder of images first.")
        self._measurement = Measurement(network, command.items, read, self._emit)

    def _save(self, name: str | None) -> None:
        network, run = self._opened_network(), self._run
        if run is None:
            self._emit(save_network(network, name=name, optimizer=None, keep=None))
            return
        run.check_weights()
        saved = save_network(
            network, name=name, optimizer=run.trainer.optimizer_state(), keep=run.config.keep_checkpoints
        )
        run.log_checkpoint(saved)
        self._emit(saved)

    def _export(self, command: Export) -> None:
        predictor = None
        if command.fill_with_prediction:
            network = self._opened_network()
            if not network.has_learnt:
                raise EngineError(
                    "The network has learnt nothing yet, so it cannot fill what is unlabelled.",
                    "Train first, or export without predictions.",
                )
            predictor = network.predictor()
        self._emit(export(command, predictor, self._export_boundary, self._emit))

    def _export_boundary(self) -> None:
        """Between two pieces of an export: end it, or answer a request for the image on screen."""
        if self._inbox.superseded_by(Shutdown, CancelExport, Export):
            raise ExportCancelledError
        request = self._inbox.take_only(Predict)
        if request is not None:
            self._guarded("Predict", lambda: self._serve(request))
        while self._screen.is_running and not self._inbox.superseded_by(Predict, Shutdown, CancelExport):
            self._predict_tile()

    def _shut_down(self) -> None:
        self._stop("The program was closed.", save=True)
        self._let_go()
        self._enter(WorkerState.STOPPED)

    def _opened_network(self) -> LiveNetwork:
        if self._network is None:
            raise EngineError("No network is open.", "Choose a network, then try again.")
        return self._network

    def _training_run(self) -> Run:
        if self._run is None:
            raise RuntimeError("there is no run in this state")
        return self._run

    def _download(self, done: int, total: int) -> None:
        self._emit(Progress(task=_DOWNLOAD, done=done, total=total))

    # ------------------------------------------------------------------------------------ work

    @property
    def _has_work(self) -> bool:
        return self._run is not None or self._measurement is not None or self._screen.is_running

    def _work(self) -> None:
        """One piece: a tile on screen, else a piece of measuring, else a step and a tile off screen."""
        if self._screen.is_urgent:
            self._predict_tile()
        elif self._measurement is not None:
            self._guarded("Evaluate", self._measure)
        else:
            if self._run is not None:
                self._train()
            if self._screen.is_running:
                self._predict_tile()

    def _begin_prediction(self) -> None:
        if self._network is not None:
            self._screen.begin(self._network)

    def _predict_tile(self) -> None:
        network = self._network
        if network is None:
            self._screen.cancel()
            return

        def advance() -> None:
            if self._screen.advance(network) and self._run is not None:
                self._run.refresh.end()

        if not self._guarded("Predict", advance):
            self._screen.cancel()

    def _measure(self) -> None:
        # Put back only if all is well and not done: a measurement that failed is over.
        measurement, self._measurement = self._measurement, None
        if measurement is None:
            return
        network = self._opened_network()
        result = measurement.advance()
        if result is None:
            self._measurement = measurement
            return
        self._emit(measurement.event(result))
        if result.miou is not None:
            network.miou = (network.step, result.miou)
        if self._run is not None:
            self._run.evaluation.end()
            self._run.log_evaluation(result)
            if self._run.is_new_best(result.miou):
                self._save(None)

    def _train(self) -> None:
        """One step and whatever is due; a problem ends the run."""
        run = self._training_run()
        try:
            run.step()
            if run.is_complete:
                self._stop(f"Done: {run.config.max_steps} steps.", save=True)
            else:
                self._what_is_due(run)
        except EngineError as error:
            self._stop(error.message, save=False, problem=Problem.from_error(error))
        except Exception as error:  # noqa: BLE001 - one of the four places, see `_guarded`
            self._fault("training", error)

    def _what_is_due(self, run: Run) -> None:
        if run.refresh.is_due and not self._screen.is_running:
            run.refresh.begin()
            if run.check_weights():
                self._guarded("Predict", self._begin_prediction)
        if run.evaluation.is_due and run.pool.held_out():
            run.evaluation.begin()
            run.check_weights()
            self._measurement = Measurement(run.network, run.pool.held_out(), run.pool.layers, self._emit)
        elif run.checkpoint.is_due:
            run.checkpoint.begin()
            self._guarded("SaveCheckpoint", lambda: self._save(None))
