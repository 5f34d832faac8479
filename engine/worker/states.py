"""What the worker does with a command in each of its states: one table, tested cell by cell.

::

    STARTING ──torch is there──▶ IDLE ◀──StopTraining, a problem, max_steps──▶ TRAINING
                                  │ ▲                                            │
                         a bug    │ │ OpenNetwork, LoadCheckpoint                │ a bug
                                  ▼ │                                            │
                                FAULTED ◀────────────────────────────────────────┘

    Shutdown leads from every state to STOPPED; commands posted while STARTING wait.

FAULTED means that the network can no longer be trusted: it neither trains, measures nor predicts. What people
annotated can still be exported.
"""

from __future__ import annotations

from enum import Enum
from typing import assert_never

from engine.messages import (
    AnnotationChanged,
    CancelExport,
    ClassesChanged,
    Command,
    CompareCheckpoints,
    DeleteCheckpoints,
    DeleteRepresentations,
    EndInspection,
    Evaluate,
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
    PromoteCandidate,
    SaveCheckpoint,
    ScoreImages,
    Shutdown,
    StartTraining,
    StopTraining,
    WorkerState,
)


class Answer(Enum):
    """What becomes of a command.

    DO: it is done (it may still fail for its own reasons). WAIT: it stays in the inbox. IGNORE: there is
    nothing to do, silently. REMEMBER: it is kept and done once the network can be trusted again. REFUSE:
    `CommandFailed` says why.
    """

    DO = "do"
    WAIT = "wait"
    IGNORE = "ignore"
    REMEMBER = "remember"
    REFUSE = "refuse"


def answer(state: WorkerState, command: Command) -> Answer:
    """Return what becomes of a command in a state."""
    match state:
        case WorkerState.STARTING:
            return Answer.WAIT
        case WorkerState.STOPPED:
            return Answer.IGNORE
        case WorkerState.TRAINING:
            return Answer.IGNORE if isinstance(command, CancelExport) else Answer.DO
        case WorkerState.IDLE:
            is_idle_talk = isinstance(command, StopTraining | CancelExport)
            return Answer.IGNORE if is_idle_talk else Answer.DO
        case WorkerState.FAULTED:
            return _faulted(command)
        case _ as never:
            assert_never(never)


def _faulted(command: Command) -> Answer:
    match command:
        case OpenNetwork() | LoadCheckpoint() | Export() | Shutdown():
            return Answer.DO
        case Predict() | ClassesChanged():
            return Answer.REMEMBER
        case StopTraining() | AnnotationChanged() | CancelExport() | EndInspection() | ScoreImages():
            return Answer.IGNORE
        case StartTraining() | Evaluate() | SaveCheckpoint():
            return Answer.REFUSE
        case PromoteCandidate() | NameCheckpoint() | DeleteCheckpoints() | CompareCheckpoints():
            return Answer.REFUSE
        case Inspect() | ExplainPixel() | DeleteRepresentations() | MakeOverlay() | MapMemory():
            return Answer.REFUSE
        case FitCalibration() | FindLabelErrors() | PreviewEffect():
            return Answer.REFUSE
        case _ as never:
            assert_never(never)
