"""What the worker does with its network: open, train, predict, measure, save, export. Worker thread.

One piece of work at a time: what is on screen first, then measuring, then one step of training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

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
    Progress,
    PromoteCandidate,
    ScoreImages,
    Shutdown,
    StartTraining,
    WorkerState,
)
from engine.predict.compute import release_memory
from engine.worker.class_change import follow_classes
from engine.worker.comparing import CheckpointDesk
from engine.worker.exporting import Interruptible, check_wanted, export
from engine.worker.guard import Guard
from engine.worker.inbox import Inbox
from engine.worker.inspecting import InspectionDesk
from engine.worker.network import LiveNetwork, load_network, open_network
from engine.worker.pace import Clock
from engine.worker.scoring import ScoringDesk
from engine.worker.training_desk import STOPPED, TrainingDesk
from engine.worker.views import ScreenPrediction

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
        self._network: LiveNetwork | None = None
        self._device: ResolvedDevice | None = None
        self._request: OpenNetwork | None = None
        self._inspection = InspectionDesk(emit)
        self._screen = ScreenPrediction(self._inspection.pass_on, clock)
        self._scoring = ScoringDesk(self._screen, emit, clock)
        self._desk = CheckpointDesk(emit)
        self._training = TrainingDesk(
            guard,
            emit,
            inbox,
            clock,
            screen=self._screen,
            checkpoints=self._desk,
            show=self._begin_prediction,
        )

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
        self._training.stop("Another network was opened.", save=True)
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
        self._training.stop("A checkpoint was loaded.", save=False)
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
        self._network = None
        self._training.forget_measurement()
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
        if follow_classes(network, self._training.run, command.classes):
            # A measurement or a comparison under way would mix two class tables.
            self._training.forget_measurement()
            self._desk.forget()
        self._screen.follow_classes(network)
        self._inspection.forget()
        self._scoring.forget()
        self._request = network.request
        self._begin_prediction()

    def start(self, command: StartTraining) -> None:
        """Start a run, or give a running one another config and images. Raises as `TrainingDesk.start`.

        An `EngineError` says that no network is open.
        """
        network = self._opened_network()
        try:
            self._training.start(network, command)
        finally:
            self._request = network.request

    def stop(self, reason: str = STOPPED) -> None:
        """End a run for somebody who waits for it, see `TrainingDesk.stop`."""
        self._training.stop(reason, hurries=True)

    def evaluate(self, command: Evaluate) -> None:
        """Begin to measure on held-out images.

        Raises:
            EngineError: No network or project is open.
        """
        self._training.evaluate(self._opened_network(), command)

    def save(self, name: str | None) -> None:
        """Save a checkpoint. Raises as `Run.save`; an `EngineError` says that no network is open, too."""
        self._training.save(self._opened_network(), name)

    def keep(self, command: LearningCommand) -> None:
        """Promote, name, delete or compare checkpoints. Raises as `CheckpointDesk.serve`."""
        if isinstance(command, PromoteCandidate) and self._training.run is None and command.path:
            self.load(LoadCheckpoint(path=command.path))
        if self._desk.serve(command, self._opened_network(), self._training.run):
            self._screen.follow_weights()
            self._begin_prediction()

    def export(self, command: Export) -> None:
        """Write label maps in a foreign format, all in one go. Raises as `engine.worker.exporting.export`."""
        predictor = None
        if command.fill_with_prediction:
            self._show_first()
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
        if self._training.run is not None:
            self._training.run.corrected(command.item)
        if self._screen.corrected(command.item, self._network):
            self._begin_prediction()

    def abandon(self) -> None:
        """Let go of everything that uses the network: it can no longer be trusted."""
        self._training.forget()
        self._let_go()

    def give_back(self) -> None:
        """Give memory that was let go back to other programs; no frame on the stack must still hold it."""
        device = self._device
        if self._network is None:
            self._device = None
        elif self._training.run is None:
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
        asks = self._inspection.is_busy or self._desk.is_busy
        shows = self._screen.is_busy(self._network) or self._scoring.is_busy(self._network)
        return self._training.is_busy or asks or shows

    def advance(self) -> None:
        """Do one piece: a tile on screen, else a piece of measuring, else a step and a tile off screen."""
        if self._screen.is_urgent:
            self._predict_tile()
            return
        if self._inspection.is_busy:
            self._guard.guarded(self._inspection.question, self._inspection.advance)
        if self._network is not None and self._training.has_piece:
            self._training.advance_piece(self._network)
        elif self._desk.is_busy:
            self._guard.guarded(self._desk.task, self._compare)
        else:
            # Whoever waits for an answer waits for one piece: learning from an image is one of its own.
            trains = self._training.is_on
            if ponders := self._screen.is_curious(self._network, trains=trains):
                self._guard.guarded("Predict", self._ponder)
            self._training.step()
            if self._screen.is_running:
                self._predict_tile()
            elif not ponders and self._scoring.is_due(self._network, is_training=self._training.is_on):
                self._guard.guarded("ScoreImages", lambda: self._scoring.advance(self._opened_network()))

    def _compare(self) -> None:
        if self._desk.advance():
            self._begin_prediction()

    def _ponder(self) -> None:
        if self._screen.ponder(self._network):
            self._begin_prediction()

    def _begin_prediction(self) -> None:
        self._show_first()
        if self._network is not None:
            self._screen.begin(self._network)

    def _show_first(self) -> None:
        if self._training.run is not None:
            self._training.run.show_first()

    def _predict_tile(self) -> None:
        network = self._network
        if network is None:
            self._screen.cancel()
            return

        def advance() -> None:
            if self._screen.advance(network) and self._training.run is not None:
                self._training.run.refresh.end()

        if not self._guard.guarded("Predict", advance):
            self._screen.cancel()
