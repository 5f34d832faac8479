"""Errors carry what to say and what to do, also through a copy."""

import pickle

import pytest

from engine import errors
from engine.errors import EngineError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EngineError)]


@pytest.mark.parametrize("kind", KINDS)
def test_message_and_hint(kind):
    error = kind("It is broken.", "Mend it.")
    for same in (error, pickle.loads(pickle.dumps(error))):
        assert type(same) is kind
        assert (str(same), same.message, same.hint) == ("It is broken.", "It is broken.", "Mend it.")
    assert kind("Alone.").hint == ""


def test_a_locked_project_is_a_project_error():
    assert issubclass(errors.ProjectLockedError, errors.ProjectError)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("\n  No room left\nwith a long report", "No room left"),
        ("backend failed:\nno kernel\nmore", "backend failed: no kernel"),
        ("", "RuntimeError"),
    ],
)
def test_an_error_of_a_library_is_told_in_one_line(said, line):
    assert errors.brief(RuntimeError(said)) == line
