"""The worker's one inbox. Any thread posts; only the worker takes."""

from __future__ import annotations

import threading
from collections import deque
from typing import get_args

from engine.messages import AnnotationChanged, Command, InspectionCommand, MakeOverlay, Predict, ScoreImages

_QUESTIONS = get_args(InspectionCommand)


class Inbox:
    """Commands in the order they came, minus those that a newer one makes pointless."""

    def __init__(self) -> None:
        self._commands: deque[Command] = deque()
        self._arrived = threading.Condition()

    def post(self, command: Command) -> None:
        """Add a command; never waits. The newest request for a prediction replaces those still waiting."""
        with self._arrived:
            kept = [waiting for waiting in self._commands if not _replaces(command, waiting)]
            self._commands = deque([*kept, command])
            self._arrived.notify()

    def take(self, *, wait: bool) -> Command | None:
        """Return the next command; without one, wait for it or return None."""
        with self._arrived:
            while wait and not self._commands:
                self._arrived.wait()
            return self._commands.popleft() if self._commands else None

    def take_all(self) -> tuple[Command, ...]:
        """Return all commands that wait, in their order, and leave none."""
        with self._arrived:
            commands = tuple(self._commands)
            self._commands.clear()
            return commands

    def put_back(self, command: Command) -> None:
        """Leave a command that was taken where it was, before all others."""
        with self._arrived:
            self._commands.appendleft(command)
            self._arrived.notify()

    def take_only(self, kind: type[Predict]) -> Predict | None:
        """Return the waiting command of one kind, leaving the others in their order; None without one."""
        with self._arrived:
            for waiting in self._commands:
                if isinstance(waiting, kind):
                    self._commands.remove(waiting)
                    return waiting
            return None

    def superseded_by(self, *kinds: type[Command]) -> bool:
        """Whether a command of one of these kinds is waiting: long work asks this at every boundary."""
        with self._arrived:
            return any(isinstance(waiting, kinds) for waiting in self._commands)


def _replaces(new: Command, old: Command) -> bool:
    if isinstance(new, Predict):
        return isinstance(old, Predict)
    if isinstance(new, AnnotationChanged) and isinstance(old, AnnotationChanged):
        return new.item.image_id == old.item.image_id
    if isinstance(new, ScoreImages):
        return isinstance(old, ScoreImages)
    if isinstance(new, MakeOverlay) and isinstance(old, MakeOverlay):
        return new.kind is old.kind
    # Questions about the inside of the network: whoever asks again no longer waits for the first answer.
    return isinstance(new, _QUESTIONS) and type(new) is type(old)
