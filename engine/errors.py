"""Errors a person can act on: the world is at fault, not the program.

Every error carries one or two plain sentences (what happened and why) and a hint (what to do). They are shown
as they stand. Anything that is no `EngineError` is a bug and must be loud.
"""

from __future__ import annotations


class EngineError(Exception):
    """Something the user can act on.

    Attributes:
        message: What happened and why, in plain words; also `str(error)`.
        hint: What to do about it; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        # Both are passed on, so that a copy made by pickling is the same error.
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class ImageError(EngineError):
    """An image file cannot be read or is not usable."""


class AnnotationError(EngineError):
    """An annotation, class table or class file is damaged or refused."""


class ProjectError(EngineError):
    """A project folder cannot be opened, read or changed."""


class ProjectLockedError(ProjectError):
    """Another program has the project open for writing."""


class StorageError(EngineError):
    """The disk refused: full, read-only, gone, or failing."""


class CodecError(EngineError):
    """Text or data does not have the form it should have."""


class CheckpointError(EngineError):
    """A checkpoint cannot be read, written or used."""


class ExchangeError(EngineError):
    """Import or export of a foreign format failed."""


class TrainingRefusedError(EngineError):
    """Training cannot start: there is nothing to learn from yet."""


class TrainingError(EngineError):
    """Training had to stop."""


class DeviceMemoryError(EngineError):
    """The device has not enough memory for the chosen plan."""


def brief(error: Exception) -> str:
    """Return what an error of a library says in one line: its first, or two where a colon ends the first.

    Libraries say more than anybody wants to read, and compilers use the first line to say who they are.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    count = 2 if lines and lines[0].endswith(":") else 1
    return " ".join(lines[:count]) or type(error).__name__
