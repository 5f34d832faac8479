"""Where errors become events, as those see it whose errors they are. Worker thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from engine.messages import Problem, WorkerState


class Guard(Protocol):
    """What the work needs of the loop around it."""

    def guarded(self, name: str, action: Callable[[], None], *, in_doubt: bool = False) -> bool:
        """Do something whose failure must not end what else is going on; return whether it went well.

        `in_doubt`: memory that runs short in the middle of it leaves a network nobody can trust.
        """

    def enter(self, state: WorkerState, problem: Problem | None = None) -> None:
        """Go to a state and say so."""
