"""The worker's loop: commands first, then whatever work is under way.

Nothing waits longer than one piece of work: a step, a tile, an image. See `engine.worker.states` for the
states and what each does with each command.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import time
import traceback
from collections.abc import Callable
from typing import assert_never

from engine.errors import DeviceMemoryError, EngineError
from engine.learn.device import limit_threads
from engine.messages import (
    AnnotationChanged,
    CancelExport,
    ClassesChanged,
    Command,
    CommandFailed,
    CompareCheckpoints,
    DeleteCheckpoints,
    DeleteRepresentations,
    EndInspection,
    Evaluate,
    Event,
    ExplainPixel,
    Export,
    FindLabelErrors,
    FitCalibration,
    Inspect,
    LoadCheckpoint,
    MakeOverlay,
    MapMemory,
    NameCheckpoint,
    OpenNetwork,
    Predict,
    PreviewEffect,
    Problem,
    PromoteCandidate,
    SaveCheckpoint,
    ScoreImages,
    Shutdown,
    StartTraining,
    StateChanged,
    StopTraining,
    WorkerState,
)
from engine.predict.compute import shortage_told
from engine.worker.inbox import Inbox
from engine.worker.pace import Clock
from engine.worker.states import Answer, answer
from engine.worker.work import Work

_log = logging.getLogger(__name__)


def run_loop(emit: Callable[[Event], None], inbox: Inbox, threads: int | None) -> None:
    """Serve the inbox until `Shutdown`: the worker thread's whole life after torch was imported."""
    limit_threads(threads)
    Loop(emit, inbox).run()


class Loop:
    """The state, and the one place where errors become events.

    Args:
        emit: Receives events.
        inbox: Where commands come from.
        clock: Monotonic seconds.
    """

    def __init__(self, emit: Callable[[Event], None], inbox: Inbox, *, clock: Clock = time.monotonic) -> None:
        self._emit = emit
        self._inbox = inbox
        self._state = WorkerState.STARTING
        self._must_give_back = False
        self._work = Work(self, emit, inbox, clock)

    @property
    def state(self) -> WorkerState:
        """The present state."""
        return self._state

    def run(self) -> None:
        """Serve commands and work until `Shutdown`.

        A bug between the guarded pieces faults the worker as one inside them does. When it comes again before
        anything was done, no other network can help, and whoever runs the loop is told.
        """
        self.enter(WorkerState.IDLE)
        is_first = True
        while self._state is not WorkerState.STOPPED:
            try:
                self.turn(wait=True)
            except Exception as error:
                if not is_first:
                    raise
                is_first = False
                self.enter(WorkerState.FAULTED, self._abandoned("its loop", error))
            else:
                is_first = True

    def turn(self, *, wait: bool) -> None:
        """Serve one command, or do one piece of work where there is none.

        Args:
            wait: Whether to wait for a command where there is nothing to do.
        """
        if self._must_give_back:
            self._give_back()
        command = self._inbox.take(wait=wait and not self._work.is_busy)
        if command is not None:
            # Of two networks one may have followed the class table, and the other not.
            in_doubt = isinstance(command, ClassesChanged)
            self.guarded(type(command).__name__, lambda: self._serve(command), in_doubt=in_doubt)
        elif self._work.is_busy:
            self._work.advance()

    def enter(self, state: WorkerState, problem: Problem | None = None) -> None:
        """Go to a state and say so; staying in it is worth an event only with a problem."""
        if state is not self._state or problem is not None:
            self._state = state
            self._emit(StateChanged(state=state, problem=problem))

    def guarded(self, name: str, action: Callable[[], None], *, in_doubt: bool = False) -> bool:
        """Do something and return whether it went well.

        The world's faults become `CommandFailed`; ours lead to FAULTED.

        Args:
            name: Class name of the command it belongs to.
            action: What to do.
            in_doubt: Whether memory that runs short in the middle of it leaves a network nobody can trust.
        """
        try:
            with contextlib.nullcontext() if in_doubt else shortage_told():
                action()
        except EngineError as error:
            self._must_give_back |= isinstance(error, DeviceMemoryError)
            self._emit(CommandFailed(command=name, problem=Problem.from_error(error)))
        except Exception as error:  # noqa: BLE001 - one of the four places: the thread outlives a bug
            problem = self._abandoned(name, error)
            self._emit(CommandFailed(command=name, problem=problem))
            self.enter(WorkerState.FAULTED, problem)
        else:
            return True
        return False

    def _abandoned(self, name: str, error: Exception) -> Problem:
        """Let go of the network, as nobody knows what state it is in; return what to tell."""
        _log.error("the worker failed in %s", name, exc_info=error)
        self._work.abandon()
        self._must_give_back = True
        return Problem(
            message=f"Something went wrong inside the program ({type(error).__name__} in {name}).",
            hint="Your annotations are safe. Restart the network or load a checkpoint; please report it.",
            report="".join(traceback.format_exception(error)),
        )

    def _give_back(self) -> None:
        """Give memory back after something failed: not where it did, whose frames hold what has to go."""
        self._must_give_back = False
        if self._state is not WorkerState.FAULTED:
            self._work.give_back()
            return
        gc.collect()  # a run that was not closed and its trainer hold each other
        with contextlib.suppress(RuntimeError):  # a card that fell over gives nothing back, and that was told
            self._work.give_back()

    def _serve(self, command: Command) -> None:
        match answer(self._state, command):
            case Answer.DO:
                self._do(command)
            case Answer.REMEMBER:
                self._remember(command)
            case Answer.REFUSE:
                raise EngineError(
                    "The network cannot be trusted after the last problem.",
                    "Restart the network or load a checkpoint.",
                )
            case Answer.IGNORE | Answer.WAIT:
                pass
            case _ as never:
                assert_never(never)

    def _do(self, command: Command) -> None:  # noqa: C901 - one line for each command
        work = self._work
        match command:
            case OpenNetwork():
                work.open(command)
            case ClassesChanged():
                work.change_classes(command)
            case StartTraining():
                work.start(command)
            case StopTraining():
                work.stop()
            case AnnotationChanged():
                work.corrected(command)
            case Predict():
                work.predict(command)
            case Evaluate():
                work.evaluate(command)
            case SaveCheckpoint():
                work.save(command.name)
            case LoadCheckpoint():
                work.load(command)
            case Export():
                work.export(command)
            case CancelExport():
                pass
            case Inspect() | EndInspection() | ExplainPixel() | DeleteRepresentations() | MakeOverlay():
                work.inspect(command)
            case MapMemory() | FitCalibration() | FindLabelErrors() | PreviewEffect():
                work.inspect(command)
            case PromoteCandidate() | NameCheckpoint() | DeleteCheckpoints() | CompareCheckpoints():
                work.keep(command)
            case ScoreImages():
                work.score(command)
            case Shutdown():
                # Whatever goes wrong at the end, it is the end.
                self.guarded("Shutdown", lambda: work.stop("The program was closed."))
                work.abandon()
                self.enter(WorkerState.STOPPED)
            case _ as never:
                assert_never(never)

    def _remember(self, command: Command) -> None:
        if isinstance(command, Predict):
            self._work.want(command)
        elif isinstance(command, ClassesChanged):
            self._work.remember_classes(command)
