"""What the worker does with its network: open, train, predict, measure, save, export. Worker thread.

One piece of work at a time: what is on screen first, then measuring, then one step of training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from engine.errors import EngineError
from engine.learn.device import ResolvedDevice
from engine.messages import (
    AnnotationChanged,
    CancelExport,
    ClassesChanged,
    Evaluate,
    Event,
    Export,
    InspectionCommand,
    LearningCommand,
    LoadCheckpoint,
    OpenNetwork,
    Predict,
    Problem,
    Progress,
    PromoteCandidate,
    ScoreImages,
    Shutdown,
    StartTraining,
    StopTraining,
    TrainingStopped,
    WorkerState,
)
from engine.predict.compute import release_memory
from engine.worker.class_change import follow_classes
from engine.worker.comparing import CheckpointDesk
from engine.worker.exporting import Interruptible, check_wanted, export
from engine.worker.guard import Guard
from engine.worker.inbox import Inbox
from engine.worker.inspecting import InspectionDesk
from engine.worker.measuring import Measurement, measurement_of
from engine.worker.network import LiveNetwork, load_network, open_network, save_shown
from engine.worker.pace import Clock
from engine.worker.run import Run
from engine.worker.scoring import ScoringDesk
from engine.worker.views import ScreenPrediction

_STOPPED = "Training was stopped."
_DOWNLOAD = "Downloading weights"


class Work:
    """The network and everything under way with it.

    Args:
        guard: The loop.
        emit: Receives events.
        inbox: Asked at boundaries whether to go on.
        clock: Monotonic seconds.
    """

    def __init__(self, guard: Guard, emit: Callable[[Event], None], inbox: Inbox, clock: Clock) -> None:
        self._guard = guard
        self._emit = emit
        self._inbox = inbox
        self._clock = clock
        self._network: LiveNetwork | None = None
        self._device: ResolvedDevice | None = None
        self._request: OpenNetwork | None = None
        self._run: Run | None = None
        self._inspection = InspectionDesk(emit)
        self._screen = ScreenPrediction(self._inspection.pass_on, clock)
        self._scoring = ScoringDesk(self._screen, emit, clock)
        self._measurement: Measurement | None = None
        self._desk = CheckpointDesk(emit)

    # -------------------------------------------------------------------------------- intentions

    def want(self, command: Predict) -> None:
        """Remember which image is on screen."""
        self._screen.wanted = command

    def predict(self, command: Predict) -> None:
        """Begin to predict the image on screen, instead of whatever was under way."""
        self.want(command)
        self._begin_prediction()

    def score(self, command: ScoreImages) -> None:
        """Look at images that are not on screen, whenever there is time."""
        self._scoring.want(command)

    def remember_classes(self, command: ClassesChanged) -> None:
        """Keep a class table for the network that will be opened next."""
        if self._request is not None:
            self._request = replace(self._request, classes=command.classes)

    def open(self, command: OpenNetwork) -> None:
        """Build a network and make it the one; an `EngineError` says that there are no classes."""
        self.stop("Another network was opened.", save=True)
        if self._request is not None and self._request.images_folder != command.images_folder:
            self._screen.wanted = None
        self._let_go()
        self.give_back()
        self._request = command
        network, opened = open_network(command, progress=self._download)
        self._take(network)
        self._emit(opened)
        self._begin_prediction()

    def load(self, command: LoadCheckpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: It cannot be used; everything stays as it was.
        """
        if self._request is None:
            raise EngineError(
                "No project is open to load a checkpoint into.", "Open a folder of images first."
            )
        # Reads first: a file that cannot be used must not end the training.
        network, opened = load_network(command.path, self._request, progress=self._download)
        self.stop("A checkpoint was loaded.", save=False)
        self._let_go()
        self.give_back()
        self._request = network.request
        self._take(network)
        self._emit(opened)
        self._begin_prediction()

    def _take(self, network: LiveNetwork) -> None:
        self._network, self._device = network, network.device
        self._screen.opened(network)
        self._guard.enter(WorkerState.IDLE)

    def _let_go(self) -> None:
        self._network, self._measurement = None, None
        self._desk.forget()
        self._screen.cancel()
        self._inspection.forget()
        self._scoring.forget()

    def change_classes(self, command: ClassesChanged) -> None:
        """Let the network follow the class table; what it learnt about classes that stay, stays.

        An `EngineError` says that no network is open, or no class left.
        """
        network = self._opened_network()
        if not len(command.classes):
            raise EngineError("The last class was removed.", "Add a class; the network then starts afresh.")
        if follow_classes(network, self._run, command.classes):
            # A measurement or a comparison under way would mix two class tables.
            self._measurement = None
            self._desk.forget()
        self._screen.follow_classes(network)
        self._inspection.forget()
        self._scoring.forget()
        self._request = network.request
        self._begin_prediction()

    def start(self, command: StartTraining) -> None:
        """Start a run, or give a running one another config and images; an `EngineError` says why not."""
        network = self._opened_network()
        running = self._run
        beside = partial(self._screen.as_shown.beside, network)
        run = running or Run(network, command.config, self._emit, self._clock, beside)
        if not run.fill(command.items, lambda: self._inbox.superseded_by(Shutdown, StopTraining)):
            if running is None:
                self._emit(TrainingStopped(reason=_STOPPED))
            return
        self._request = self._screen.start(network, command)
        if running is not None:
            run.reconfigure(command.config)
            return
        run.start()
        self._desk.judge_on(None)
        self._run = run
        self._guard.enter(WorkerState.TRAINING)

    def stop(
        self,
        reason: str = _STOPPED,
        *,
        save: bool = True,
        problem: Problem | None = None,
        hurries: bool = False,
    ) -> None:
        """End a run, if there is one: what it learnt is saved, memory is given back, then that is said.

        Not before: whoever hears it may pull out the disk or start something else on the card. Where
        somebody waits for it (`hurries`), weights may be judged, and shown, only after that.
        """
        run, self._run = self._run, None
        if run is None:
            return
        self._measurement = None
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
        if self._network is run.network:  # else a bug while saving or closing has led to FAULTED
            self._guard.enter(WorkerState.IDLE, problem)
            self._desk.judge_on(run.unjudged)
        self._emit(TrainingStopped(reason=why))
        if run.network.shown_step != before:
            self._begin_prediction()

    def evaluate(self, command: Evaluate) -> None:
        """Begin to measure on held-out images; an `EngineError` says that no network or project is open."""
        network = self._opened_network()
        layers = None if self._run is None else self._run.pool.layers
        self._measurement = measurement_of(network, command.items, layers, self._emit)

    def save(self, name: str | None) -> None:
        """Save a checkpoint. Raises as `Run.save`; an `EngineError` says that no network is open, too."""
        network, run = self._opened_network(), self._run
        if run is None:
            self._emit(save_shown(network, name=name, keep=None, labels_version=None))
            return
        run.save(name)
        self._begin_prediction()

    def keep(self, command: LearningCommand) -> None:
        """Promote, name, delete or compare checkpoints. Raises as `CheckpointDesk.serve`."""
        if isinstance(command, PromoteCandidate) and self._run is None and command.path:
            self.load(LoadCheckpoint(path=command.path))
        if self._desk.serve(command, self._opened_network(), self._run):
            self._screen.follow_weights()
            self._begin_prediction()

    def export(self, command: Export) -> None:
        """Write label maps in a foreign format, all in one go. Raises as `engine.worker.exporting.export`."""
        predictor = None
        if command.fill_with_prediction:
            if self._run is not None:
                self._run.show_first()
            network = self._opened_network()
            predictor = Interruptible(self._screen.predictor(network), network, self._inbox)
        self._emit(export(command, predictor, self._export_boundary, self._emit))

    def _export_boundary(self) -> None:
        """Between two pieces of an export: end it, or answer a request for the image on screen."""
        check_wanted(self._inbox)
        request = self._inbox.take_only(Predict)
        if request is not None:
            self._guard.guarded("Predict", lambda: self.predict(request))
        while self._screen.is_running and not self._inbox.superseded_by(Predict, Shutdown, CancelExport):
            self._predict_tile()

    def inspect(self, command: InspectionCommand) -> None:
        """Answer a question about the inside of the network; an `EngineError` says why there is no answer."""
        network = self._opened_network()
        self._inspection.serve(network, command, lambda: self._screen.on_screen(network))

    def corrected(self, command: AnnotationChanged) -> None:
        """Learn from a changed annotation: the quick model at once, a run with its very next step."""
        if self._run is not None:
            self._run.corrected(command.item)
        if self._screen.corrected(command.item, self._network):
            self._begin_prediction()

    def abandon(self) -> None:
        """Let go of everything that uses the network: it can no longer be trusted."""
        self._run = None
        self._let_go()

    def give_back(self) -> None:
        """Give memory that was let go back to other programs; no frame on the stack must still hold it."""
        device = self._device
        if self._network is None:
            self._device = None
        elif self._run is None:
            self._network.end_training()  # a run that could not start leaves a copy of what is shown
        if device is not None:
            release_memory(device.device)

    def _opened_network(self) -> LiveNetwork:
        if self._network is None:
            raise EngineError("No network is open.", "Choose a network, then try again.")
        return self._network

    def _download(self, done: int, total: int) -> None:
        self._emit(Progress(task=_DOWNLOAD, done=done, total=total))

    # -------------------------------------------------------------------------------- pieces

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to do without a command."""
        runs = self._run is not None or self._measurement is not None or self._inspection.is_busy
        shows = self._screen.is_busy(self._network) or self._scoring.is_busy(self._network)
        return runs or self._desk.is_busy or shows

    def advance(self) -> None:
        """Do one piece: a tile on screen, else a piece of measuring, else a step and a tile off screen."""
        if self._screen.is_urgent:
            self._predict_tile()
            return
        if self._inspection.is_busy:
            self._guard.guarded(self._inspection.question, self._inspection.advance)
        if self._measurement is not None:
            self._guard.guarded("Evaluate", self._measure)
        elif (run := self._run) is not None and run.candidates.is_running:
            self._guard.guarded("training", lambda: self._judge(run), in_doubt=True)
        elif self._desk.is_busy:
            self._guard.guarded(self._desk.task, self._compare)
        else:
            # Whoever waits for an answer waits for one piece: learning from an image is one of its own.
            if ponders := self._screen.is_curious(self._network, trains=self._run is not None):
                self._guard.guarded("Predict", self._ponder)
            if run is not None:
                self._guard.guarded("training", lambda: self._train(run), in_doubt=True)
            if self._screen.is_running:
                self._predict_tile()
            elif not ponders and self._scoring.is_due(self._network, is_training=self._run is not None):
                self._guard.guarded("ScoreImages", lambda: self._scoring.advance(self._opened_network()))

    def _compare(self) -> None:
        if self._desk.advance():
            self._begin_prediction()

    def _ponder(self) -> None:
        if self._screen.ponder(self._network):
            self._begin_prediction()

    def _begin_prediction(self) -> None:
        if self._run is not None:
            self._run.show_first()
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

        if not self._guard.guarded("Predict", advance):
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
            network.miou = (measurement.step, result.miou)
        if self._run is not None and measurement.step == network.step:
            self._run.take_evaluation(result)

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
        shows = verdict.promoted and self._guard.guarded("Predict", self._begin_prediction)
        if not (shows and self._screen.is_running):
            run.refresh.end()
        if run.save_wanted:
            self._guard.guarded("SaveCheckpoint", lambda: run.save(None))
