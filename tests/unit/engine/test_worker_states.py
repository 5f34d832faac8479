from typing import Any, get_args

import pytest

from engine import messages
from engine.messages import Command, WorkerState
from engine.worker.states import Answer, answer
from tests.unit.engine.test_messages import SAMPLES

DO, IGNORE, REFUSE, REMEMBER = Answer.DO, Answer.IGNORE, Answer.REFUSE, Answer.REMEMBER

# Command: IDLE, TRAINING, FAULTED. STARTING makes everything wait, STOPPED ignores everything.
TABLE = {
    messages.OpenNetwork: (DO, DO, DO),
    messages.ClassesChanged: (DO, DO, REMEMBER),
    messages.StartTraining: (DO, DO, REFUSE),
    messages.StopTraining: (IGNORE, DO, IGNORE),
    messages.AnnotationChanged: (DO, DO, IGNORE),
    messages.Predict: (DO, DO, REMEMBER),
    messages.Evaluate: (DO, DO, REFUSE),
    messages.SaveCheckpoint: (DO, DO, REFUSE),
    messages.LoadCheckpoint: (DO, DO, DO),
    messages.Export: (DO, DO, DO),
    messages.CancelExport: (IGNORE, IGNORE, IGNORE),
    messages.Shutdown: (DO, DO, DO),
    messages.PromoteCandidate: (DO, DO, REFUSE),
    messages.NameCheckpoint: (DO, DO, REFUSE),
    messages.DeleteCheckpoints: (DO, DO, REFUSE),
    messages.CompareCheckpoints: (DO, DO, REFUSE),
    messages.Inspect: (DO, DO, REFUSE),
    messages.EndInspection: (DO, DO, IGNORE),
    messages.ScoreImages: (DO, DO, IGNORE),
    messages.ExplainPixel: (DO, DO, REFUSE),
    messages.DeleteRepresentations: (DO, DO, REFUSE),
    messages.MakeOverlay: (DO, DO, REFUSE),
    messages.MapMemory: (DO, DO, REFUSE),
    messages.FitCalibration: (DO, DO, REFUSE),
    messages.FindLabelErrors: (DO, DO, REFUSE),
    messages.PreviewEffect: (DO, DO, REFUSE),
}
COMMANDS = [sample for sample in SAMPLES if isinstance(sample, get_args(Command))]


def test_the_table_knows_every_command() -> None:
    assert set(TABLE) == set(get_args(Command)) == {type(command) for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_every_cell(command: Any) -> None:
    found = {state: answer(state, command) for state in WorkerState}
    assert found == {
        WorkerState.STARTING: Answer.WAIT,
        WorkerState.IDLE: TABLE[type(command)][0],
        WorkerState.TRAINING: TABLE[type(command)][1],
        WorkerState.FAULTED: TABLE[type(command)][2],
        WorkerState.STOPPED: IGNORE,
    }
